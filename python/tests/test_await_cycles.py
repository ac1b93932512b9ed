"""Circles of tasks that would await each other for ever: the wait that closes one raises `WaitCycleError`."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azolla import Client, WaitCycleError, get_client
from backends import Reason, threads_only

pytestmark = threads_only(Reason.OBJECTS)

WAYS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "await": lambda future: future,
    "result": lambda future: future.result(),
    "exception": lambda future: future.exception(),
    "gather": lambda future: get_client().gather([future]),
}


async def later(future: Any, how: str) -> Any:
    """Awaits within a function that the task's coroutine calls."""
    return await WAYS[how](future)


def names(error: Any) -> bool:
    return isinstance(error, WaitCycleError) and "one" in str(error) and "two" in str(error)


def await_each_other(client: Client, task: Any, futures: dict[str, Any], there: threading.Event) -> None:
    """Submits two tasks, each of which awaits the future of the other; one of the two is told."""
    futures["one"] = client.submit(task, "two", key="one")
    futures["two"] = client.submit(task, "one", key="two")
    there.set()
    results = [future.result(timeout=60) for future in futures.values()]
    assert any(map(names, results)), results
    futures.clear()


@pytest.mark.parametrize("how", WAYS)
def test_coroutine_tasks_that_await_each_other(client: Client, how: str) -> None:
    futures: dict[str, Any] = {}
    there = threading.Event()

    async def task(other: str) -> Any:
        while not there.is_set():
            await asyncio.sleep(0)
        try:
            return await later(futures[other], how)
        except WaitCycleError as error:
            return error

    await_each_other(client, task, futures, there)


@pytest.mark.parametrize("how", ["await", "gather"])
def test_a_coroutine_task_that_awaits_what_waits_for_it(client: Client, how: str) -> None:
    futures: dict[str, Any] = {}
    there, begun = threading.Event(), threading.Event()

    async def one() -> Any:
        while not there.is_set():
            await asyncio.sleep(0)
        return await later(futures["two"], how)

    def two() -> Any:
        begun.set()
        return futures["one"].result()

    futures["one"] = client.submit(one, key="one")
    futures["two"] = client.submit(two, key="two")
    assert begun.wait(60)
    there.set()
    assert names(futures["one"].exception(timeout=60))
    assert names(futures["two"].exception(timeout=60))
    futures.clear()


def test_a_coroutine_task_that_awaits_itself_or_what_depends_on_it(client: Client) -> None:
    futures: list[Any] = []
    there = threading.Event()

    async def task(at: int) -> Any:
        while not there.is_set():
            await asyncio.sleep(0)
        return await futures[at]

    futures.append(client.submit(task, 0, key="itself"))
    futures.append(client.submit(task, 2, key="one"))
    futures.append(client.submit(abs, futures[1], key="two"))
    there.set()
    with pytest.raises(WaitCycleError, match="itself"):
        futures[0].result(timeout=60)
    assert names(futures[1].exception(timeout=60))
    futures.clear()


def test_plain_tasks_that_await_each_other_on_loops_of_their_own(client: Client) -> None:
    futures: dict[str, Any] = {}
    there = threading.Event()

    def task(other: str) -> Any:
        assert there.wait(60)
        try:
            return asyncio.run(later(futures[other], "await"))
        except WaitCycleError as error:
            return error

    await_each_other(client, task, futures, there)
    client._check()


def test_coroutine_tasks_of_an_asynchronous_client_that_await_each_other() -> None:
    async def main() -> None:
        futures: dict[str, Any] = {}
        there = asyncio.Event()

        async def task(other: str) -> Any:
            await there.wait()
            try:
                return await futures[other]
            except WaitCycleError as error:
                return error

        async with Client(processes=False, threads_per_worker=1, asynchronous=True) as client:
            futures["one"] = client.submit(task, "two", key="one")
            futures["two"] = client.submit(task, "one", key="two")
            there.set()
            results = [await asyncio.wait_for(future.result(), 60) for future in futures.values()]
            assert any(map(names, results)), results
            futures.clear()

    asyncio.run(main())


def test_what_a_coroutine_task_can_go_on_without_closes_no_circle(client: Client) -> None:
    futures: dict[str, Any] = {}
    there, awaited, enough = threading.Event(), threading.Event(), threading.Event()

    async def one() -> str:
        while not there.is_set():
            await asyncio.sleep(0)
        waits = [asyncio.ensure_future(later(futures["two"], "await"))]
        await asyncio.sleep(0)
        awaited.set()
        while not enough.is_set():
            await asyncio.sleep(0)
        for wait in waits:
            wait.cancel()
        return "went on"

    async def two() -> Any:
        while not awaited.is_set():
            await asyncio.sleep(0)
        enough.set()
        return await futures["one"]

    futures["one"] = client.submit(one, key="one")
    futures["two"] = client.submit(two, key="two")
    there.set()
    assert futures["two"].result(timeout=60) == "went on"
    futures.clear()


def test_a_wait_that_was_given_up_closes_no_circle(client: Client) -> None:
    futures: dict[str, Any] = {}
    there, given_up = threading.Event(), threading.Event()

    async def one() -> str:
        while not there.is_set():
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(0.001):
                await futures["two"]
        except TimeoutError:
            given_up.set()
        return "went on"

    async def two() -> Any:
        while not given_up.is_set():
            await asyncio.sleep(0)
        return await futures["one"]

    futures["one"] = client.submit(one, key="one")
    futures["two"] = client.submit(two, key="two")
    there.set()
    assert futures["two"].result(timeout=60) == "went on"
    futures.clear()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("through", ["itself", "a coroutine task", "a dependency"])
def test_a_coroutine_task_that_awaits_what_needs_its_own_resources(how: str, through: str) -> None:
    async def child() -> str:
        return "ran"

    async def between() -> Any:
        return await later(get_client().submit(child, resources={"GPU": 1}, pure=False), how)

    async def parent() -> Any:
        client = get_client()
        if through == "itself":
            return await between()
        if through == "a coroutine task":
            return await later(client.submit(between, pure=False), how)
        needs = client.submit(child, resources={"GPU": 1}, pure=False)
        return await later(client.submit(str, needs, pure=False), how)

    with Client(processes=False, threads_per_worker=2, resources={"GPU": 1}) as client:
        future = client.submit(parent, resources={"GPU": 1}, pure=False)
        try:
            # `exception` hands the error over as a value. In that way one task of the two is told.
            error = future.exception(timeout=60) or future.result()
            error = error[0] if isinstance(error, list) else error
            assert isinstance(error, WaitCycleError)
            assert "parent" in str(error) and "child" in str(error)
        finally:
            client.cancel(future)
        # Nothing was lost: the resource is there for the next.
        assert client.submit(child, resources={"GPU": 1}, pure=False).result(timeout=60) == "ran"


@pytest.mark.parametrize(
    "how",
    [
        lambda future: future.result(),
        lambda future: future.exception(),
        lambda future: concurrent.futures.wait([future]).done.pop().exception(),
    ],
    ids=["result", "exception", "wait"],
)
def test_a_task_that_waits_for_an_executors_call_that_waits_for_it(client: Client, how: Callable[[Any], Any]) -> None:
    futures: dict[str, Any] = {}
    there = threading.Event()

    def task() -> Any:
        assert there.wait(60)
        try:
            return how(client.get_executor().submit(lambda: futures["task"].result()))
        except WaitCycleError as error:
            return error

    futures["task"] = client.submit(task, key="task")
    there.set()
    assert isinstance(futures["task"].result(timeout=60), WaitCycleError)
    futures.clear()
