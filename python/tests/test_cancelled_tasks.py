"""What a cancel does to a task that runs: its waits end, and it can ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import azolla
import pytest
from azolla import (
    Cancelled,
    Client,
    Event,
    Lock,
    MultiLock,
    Queue,
    Semaphore,
    Variable,
    as_completed,
    cancelled,
    check_cancelled,
    get_client,
    shield,
    wait,
    worker_client,
)
from conftest import Gate, Journal, eventually


def shielded(gate: Gate) -> None:
    with shield():
        gate.hold()


def never(gate: Gate) -> Any:
    return get_client().submit(shielded, gate, pure=False)


def next_of(gate: Gate) -> Any:
    return next(iter(as_completed([never(gate)])))


def grow(_: Gate) -> None:
    with get_client().group():
        get_client().submit(asyncio.sleep, 3600, pure=False)


def secede_and_wait(gate: Gate) -> None:
    with worker_client():
        never(gate).result()


def locked_twice(_: Gate) -> None:
    lock = Lock("twice")
    with lock:
        lock.acquire()


def no_lease_left(_: Gate) -> None:
    semaphore = Semaphore(1, name="one")
    with semaphore:
        semaphore.acquire()


def both_locked(_: Gate) -> None:
    with MultiLock(["a", "b"]), MultiLock(["b", "c"]):
        pass


#: Each way to wait, for what does not come before the gate opens.
WAITS: dict[str, Callable[[Gate], object]] = {
    "sleep": lambda gate: azolla.sleep(3600),
    "sleep without end": lambda gate: azolla.sleep(None),
    "result": lambda gate: never(gate).result(),
    "result with a timeout": lambda gate: never(gate).result(3600),
    "exception": lambda gate: never(gate).exception(),
    "gather": lambda gate: get_client().gather([never(gate)]),
    "wait": lambda gate: wait([never(gate)]),
    "wait for what has grown": lambda gate: wait([never(gate)], grown=True),
    "wait_grown": lambda gate: never(gate).wait_grown(),
    "as_completed": next_of,
    "group": grow,
    "after a secede": secede_and_wait,
    "Queue.get": lambda gate: Queue("empty").get(),
    "Event.wait": lambda gate: Event("unset").wait(),
    "Variable.get": lambda gate: Variable("without").get(),
    "Lock": locked_twice,
    "Semaphore": no_lease_left,
    "MultiLock": both_locked,
}


def waits(name: str, gate: Gate, journal: Journal) -> None:
    def tried(what: Callable[[], object]) -> str:
        try:
            what()
        except Cancelled as error:
            return str(error)
        return "went on"

    journal.append("begun")
    journal.append(tried(lambda: WAITS[name](gate)))
    journal.append((cancelled(), tried(check_cancelled), tried(lambda: azolla.sleep(0))))
    with shield(), shield():
        pass
    with shield():
        journal.append((cancelled(), tried(check_cancelled), tried(lambda: azolla.sleep(0))))
    journal.append(tried(check_cancelled))


@pytest.mark.parametrize("name", WAITS)
def test_a_task_that_waits_is_woken_by_its_cancel(client: Client, gate: Gate, journal: Journal, name: str) -> None:
    task = client.submit(waits, name, gate, journal, key=f"waits-{name}")
    eventually(lambda: len(journal) == 1)
    if name != "after a secede":
        eventually(lambda: client.counters()["parked"] == 1)
    task.cancel()
    eventually(lambda: len(journal) == 5, lambda: journal)
    told = f"the task waits-{name}, which was about to wait, was cancelled"
    assert journal == ["begun", told, (True, told, told), (True, "went on", "went on"), told]
    gate.open()
    eventually(lambda: client.counters()["running"] == 0)


def ask(journal: Journal) -> None:
    journal.append(cancelled())
    while not cancelled():
        time.sleep(0.001)
    journal.append(cancelled())


def ask_on_a_loop(journal: Journal) -> None:
    async def asks() -> None:
        ask(journal)

    asyncio.run(asks())


@pytest.mark.parametrize("ask", [ask, ask_on_a_loop])
def test_a_task_asks_whether_it_was_cancelled(client: Client, journal: Journal, ask: Callable[[Journal], None]) -> None:
    task = client.submit(ask, journal)
    eventually(lambda: len(journal) == 1)
    task.cancel()
    eventually(lambda: journal == [False, True])


def test_nothing_is_cancelled_outside_tasks() -> None:
    assert not cancelled()
    check_cancelled()
    with shield():
        azolla.sleep("1ms")
    assert asyncio.run(_on_a_loop()) is None


async def _on_a_loop() -> None:
    await azolla.sleep(0.001)
    assert not cancelled()
    check_cancelled()
    with pytest.raises(RuntimeError, match=r"await asyncio\.shield"), shield():
        pass


def test_a_shield_is_entered_once() -> None:
    once = shield()
    with once:
        with pytest.raises(RuntimeError, match=r"each `with` needs a shield\(\) of its own"), once:
            pass
    with pytest.raises(RuntimeError, match="it was entered before"), once:
        pass


@shield()
def hold_twice_at_most(gate: Gate, depth: int) -> None:
    if depth:
        hold_twice_at_most(gate, depth - 1)
    else:
        gate.hold()


def hold_as_decorated(gate: Gate, journal: Journal) -> None:
    hold_twice_at_most(gate, 1)
    journal.append("held")


def test_a_shield_decorates_a_function(client: Client, gate: Gate, journal: Journal) -> None:
    task = client.submit(hold_as_decorated, gate, journal)
    gate.entered()
    task.cancel()
    gate.open()
    eventually(lambda: journal == ["held"], lambda: journal)


def test_a_delay_is_a_length_of_time(client: Client) -> None:
    for run in (
        lambda delay: azolla.sleep(delay),
        lambda delay: client.submit(azolla.sleep, delay, pure=False).result(),
    ):
        with pytest.raises(ValueError, match="a delay is 0 or more, not -1"):
            run(-1)
        with pytest.raises(TypeError, match="a timeout is a number"):
            run(b"1")


async def ask_again_and_again(journal: Journal) -> None:
    journal.append(cancelled())
    try:
        await azolla.sleep(None)
    except asyncio.CancelledError:
        journal.append(cancelled())
        raise


def test_a_coroutine_is_cancelled_as_asyncio_does(client: Client, journal: Journal) -> None:
    task = client.submit(ask_again_and_again, journal)
    eventually(lambda: len(journal) == 1)
    task.cancel()
    eventually(lambda: journal == [False, True])


def pretend() -> None:
    raise Cancelled("not I")


def test_a_task_that_only_says_that_it_was_cancelled_fails(client: Client) -> None:
    with pytest.raises(RuntimeError, match=r"ended in azolla\.Cancelled, though azolla did not cancel it"):
        client.submit(pretend).result()


def sleep_long(journal: Journal) -> None:
    journal.append("asleep")
    azolla.sleep(3600)


def test_a_task_asleep_takes_no_slot(client: Client, journal: Journal) -> None:
    sleepers = client.map(sleep_long, [journal] * 5, pure=False)
    eventually(lambda: len(journal) == 5)
    assert client.submit(abs, -1).result() == 1
    client.cancel(sleepers)
    eventually(lambda: client.counters()["parked"] == 0)


def clean_up(gate: Gate, journal: Journal) -> None:
    try:
        Event("unset").wait()
    finally:
        with shield():
            journal.append(get_client().submit(abs, -7).result())


def test_what_is_shielded_comes_to_its_end(client: Client, gate: Gate, journal: Journal) -> None:
    task = client.submit(clean_up, gate, journal)
    eventually(lambda: client.counters()["parked"] == 1)
    task.cancel()
    eventually(lambda: journal == [7])


def parent(gate: Gate, journal: Journal) -> None:
    try:
        get_client().submit(gate.hold, pure=False).result()
    except BaseException as error:
        journal.append(type(error))
        raise


def test_with_its_subtree_a_parent_is_cancelled_itself(client: Client, gate: Gate, journal: Journal) -> None:
    task = client.submit(parent, gate, journal)
    gate.entered()
    eventually(lambda: client.counters()["parked"] == 1)
    task.cancel(subtree=True)
    eventually(lambda: journal == [Cancelled])
    gate.open()


#: Waits that end since what they are for is cancelled too.
ENDED: dict[str, Callable[[Gate], object]] = {
    "result": lambda gate: never(gate).result(),
    "gather": lambda gate: get_client().gather([never(gate)]),
    "wait": lambda gate: wait([never(gate)]),
    "wait for what has grown": lambda gate: wait([never(gate)], grown=True),
    "group": grow,
}


def waits_late(name: str, gate: Gate, journal: Journal) -> None:
    journal.append("begun")
    while not cancelled():
        time.sleep(0.001)
    try:
        ENDED[name](gate)
    except BaseException as error:
        journal.append(type(error))
        raise
    journal.append("went on")


@pytest.mark.parametrize("name", ENDED)
def test_a_task_that_is_cancelled_with_what_it_submits_is_told_so(
    client: Client, gate: Gate, journal: Journal, name: str
) -> None:
    task = client.submit(waits_late, name, gate, journal)
    eventually(lambda: len(journal) == 1)
    task.cancel(subtree=True)
    eventually(lambda: len(journal) == 2)
    assert journal == ["begun", Cancelled]
    gate.open()
