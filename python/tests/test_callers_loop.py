"""Coroutine tasks of an asynchronous client run on the loop that awaited it; those of any other on the cluster's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from azolla import Client, LocalCluster, get_client, get_worker
from backends import Reason, threads_only
from conftest import PATIENCE, eventually

ASYNCHRONOUS: dict[str, Any] = {
    "asynchronous": True,
    "processes": False,
    "n_workers": 1,
    "threads_per_worker": 2,
    "dashboard_address": None,
}


async def loop_here() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(PATIENCE):
            return await coroutine

    return asyncio.run(limited())


def test_they_run_on_the_loop_that_awaited_the_client() -> None:
    async def main() -> None:
        here = asyncio.get_running_loop()
        async with Client(**ASYNCHRONOUS) as client:
            assert client.loop is client.cluster.loop is here
            assert await client.submit(loop_here) is here
            assert set(await client.gather(client.map(lambda _: loop_here(), range(3)))) == {here}
        client = await Client(**ASYNCHRONOUS)
        assert await client.submit(loop_here) is here
        await client.close()

    run(main())


def test_what_is_bound_to_the_loop_is_shared_with_them() -> None:
    async def main() -> None:
        lock, inside = asyncio.Lock(), []

        async def alone(n: int) -> int:
            async with lock:
                inside.append(n)
                await asyncio.sleep(0)
                assert inside == [n]
                inside.remove(n)
            return n

        async with Client(**ASYNCHRONOUS) as client, lock:
            futures = client.map(alone, range(5))
            lock.release()
            assert await client.gather(futures) == list(range(5))
            await lock.acquire()

    run(main())


def test_children_of_tasks_do_too() -> None:
    def plain() -> Any:
        return get_client().submit(loop_here, pure=False).result()

    async def grown() -> Any:
        return await get_client().submit(loop_here, pure=False)

    async def main() -> None:
        here = asyncio.get_running_loop()
        async with Client(**ASYNCHRONOUS) as client:
            assert await client.submit(plain) is here
            assert await client.submit(grown) is here
            assert await client.submit(lambda: get_client().sync(loop_here), pure=False) is here
            assert set((await client.run(loop_here)).values()) == {here}

    run(main())


@threads_only(Reason.OBJECTS)
def test_a_synchronous_client_has_a_loop_of_its_own(client: Client) -> None:
    async def main() -> None:
        here = asyncio.get_running_loop()
        assert await client.submit(loop_here) is client.loop is not here
        async with Client(processes=False, threads_per_worker=1, dashboard_address=None) as other:
            assert await other.submit(loop_here) is other.loop is not here

    run(main())


def test_clients_of_one_cluster_each_have_their_own() -> None:
    async def main() -> None:
        here = asyncio.get_running_loop()
        with LocalCluster(processes=False, threads_per_worker=2, dashboard_address=None) as cluster:
            with Client(cluster) as plain:
                async with Client(cluster, asynchronous=True) as one:
                    assert await one.submit(loop_here, key="one") is here
                    assert await plain.submit(loop_here, key="plain") is cluster.loop is not here

                    async def elsewhere() -> None:
                        there = asyncio.get_running_loop()
                        async with Client(cluster, asynchronous=True) as two:
                            assert await two.submit(loop_here, key="two") is there
                            assert await one.submit(loop_here, key="of one") is here

                    await asyncio.to_thread(asyncio.run, elsewhere())

    run(main())


def test_they_know_their_task_and_client() -> None:
    async def who() -> Any:
        return get_worker().get_current_task(), get_client()

    async def main() -> None:
        async with Client(**ASYNCHRONOUS) as client:
            assert await client.submit(who, key="me") == ("me", client)

    run(main())


def test_their_children_come_before_newer_roots_and_inherit_priorities() -> None:
    async def parent() -> Any:
        child = get_client().submit(abs, -1, key="child", priority=None)
        await child
        return child

    async def main() -> None:
        async with Client(**ASYNCHRONOUS) as client:
            child = await client.submit(parent, priority=7, key="parent")
            assert client.story("child") and await child == 1

    run(main())


def test_futures_of_a_task_outlive_its_client() -> None:
    async def main() -> None:
        go_on = asyncio.Event()

        async def grow() -> int:
            child = get_client().submit(abs, -5, key="child")
            await go_on.wait()
            return await child

        async with LocalCluster(
            processes=False, threads_per_worker=1, asynchronous=True, dashboard_address=None
        ) as cluster:
            async with Client(cluster, asynchronous=True) as keeper:
                async with Client(cluster, asynchronous=True) as client:
                    future = client.submit(grow, key="grow")
                    kept = keeper.submit(grow, key="grow")
                    while client.status == "running" and "child" not in str(await client.has_what()):
                        await asyncio.sleep(0)
                    del future
                go_on.set()
                assert await kept == 5

    run(main())


def test_a_cancelled_one_is_cancelled_there() -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def endless() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with Client(**ASYNCHRONOUS) as client:
            future = client.submit(endless)
            await begun.wait()
            await future.cancel()
            await ended.wait()

    run(main())


@pytest.mark.parametrize("sync", [False, True])
def test_closing_ends_them_first(sync: bool) -> None:
    ended: list[str] = []

    async def main() -> None:
        begun = asyncio.Event()

        async def endless() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append("it")

        client = await Client(**ASYNCHRONOUS)
        future = client.submit(endless)
        await begun.wait()
        await (asyncio.to_thread(client.close) if sync else client.close())
        assert ended == ["it"] and future.cancelled()
        assert asyncio.all_tasks() - {asyncio.current_task()} <= asyncio.all_tasks()

    run(main())


def test_the_loop_ends_and_the_client_goes_on() -> None:
    kept: dict[str, Any] = {}

    async def first() -> None:
        kept["client"] = client = await Client(**ASYNCHRONOUS)
        begun = asyncio.Event()

        async def endless() -> None:
            begun.set()
            await asyncio.Event().wait()

        kept["cut short"] = client.submit(endless)
        await begun.wait()

    run(first())
    client = kept["client"]
    # `asyncio.run` has cancelled what still ran on its loop.
    error = kept["cut short"].exception(timeout=PATIENCE)
    assert isinstance(error, RuntimeError) and isinstance(error.__cause__, asyncio.CancelledError)
    assert "its event loop was closed" in str(error)
    # Now no caller's loop is left: the cluster's own takes over.
    assert client.submit(loop_here, pure=False).result(timeout=PATIENCE) is client.loop

    async def second() -> None:
        assert await (await client).submit(loop_here, pure=False) is asyncio.get_running_loop()
        await client.close()

    run(second())


@pytest.mark.parametrize("begun", [False, True])
def test_a_loop_that_is_closed_fails_what_it_had_not_ended(begun: bool) -> None:
    loop = asyncio.new_event_loop()

    async def make() -> Client:
        return await Client(**ASYNCHRONOUS)

    entered = threading.Event()

    async def endless() -> None:
        entered.set()
        await asyncio.Event().wait()

    client = loop.run_until_complete(make())
    try:
        future = client.submit(endless)
        if begun:

            async def until_entered() -> None:
                while not entered.is_set():
                    await asyncio.sleep(0)

            loop.run_until_complete(until_entered())
        else:
            eventually(lambda: client._callers_loop is not None and client._callers_loop._posted)
        loop.close()
        assert "was closed" in str(future.exception(timeout=PATIENCE))
        assert client.submit(abs, -1).result() == 1
    finally:
        client.close()


def test_a_loop_that_stands_still_goes_on_later() -> None:
    loop = asyncio.new_event_loop()

    async def make() -> Client:
        return await Client(**ASYNCHRONOUS)

    async def result(future: Any) -> Any:
        return await future

    client = loop.run_until_complete(make())
    future = client.submit(loop_here)
    assert loop.run_until_complete(result(future)) is loop
    # What a thread must wait for does not need the loop that stands still.
    assert client.sync(loop_here) is not loop
    loop.run_until_complete(client.close() or asyncio.sleep(0))
    loop.close()


def test_what_is_left_on_the_loop() -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        async with Client(**ASYNCHRONOUS) as client:
            assert await client.submit(loop_here) is loop
            assert not [
                timer for timer in loop._scheduled if not timer.cancelled() and timer.when() > loop.time() + 1e6
            ]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_their_stacks_are_seen() -> None:
    async def main() -> None:
        go_on, begun = asyncio.Event(), asyncio.Event()

        async def waits_here() -> None:
            begun.set()
            await go_on.wait()

        async with Client(**ASYNCHRONOUS) as client:
            future = client.submit(waits_here, key="waits")
            await begun.wait()
            stacks = await client.call_stack()
            assert any("waits_here" in line for stack in stacks.values() for line in stack["waits"])
            go_on.set()
            await future

    run(main())


def test_an_exit_belongs_to_the_task() -> None:
    async def leaves() -> None:
        raise SystemExit(3)

    async def main() -> None:
        async with Client(**ASYNCHRONOUS) as client:
            assert type(await client.submit(leaves).exception()) is SystemExit

    run(main())
