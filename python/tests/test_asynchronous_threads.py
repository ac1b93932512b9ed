"""An asynchronous client where no event loop runs (plain tasks, done-callbacks, threads): its methods block, as any client's."""

from __future__ import annotations

import asyncio
import queue
import threading
import uuid
from collections.abc import Callable
from typing import Any

import azolla
import pytest
from azolla import (
    Client,
    Event,
    Lock,
    MultiLock,
    Queue,
    Semaphore,
    Variable,
    as_completed,
    get_client,
    wait,
    worker_client,
)

ASYNCHRONOUS: dict[str, Any] = {
    "asynchronous": True,
    "processes": False,
    "n_workers": 1,
    "threads_per_worker": 3,
    "dashboard_address": None,
}


def inc(x: int) -> int:
    return x + 1


def fail() -> None:
    raise ValueError("no")


def text() -> str:
    return uuid.uuid4().hex


async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


class Counter:
    n = 0

    def add(self, by: int) -> int:
        self.n += by
        return self.n


def results(client: Client) -> Any:
    future, failed = client.submit(inc, 1), client.submit(fail)
    return future.result(), future.exception(), type(failed.exception()), failed.traceback() is not None


def gathered(client: Client) -> Any:
    return (
        client.gather(client.map(inc, range(3))),
        client.gather({"one": client.submit(inc, 0)}),
        client.scatter(5).result(),
    )


def waited(client: Client) -> Any:
    futures = client.map(inc, range(3))
    return len(wait(futures).done), sorted(future.result() for future in as_completed(futures))


def grown(client: Client) -> Any:
    with worker_client() as here:
        return here.gather(here.map(inc, range(3)))


def locked(client: Client) -> Any:
    lock, both = Lock(text(), client=client), MultiLock([text()], client=client)
    taken = lock.acquire(), lock.acquire(blocking=False), lock.locked(), lock.release(), lock.locked()
    with lock, both:
        return *taken, lock.locked(), both.acquire(blocking=False)


def leased(client: Client) -> Any:
    semaphore = Semaphore(2, text(), client=client)
    with semaphore:
        return semaphore.acquire(), semaphore.acquire(timeout=0), semaphore.get_value(), semaphore.release()


def told(client: Client) -> Any:
    event, value = Event(text(), client=client), Variable(text(), client=client)
    before = event.is_set(), event.wait(timeout=0)
    event.set()
    value.set(7)
    return *before, event.is_set(), event.wait(), value.get()


def queued(client: Client) -> Any:
    letters = Queue(text(), client=client)
    letters.put(1)
    letters.put(client.submit(inc, 1))
    return letters.qsize(), letters.get(), letters.get().result(), letters.get(batch=True)


def published(client: Client) -> Any:
    name = text()
    client.publish_dataset(client.submit(inc, 1), name=name)
    client.set_metadata(name, 3)
    found = client.get_dataset(name).result(), name in client.list_datasets(), client.get_metadata(name)
    client.unpublish_dataset(name)
    return found


def called_everywhere(client: Client) -> Any:
    return list(client.run(inc, 1).values()), list(client.run(double, 2).values()), client.run_on_scheduler(inc, 1)


def acted(client: Client) -> Any:
    counter = client.submit(Counter, actor=True).result()
    return counter.add(2).result(), counter.n


def synced(client: Client) -> Any:
    return client.sync(double, 4), client.submit(double, 5).result()


def watched(client: Client) -> Any:
    future = client.submit(inc, 1)
    client.cancel(future)
    client.retry(client.submit(inc, 2))
    return (
        future.cancelled(),
        type(client.who_has()),
        type(client.processing()),
        type(client.call_stack()),
        client.asynchronous,
    )


#: Each with what it gives.
PROGRAMS: dict[Callable[[Client], Any], Any] = {
    results: (2, None, ValueError, True),
    gathered: ([1, 2, 3], {"one": 1}, 5),
    waited: (3, [1, 2, 3]),
    locked: (True, False, True, True, False, True, False),
    leased: (True, False, 2, True),
    told: (False, False, True, True, 7),
    queued: (2, 1, 2, []),
    published: (2, True, 3),
    called_everywhere: ([2], [4], 2),
    acted: (2, 2),
    synced: (8, 10),
    watched: (True, dict, dict, dict, False),
}

programs = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)


@programs
def test_in_a_plain_task(program: Callable[[Client], Any]) -> None:
    async def run() -> Any:
        async with Client(**ASYNCHRONOUS) as client:
            assert client.asynchronous
            return await client.submit(lambda: program(get_client()), pure=False)

    assert asyncio.run(run()) == PROGRAMS[program]


def test_in_a_plain_task_that_takes_a_workers_client() -> None:
    async def run() -> Any:
        async with Client(**ASYNCHRONOUS) as client:
            return await client.submit(grown, None, pure=False)

    assert asyncio.run(run()) == [1, 2, 3]


@programs
def test_in_a_done_callback(program: Callable[[Client], Any]) -> None:
    async def run() -> Any:
        async with Client(**ASYNCHRONOUS) as client:
            told: queue.Queue[Any] = queue.Queue()
            client.submit(inc, 0).add_done_callback(lambda _: told.put(program(client)))
            return await asyncio.to_thread(told.get, timeout=60)

    assert asyncio.run(run()) == PROGRAMS[program]


@programs
def test_in_another_thread(program: Callable[[Client], Any]) -> None:
    async def run() -> Any:
        async with Client(**ASYNCHRONOUS) as client:
            return await asyncio.to_thread(program, client)

    assert asyncio.run(run()) == PROGRAMS[program]


def test_a_lock_excludes_plain_tasks() -> None:
    inside: list[int] = []

    def alone(n: int) -> bool:
        with Lock("alone"):
            inside.append(n)
            others = len(inside)
            inside.remove(n)
            return others == 1

    async def run() -> None:
        async with Client(**ASYNCHRONOUS) as client:
            assert all(await client.gather(client.map(alone, range(50))))

    asyncio.run(run())


def test_a_wait_waits(gate: Any) -> None:
    async def run() -> None:
        async with Client(**ASYNCHRONOUS) as client:
            held = client.submit(gate.hold, 5, pure=False)
            ended = client.submit(lambda: len(wait([held]).done) if held.status == "pending" else None, pure=False)
            await asyncio.to_thread(gate.entered)
            assert not ended.done()
            gate.open()
            assert await ended in (1, None)

    asyncio.run(run())


def test_on_a_loop_of_another_thread_its_methods_are_awaited() -> None:
    async def run() -> Any:
        async with Client(**ASYNCHRONOUS) as client:

            async def elsewhere() -> Any:
                assert client.asynchronous
                async with Lock("elsewhere", client=client):
                    return await client.gather(client.map(inc, range(3)))

            return await asyncio.to_thread(asyncio.run, elsewhere())

    assert asyncio.run(run()) == [1, 2, 3]


def test_outside_its_loop_it_closes_at_once() -> None:
    async def make() -> Client:
        return await Client(**ASYNCHRONOUS)

    client = asyncio.run(make())
    assert client.submit(inc, 1).result() == 2
    assert not client.asynchronous
    client.close()
    assert client.status == "closed"


def test_each_thread_is_asked_for_itself() -> None:
    seen: dict[str, bool] = {}

    async def run() -> None:
        async with Client(**ASYNCHRONOUS) as client:
            other = threading.Thread(target=lambda: seen.update(thread=client.asynchronous))
            other.start()
            await asyncio.to_thread(other.join)
            seen["loop"] = client.asynchronous
            seen["plain"] = await client.submit(lambda: get_client().asynchronous, pure=False)

            async def coroutine() -> bool:
                return azolla.get_client().asynchronous

            seen["coroutine"] = await client.submit(coroutine, pure=False)

    asyncio.run(run())
    assert seen == {"thread": False, "loop": True, "plain": False, "coroutine": True}
