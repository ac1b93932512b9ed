"""Which client is current: the one entered here, else the task's own, else the latest open."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import azolla
import pytest
from azolla import Client, Lock, default_client, get_client
from conftest import PATIENCE

PLAIN: dict[str, Any] = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}


def current() -> Client:
    client = get_client()
    assert client is Client.current() is default_client() is Lock().client
    return client


def test_with_makes_it_current_and_the_one_before_is_so_again() -> None:
    with Client(**PLAIN) as outer:
        assert current() is outer
        with Client(**PLAIN) as inner:
            assert current() is inner
            with outer.as_current():
                assert current() is outer
            assert current() is inner
        assert current() is outer
    with pytest.raises(ValueError, match="no Client is open"):
        get_client()
    with pytest.raises(ValueError, match="No clients found"):
        default_client()


def test_one_made_later_and_not_entered_does_not_take_over() -> None:
    with Client(**PLAIN) as entered:
        later = Client(**PLAIN)
        assert current() is entered
        assert default_client(later) is later
        later.close()
        assert current() is entered


def test_outside_a_with_the_latest_open_one_is_current() -> None:
    one, two = Client(**PLAIN), Client(**PLAIN)
    assert current() is two
    with one:
        assert current() is one
    assert current() is two
    two.close()


def test_one_that_is_not_to_be_the_default() -> None:
    with Client(**PLAIN) as default, Client(set_as_default=False, **PLAIN) as apart:
        assert current() is default
        with apart.as_current():
            assert current() is apart


def test_one_closed_within_its_with_is_not_current() -> None:
    with Client(**PLAIN) as outer:
        with Client(**PLAIN) as inner:
            inner.close()
            assert current() is outer
        assert current() is outer


def test_an_error_ends_it_too() -> None:
    with Client(**PLAIN) as outer:
        with pytest.raises(ZeroDivisionError), Client(**PLAIN):
            raise ZeroDivisionError
        assert current() is outer


def test_left_in_another_order_and_another_context() -> None:
    one, two = Client(**PLAIN), Client(**PLAIN)
    one.__enter__()
    context = contextvars.copy_context()
    two.__enter__()
    one.__exit__(None, None, None)
    assert current() is two
    context.run(two.__exit__, None, None, None)  # a framework may tear down in another context
    with pytest.raises(ValueError, match="No clients found"):
        default_client()


def test_coroutines_have_each_their_own() -> None:
    async def one_of_them(entered: asyncio.Event, other: asyncio.Event) -> None:
        async with Client(asynchronous=True, **PLAIN) as client:
            entered.set()
            await other.wait()
            assert current() is client
            assert await client.submit(current) is client
            await asyncio.sleep(0)
            assert current() is client

    async def main() -> None:
        async with Client(asynchronous=True, **PLAIN) as around:
            first, second = asyncio.Event(), asyncio.Event()
            await asyncio.gather(one_of_them(first, second), one_of_them(second, first))
            assert current() is around

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_threads_have_each_their_own() -> None:
    inside, leave = threading.Barrier(3), threading.Barrier(3)
    seen: list[bool] = []

    def one_of_them() -> None:
        with Client(**PLAIN) as client:
            inside.wait(PATIENCE)
            seen.append(current() is client)
            leave.wait(PATIENCE)
            seen.append(current() is client)

    threads = [threading.Thread(target=one_of_them) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(PATIENCE)
    leave.wait(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    assert seen == [True] * 4


def test_a_task_has_its_own_client_wherever_it_was_submitted() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("number")

    async def coroutine() -> Client:
        return current()

    with Client(**PLAIN) as one, Client(**PLAIN) as two:
        assert one.submit(current, pure=False).result() is one
        assert one.submit(coroutine, pure=False).result() is one
        token = variable.set(5)  # tasks get the context now, and with it what was entered
        assert one.submit(current, pure=False).result() is one
        assert one.submit(coroutine, pure=False).result() is one
        assert one.submit(lambda: get_client().submit(current, pure=False).result(), pure=False).result() is one
        assert two.submit(current, pure=False).result() is two
        variable.reset(token)


def test_one_entered_in_a_task_is_current_there() -> None:
    def task() -> Any:
        own = current()
        with Client(**PLAIN) as inner:
            assert current() is inner
            assert inner.submit(current, pure=False).result() is inner
            with own.as_current():
                assert current() is own
            assert current() is inner
        return current() is own

    async def coroutine() -> Any:
        own = current()
        async with Client(asynchronous=True, **PLAIN) as inner:
            assert current() is inner
            assert await asyncio.to_thread(current) is inner
        return current() is own

    with Client(**PLAIN) as client:
        assert client.submit(task, pure=False).result()
        assert client.submit(coroutine, pure=False).result()


def test_entering_leaves_tasks_without_a_context(client: Client) -> None:
    """A context of its own costs each task time. The clients that are entered are no reason for one."""

    def variables() -> int:
        return len(contextvars.copy_context())

    def submits() -> None:
        with client.as_current():
            assert client.submit(variables, pure=False).result() == 0
            assert client.gather(client.map(lambda _: variables(), range(2), pure=False)) == [0, 0]

    contextvars.Context().run(submits)


def test_it_is_public() -> None:
    assert azolla.default_client is default_client
