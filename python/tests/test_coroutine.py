"""Tasks that are coroutines: on the client's loop, holding no slot while they wait."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any

import pytest
from azolla import Client, FutureCancelledError, as_completed, get_client, wait
from backends import Reason, threads_only
from conftest import PATIENCE, Gate, Journal, eventually


def inc(x: int) -> int:
    return x + 1


async def inc_async(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


def test_a_result(client: Client) -> None:
    assert client.submit(inc_async, 1).result() == 2
    assert client.gather(client.map(inc_async, range(100))) == list(range(1, 101))


def test_a_function_that_returns_a_coroutine(client: Client) -> None:
    assert client.submit(lambda: inc_async(1), pure=False).result() == 2


def test_as_an_input_and_with_inputs(client: Client) -> None:
    first = client.submit(inc_async, client.submit(inc, 1))
    assert client.submit(inc, first).result() == 4
    assert client.submit(inc_async, first).result() == 4


@threads_only(Reason.OBJECTS)
def test_it_runs_on_the_clients_loop(client: Client) -> None:
    async def where() -> tuple[Any, Any]:
        return asyncio.get_running_loop(), threading.current_thread()

    loop, thread = client.submit(where).result()
    assert loop is client.loop
    assert client.sync(where) == (loop, thread)


@threads_only(Reason.OBJECTS)
def test_a_thousand_wait_at_once_on_two_slots(client: Client) -> None:
    arrived: list[int] = []
    everybody: list[asyncio.Event] = []

    async def meet(number: int) -> int:
        if not everybody:
            everybody.append(asyncio.Event())
        arrived.append(number)
        if len(arrived) == 1_000:
            everybody[0].set()
        await everybody[0].wait()
        return number

    assert client.gather(client.map(meet, range(1_000), pure=False)) == list(range(1_000))
    assert client.counters()["threads"] <= 8


def test_an_error(client: Client) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    future = client.submit(fail)
    with pytest.raises(ValueError, match="no"):
        future.result()
    traceback = future.traceback()
    assert traceback is not None
    assert traceback.tb_frame.f_code.co_name == fail.__name__


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_base_exception_fails_the_task_and_the_loop_goes_on(client: Client, error: type[BaseException]) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise error("in a task")

    assert type(client.submit(fail).exception()) is error
    assert client.submit(inc_async, 1).result() == 2


@threads_only(Reason.OBJECTS)
def test_cancelling_cancels_the_coroutine(client: Client) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def task() -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    future = client.submit(task)
    assert begun.wait(60)
    future.cancel()
    with pytest.raises(FutureCancelledError):
        future.result()
    assert ended.wait(60)
    eventually(lambda: client.counters()["live"] == 0)


def test_one_that_never_began_is_never_run(one_slot: Client, gate: Gate, journal: Journal) -> None:
    async def task() -> None:
        journal.append(1)

    held = one_slot.submit(gate.hold, True, pure=False)
    future = one_slot.submit(task)
    future.cancel()
    gate.open()
    assert held.result() is True
    assert one_slot.submit(inc_async, 1).result() == 2
    assert journal == []


def test_growing_from_one(client: Client) -> None:
    async def parent(depth: int) -> int:
        if depth == 0:
            return 1
        client = get_client()
        children = client.map(parent, [depth - 1] * 3, pure=False)
        first = await children[0]
        rest = await client.gather(children[1:])
        return 1 + first + sum(rest)

    assert client.submit(parent, 4).result() == 121


def test_waiting_in_one_is_awaiting(client: Client) -> None:
    async def parent() -> list[Any]:
        client = get_client()
        futures = client.map(inc, range(5), pure=False)
        waited = await wait(futures)
        completed = [await future async for future in as_completed(futures)]
        return [len(waited.done), sorted(completed), await futures[0].result(), await client.gather(futures)]

    assert client.submit(parent).result() == [5, [1, 2, 3, 4, 5], 1, [1, 2, 3, 4, 5]]


def test_threads_of_one_may_use_the_client(client: Client) -> None:
    async def parent() -> int:
        client = get_client()
        return await asyncio.to_thread(lambda: get_client().submit(inc, 1).key == client.submit(inc, 1).key)

    assert client.submit(parent).result() is True


@threads_only(Reason.OBJECTS)
def test_asyncio_tasks_within_one_stay_in_it(client: Client) -> None:
    async def inner() -> Any:
        await asyncio.sleep(0)
        return get_client()

    async def parent() -> Any:
        return await asyncio.gather(asyncio.create_task(inner()), inner())

    with Client(processes=False, threads_per_worker=1):
        assert client.submit(parent).result() == [client, client]


@threads_only(Reason.OBJECTS)
def test_an_async_generator_and_an_awaitable_are_values(client: Client) -> None:
    async def numbers() -> Any:
        yield 1

    generator = client.submit(numbers).result()

    async def collect() -> list[int]:
        return [number async for number in generator]

    assert client.sync(collect) == [1]


def test_closing_with_some_under_way() -> None:
    client = Client(processes=False, threads_per_worker=1, set_as_default=False)
    begun = threading.Semaphore(0)

    async def task() -> None:
        begun.release()
        await asyncio.sleep(3600)

    futures = client.map(lambda _: task(), range(10), pure=False)
    for _ in futures:
        assert begun.acquire(timeout=60)
    client.close()
    assert {future.status for future in futures} == {"cancelled"}


@threads_only(Reason.OBJECTS)
def test_one_that_has_begun_goes_on_without_futures(client: Client) -> None:
    told: queue.Queue[str] = queue.Queue()

    async def task() -> None:
        told.put("begun")
        await go.wait()
        told.put("ended")

    go = client.sync(make_event)
    future = client.submit(task, pure=False)
    assert told.get(timeout=PATIENCE) == "begun"
    del future
    client.loop.call_soon_threadsafe(go.set)
    assert told.get(timeout=PATIENCE) == "ended"


async def make_event() -> asyncio.Event:
    return asyncio.Event()
