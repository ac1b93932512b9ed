"""What is seen of running tasks keeps none of their objects: their locals go when they end, without the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azolla import Client, get_client
from azolla._base import leave
from backends import Reason, threads_only
from conftest import PATIENCE, eventually

pytestmark = threads_only(Reason.OBJECTS)


class Local:
    """What a task holds in a local variable."""


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def asked(client: Client) -> None:
    client.call_stack()
    client.processing()
    client.story()
    client.get_task_stream()


@pytest.mark.parametrize("server", [False, True])
def test_sampled(client: Client, server: bool) -> None:
    go_on = threading.Event()

    def look() -> weakref.ref[Local]:
        local = Local()
        assert go_on.wait(PATIENCE)
        return weakref.ref(local)

    async def looks() -> weakref.ref[Local]:
        return look()

    def seen(tree: dict[str, Any]) -> bool:
        return any(child["description"]["name"] == "look" or seen(child) for child in tree["children"].values())

    client.profile()
    future = client.submit(looks if server else look, pure=False)
    eventually(lambda: seen(client.profile(server=server)))
    go_on.set()
    local = future.result()
    eventually(lambda: local() is None)


@pytest.mark.parametrize("ask", [asked, Client.profile, Client.scheduler_info])
def test_a_task_that_looks_at_itself(client: Client, ask: Callable[[Client], object]) -> None:
    def look() -> weakref.ref[Local]:
        local = Local()
        ask(get_client())
        return weakref.ref(local)

    async def looks() -> weakref.ref[Local]:
        local = Local()
        await asyncio.to_thread(ask, client)
        here = get_client().call_stack()
        if hasattr(here, "__await__"):
            await here
        return weakref.ref(local)

    for task in (look, looks):
        seen = client.submit(task, pure=False).result()
        eventually(lambda seen=seen: seen() is None)


def test_a_coroutine_task_that_looks_at_itself_on_the_callers_loop() -> None:
    async def looks() -> weakref.ref[Local]:
        local = Local()
        await get_client().call_stack()
        return weakref.ref(local)

    async def program() -> weakref.ref[Local]:
        async with Client(processes=False, threads_per_worker=1, asynchronous=True, dashboard_address=None) as client:
            return await client.submit(looks)

    assert asyncio.run(program())() is None


def test_while_others_look(client: Client) -> None:
    go_on, begun = threading.Event(), threading.Event()

    def waits() -> weakref.ref[Local]:
        local = Local()
        begun.set()
        assert go_on.wait(PATIENCE)
        return weakref.ref(local)

    future = client.submit(waits, pure=False)
    assert begun.wait(PATIENCE)
    asked(client)
    stacks = client.call_stack()
    go_on.set()
    seen = future.result()
    eventually(lambda: seen() is None)
    assert "waits" in str(stacks)


def test_the_start_of_a_thread_is_not_the_users(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task's thread may start another worker's. Meanwhile its stack ends in the user's frame."""
    starting, go_on = threading.Event(), threading.Event()
    start = threading.Thread.start

    def slow(thread: threading.Thread) -> None:
        starting.set()
        assert go_on.wait(PATIENCE)
        start(thread)

    def waits() -> None:
        leave.start(threading.Thread(target=int, daemon=True))

    monkeypatch.setattr(threading.Thread, "start", slow)
    future = client.submit(waits)
    assert starting.wait(PATIENCE)
    [stacks] = client.call_stack().values()
    go_on.set()
    future.result()
    [lines] = stacks.values()
    assert [line.split("\n")[0].split()[-1] for line in lines] == ["waits"]


def test_a_task_of_threading_itself_is_seen(client: Client) -> None:
    go_on = threading.Event()
    future = client.submit(go_on.wait, PATIENCE)
    eventually(client.call_stack)
    assert "threading.py" in str(client.call_stack())
    go_on.set()
    future.result()


def test_the_futures_of_sampled_tasks_go(client: Client) -> None:
    def parent() -> None:
        children = get_client().map(abs, range(3), pure=False)
        get_client().gather(children)
        eventually(lambda: client.profile(key="parent")["count"])

    client.profile()
    client.submit(parent).result()
    eventually(lambda: client.who_has() == {})
