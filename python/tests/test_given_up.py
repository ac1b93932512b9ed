"""A wait that has its turn at the very moment of its cancel: what it was handed goes to the next in line, and what it has put
in is taken out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azolla import Cancelled, Client, Lock, MultiLock, Queue, Semaphore, shield
from conftest import Gate, eventually
from gates import PATIENCE


def full() -> Queue:
    return Queue("full", maxsize=1)


async def cancelled_in_between(gate: Gate, *begin: Callable[[], Awaitable[Any]]) -> list[str]:
    """Cancels waits that get their turns while the loop is held up. Returns how they have ended."""

    async def ends(waits: Callable[[], Awaitable[Any]]) -> str:
        try:
            await waits()
        except asyncio.CancelledError:
            return "cancelled"
        return "done"

    tasks = [asyncio.ensure_future(ends(waits)) for waits in begin]
    await asyncio.sleep(0)
    await Queue("any").qsize()  # what was asked before has been heard
    gate.hold()
    for task in tasks:
        task.cancel()
    return [await task for task in tasks]


async def put(gate: Gate) -> list[str]:
    return await cancelled_in_between(gate, lambda: full().put("mine"))


def plain_put(gate: Gate) -> list[str]:
    gate.enter()
    try:
        full().put("mine")
        ended = "done"
    except Cancelled:
        ended = "cancelled"
    with shield():
        Queue("ended").put(ended)
    return [ended]


def test_an_awaited_put_that_is_cancelled_has_put_nothing(client: Client, gate: Gate) -> None:
    queue = full()
    queue.put("first")
    future = client.submit(put, gate, pure=False)
    gate.entered()
    assert queue.get(PATIENCE) == "first"
    eventually(lambda: queue.qsize() == 1)
    gate.open()
    assert future.result(PATIENCE) == ["cancelled"]
    assert queue.get(batch=True) == []


def test_an_awaited_put_whose_value_others_have_is_not_cancelled(client: Client, gate: Gate) -> None:
    queue = full()
    queue.put("first")
    future = client.submit(put, gate, pure=False)
    gate.entered()
    assert [queue.get(PATIENCE), queue.get(PATIENCE)] == ["first", "mine"]
    gate.open()
    assert future.result(PATIENCE) == ["done"]
    assert queue.get(batch=True) == []


async def put_twice(gate: Gate) -> tuple[list[str], list[str]]:
    put: list[str] = []

    async def puts() -> None:
        for name in ("mine", "again"):
            await Queue("room").put(name) if put else await full().put(name)
            put.append(name)

    return put, await cancelled_in_between(gate, puts)


def test_its_cancel_comes_at_the_next_wait(client: Client, gate: Gate) -> None:
    queue = full()
    queue.put("first")
    future = client.submit(put_twice, gate, pure=False)
    gate.entered()
    assert [queue.get(PATIENCE), queue.get(PATIENCE)] == ["first", "mine"]
    gate.open()
    assert future.result(PATIENCE) == (["mine"], ["cancelled"])
    assert Queue("room").get(batch=True) == []


@pytest.mark.parametrize("taken", [False, True], ids=["it is there", "others have it"])
def test_a_put_that_is_cancelled_has_put_nothing_unless_others_have_it(
    one_slot: Client, gate: Gate, taken: bool
) -> None:
    queue, begun = full(), Gate()
    queue.put("first")
    putting = one_slot.submit(plain_put, begun, pure=False)
    begun.entered()
    # This takes the only slot, so the put goes on only once the gate opens.
    holding = one_slot.submit(gate.hold, pure=False)
    gate.entered()
    assert queue.get(PATIENCE) == "first"
    if taken:
        assert queue.get(PATIENCE) == "mine"
    putting.cancel()
    gate.open()
    assert Queue("ended").get(PATIENCE) == ("done" if taken else "cancelled")
    assert queue.get(batch=True) == []
    holding.result(PATIENCE)


async def get(gate: Gate, times: int) -> list[str]:
    return await cancelled_in_between(gate, *[lambda: Queue("in").get()] * times)


@pytest.mark.parametrize("times", [1, 2])
def test_what_was_got_for_nobody_is_the_next_again(client: Client, gate: Gate, times: int) -> None:
    queue = Queue("in")
    future = client.submit(get, gate, times, pure=False)
    gate.entered()
    for number in range(4):
        queue.put(number)
    eventually(lambda: queue.qsize() == 4 - times)
    gate.open()
    assert future.result(PATIENCE) == ["cancelled"] * times
    eventually(lambda: queue.qsize() == 4)
    assert queue.get(batch=True) == [0, 1, 2, 3]


#: Objects that outlive the waits of the tasks: what they have acquired does not go with them.
_kept: list[Any] = []


async def acquire(gate: Gate, make: Callable[[], Any]) -> list[str]:
    _kept.append(make())
    return await cancelled_in_between(gate, _kept[-1].acquire)


def forget() -> None:
    _kept.clear()


@pytest.mark.parametrize(
    "make",
    [lambda: Lock("own"), lambda: Semaphore(1, name="one"), lambda: MultiLock(["a", "b"])],
    ids=["lock", "semaphore", "multi-lock"],
)
def test_what_was_acquired_for_nobody_is_free(client: Client, gate: Gate, make: Callable[[], Any]) -> None:
    lock = make()
    lock.acquire()
    future = client.submit(acquire, gate, make, pure=False)
    gate.entered()
    lock.release()
    gate.open()
    assert future.result(PATIENCE) == ["cancelled"]
    assert lock.acquire(timeout=PATIENCE)
    lock.release()
    for worker in client.cluster.workers.values():
        client.submit(forget, workers=[worker.address], pure=False).result(PATIENCE)
