"""An argument of the wrong kind is named by its error, which also shows what was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azolla import Client, Event, Future, LocalCluster, Lock, MultiLock, Queue, Semaphore, Variable

PLAIN: dict[str, Any] = {"processes": False, "threads_per_worker": 1, "dashboard_address": None}

#: By the argument's name, calls with a value of the wrong kind.
CALLS: list[tuple[str, Callable[[Client, Any], Any]]] = [
    ("asynchronous", lambda client, wrong: Client(asynchronous=wrong, **PLAIN)),
    ("asynchronous", lambda client, wrong: LocalCluster(asynchronous=wrong, **PLAIN)),
    ("pure", lambda client, wrong: client.submit(abs, -1, pure=wrong)),
    ("pure", lambda client, wrong: client.map(abs, [-1], pure=wrong)),
    ("errors", lambda client, wrong: client.gather([], errors=wrong)),
    ("hash", lambda client, wrong: client.scatter(1, hash=wrong)),
    ("force", lambda client, wrong: client.cancel([], force=wrong)),
    ("force", lambda client, wrong: client.submit(abs, -1).cancel(force=wrong)),
    ("n_workers", lambda client, wrong: client.scheduler_info(n_workers=wrong)),
    ("workers", lambda client, wrong: client.run(abs, -1, workers=wrong)),
    ("workers", lambda client, wrong: client.has_what(workers=wrong)),
    ("workers", lambda client, wrong: client.processing(workers=wrong)),
    ("workers", lambda client, wrong: client.nthreads(workers=wrong)),
    ("workers", lambda client, wrong: client.profile(workers=wrong)),
    ("keys", lambda client, wrong: client.nbytes(keys=wrong)),
    ("keys", lambda client, wrong: client.call_stack(keys=wrong)),
    ("count", lambda client, wrong: client.get_task_stream(count=wrong)),
    ("names", lambda client, wrong: MultiLock(wrong, client=client)),
    ("client", lambda client, wrong: Future("key", wrong)),
    *[
        ("client", lambda client, wrong, shared=shared: shared(client=wrong))
        for shared in (Event, Lock, MultiLock, Queue, Semaphore, Variable)
    ],
]


@pytest.mark.parametrize("name, call", CALLS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(CALLS)])
@pytest.mark.parametrize("wrong", [3.5, object()], ids=["a float", "an object"])
def test_the_argument_is_named(client: Client, name: str, call: Callable[[Client, Any], Any], wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call(client, wrong)
    assert name in str(caught.value) and repr(wrong)[:40] in str(caught.value)


def test_none_is_as_if_not_given(client: Client) -> None:
    with Client(asynchronous=None, **PLAIN) as other:  # type: ignore[arg-type]
        assert other.submit(abs, -1).result() == 1
    future: Any = client.scatter(1, hash=None)  # type: ignore[call-overload]
    assert future.key == client.scatter(1).key
    assert client.map(abs, [-1], pure=None)[0].result() == 1
    client.cancel(future, force=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="errors must be 'raise' or 'skip', not None"):
        client.gather([], errors=None)  # type: ignore[call-overload]


@pytest.mark.parametrize("workers", ["", [""], ["", 0], ("",)])
def test_an_empty_name_of_a_worker_is_an_error_at_once(client: Client, workers: Any) -> None:
    calls: list[Any] = [
        lambda: client.submit(abs, -1, workers=workers),
        lambda: client.submit(abs, -1, workers=workers, allow_other_workers=True),
        lambda: client.map(abs, [-1], workers=workers),
        lambda: client.submit(dict, actor=True, workers=workers),
        lambda: client.get_executor(workers=workers).submit(abs, -1),
        lambda: client.get({"a": (abs, -1)}, "a", workers=workers),
        lambda: client.scatter([1], workers=workers),
        lambda: client.run(abs, -1, workers=workers),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="there is no worker ''"):
            call()
