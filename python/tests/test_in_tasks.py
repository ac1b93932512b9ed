"""What a task sees: its client, its worker, its submitter's context, its thread."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from typing import Any

import pytest
from azolla import Client, fire_and_forget, get_client, get_worker
from backends import Reason, threads_only
from conftest import PATIENCE, Gate, Journal, eventually, nothing_is_kept

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def inc(x: int) -> int:
    return x + 1


def current() -> tuple[str, str]:
    return get_client().id, Client.current().id


async def current_async() -> tuple[str, str]:
    await asyncio.sleep(0)
    return current()


@pytest.mark.parametrize("function", [current, current_async])
def test_the_client_is_the_one_that_runs_the_task(client: Client, function: Any) -> None:
    with Client(processes=False, threads_per_worker=1) as latest:
        assert get_client() is latest
        assert client.submit(function, pure=False).result() == (client.id, client.id)
        with client.as_current():
            assert get_client() is client
            assert latest.submit(function, pure=False).result() == (latest.id, latest.id)


def test_each_client_of_a_cluster_is_that_of_its_own_tasks(client: Client) -> None:
    def asks() -> tuple[str, ...]:
        child = get_client().submit(lambda: get_client().name, pure=False)
        return get_client().id, get_client().name, get_worker().client.name, child.result()

    with Client(client.cluster, name="other", set_as_default=False) as other:
        for each in (client, other, client):
            futures = each.map(lambda _: asks(), range(4), pure=False)
            assert set(each.gather(futures)) == {(each.id, each.name, each.name, each.name)}


def test_outside_tasks_it_is_the_current_one(client: Client) -> None:
    assert get_client() is client
    assert get_client(client.scheduler_info()["address"]) is client
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as hidden:
        assert get_client() is client
        with hidden.as_current():
            assert get_client() is hidden
        assert get_client() is client


def test_with_none_open() -> None:
    gc.collect()
    with pytest.raises(ValueError, match="no client"):
        get_client()
    with pytest.raises(ValueError, match="no client"):
        Client.current()
    with pytest.raises(ValueError, match="no client"):
        Client.current(allow_global=False)


def test_an_unknown_address(client: Client) -> None:
    with pytest.raises(ValueError, match="tcp://nowhere"):
        get_client("tcp://nowhere:1")


@threads_only(Reason.OBJECTS)
def test_a_task_of_one_client_may_wait_on_anothers(client: Client) -> None:
    # Their tasks have the same numbers: that must not look like a wait for itself.
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:

        def parent() -> int:
            return other.submit(inc, 1, pure=False).result() + sum(other.gather(other.map(inc, range(3), pure=False)))

        assert client.gather(client.map(lambda _: parent(), range(20), pure=False)) == [8] * 20


def test_a_thread_that_a_task_starts_is_outside_it(client: Client) -> None:
    def task() -> Any:
        seen: list[Any] = []

        def look() -> None:
            try:
                get_worker()
            except ValueError as error:
                seen.append(str(error))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return seen

    assert client.submit(task).result() == ["get_worker() was called outside a task"]


@pytest.mark.parametrize("key", ["text", ("a", 1), b"bytes", ("a", ("b", 2.5))])
def test_a_task_knows_its_key(client: Client, key: Any) -> None:
    def current() -> Any:
        own = get_worker().get_current_task()
        child = get_client().submit(lambda: get_worker().get_current_task(), key=("child", own), pure=False)
        return own, child.result()

    assert client.submit(current, key=key).result() == (key, ("child", key))


def test_the_worker() -> None:
    with Client(processes=False, n_workers=2, threads_per_worker=2) as client:
        gate = Gate()

        def where() -> tuple[Any, ...]:
            gate.hold()
            worker = get_worker()
            return worker.name, worker.address, worker.get_current_task(), worker.client is client

        futures = client.map(lambda _: where(), range(4), key=list("abcd"))
        gate.entered(4)
        gate.open()
        results = client.gather(futures)
        assert sorted(name for name, *_ in results) == [0, 0, 1, 1]
        assert {address for _, address, *_ in results} == set(client.nthreads())
        assert [key for *_, key, _ in results] == list("abcd")
        assert all(mine for *_, mine in results)


def test_the_worker_in_a_coroutine_task(client: Client) -> None:
    async def where() -> Any:
        await asyncio.sleep(0)
        return get_worker().get_current_task()

    assert client.submit(where, key="mine").result() == "mine"


def test_outside_tasks_there_is_no_worker(client: Client) -> None:
    with pytest.raises(ValueError, match="outside a task"):
        get_worker()


@threads_only(Reason.OBJECTS)
def test_a_task_grown_from_a_coroutine_task_is_itself(client: Client) -> None:
    def child() -> Any:
        return get_worker().get_current_task()

    async def parent() -> Any:
        return get_worker().get_current_task(), await get_client().submit(child, key="child")

    assert client.submit(parent, key="parent").result() == ("parent", "child")
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:

        async def across() -> Any:
            return await other.submit(current, pure=False)

        assert client.submit(across).result() == (other.id, other.id)


@threads_only(Reason.CONTEXT)
def test_the_submitters_context_is_seen(client: Client) -> None:
    async def read_async() -> str:
        await asyncio.sleep(0)
        return VARIABLE.get()

    token = VARIABLE.set("outer")
    try:
        future, coroutine = client.submit(VARIABLE.get, pure=False), client.submit(read_async, pure=False)
        mapped = client.map(lambda _: VARIABLE.get(), range(3), pure=False)
    finally:
        VARIABLE.reset(token)
    assert future.result() == coroutine.result() == "outer"
    assert client.gather(mapped) == ["outer"] * 3
    assert client.submit(VARIABLE.get, pure=False).result() == "unset"


def swap(value: str) -> str:
    before = VARIABLE.get()
    VARIABLE.set(value)
    return before


async def swap_async(value: str) -> str:
    before = swap(value)
    await asyncio.sleep(0)
    return before


def test_what_a_task_sets_does_not_leak(one_slot: Client) -> None:
    assert one_slot.gather(one_slot.map(swap, "abc", pure=False)) == ["unset"] * 3
    assert one_slot.gather(one_slot.map(swap_async, "abc", pure=False)) == ["unset"] * 3
    assert VARIABLE.get() == "unset"


@threads_only(Reason.CONTEXT)
def test_children_see_what_their_parents_set(client: Client) -> None:
    def parent() -> str:
        VARIABLE.set("parent's")
        return get_client().submit(VARIABLE.get, pure=False).result()

    assert client.submit(parent).result() == "parent's"


local = threading.local()


def count() -> int:
    local.count = getattr(local, "count", 0) + 1
    return local.count


@pytest.mark.own_cluster
def test_thread_locals_last(one_slot: Client) -> None:
    assert one_slot.gather([one_slot.submit(count, pure=False) for _ in range(50)]) == list(range(1, 51))


@threads_only(Reason.THREADS)
def test_threads_have_the_clients_number_and_are_daemons(client: Client) -> None:
    thread = client.submit(threading.current_thread, pure=False).result()
    assert thread.name.startswith("azolla-")
    assert thread.daemon


def test_fire_and_forget_in_a_task(client: Client, journal: Journal) -> None:
    def parent() -> None:
        fire_and_forget(get_client().submit(journal.append, 1, pure=False))

    client.submit(parent).result()
    eventually(lambda: journal == [1])


# --- What functions refer to


def doubled(future: Any) -> int:
    """Submits a function that refers to a future, from within a task."""
    return int(get_client().submit(lambda: future.result() * 2, pure=False).result())


def test_functions_refer_to_futures_and_actors(client: Client) -> None:
    refer(client)
    eventually(lambda: nothing_is_kept(client))


def refer(client: Client) -> None:
    future: Any = client.submit(abs, -5, pure=False)
    words: Any = client.submit(list, actor=True).result()
    assert client.submit(lambda: future.result() + 1).result(PATIENCE) == 6
    assert client.gather(client.map(lambda n: future.result() + n, range(20))) == list(range(5, 25))
    assert client.submit(lambda: doubled(future)).result(PATIENCE) == 10
    client.gather([client.submit(lambda: words.append(1).result(), pure=False) for _ in range(5)])
    assert words.copy().result(PATIENCE) == [1] * 5
