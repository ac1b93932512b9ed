"""Tasks of several clients of one cluster: which client each of them finds, and what becomes of it when that one leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azolla import Client, Event, LocalCluster, Queue, as_completed, get_client, wait
from backends import OPTIONS
from conftest import Gate, eventually


def inc(x: int) -> int:
    return x + 1


def test_get_client_in_a_task_is_the_one_that_submitted_it(cluster: LocalCluster) -> None:
    def ours() -> str:
        return get_client().id

    async def coroutine() -> str:
        return get_client().id

    with Client(cluster) as one, Client(cluster) as other:
        for client in (one, other, one):
            assert client.submit(ours, pure=False).result() == client.id
        assert one.submit(coroutine, pure=False).result() == one.id


def test_on_threads_it_is_the_very_client() -> None:
    with Client(**OPTIONS["threads"]) as client:
        assert client.submit(get_client).result() is client


def test_get_client_in_a_task_whose_client_has_left(cluster: LocalCluster, gate: Gate) -> None:
    def grow() -> int:
        gate.hold()
        client = get_client()
        result: int = client.submit(inc, 1).result()
        return result

    one, other = Client(cluster), Client(cluster)
    one.submit(grow, key="x")
    mine, theirs = one.submit(grow, key="x"), other.submit(grow, key="x")
    gate.entered()
    one.close()
    gate.open()
    assert theirs.result() == 2
    # And where no client is left at all.
    second = Gate()
    future = other.submit(lambda: (second.hold(), grow()), key="y")
    other._keep(future)
    second.entered()
    other.close()
    second.open()
    with Client(cluster) as third:
        eventually(lambda: third.counters()["live"] == 0)
        third._check()
    assert mine.status == "cancelled"


@pytest.mark.parametrize(
    "of",
    [
        "result",
        "gather",
        "wait",
        "as_completed",
        "event",
        "queue",
        "await",
    ],
)
def test_a_task_that_waits_goes_on_for_another_when_its_client_leaves(
    cluster: LocalCluster, gate: Gate, of: str
) -> None:
    """Random operations found it: what the task had submitted was cancelled, and so the task failed."""

    def wait_for_it() -> Any:
        client = get_client()
        held = client.submit(gate.hold, 1, key="held")
        ways: dict[str, Callable[[], Any]] = {
            "result": held.result,
            "gather": lambda: client.gather([held])[0],
            "wait": lambda: wait(held).done.pop().result(),
            "as_completed": lambda: next(iter(as_completed([held]))).result(),
            "event": lambda: Event("opened").wait(),
            "queue": lambda: Queue("values").get(),
        }
        return ways[of]()

    async def await_it() -> Any:
        return await get_client().submit(gate.hold, 1, key="held")

    one, other = Client(cluster), Client(cluster)
    task = one.submit(await_it if of == "await" else wait_for_it, key="task")
    theirs = other.submit(inc, task)
    gate.entered()
    one.close()
    assert task.cancelled()
    gate.open()
    Event("opened", other).set()
    Queue("values", other).put(1)
    assert theirs.result() == 2
    # And what the task has held goes with it.
    del theirs
    Queue("values", other).get(batch=True)
    eventually(lambda: other.counters()["kept"] == 0)
