"""What `interrupt=True` does: it raises `Cancelled` in the plain functions that run."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import azolla
import pytest
from azolla import Cancelled, Client, get_client, shield
from backends import Reason, threads_only
from conftest import Gate, Journal, eventually


def spin(journal: Journal) -> None:
    try:
        journal.append("begun")
        while True:
            pass
    except BaseException as error:
        journal.append((type(error), str(error)))
        raise


TOLD = (Cancelled, "the task was cancelled, and interrupted")


def both(journal: Journal) -> None:
    kept = get_client().submit(spin, journal, pure=False)
    spin(journal)
    del kept


CANCELS: dict[str, Callable[[Client, azolla.Future[None]], object]] = {
    "the future": lambda client, task: task.cancel(interrupt=True),
    "the client": lambda client, task: client.cancel([task], interrupt=True),
    "what has grown too": lambda client, task: task.cancel(subtree=True, interrupt=True),
    "after a cancel that did not": lambda client, task: (task.cancel(), task.cancel(interrupt=True)),
}


@pytest.mark.parametrize("cancel", CANCELS)
def test_a_loop_that_neither_waits_nor_asks_is_interrupted(client: Client, journal: Journal, cancel: str) -> None:
    task = client.submit(spin, journal)
    eventually(lambda: len(journal) == 1)
    CANCELS[cancel](client, task)
    eventually(lambda: journal == ["begun", TOLD], lambda: journal)
    eventually(lambda: client.counters()["running"] == 0)
    assert client.gather(client.map(abs, range(-100, 0))) == list(range(100, 0, -1))


def test_with_the_subtree_all_that_runs_is_interrupted_and_nothing_else_begins(
    client: Client, journal: Journal
) -> None:
    task = client.submit(both, journal)
    eventually(lambda: journal == ["begun"] * 2)
    task.cancel(subtree=True, interrupt=True)
    eventually(lambda: journal == ["begun"] * 2 + [TOLD] * 2, lambda: journal)
    eventually(lambda: client.counters()["running"] == 0)


def test_a_group_interrupts_what_runs_in_it(client: Client, journal: Journal) -> None:
    with client.group() as group:
        client.map(spin, [journal] * 9, pure=False)
        eventually(lambda: journal == ["begun"] * 2)
        group.cancel(interrupt=True)
    eventually(lambda: journal == ["begun"] * 2 + [TOLD] * 2, lambda: journal)
    eventually(lambda: client.counters()["running"] == 0)


def wait_then_spin(journal: Journal) -> None:
    try:
        azolla.sleep(3600)
    except Cancelled as error:
        journal.append(str(error))
    # Long enough for an interrupt that is still to come, as the others take less than a hundredth of this.
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pass
    journal.append("went on")


def test_what_a_wait_has_told_is_not_told_again(client: Client, journal: Journal) -> None:
    task = client.submit(wait_then_spin, journal, key="told-once")
    eventually(lambda: client.counters()["parked"] == 1)
    task.cancel(interrupt=True)
    eventually(lambda: len(journal) == 2, lambda: journal)
    assert journal == ["the task told-once, which was about to wait, was cancelled", "went on"]


def spin_shielded(gate: Gate, journal: Journal) -> None:
    try:
        with shield(), shield():
            with shield():
                pass
            gate.enter()
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                pass
            journal.append("shielded")
        while True:
            pass
    except Cancelled as error:
        journal.append((type(error), str(error)))


def test_a_shield_holds_an_interrupt_back(client: Client, gate: Gate, journal: Journal) -> None:
    task = client.submit(spin_shielded, gate, journal)
    gate.entered()
    task.cancel(interrupt=True)
    eventually(lambda: journal == ["shielded", TOLD], lambda: journal)


class Counter:
    def hold(self, gate: Gate) -> int:
        gate.hold()
        return 1


def cancel_by_task(call: azolla.Future[int]) -> str:
    try:
        call.cancel(interrupt=True)
    except ValueError as error:
        return str(error)
    return "cancelled"


def test_a_call_of_an_actor_is_not_interrupted(client: Client, gate: Gate) -> None:
    counter = client.submit(Counter, actor=True).result()
    call, other = counter.hold(gate), client.submit(gate.hold, 2)
    gate.entered(2)
    for refused in (lambda: client.cancel([other, call], interrupt=True), lambda: call.cancel(interrupt=True)):
        with pytest.raises(
            ValueError, match="a call of an actor is not interrupted, as its state would be left half changed"
        ):
            refused()
    assert "cancelled" not in (other.status, call.status)
    gate.open()
    assert (call.result(), other.result()) == (1, 2)


async def sleep_on_a_loop(journal: Journal) -> None:
    journal.append("begun")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        journal.append("cancelled")
        raise


def test_a_coroutine_is_cancelled_as_without(client: Client, journal: Journal) -> None:
    task = client.submit(sleep_on_a_loop, journal)
    eventually(lambda: len(journal) == 1)
    task.cancel(interrupt=True)
    eventually(lambda: journal == ["begun", "cancelled"], lambda: journal)


def swallow(journal: Journal, gate: Gate) -> None:
    try:
        journal.append("begun")
        while True:
            pass
    except Cancelled:
        journal.append("swallowed")
    gate.hold()
    journal.append("went on")


@threads_only(Reason.THREADS)
def test_a_thread_is_interrupted_once(client: Client, gate: Gate, journal: Journal) -> None:
    task = client.submit(swallow, journal, gate)
    eventually(lambda: len(journal) == 1)
    task.cancel(interrupt=True)
    gate.entered()
    gate.open()
    eventually(lambda: journal == ["begun", "swallowed", "went on"], lambda: journal)


def sleep_deaf(journal: Journal) -> None:
    journal.append(os.getpid())
    try:
        time.sleep(3600)
    finally:
        journal.append("woke")


def hold_once(gate: Gate, journal: Journal) -> int:
    journal.append(os.getpid())
    gate.hold()
    return os.getpid()


def test_the_process_of_a_task_that_does_not_stop_is_replaced(journal: Journal) -> None:
    with Client(n_workers=1, threads_per_worker=2) as client:
        gate, others = Gate(), Journal()
        deaf, other = client.submit(sleep_deaf, journal), client.submit(hold_once, gate, others)
        eventually(lambda: len(journal) == 1 and len(others) == 1)
        deaf.cancel(interrupt=True)
        # The other task begins again in another process, as often as it takes, and is not to blame.
        eventually(lambda: len(others) == 2)
        gate.open()
        assert other.result() == others.entries()[1] != others.entries()[0]
        assert len(journal) == 1


def test_what_has_ended_or_not_begun_is_cancelled_all_the_same(one_slot: Client, gate: Gate, journal: Journal) -> None:
    done = one_slot.submit(abs, -1)
    assert done.result() == 1
    busy = one_slot.submit(gate.hold)
    gate.entered()
    queued = one_slot.submit(journal.append, "ran")
    one_slot.cancel(queued, interrupt=True)
    one_slot.cancel([done], interrupt=True)
    assert (queued.status, done.status) == ("cancelled", "cancelled")
    gate.open()
    busy.result()
    assert one_slot.submit(abs, -2).result() == 2
    assert len(journal) == 0


def grow_for_ever(journal: Journal) -> None:
    journal.append("begun")
    for number in itertools.count():
        client = get_client()
        client.gather([client.submit(abs, -number, pure=False) for _ in range(3)])


def test_an_interrupt_leaves_nothing_of_azolla_half_done(client: Client, journal: Journal) -> None:
    rng = random.Random(seed := random.randrange(1 << 32))
    for begun in range(1, 21):
        task = client.submit(grow_for_ever, journal, pure=False)
        eventually(partial(lambda begun: len(journal) == begun, begun))
        time.sleep(rng.random() / 50)
        task.cancel(subtree=True, interrupt=True)
        eventually(lambda: client.counters()["running"] + client.counters()["parked"] == 0, lambda: seed)
        client._check()
    assert client.gather(client.map(abs, range(-100, 0))) == list(range(100, 0, -1))


@threads_only(Reason.THREADS)
@pytest.mark.parametrize("raised", [True, False])
def test_after_an_interrupt_no_thread_looks_for_another(
    client: Client, gate: Gate, journal: Journal, raised: bool
) -> None:
    """CPython 3.11 never gets past such a look in a traced thread."""
    task = client.submit(spin, journal) if raised else client.submit(gate.hold)
    if raised:
        eventually(lambda: len(journal) == 1)
    else:
        gate.entered()
    task.cancel(interrupt=True)
    gate.open()
    eventually(lambda: client.counters()["running"] == 0)
    steps = []
    sys.settrace(lambda frame, event, argument: steps.append(frame.f_code.co_name))  # type: ignore[func-returns-value]
    try:
        clear(journal)
    finally:
        sys.settrace(None)
    assert steps[0] == "clear"


def clear(journal: Journal) -> None:
    journal.clear()


def test_an_interrupt_never_hits_another_task() -> None:
    program = Path(__file__).parent / "interrupt_race.py"
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=600, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "no wrong hit\n", "")
