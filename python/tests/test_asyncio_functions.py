"""asyncio's own functions with azolla's futures, and calls that would make an event loop stand still."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azolla import Client, Future, Queue, as_completed, wait
from conftest import PATIENCE, Gate


def inc(x: int) -> int:
    return x + 1


def fail() -> None:
    raise ValueError("no")


async def later(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


def on_a_loop(main: Callable[[Client], Awaitable[Any]], asynchronous: bool = True) -> Any:
    """Runs a coroutine function with a client, which either is asynchronous or not."""

    async def run() -> Any:
        if asynchronous:
            async with Client(processes=False, threads_per_worker=1, asynchronous=True) as client:
                return await asyncio.wait_for(main(client), PATIENCE)
        client = Client(processes=False, threads_per_worker=1)
        try:
            return await asyncio.wait_for(main(client), PATIENCE)
        finally:
            await asyncio.to_thread(client.close)

    return asyncio.run(run())


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("function", [inc, later])
def test_gather_wait_for_shield_and_as_completed_take_futures(asynchronous: bool, function: Any) -> None:
    async def main(client: Client) -> None:
        def some() -> list[Future[Any]]:
            return client.map(function, range(3), pure=False)

        assert await asyncio.gather(*some()) == [1, 2, 3]
        failed = client.submit(fail)
        *results, error = await asyncio.gather(*some(), failed, return_exceptions=True)
        assert (results, type(error)) == ([1, 2, 3], ValueError)
        assert await asyncio.wait_for(some()[2], PATIENCE) == 3
        assert await asyncio.shield(some()[2]) == 3
        assert await asyncio.ensure_future(some()[2]) == 3
        assert sorted([await one for one in asyncio.as_completed(some())]) == [1, 2, 3]
        done, late = await asyncio.wait([asyncio.ensure_future(one) for one in some()])
        assert (sorted(one.result() for one in done), late) == ([1, 2, 3], set())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(result_of(one)) for one in some()]
        assert [task.result() for task in tasks] == [1, 2, 3]

    on_a_loop(main, asynchronous)


async def result_of(future: Future[Any]) -> Any:
    return await future


def test_a_wait_for_that_gives_up_leaves_the_task(gate: Gate) -> None:
    async def main(client: Client) -> None:
        held = client.submit(gate.hold, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(held, 0)
        waiting = asyncio.ensure_future(asyncio.shield(held))
        await asyncio.sleep(0)
        waiting.cancel()
        assert held.status == "pending"
        gate.open()
        assert await held == 1

    on_a_loop(main)


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("when", [asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED])
def test_asyncio_wait_refuses_bare_futures(asynchronous: bool, when: str) -> None:
    async def main(client: Client) -> None:
        done = client.submit(inc, 1)
        await done
        for future in (client.submit(later, 1), done):
            with pytest.raises(TypeError, match=r"await azolla\.wait.*asyncio\.ensure_future"):
                await asyncio.wait([future], return_when=when)
        loops = asyncio.get_running_loop().create_future()
        with pytest.raises(TypeError, match=r"await azolla\.wait"):
            await asyncio.wait([loops, done], return_when=when)

    on_a_loop(main, asynchronous)


def plainly(endings: as_completed[Any]) -> None:
    for _ in endings:
        pass


@pytest.mark.parametrize(
    "take",
    [plainly, list, as_completed.next, as_completed.next_batch, lambda endings: next(endings.batches())],
)
def test_a_plain_for_on_the_loop_is_an_error_and_not_a_hang(take: Callable[[as_completed[Any]], Any]) -> None:
    async def main(client: Client) -> None:
        futures = [client.submit(later, 1)]
        for _ in range(2):  # also if it need not wait, so that no program depends on how fast a task is
            with pytest.raises(RuntimeError, match="write `async for`"):
                take(as_completed(futures))
            await wait(futures)
        assert [future async for future in as_completed(futures)] == futures
        # Where no loop runs, it blocks.
        assert await asyncio.to_thread(lambda: list(as_completed(futures))) == futures
        assert await client.submit(lambda: len(list(as_completed([client.submit(inc, 2)])))) == 1

    on_a_loop(main)


def test_the_same_on_the_clusters_loop(client: Client) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="write `async for`"):
            next(as_completed([client.submit(later, 1)]))

    client.sync(main)


def test_a_client_that_blocks_may_iterate_on_a_loop(client: Client) -> None:
    async def main() -> list[int]:
        return [future.result() for future in as_completed([client.submit(later, 1)])]

    assert asyncio.run(main()) == [2]


ONE = "held: the time was up before the result was there"
BOTH = "the time was up: 2 of 3 tasks have not ended, among them held"
WAITS: dict[str, tuple[Callable[[Client, list[Future[Any]]], Any], str]] = {
    "result": (lambda client, futures: futures[0].result(timeout=0), ONE),
    "exception": (lambda client, futures: futures[0].exception(timeout="0 s"), ONE),
    "traceback": (lambda client, futures: futures[0].traceback(timeout=0), ONE),
    "wait for one": (lambda client, futures: wait(futures[0], timeout=0), ONE),
    "wait for all": (lambda client, futures: wait(futures, timeout=0), BOTH),
    "wait for the first": (
        lambda client, futures: wait(futures[:2], 0, "FIRST_COMPLETED"),
        BOTH.replace("2 of 3", "2 of 2"),
    ),
    "queue": (lambda client, futures: Queue("letters", client=client).get(timeout=0), "letters: the time was up"),
}


@pytest.mark.parametrize("way", WAITS)
def test_a_wait_whose_time_is_up_says_for_what(client: Client, gate: Gate, way: str) -> None:
    wait_so, text = WAITS[way]

    def held(client: Client) -> list[Future[Any]]:
        return [client.submit(gate.hold, number, key=key) for number, key in enumerate(("held", "held too"))]

    done = client.submit(inc, 1)
    done.result()
    with pytest.raises(TimeoutError) as blocked:
        wait_so(client, [*held(client), done])

    async def main(client: Client) -> str:
        done = client.submit(inc, 1)
        await done
        futures = held(client)
        with pytest.raises(TimeoutError) as awaited:
            await wait_so(client, [*futures, done])
        gate.open()
        return str(awaited.value)

    assert (str(blocked.value), on_a_loop(main)) == (text, text)


def test_as_completed_says_how_many_are_left(client: Client, gate: Gate) -> None:
    futures = client.map(gate.hold, range(2), pure=False)
    text = "the time was up before the next of 2 futures had ended"

    async def main() -> Any:
        return await anext(as_completed(futures, timeout=0))

    for take in (lambda: next(as_completed(futures, timeout=0)), lambda: asyncio.run(main())):
        with pytest.raises(TimeoutError, match=text):
            take()
    gate.open()


def test_executors_are_awaited_by_asyncios_means() -> None:
    async def main(client: Client) -> None:
        executor = client.get_executor()
        assert await asyncio.wrap_future(executor.submit(inc, 1)) == 2
        assert await asyncio.wrap_future(executor.submit(later, 1)) == 2
        assert await asyncio.get_running_loop().run_in_executor(executor, inc, 2) == 3

    on_a_loop(main)
