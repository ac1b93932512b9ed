"""Coroutines, callbacks and threads without a task in worker processes: they await, ask and are told on the side line."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azolla import (
    Client,
    Event,
    Future,
    KilledWorker,
    Lock,
    Queue,
    Variable,
    WaitCycleError,
    as_completed,
    get_client,
    secede,
    wait,
)
from conftest import PATIENCE, Gate, eventually, nothing_is_kept


@pytest.fixture
def one() -> Iterator[Client]:
    """A client on one worker process of one thread, of its own: tests here kill it."""
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield client


def result(future: Future[Any]) -> Any:
    return future.result(timeout=PATIENCE)


def test_many_coroutines_wait_at_once_on_one_slot(one: Client) -> None:
    async def meets(n: int) -> int:
        await Queue("arrived").put(n)
        await Event("all").wait()
        return n

    futures = one.map(meets, range(200))
    assert sorted(Queue("arrived").get(timeout=PATIENCE) for _ in range(200)) == list(range(200))
    assert result(one.submit(abs, -1)) == 1, "no slot is taken"
    Event("all").set()
    assert one.gather(futures) == list(range(200))


def test_a_coroutine_grows_tasks_and_awaits_them_in_every_way(one: Client) -> None:
    async def grows(n: int) -> list[int]:
        own = get_client()
        found = [await own.submit(abs, -n), sum(await own.gather(own.map(abs, range(-n, 0)), asynchronous=True))]
        async for future in as_completed(own.map(pow, range(n), [2] * n)):
            found.append(await future)
        futures = own.map(abs, range(n))
        await wait(futures)
        return [*found[:2], *sorted(found[2:]), *[await future for future in futures]]

    assert result(one.submit(grows, 4)) == [4, 10, 0, 1, 4, 9, 0, 1, 2, 3]


def test_a_coroutine_awaits_what_the_program_answers(one: Client) -> None:
    async def asks() -> Any:
        own = get_client()
        await own.set_metadata("name", 1)
        await own.log_event("topic", 2)
        await own.publish_dataset(data=3)
        events = [message for _, message in await own.get_events("topic")]
        return await own.get_metadata("name"), events, await own.list_datasets(), await own.nthreads(), own.counters()

    name, events, datasets, threads, counters = result(one.submit(asks))
    assert (name, events, datasets, threads) == (1, [2], ["data"], one.nthreads())
    assert counters["live"] == 1


def test_a_cancel_reaches_a_coroutine_that_has_begun(one: Client) -> None:
    async def waits() -> None:
        try:
            await Queue("said").put("begun")
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await Queue("said").put("cancelled")
            raise

    future = one.submit(waits)
    assert Queue("said").get(timeout=PATIENCE) == "begun"
    future.cancel()
    assert Queue("said").get(timeout=PATIENCE) == "cancelled"
    assert future.cancelled()


def test_a_task_that_is_cancelled_before_its_coroutine_begins_harms_nothing(one: Client, gate: Gate) -> None:
    async def runs() -> None:
        await Queue("ran").put(None)

    def late() -> Any:
        gate.hold()
        return runs()

    process = result(one.submit(os.getpid, pure=False))
    future = one.submit(late)
    gate.entered()
    future.cancel()
    del future
    gate.open()
    assert result(one.submit(os.getpid, pure=False)) == process
    assert Queue("ran").qsize() == 0


def test_an_error_and_a_retry_of_a_coroutine(one: Client) -> None:
    async def fails(tries: int) -> int:
        count = (await Variable("tries").get()) + 1
        Variable("tries").set(count)
        if count < tries:
            raise ValueError(f"try {count}")
        return count

    Variable("tries").set(0)
    assert result(one.submit(fails, 3, retries=2)) == 3
    Variable("tries").set(0)
    with pytest.raises(ValueError, match="try 1"):
        result(one.submit(fails, 3, pure=False))


def test_a_circle_of_awaits_is_an_error(one: Client) -> None:
    async def awaits(other: str) -> str:
        await Queue("begun").put(None)
        await Event("both").wait()
        try:
            await Future(other)
        except WaitCycleError:
            return "a circle"
        return "no circle"

    futures = [one.submit(awaits, "b", key="a"), one.submit(awaits, "a", key="b")]
    for _ in futures:
        Queue("begun").get(timeout=PATIENCE)
    Event("both").set()
    assert sorted(result(future) for future in futures) == ["a circle", "no circle"]


def test_a_plain_task_with_a_loop_of_its_own_lends_its_slot(one: Client) -> None:
    def runs() -> int:
        async def main() -> int:
            own = get_client()
            futures = own.map(abs, range(-3, 0))
            return sum([await future for future in futures]) + int(await own.submit(Queue("later").get, pure=False))

        return asyncio.run(main())

    future = one.submit(runs)
    one.submit(lambda: Queue("later").put(10)).result(timeout=PATIENCE)
    assert result(future) == 16


def test_callbacks_in_a_worker_process(one: Client) -> None:
    def calls_back() -> list[str]:
        seen: list[str] = []
        told = threading.Event()

        def back(future: Future[Any]) -> None:
            seen.append(f"{future.status} {threading.current_thread() is not threading.main_thread()}")
            told.set()

        secede()  # the wait below is none of azolla's
        get_client().submit(abs, -1, pure=False).add_done_callback(back)
        assert told.wait(60)
        return seen

    assert result(one.submit(calls_back)) == ["finished True"]


def test_threads_of_a_task_use_its_client(one: Client) -> None:
    def threads() -> list[Any]:
        found: list[Any] = []

        def works() -> None:
            own = get_client()
            futures = own.map(abs, range(-3, 0), pure=False)
            found.append(sorted(future.result() for future in as_completed(futures)))
            found.append(own.gather(futures))
            with Lock("for threads"):
                Queue("of threads").put(own.scatter("data"))
            found.append(Queue("of threads").get().result())
            try:
                own.submit(lambda: Event("never").wait(), pure=False).result(timeout=0.01)
            except TimeoutError:
                found.append("in vain")

        secede()  # the wait below is none of azolla's
        thread = threading.Thread(target=works)
        thread.start()
        thread.join()
        return found

    assert result(one.submit(threads)) == [[1, 2, 3], [3, 2, 1], "data", "in vain"]
    Event("never").set()


def test_a_wait_that_a_coroutine_gives_up_takes_nothing(one: Client) -> None:
    async def gives_up(n: int) -> None:
        getting = asyncio.ensure_future(Queue("kept").get())
        for _ in range(n):
            await asyncio.sleep(0)
        getting.cancel()
        await asyncio.wait([getting])
        if not getting.cancelled():
            await Queue("kept").put(getting.result())

    for n in range(30):
        future = one.submit(gives_up, n)
        Queue("kept").put(n)
        result(future)
        assert Queue("kept").get(timeout=PATIENCE) == n


def test_waits_of_coroutines_are_served_in_their_order(one: Client) -> None:
    async def enters(n: int) -> None:
        async with Lock("in order"):
            await Queue("order").put(n)

    with Lock("in order"):
        futures = one.map(enters, range(20))
        # They begin in this order, and each stands before the next begins.
        result(one.submit(abs, -1))
    one.gather(futures)
    assert Queue("order").get(batch=20, timeout=PATIENCE) == list(range(20))


async def tells_its_process(n: int) -> int:
    await Queue("pids").put(os.getpid())
    await Event("go on").wait()
    return n


def test_coroutines_run_again_when_their_process_dies(one: Client) -> None:
    futures = one.map(tells_its_process, range(5))
    pids = {Queue("pids").get(timeout=PATIENCE) for _ in range(5)}
    assert len(pids) == 1
    os.kill(pids.pop(), signal.SIGKILL)
    again = {Queue("pids").get(timeout=PATIENCE) for _ in range(5)}
    assert len(again) == 1 and not again & pids
    Event("go on").set()
    assert one.gather(futures) == list(range(5))


def test_a_coroutine_under_which_processes_die_is_given_up(one: Client) -> None:
    future = one.submit(tells_its_process, 1)
    for _ in range(4):
        os.kill(Queue("pids").get(timeout=PATIENCE), signal.SIGKILL)
    with pytest.raises(KilledWorker, match="4 worker processes died while they ran it"):
        result(future)


def test_what_a_coroutine_has_taken_goes_back_when_its_process_dies(one: Client) -> None:
    async def takes() -> int:
        async with Lock("taken"):
            got = await Queue("things").get()
            await Queue("pids").put((os.getpid(), got))
            await Event("go on").wait()
        return int(got)

    Queue("things").put(7)
    future = one.submit(takes)
    pid, got = Queue("pids").get(timeout=PATIENCE)
    os.kill(pid, signal.SIGKILL)
    assert Queue("pids").get(timeout=PATIENCE)[1] == got == 7
    Event("go on").set()
    assert result(future) == 7
    assert Lock("taken").acquire(timeout=PATIENCE)


def test_the_locks_of_a_process_that_dies_with_nothing_to_do_are_free() -> None:
    def leaves_a_thread() -> int:
        def holds() -> None:
            lock = Lock("left")
            lock.acquire()
            Queue("held").put(True)
            threading.Event().wait()

        threading.Thread(target=holds, daemon=True).start()
        return os.getpid()

    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        pid = client.submit(leaves_a_thread).result(timeout=PATIENCE)
        assert Queue("held").get(timeout=PATIENCE)
        assert not Lock("left").acquire(timeout=0.01)
        os.kill(pid, signal.SIGKILL)
        assert Lock("left").acquire(timeout=PATIENCE), "nothing runs there, and its end is seen"


def test_futures_in_results_are_kept_while_other_threads_of_the_process_give_theirs_up() -> None:
    def gives(n: int) -> list[Any]:
        return [get_client().submit(abs, -n, pure=False)]

    def drops(n: int) -> int:
        return sum(get_client().submit(abs, -n, pure=False).result() for _ in range(5))

    with Client(n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        given, dropped = client.map(gives, range(300)), client.map(drops, range(300))
        assert [future.result().pop().result(timeout=PATIENCE) for future in given] == list(range(300))
        assert sum(client.gather(dropped)) == 5 * sum(range(300))
        del given, dropped
        eventually(lambda: nothing_is_kept(client))


def test_an_executor_in_a_task(one: Client) -> None:
    def works() -> list[int]:
        with get_client().get_executor(pure=False) as executor:
            return sorted(executor.map(abs, range(-5, 0)))

    assert result(one.submit(works)) == [1, 2, 3, 4, 5]
