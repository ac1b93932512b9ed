"""`Client(asynchronous=True)`: everything that would block is awaited."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
from typing import Any

import pytest
from azolla import Client, ClosedClientError, FutureCancelledError, as_completed, get_client, wait
from azolla._run import awaiting as _await
from backends import OPTIONS
from conftest import Gate


def inc(x: int) -> int:
    return x + 1


def fail() -> None:
    raise ValueError("no")


def test_awaited_and_closed(backend: str) -> None:
    async def run() -> None:
        client = await Client(**OPTIONS[backend], asynchronous=True)
        assert client.status == "running"
        assert await client.submit(inc, 1) == 2
        await client.close()
        assert client.status == "closed"
        with pytest.raises(ClosedClientError):
            client.submit(inc, 1)

    asyncio.run(run())


def test_a_context_manager(backend: str) -> None:
    async def run() -> Client:
        async with Client(**OPTIONS[backend], asynchronous=True) as client:
            assert get_client() is client
            assert await client.gather(client.map(inc, range(3))) == [1, 2, 3]
        return client

    assert asyncio.run(run()).status == "closed"


def test_a_client_that_is_not_asynchronous_in_async_with(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        client = await Client(processes=False, threads_per_worker=1)
        async with client:
            assert client.submit(inc, 1).result() == 2
        assert client.status == "closed"

    asyncio.run(run())
    assert [record.levelname for record in caplog.records if "asynchronous=True" in record.message] == ["WARNING"] * 2


def test_an_asynchronous_one_in_with(backend: str) -> None:
    async def run() -> None:
        with Client(**OPTIONS[backend], asynchronous=True) as client:
            assert await client.submit(inc, 1).result() == 2
        assert client.status == "closed"

    asyncio.run(run())


def test_everything_is_awaited(gate: Gate, backend: str) -> None:
    async def run() -> None:
        async with Client(**OPTIONS[backend], asynchronous=True) as client:
            good, bad = client.submit(inc, 1), client.submit(fail)
            held = client.submit(gate.hold, 5, pure=False)
            assert await good == await good.result() == await good.result(timeout=5) == 2
            assert await good.exception() is None
            assert type(await bad.exception()) is ValueError
            assert (await bad.traceback()).tb_frame.f_code.co_name == "fail"
            with pytest.raises(ValueError, match="no"):
                await bad.result()
            with pytest.raises(TimeoutError):
                await held.result(timeout="10ms")
            assert await client.gather([good, [good]]) == [2, [2]]
            assert await client.gather([good, bad], errors="skip") == [2]
            assert (await wait([good, bad])).done == {good, bad}
            assert await client.gather(await client.scatter([1, 2])) == [1, 2]
            assert await (await client.scatter({"a": 7}))["a"] == 7
            assert [future async for future in as_completed([good])] == [good]
            await bad.retry()
            await client.retry([bad])
            await held.cancel()
            await client.cancel([bad])
            with pytest.raises(FutureCancelledError):
                await held
            assert await client.sync(asyncio.sleep, 0, "slept") == "slept"

    asyncio.run(run())


def test_its_tasks_may_grow_work(backend: str) -> None:
    async def grow(depth: int) -> int:
        if depth == 0:
            return 1
        children = get_client().map(grow, [depth - 1] * 2, pure=False)
        return sum(await asyncio.gather(*children)) + 1

    async def run() -> int:
        async with Client(**OPTIONS[backend], asynchronous=True) as client:
            return await client.submit(grow, 5)

    assert asyncio.run(run()) == 2**6 - 1


def test_the_loop_goes_on_while_it_closes(gate: Gate, backend: str) -> None:
    async def run() -> None:
        client = await Client(**OPTIONS[backend], asynchronous=True)
        future = client.submit(gate.hold, pure=False)
        await asyncio.to_thread(gate.entered)
        closing = asyncio.ensure_future(client.close())
        while client.status != "closed":
            await asyncio.sleep(0)
        gate.open()
        await closing
        assert future.cancelled()

    asyncio.run(run())


def test_waits_end_when_it_closes(gate: Gate, backend: str) -> None:
    async def run() -> None:
        client = await Client(**OPTIONS[backend], asynchronous=True)
        futures = client.map(gate.hold, range(4), pure=False)
        waiting = [asyncio.ensure_future(future) for future in futures]
        gathering = asyncio.ensure_future(client.gather(futures))
        await asyncio.sleep(0)
        gate.open()
        await client.close()
        ends = await asyncio.gather(*waiting, gathering, return_exceptions=True)
        assert all(isinstance(end, (int, FutureCancelledError, list)) for end in ends)

    asyncio.run(run())


def test_nothing_is_left_to_be_awaited(backend: str) -> None:
    async def run() -> None:
        async with Client(**OPTIONS[backend], asynchronous=True) as client:
            future = client.submit(inc, 1)
            await future
            # Done by the time they return: dropping what they return is no mistake.
            future.cancel()
            client.cancel(future)
            client.retry([])
            client.scatter(1)

    asyncio.run(run())
    gc.collect()


def test_ready_made_awaitables_are_coroutines_to_asyncio(backend: str) -> None:
    async def run() -> list[Any]:
        async with Client(**OPTIONS[backend], asynchronous=True) as client:
            task = asyncio.create_task(client.scatter(1))
            both = await asyncio.gather(client.scatter(2), asyncio.wait_for(client.scatter(3), 60))
            return await client.gather([await task, *both])

    assert asyncio.run(run()) == [1, 2, 3]


def test_an_answer_that_comes_after_the_clients_end_is_nobodys() -> None:
    async def late() -> int:
        answer.set_exception(ClosedClientError("the client was closed during the call"))
        return 1

    answer: concurrent.futures.Future[int] = concurrent.futures.Future()
    asyncio.run(_await._answer(answer, late, (), {}))
    assert isinstance(answer.exception(), ClosedClientError)
