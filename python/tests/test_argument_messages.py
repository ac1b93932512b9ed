"""An argument of the wrong kind is named by its error, which also shows what was given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from azolla import (
    Client,
    Event,
    Future,
    LocalCluster,
    Lock,
    MultiLock,
    Queue,
    Semaphore,
    Variable,
    as_completed,
    wait,
)

PLAIN: dict[str, Any] = {"processes": False, "threads_per_worker": 1, "dashboard_address": None}


#: By the argument's name, calls with a value of the wrong kind.
CALLS: list[Any] = [
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
    ("num_locks", lambda client, wrong: MultiLock(["a"], client=client).acquire(num_locks=wrong)),
    ("n", lambda client, wrong: client.replicate([], n=wrong)),
    ("fn", lambda client, wrong: client.submit(abs, -1).add_done_callback(wrong)),
    ("handler", lambda client, wrong: client.subscribe_topic("topic", wrong)),
    ("function", lambda client, wrong: client.run(wrong)),
    ("function", lambda client, wrong: client.run_on_scheduler(wrong)),
    ("func", lambda client, wrong: client.sync(wrong)),
    *[
        ("client", lambda client, wrong, shared=shared: shared(client=wrong))
        for shared in (Event, Lock, MultiLock, Queue, Semaphore, Variable)
    ],
]


@pytest.mark.parametrize("name, call", CALLS, ids=map(str, range(len(CALLS))))
@pytest.mark.parametrize("wrong", [3.5, object()], ids=["a float", "an object"])
def test_the_argument_is_named(client: Client, name: str, call: Callable[[Client, Any], Any], wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call(client, wrong)
    assert name in str(caught.value) and repr(wrong)[:40] in str(caught.value)


#: By the argument's name, calls with a number of any size.
NUMBERS: list[tuple[str, Callable[[Client, Any], Any]]] = [
    ("priority", lambda client, number: client.submit(abs, -1, priority=number)),
    ("priority", lambda client, number: client.map(abs, [-1], priority=number)),
    ("retries", lambda client, number: client.submit(abs, -1, retries=number)),
    ("maxsize", lambda client, number: Queue(client=client, maxsize=number)),
    ("batch", lambda client, number: Queue(client=client).get(batch=number)),
    ("max_leases", lambda client, number: Semaphore(number, client=client)),
    ("num_locks", lambda client, number: MultiLock(["a"], client=client).acquire(num_locks=number)),
    ("n_workers", lambda client, number: LocalCluster(n_workers=number, **PLAIN)),
    ("threads_per_worker", lambda client, number: LocalCluster(**{**PLAIN, "threads_per_worker": number})),
]


@pytest.mark.parametrize("name, call", NUMBERS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(NUMBERS)])
@pytest.mark.parametrize("digits", [400, 5_000])  # Python makes no text of an int of so many digits as the latter
def test_a_number_that_is_too_large_is_named_and_shown_shortened(
    client: Client, name: str, call: Callable[[Client, Any], Any], digits: int
) -> None:
    with pytest.raises(ValueError, match=f"{name}.* is too large: ") as caught:
        call(client, 10**digits)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["start", "stop"])
@pytest.mark.parametrize("wrong", ["soon", True, object()], ids=str)
def test_a_moment_of_a_profile_is_a_number(client: Client, name: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=rf"profile\(\): {name} must be a number, not "):
        client.profile(**{name: wrong})


def test_a_port_that_is_too_large_is_shown_shortened() -> None:
    for digits in (400, 5_000):
        with pytest.raises(ValueError, match="a dashboard's address is host:port") as caught:
            LocalCluster(**{**PLAIN, "dashboard_address": 10**digits})
        assert len(str(caught.value)) < 200


#: Waits that are over at once, with a time-out.
WAITS: dict[str, Callable[[Client, Any], Any]] = {
    "result": lambda client, timeout: client.submit(abs, -1).result(timeout),
    "exception": lambda client, timeout: client.submit(abs, -1).exception(timeout),
    "traceback": lambda client, timeout: client.submit(abs, -1).traceback(timeout),
    "wait": lambda client, timeout: wait([client.submit(abs, -1)], timeout=timeout),
    "as_completed": lambda client, timeout: list(as_completed([client.submit(abs, -1)], timeout=timeout)),
    "sync": lambda client, timeout: client.sync(asyncio.sleep, 0, callback_timeout=timeout),
    "an executor's result": lambda client, timeout: client.get_executor().submit(abs, -1).result(timeout),
    "an executor's exception": lambda client, timeout: client.get_executor().submit(abs, -1).exception(timeout),
    "an executor's map": lambda client, timeout: list(client.get_executor().map(abs, [-1], timeout=timeout)),
    "put": lambda client, timeout: Queue(client=client).put(1, timeout=timeout),
    "Lock": lambda client, timeout: Lock(client=client).acquire(timeout=timeout),
    "MultiLock": lambda client, timeout: MultiLock(["b"], client=client).acquire(timeout=timeout),
    "Semaphore": lambda client, timeout: Semaphore(client=client).acquire(timeout=timeout),
}


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in WAITS.items()])
@pytest.mark.parametrize(
    "timeout",
    [10**400, 10**5_000, 1e300, float("inf"), "1e300 days", timedelta.max],
    ids=["400 digits", "5000 digits", "1e300", "inf", "text", "timedelta"],
)
def test_a_time_out_of_any_length_is_one(client: Client, call: Callable[[Client, Any], Any], timeout: Any) -> None:
    call(client, timeout)
    with pytest.raises(TypeError, match="a timeout is a number of seconds, not NaN"):
        call(client, float("nan"))
    with pytest.raises(TimeoutError):
        Variable(client=client).get(timeout=-(10**400))


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
def test_an_empty_name_of_a_worker_is_an_error_at_once(client: Client, backend: str, workers: Any) -> None:
    calls: list[Any] = [
        lambda: client.submit(abs, -1, workers=workers),
        lambda: client.submit(abs, -1, workers=workers, allow_other_workers=True),
        lambda: client.map(abs, [-1], workers=workers),
        lambda: client.get({"a": (abs, -1)}, "a", workers=workers),
        lambda: client.scatter([1], workers=workers),
    ]
    if backend == "threads":  # worker processes have none of these yet
        calls += [
            lambda: client.submit(dict, actor=True, workers=workers),
            lambda: client.get_executor(workers=workers).submit(abs, -1),
            lambda: client.run(abs, -1, workers=workers),
        ]
    for call in calls:
        with pytest.raises(ValueError, match="there is no worker ''"):
            call()


#: Every call with an argument `workers`, and what it gives for workers that are there.
TAKE_WORKERS: dict[str, Callable[[Client, Any], Any]] = {
    "submit": lambda client, workers: client.submit(abs, -1, workers=workers, pure=False).result(60),
    "map": lambda client, workers: client.gather(client.map(abs, [-1], workers=workers, pure=False)),
    "get_executor": lambda client, workers: client.get_executor(workers=workers).submit(abs, -1).result(60),
    "get": lambda client, workers: client.get({"a": (abs, -1)}, "a", workers=workers),
    "scatter": lambda client, workers: client.scatter(1, workers=workers).result(60),
    "run": lambda client, workers: client.run(abs, -1, workers=workers),
    "nthreads": lambda client, workers: client.nthreads(workers),
    "ncores": lambda client, workers: client.ncores(workers),
    "has_what": lambda client, workers: client.has_what(workers),
    "processing": lambda client, workers: client.processing(workers),
    "profile": lambda client, workers: client.profile(workers=workers),
    "rebalance": lambda client, workers: client.rebalance(workers=workers),
    "replicate": lambda client, workers: client.replicate([], workers=workers),
}


@pytest.fixture
def two() -> Iterator[Client]:
    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


@pytest.mark.parametrize("call", TAKE_WORKERS.values(), ids=TAKE_WORKERS)
def test_every_call_takes_the_same_names_of_workers(two: Client, call: Callable[[Client, Any], Any]) -> None:
    worker = two.cluster.workers[1]
    expected = call(two, [1])
    for same in (1, "1", worker.address, worker, ("1",), {1}, [worker], iter([worker.address]), [1, "1", worker]):
        assert call(two, same) == expected
    both = call(two, None)
    assert call(two, []) == call(two, [0, worker]) == both


@pytest.mark.parametrize(
    "call",
    [*TAKE_WORKERS.values(), lambda client, workers: client.retire_workers(workers)],
    ids=[*TAKE_WORKERS, "retire_workers"],
)
@pytest.mark.parametrize("wrong", [True, False, [True], 1.0, [1.0], [None], [[1]], b"1", object()], ids=str)
def test_what_is_no_name_of_a_worker_is_refused_alike(
    two: Client, call: Callable[[Client, Any], Any], wrong: Any
) -> None:
    with pytest.raises(TypeError, match=r"^workers must be (a list of )?names or addresses of workers, not "):
        call(two, wrong)


def test_a_worker_of_another_cluster_is_none_of_this_one(client: Client, two: Client) -> None:
    other = client.cluster.workers[0]
    with pytest.raises(ValueError, match="there is no worker 'inproc://"):
        two.run(abs, -1, workers=other)
    assert two.submit(abs, -1, workers=other).status == "pending"


def test_a_worker_that_is_named_twice_is_called_once(two: Client) -> None:
    calls: list[int] = []
    two.run(calls.append, 1, workers=[0, "0", two.cluster.workers[0]])
    assert calls == [1]


def test_the_first_worker_is_a_worker_to_retire_too(two: Client) -> None:
    with pytest.raises(NotImplementedError):
        two.retire_workers(0)
    with pytest.raises(ValueError, match="there is no worker ''"):
        two.retire_workers([""])


@pytest.mark.parametrize("make", [Client, LocalCluster])
@pytest.mark.parametrize(
    "strange, meant",
    [
        ("dashboard_privat", "dashboard_private"),
        ("nam", "name"),
        ("asynchronuos", "asynchronous"),
        ("n_worker", "n_workers"),
    ],
)
def test_every_argument_is_suggested(make: Callable[..., Any], strange: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"has no argument '{strange}': did you mean {meant}"):
        make(processes=False, **{strange: 1})


def test_an_argument_is_checked_before_anything_is_made() -> None:
    before = set(threading.enumerate())
    for wrong in ({"asynchronous": 1}, {"dashboard_private": "no"}):
        for make in (Client, LocalCluster):
            with pytest.raises(TypeError, match=f"{next(iter(wrong))} must be True, False or None"):
                make(processes=False, **wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^Client.*: set_as_default must be True"):
        Client(processes=False, set_as_default="no")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^Client.*: asynchronous must be True"):
        Client(processes=False, asynchronous=1)  # type: ignore[arg-type]
    assert set(threading.enumerate()) <= before
