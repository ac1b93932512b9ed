"""Code that ends in `asyncio.CancelledError` by itself fails: it cancels no coroutine that awaits its result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azolla import Client, as_completed, get_client, wait
from conftest import PATIENCE


class Derived(asyncio.CancelledError):
    pass


def plain() -> None:
    raise asyncio.CancelledError("by itself")


def derived() -> None:
    raise Derived("by itself")


async def coroutine() -> None:
    await asyncio.sleep(0)
    raise asyncio.CancelledError("by itself")


async def its_own_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel("by itself")
    await asyncio.sleep(PATIENCE)


def a_loop_of_its_own() -> None:
    asyncio.run(coroutine())


TASKS = [plain, derived, coroutine, its_own_task, a_loop_of_its_own]


def is_told(error: BaseException | None) -> bool:
    told = isinstance(error, RuntimeError) and "ended in asyncio.CancelledError" in str(error)
    return told and isinstance(error.__cause__, asyncio.CancelledError)


async def grouped(future: Any) -> None:
    async def one() -> None:
        await future

    async with asyncio.TaskGroup() as group:
        group.create_task(one())


async def first(future: Any) -> None:
    async for _, _ in as_completed([future], with_results=True):
        pass


AWAITED: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "await": lambda future: future,
    "result": lambda future: future.result(),
    "gather": lambda future: future.client.gather([future]),
    "asyncio.gather": lambda future: asyncio.gather(future),
    "wait_for": lambda future: asyncio.wait_for(future, PATIENCE),
    "TaskGroup": grouped,
    "as_completed": first,
}


async def error_of(waiting: Awaitable[Any]) -> BaseException | None:
    try:
        await waiting
    except BaseException as error:
        return error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
    return None


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("how", AWAITED)
def test_who_awaits_it_is_not_cancelled(how: str, task: Callable[[], Any]) -> None:
    async def main() -> None:
        async with Client(processes=False, threads_per_worker=1, asynchronous=True) as client:
            future = client.submit(task)
            assert is_told(await error_of(AWAITED[how](future)))
            assert future.status == "error" and not future.cancelled()

    asyncio.run(main())


@pytest.mark.parametrize("task", TASKS)
def test_who_blocks_on_it_is_told_the_same(client: Client, task: Callable[[], Any]) -> None:
    future = client.submit(task)
    wait([future])
    assert is_told(future.exception())
    with pytest.raises(RuntimeError, match=r"ended in asyncio\.CancelledError"):
        future.result()
    traceback = future.traceback()
    assert traceback is not None and traceback.tb_frame.f_code.co_name == task.__name__


@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_waits_for_it_is_told_the_same(client: Client, task: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError, match=r"ended in asyncio\.CancelledError"):
        client.submit(lambda: get_client().submit(task).result(), pure=False).result()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("how", ["run", "run_on_scheduler"])
def test_calls_of_a_client_that_end_so_do_not_cancel_their_caller(
    client: Client, how: str, task: Callable[[], Any]
) -> None:
    async def main() -> None:
        async with Client(processes=False, threads_per_worker=1, asynchronous=True) as other:
            assert is_told(await error_of(getattr(other, how)(task)))

    asyncio.run(main())
    with pytest.raises(RuntimeError, match=r"ended in asyncio\.CancelledError"):
        getattr(client, how)(task)


@pytest.mark.parametrize("task", [coroutine, its_own_task])
def test_sync_raises_no_cancellation_of_another_loop(client: Client, task: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError, match=r"ended in asyncio\.CancelledError"):
        client.sync(task)


@pytest.mark.parametrize("how", ["await", "TaskGroup"])
def test_a_task_whose_loop_was_closed_does_not_cancel_who_awaits_it(how: str) -> None:
    kept: dict[str, Any] = {}

    async def main() -> None:
        kept["client"] = client = await Client(processes=False, threads_per_worker=1, asynchronous=True)
        begun = asyncio.Event()

        async def endless() -> None:
            begun.set()
            await asyncio.Event().wait()

        kept["begun"] = client.submit(endless)
        await begun.wait()

    async def later() -> None:
        error = await error_of(AWAITED[how](kept["begun"]))
        assert is_told(error) and "its event loop was closed" in str(error)
        await kept.pop("client").close()

    asyncio.run(main())
    asyncio.run(later())
