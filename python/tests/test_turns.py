"""Awaiting what has ended already lets the loop's other coroutines run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azolla import Client, Event, Lock, Queue, Semaphore, Variable, as_completed, wait
from conftest import PATIENCE

NAMES = [
    "await",
    "result",
    "exception",
    "gather",
    "gather nothing",
    "wait",
    "wait for nothing",
    "async for",
    "async with",
    "acquire",
    "locked",
    "get_value",
    "is_set",
    "wait for an event",
    "get",
    "qsize",
    "a batch",
    "metadata",
    "datasets",
    "has_what",
    "cancel",
    "scatter",
]


def polls(client: Client, done: Any) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Awaitables of an asynchronous client whose values are there already."""
    event, value, letters = Event(client=client), Variable(client=client), Queue(client=client)
    lock, semaphore = Lock(client=client), Semaphore(1, client=client)
    event._bound().set()
    value._bound().set(1)

    async def acquire_and_release() -> None:
        await lock.acquire()
        await lock.release()

    async def enter() -> None:
        async with lock:
            pass

    async def iterate() -> None:
        async for _ in as_completed([done]):
            pass

    return {
        "await": lambda: done,
        "result": done.result,
        "exception": lambda: done.exception(timeout=0),
        "gather": lambda: client.gather([done]),
        "gather nothing": lambda: client.gather([]),
        "wait": lambda: wait([done], timeout=0),
        "wait for nothing": lambda: wait([]),
        "async for": iterate,
        "async with": enter,
        "acquire": acquire_and_release,
        "locked": lock.locked,
        "get_value": semaphore.get_value,
        "is_set": event.is_set,
        "wait for an event": event.wait,
        "get": value.get,
        "qsize": letters.qsize,
        "a batch": lambda: letters.get(batch=True),
        "metadata": lambda: client.get_metadata("none", default=None),
        "datasets": client.list_datasets,
        "has_what": client.has_what,
        "cancel": lambda: client.cancel([]),
        "scatter": lambda: client.scatter(1),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_coroutine_that_polls_lets_others_run(name: str) -> None:
    async def main() -> None:
        async with Client(processes=False, asynchronous=True, threads_per_worker=1, dashboard_address=None) as client:
            done = client.submit(abs, -1)
            await done
            all_of_them, ran = polls(client, done), asyncio.Event()
            assert list(all_of_them) == NAMES
            poll = all_of_them[name]

            async def other() -> None:
                ran.set()

            task = asyncio.create_task(other())
            for _ in range(3):
                await poll()
            assert ran.is_set()
            await task

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_synchronous_client_too(client: Client) -> None:
    async def main() -> None:
        done = client.submit(abs, -1)
        done.result()
        ran = asyncio.Event()

        async def other() -> None:
            ran.set()

        task = asyncio.create_task(other())
        while not ran.is_set():
            assert await done == 1
        await task

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_timers_run_too(client: Client) -> None:
    async def main() -> None:
        done = client.submit(abs, -1)
        done.result()
        ran = asyncio.Event()
        asyncio.get_running_loop().call_later(0.001, ran.set)
        while not ran.is_set():
            assert await done == 1

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_what_has_ended_is_never_too_late() -> None:
    async def main() -> None:
        async with Client(processes=False, asynchronous=True, threads_per_worker=1, dashboard_address=None) as client:
            done = client.submit(abs, -1)
            await done
            assert await done.result(timeout=0) == 1
            assert await done.exception(timeout=0) is None
            assert len((await wait([done], timeout=0)).done) == 1
            assert await Event(client=client).wait(timeout=0) is False
            assert await Lock(client=client).acquire(timeout=0) is True
            async for future in as_completed([done], timeout=0):
                assert future is done

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_cancelled_caller_takes_nothing() -> None:
    async def main() -> None:
        async with Client(processes=False, asynchronous=True, threads_per_worker=1, dashboard_address=None) as client:
            letters, lock = Queue(client=client), Lock(client=client)
            await letters.put(1)
            for takes in (lambda: letters.get(), lambda: letters.get(batch=True), lock.acquire):
                task = asyncio.ensure_future(takes())
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert not await lock.locked()
            assert await letters.get(batch=True) == [1]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
