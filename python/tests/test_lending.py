"""A plain task that waits by other means than azolla's own calls lends its slot too: on a loop of its own, and for executors."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
from collections.abc import Callable
from typing import Any

import pytest
from azolla import Client, Event, Future, Lock, Queue, WaitCycleError, as_completed, get_client, rejoin, secede, wait
from azolla._run.lending import slot_lent
from backends import Reason, threads_only
from conftest import PATIENCE, Gate


def inc(x: int) -> int:
    return x + 1


async def awaits(client: Client) -> int:
    return await client.submit(inc, 0, pure=False)


async def gathers(client: Client) -> int:
    return sum(await asyncio.gather(*client.map(inc, range(3), pure=False)))


async def gathers_at_once(client: Client) -> int:
    return sum(await client.gather(client.map(inc, range(3), pure=False), asynchronous=True))


async def iterates(client: Client) -> int:
    total = 0
    async for future in as_completed(client.map(inc, range(3), pure=False)):
        total += await future
    return total


async def runs_coroutines(client: Client) -> int:
    async def child() -> int:
        return await get_client().submit(inc, 1, pure=False)

    return await client.submit(child, pure=False)


async def computes_between(client: Client) -> int:
    total = 0
    for n in range(3):
        total += await client.submit(inc, n, pure=False)
    return total


async def nests(client: Client) -> int:
    return await client.submit(asyncio_run, awaits, pure=False)


def asyncio_run(function: Callable[[Client], Any]) -> Any:
    return asyncio.run(function(get_client()))


#: How a coroutine may wait, and what it gives.
ON_A_LOOP = {awaits: 1, gathers: 6, gathers_at_once: 6, iterates: 6, runs_coroutines: 2, computes_between: 6, nests: 1}


def test_while_a_task_sleeps_its_slot_is_lent(one_slot: Client, gate: Gate) -> None:
    def sleeps() -> Any:
        opens = get_client().submit(gate.open)
        with slot_lent([opens]):
            gate.hold()
        return opens.result()

    assert one_slot.submit(sleeps).result(PATIENCE) is None


def test_a_task_lends_no_slot_to_itself(one_slot: Client) -> None:
    def sleeps() -> str:
        me = Future("me", get_client())
        with pytest.raises(WaitCycleError), slot_lent([me]):
            pass
        return "told"

    assert one_slot.submit(sleeps, key="me").result(PATIENCE) == "told"


@pytest.mark.parametrize("function", ON_A_LOOP, ids=lambda function: function.__name__)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_slot_runs_a_loop(function: Callable[[Client], Any], asynchronous: bool) -> None:
    async def main() -> Any:
        async with Client(
            processes=False, threads_per_worker=2, asynchronous=asynchronous, dashboard_address=None
        ) as client:
            tasks = [client.submit(asyncio_run, function, pure=False) for _ in range(4)]
            results = [await task for task in tasks]
            client._check()
            return results

    assert asyncio.run(asyncio.wait_for(main(), PATIENCE)) == [ON_A_LOOP[function]] * 4


def test_waits_for_what_is_shared_lend_it_too(one_slot: Client) -> None:
    async def take() -> Any:
        # A synchronous client's methods block, and lend; `async with` awaits.
        async with Lock("door"):
            return True

    with Lock("door"):
        task = one_slot.submit(lambda: asyncio.run(take()), pure=False)
        assert one_slot.submit(inc, 1, pure=False).result(timeout=PATIENCE) == 2
    assert task.result(timeout=PATIENCE)


def test_an_asynchronous_clients_queues_and_events_too() -> None:
    async def take() -> Any:
        await Event("go").wait()
        return await Queue("letters").get()

    async def main() -> None:
        async with Client(processes=False, threads_per_worker=1, asynchronous=True, dashboard_address=None) as client:
            task = client.submit(lambda: asyncio.run(take()), pure=False)
            await client.submit(lambda: Event("go").set(), pure=False)
            await client.submit(lambda: Queue("letters").put(5), pure=False)
            assert await task == 5

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_it_has_its_slot_again_when_the_waits_are_over(one_slot: Client, gate: Gate) -> None:
    def task() -> Any:
        async def main() -> None:
            await get_client().submit(inc, 0, pure=False)

        asyncio.run(main())
        return gate.hold("held")

    future = one_slot.submit(task)
    gate.entered()
    other = one_slot.submit(inc, 1, pure=False)
    assert one_slot.counters()["running"] == 1 and one_slot.counters()["ready"] == 1
    gate.open()
    assert future.result(timeout=PATIENCE) == "held" and other.result(timeout=PATIENCE) == 2


@threads_only(Reason.OBJECTS)
def test_one_that_has_seceded_stays_so(one_slot: Client) -> None:
    def task() -> Any:
        secede()
        asyncio.run(awaits(get_client()))
        # It has no slot yet: the only one is free for this child, although it is not waited for by azolla's means.
        told: queue.Queue[int] = queue.Queue()
        child = get_client().submit(told.put, 1, pure=False)
        answer = told.get(timeout=PATIENCE)
        rejoin()
        child.result()
        return answer

    assert one_slot.submit(task).result(timeout=PATIENCE) == 1


@threads_only(Reason.OBJECTS)
def test_a_loop_that_is_left_in_the_middle(one_slot: Client) -> None:
    """A wait that is never finished must not keep a later task on the same thread and loop from lending."""
    loop = asyncio.new_event_loop()
    kept: list[Any] = []

    def leaves(letters: Any) -> None:
        async def main() -> None:
            kept.append(loop.create_task(abandoned()))
            await asyncio.sleep(0)

        async def abandoned() -> None:
            await letters

        loop.run_until_complete(main())

    def comes_after() -> Any:
        return loop.run_until_complete(awaits(get_client()))

    never = one_slot.submit(Event("never").wait, pure=False)
    one_slot.submit(lambda: leaves(never), pure=False).result(timeout=PATIENCE)
    for _ in range(2):
        assert one_slot.submit(comes_after, pure=False).result(timeout=PATIENCE) == 1
    Event("never").set()
    with contextlib.suppress(Exception):
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop)))
    loop.close()


def waits_for_all(futures: list[Any]) -> int:
    return sum(future.result() for future in concurrent.futures.wait(futures).done)


def waits_for_the_first(futures: list[Any]) -> int:
    pending, total = set(futures), 0
    while pending:
        done, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
        total += sum(future.result() for future in done)
    return total


def waits_for_a_failure(futures: list[Any]) -> int:
    done, _ = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
    return sum(future.result() for future in done)


def takes_as_completed(futures: list[Any]) -> int:
    return sum(future.result() for future in concurrent.futures.as_completed(futures, timeout=PATIENCE))


def takes_results(futures: list[Any]) -> int:
    return sum(future.result() for future in futures)


@pytest.mark.parametrize(
    "waits", [waits_for_all, waits_for_the_first, waits_for_a_failure, takes_as_completed, takes_results]
)
def test_every_slot_waits_for_an_executor(client: Client, waits: Callable[[list[Any]], int]) -> None:
    def task() -> int:
        executor = get_client().get_executor()
        return waits([executor.submit(inc, n) for n in range(3)])

    tasks = [client.submit(task, pure=False) for _ in range(4)]
    assert client.gather(tasks) == [6] * 4


def test_a_mixture_of_executors(client: Client) -> None:
    def task() -> int:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return waits_for_all([pool.submit(inc, 0), get_client().get_executor().submit(inc, 1)])

    assert client.gather([client.submit(task, pure=False) for _ in range(4)]) == [3] * 4


def test_outside_tasks_nothing_is_lent(client: Client) -> None:
    futures = [client.get_executor().submit(inc, n) for n in range(3)]
    assert waits_for_all(futures) == takes_as_completed(futures) == 6
    assert len(wait(client.map(inc, range(3))).done) == 3


@threads_only(Reason.OBJECTS)
def test_other_coroutines_of_the_loop_go_on_without_a_slot(one_slot: Client) -> None:
    def task() -> Any:
        async def main() -> Any:
            child = asyncio.ensure_future(get_client().submit(begun.get, pure=False))
            await asyncio.sleep(0)  # it awaits now, so the slot is lent
            begun.put("the other coroutine ran beside the child")
            return await child

        return asyncio.run(main())

    begun: queue.Queue[str] = queue.Queue()
    assert one_slot.submit(task).result(timeout=PATIENCE) == "the other coroutine ran beside the child"
