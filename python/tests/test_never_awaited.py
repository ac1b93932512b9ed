"""What a program forgets to await: Python's warning names what the program called."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from azolla import Client, Event, Future, LocalCluster, Lock, MultiLock, Queue, Semaphore, Variable, WorkerPlugin, wait

ASYNCHRONOUS: dict[str, Any] = {
    "processes": False,
    "threads_per_worker": 1,
    "asynchronous": True,
    "dashboard_address": None,
}

CALLS: dict[str, Callable[[Client, Future[Any]], Any]] = {
    "Future.result": lambda client, future: future.result(),
    "Future.exception": lambda client, future: future.exception(),
    "Future.traceback": lambda client, future: future.traceback(),
    "Client.gather": lambda client, future: client.gather([future]),
    "Client.run": lambda client, future: client.run(int),
    "Client.run_on_scheduler": lambda client, future: client.run_on_scheduler(int),
    "Client.restart": lambda client, future: client.restart(),
    "Client.register_plugin": lambda client, future: client.register_plugin(WorkerPlugin(), name="one"),
    "Client.wait_for_workers": lambda client, future: client.wait_for_workers(7, timeout=1),
    "Client.shutdown": lambda client, future: client.shutdown(),
    "Client.close": lambda client, future: client.close(),
    "LocalCluster.close": lambda client, future: client.cluster.close(),
    "wait": lambda client, future: wait([future]),
    "Queue.get": lambda client, future: Queue().get(),
    "Queue.put": lambda client, future: Queue().put(1),
    "Variable.get": lambda client, future: Variable().get(),
    "Event.wait": lambda client, future: Event().wait(),
    "Lock.acquire": lambda client, future: Lock().acquire(),
    "Semaphore.acquire": lambda client, future: Semaphore().acquire(),
    "MultiLock.acquire": lambda client, future: MultiLock(["a"]).acquire(),
}


def warned(call: Callable[[Client, Future[Any]], Any]) -> list[str]:
    async def main() -> list[str]:
        async with Client(**ASYNCHRONOUS) as client:
            future = client.submit(abs, -1)
            await future
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                call(client, future)
                gc.collect()
            return [str(one.message) for one in told]

    return asyncio.run(main())


@pytest.mark.parametrize("name", CALLS)
def test_the_warning_names_what_was_called(name: str) -> None:
    assert warned(CALLS[name]) == [f"coroutine '{name}' was never awaited"]


def test_a_batch_of_a_queue() -> None:
    assert warned(lambda client, future: Queue().get(batch=True)) == ["coroutine 'Queue.get' was never awaited"]


def test_a_cluster_that_stands_alone() -> None:
    async def main() -> list[str]:
        async with LocalCluster(**ASYNCHRONOUS) as cluster:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                cluster.close()
                gc.collect()
            return [str(one.message) for one in told]

    assert asyncio.run(main()) == ["coroutine 'LocalCluster.close' was never awaited"]


def test_what_has_done_its_work_warns_of_nothing() -> None:
    assert warned(lambda client, future: client.scatter([1])) == []
    assert warned(lambda client, future: client.who_has()) == []
    assert warned(lambda client, future: client.cancel(future)) == []
    assert warned(lambda client, future: Event().set()) == []
