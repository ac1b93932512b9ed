"""Awaiting futures: on any event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest
from azolla import Client, FutureCancelledError, get_client, wait
from backends import Reason, threads_only
from conftest import Gate


def inc(x: int) -> int:
    return x + 1


def fail() -> None:
    raise ValueError("no")


async def result_of(future: Any) -> Any:
    return await future


async def error_of(future: Any) -> BaseException:
    try:
        await future
    except (ValueError, FutureCancelledError) as error:
        return error.with_traceback(None)
    raise AssertionError("it has a result")


@pytest.fixture(params=["main thread", "other thread", "client's loop"])
def run(request: pytest.FixtureRequest, client: Client) -> Any:
    """Runs a coroutine function in one of three places."""
    if request.param == "main thread":
        return lambda function, *args: asyncio.run(function(*args))
    if request.param == "client's loop":
        return client.sync

    def on_a_thread(function: Any, *args: Any) -> Any:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(function(*args))).result()

    return on_a_thread


def test_a_result(client: Client, run: Any, gate: Gate) -> None:
    done = client.submit(inc, 1)
    done.result()
    assert run(result_of, done) == 2
    held = client.submit(gate.hold, 5, pure=False)

    async def open_and_await() -> Any:
        waiting = asyncio.ensure_future(held)
        await asyncio.sleep(0)
        gate.open()
        return await waiting

    assert run(open_and_await) == 5


def test_an_error(client: Client, run: Any) -> None:
    error = run(error_of, client.submit(fail))
    assert (type(error), str(error)) == (ValueError, "no")


def test_a_cancellation(client: Client, run: Any, gate: Gate) -> None:
    held = client.submit(gate.hold, pure=False)

    async def cancel_and_await() -> None:
        waiting = asyncio.ensure_future(held)
        await asyncio.sleep(0)
        held.cancel()
        await waiting

    with pytest.raises(FutureCancelledError):
        run(cancel_and_await)
    assert type(run(error_of, held)) is FutureCancelledError


def test_a_released_one(client: Client, run: Any) -> None:
    future = client.submit(inc, 1)
    future.release()
    assert "released" in str(run(error_of, future))


def test_with_asyncios_own_tools(client: Client, run: Any) -> None:
    async def all_of_it() -> list[Any]:
        futures = client.map(inc, range(100))
        shielded = await asyncio.shield(futures[0])
        limited = await asyncio.wait_for(futures[1], 60)
        task = asyncio.create_task(result_of(futures[2]))
        done, _ = await asyncio.wait([asyncio.ensure_future(future) for future in futures[:5]])
        first = await next(iter(asyncio.as_completed(futures[3:4])))
        return [shielded, limited, await task, len(done), first, *await asyncio.gather(*futures)]

    assert run(all_of_it) == [1, 2, 3, 5, 4, *range(1, 101)]


def test_a_wait_given_up(client: Client, run: Any, gate: Gate) -> None:
    async def give_up() -> Any:
        held = client.submit(gate.hold, 5, pure=False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(held, 0.01)
        task = asyncio.ensure_future(held)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert held.status == "pending"
        gate.open()
        return await held

    assert run(give_up) == 5


def test_many_at_once(client: Client, run: Any) -> None:
    async def many() -> int:
        return sum(await asyncio.gather(*client.map(inc, range(2_000), pure=False)))

    assert run(many) == sum(range(2_001))


def test_a_loop_that_is_closed_before_the_end(client: Client, gate: Gate) -> None:
    held = client.submit(gate.hold, 5, pure=False)

    async def leave() -> None:
        left_behind = asyncio.ensure_future(held)
        await asyncio.sleep(0)
        assert not left_behind.done()

    asyncio.run(leave())
    gate.open()
    assert held.result() == 5


def test_gather_is_awaitable_on_request(client: Client, run: Any, gate: Gate) -> None:
    async def gather() -> None:
        futures = client.map(inc, range(10), pure=False)
        bad, held = client.submit(fail), client.submit(gate.hold, pure=False)

        def awaitable(futures: Any, **kwargs: Any) -> Any:
            return client.gather(futures, asynchronous=True, **kwargs)

        assert await awaitable(futures) == list(range(1, 11))
        assert await awaitable({"a": [futures[0], 5]}) == {"a": [1, 5]}
        assert await awaitable(iter(futures)) == list(range(1, 11))
        assert await awaitable([]) == []
        with pytest.raises(ValueError, match="no"):
            await awaitable([held, bad])
        assert await awaitable([futures[0], bad], errors="skip") == [1]
        with pytest.raises(ValueError, match="'raise' or 'skip'"):
            await awaitable(futures, errors="x")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(awaitable([held]), 0.01)
        waiting = asyncio.ensure_future(awaitable([held]))
        await asyncio.sleep(0)
        held.cancel()
        with pytest.raises(FutureCancelledError):
            await waiting

    run(gather)


def test_the_clients_loop_is_never_blocked(client: Client, gate: Gate) -> None:
    async def on_the_loop() -> list[Any]:
        held = client.submit(gate.hold, 5, pure=False)
        result, exception, traceback = held.result(), held.exception(), held.traceback()
        gathered, waited = client.gather([held]), wait([held])
        with pytest.raises(TimeoutError):
            await held.result(timeout=0.01)
        gate.open()
        return [await result, await exception, await traceback, await gathered, len((await waited).done)]

    assert client.sync(on_the_loop) == [5, None, None, [5], 1]


def test_elsewhere_blocking_calls_block_on_a_loop_too(client: Client) -> None:
    async def in_a_notebook() -> int:
        return client.submit(inc, 1).result() + client.gather([client.submit(inc, 2)])[0]

    assert asyncio.run(in_a_notebook()) == 5


def test_sync(client: Client) -> None:
    async def add(x: int, *, y: int) -> int:
        return await client.submit(inc, x) + y

    assert client.sync(add, 1, y=2) == 4
    assert client.sync(lambda: 7) == 7
    coroutine = client.sync(add, 1, y=2, asynchronous=True)
    assert asyncio.run(coroutine) == 4

    async def wrong() -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        client.sync(wrong)
    with pytest.raises(TimeoutError, match=r"sync\(\): the time was up before sleep had ended"):
        client.sync(asyncio.sleep, 3600, callback_timeout=0.01)

    async def nested() -> Any:
        return await client.sync(add, 1, y=5)

    assert client.sync(nested) == 7


@threads_only(Reason.OBJECTS)
def test_sync_in_a_task_lends_the_slot_and_stays_in_the_task(client: Client) -> None:
    seen: list[Any] = []

    async def inside() -> int:
        seen.append(get_client() is client)
        return await client.submit(inc, 1, pure=False)

    def task() -> int:
        return client.sync(inside)

    with Client(processes=False, threads_per_worker=1):
        assert client.gather(client.map(lambda _: task(), range(20), pure=False)) == [2] * 20
    assert seen == [True] * 20


def test_the_clients_own_loop(client: Client) -> None:
    loop = client.loop
    assert client.loop is loop
    assert asyncio.run_coroutine_threadsafe(result_of(client.submit(inc, 1)), loop).result(60) == 2

    async def thread() -> threading.Thread:
        assert asyncio.get_running_loop() is loop
        return threading.current_thread()

    assert client.sync(thread) is client.sync(thread) is not threading.current_thread()


def test_a_timeout_of_the_coroutine_itself_is_its_own(client: Client) -> None:
    async def gives_up() -> None:
        raise TimeoutError("the server is down")

    with pytest.raises(TimeoutError, match=r"^the server is down$"):
        client.sync(gives_up, callback_timeout=60)
