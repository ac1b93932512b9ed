"""An object whose `__init__` has not run says so, whatever it is asked to do."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from azolla import Client, Event, LocalCluster, Lock, MultiLock, Queue, Semaphore, Variable, WorkerPlugin, get_client

CLASSES: list[type[Any]] = [Client, LocalCluster, Queue, Lock, Variable, Event, MultiLock, Semaphore]

#: What methods must be called with.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(["submit", "run", "run_on_scheduler"], (abs, 1)),
    **dict.fromkeys(["put", "set", "scale", "wait_for_workers"], (1,)),
    **dict.fromkeys(["get_events", "unsubscribe_topic", "unregister_worker_plugin", "story"], ("name",)),
    **dict.fromkeys(["get_dataset", "unpublish_dataset", "get_metadata"], ("name",)),
    **dict.fromkeys(["log_event", "set_metadata"], ("name", 1)),
    **dict.fromkeys(["__exit__", "__aexit__"], (None, None, None)),
    "map": (abs, [1]),
    "scatter": ([1],),
    "sync": (asyncio.sleep, 0),
    "subscribe_topic": ("name", print),
    "register_plugin": (WorkerPlugin(),),
    "get": ({"a": (abs, -1)}, "a"),
    **dict.fromkeys(["cancel", "retry", "gather", "replicate", "retire_workers", "restart_workers"], ([],)),
}

#: What needs nothing of the object: other answers of these are right.
EASY = {
    *("status", "current", "compute", "persist", "futures_of", "as_current", "dashboard_link", "get_worker_logs"),
    *("get_scheduler_logs", "datasets", "write_scheduler_file", "write_trace", "dump_cluster_state", "upload_file"),
}


def asked(of: type[Any]) -> list[str]:
    special = ["__repr__", "__enter__", "__exit__", "__aenter__", "__aexit__"]
    public = [name for name in dir(of) if not name.startswith("_") and name not in EASY]
    return public + [name for name in special if hasattr(of, name)]


async def awaited(value: Any) -> Any:
    return await value


def ask(thing: Any, name: str) -> None:
    answer = getattr(thing, name)
    if callable(answer):
        bare = isinstance(thing, Event) or (isinstance(thing, Queue | Variable) and name == "get")
        answer = answer(*(() if bare else ARGUMENTS.get(name, ())))
    if hasattr(answer, "__await__"):
        asyncio.run(awaited(answer))


def derived(of: type[Any]) -> Any:
    class Derived(of):  # type: ignore[misc]
        def __init__(self) -> None:
            self.mine = 1

    return Derived()


@pytest.mark.parametrize("of", CLASSES)
@pytest.mark.parametrize("make", [lambda of: of.__new__(of), derived], ids=["by __new__", "derived"])
def test_whatever_it_is_asked_it_says_so(of: type[Any], make: Callable[[type[Any]], Any]) -> None:
    thing = make(of)
    names = asked(of)
    assert len(names) > 3
    for name in names:
        with pytest.raises(RuntimeError, match="was never started"):
            ask(thing, name)
    with pytest.raises((RuntimeError, TypeError), match=r"was never started|cannot be pickled"):
        pickle.dumps(thing)


def test_a_derived_class_that_starts_is_as_any_other() -> None:
    class Derived(Client):
        def __init__(self) -> None:
            self.mine = 1
            super().__init__(processes=False, threads_per_worker=1, dashboard_address=None)

    with Derived() as client:
        assert get_client() is client and client.mine == 1 and client.submit(abs, -1).result() == 1
        assert client.cluster.scheduler_address in repr(client)
    assert inspect.signature(Client).parameters.keys() > {"address", "n_workers", "processes"}
