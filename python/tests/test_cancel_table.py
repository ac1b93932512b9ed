"""From every state, by every way to cancel: what a task's future shows then, and what its function is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import azolla
import pytest
from azolla import Client, Event, Future, fire_and_forget, secede, shield
from backends import OPTIONS
from conftest import Gate, Journal, eventually


class Case(NamedTuple):
    """What a state is made with, and what comes of it."""

    client: Client
    gate: Gate
    journal: Journal

    def submit(self, function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        """Submits what says in the journal that it has begun, and what it was told."""
        return self.client.submit(told, self.journal, function, *args, pure=False, **options)

    def begun(self, future: Future[Any], parked: int = 0) -> Future[Any]:
        eventually(lambda: len(self.journal) == 1)
        eventually(lambda: self.client.counters()["parked"] >= parked)
        return future


def told(journal: Journal, function: Callable[..., Any], *args: Any) -> Any:
    if asyncio.iscoroutinefunction(function):
        return told_on_a_loop(journal, function, *args)
    journal.append("begun")
    try:
        result = function(*args)
    except BaseException as error:
        journal.append(type(error).__name__)
        raise
    journal.append("went on")
    return result


async def told_on_a_loop(journal: Journal, function: Callable[..., Any], *args: Any) -> Any:
    journal.append("begun")
    try:
        return await function(*args)
    except BaseException as error:
        journal.append(type(error).__name__)
        raise


def busy(opened: Journal) -> None:
    # Between two looks there is nothing that an interrupt could disturb.
    while len(opened) == 0:
        until = time.monotonic() + 0.01
        while time.monotonic() < until:
            pass


def seceded(opened: Journal) -> None:
    secede()
    busy(opened)


def shielded(opened: Journal) -> None:
    with shield():
        while len(opened) == 0:
            azolla.sleep(0.001)


def wait_for_event() -> None:
    Event("never").wait()


def sleep() -> None:
    azolla.sleep(None)


async def sleep_on_a_loop() -> None:
    await asyncio.sleep(3600)


def fail() -> None:
    raise ValueError


class Counter:
    def hold(self, gate: Gate) -> None:
        gate.hold()


def failed(case: Case) -> Future[Any]:
    future = case.client.submit(fail, pure=False)
    future.exception()
    return future


def finished(case: Case) -> Future[Any]:
    future = case.client.submit(abs, -1, pure=False)
    future.result()
    return future


def cancelled(case: Case) -> Future[Any]:
    future = case.client.submit(case.gate.hold, pure=False)
    case.gate.entered()
    future.cancel()
    return future


def waiting(case: Case) -> Future[Any]:
    held = case.client.submit(case.gate.hold, pure=False)
    case.gate.entered()
    return case.submit(str, held)


def ready(case: Case) -> Future[Any]:
    fire_and_forget(case.client.map(case.gate.hold, range(2), pure=False))
    case.gate.entered(2)
    return case.submit(busy, case.journal)


def call(case: Case, queued: bool) -> Future[Any]:
    counter = case.client.submit(Counter, actor=True, pure=False).result()
    calls = [counter.hold(case.gate) for _ in range(1 + queued)]
    case.gate.entered()
    return calls[-1]


STATES: dict[str, Callable[[Case, Journal], Future[Any]]] = {
    "waiting": lambda case, _: waiting(case),
    "ready": lambda case, _: ready(case),
    "running": lambda case, opened: case.begun(case.submit(busy, opened)),
    "parked": lambda case, _: case.begun(case.submit(wait_for_event), parked=1),
    "asleep": lambda case, _: case.begun(case.submit(sleep), parked=1),
    "seceded": lambda case, opened: case.begun(case.submit(seceded, opened)),
    "shielded": lambda case, opened: case.begun(case.submit(shielded, opened)),
    "a coroutine": lambda case, _: case.begun(case.submit(sleep_on_a_loop)),
    "a call that runs": lambda case, _: call(case, queued=False),
    "a call in the mailbox": lambda case, _: call(case, queued=True),
    "finished": lambda case, _: finished(case),
    "failed": lambda case, _: failed(case),
    "cancelled": lambda case, _: cancelled(case),
}

CANCELS: dict[str, Callable[[Future[Any], Any], object]] = {
    "cancel": lambda future, group: future.cancel(),
    "subtree": lambda future, group: future.cancel(subtree=True),
    "interrupt": lambda future, group: future.cancel(interrupt=True),
    "group": lambda future, group: group.cancel(),
    "group, interrupt": lambda future, group: group.cancel(interrupt=True),
}

NOTHING, GOES_ON = [], ["begun", "went on"]
TOLD, BY_ASYNCIO = ["begun", "Cancelled"], ["begun", "CancelledError"]
INTERRUPTED = {"interrupt", "group, interrupt"}

#: What the function notes: always, and if it is interrupted.
NOTES: dict[str, tuple[list[str], list[str]]] = {
    "running": (GOES_ON, TOLD),
    "seceded": (GOES_ON, TOLD),
    "parked": (TOLD, TOLD),
    "asleep": (TOLD, TOLD),
    # The interrupt comes when the shield ends, if there is time: the function is all but over.
    "shielded": (GOES_ON, GOES_ON),
    "a coroutine": (BY_ASYNCIO, BY_ASYNCIO),
}


@pytest.mark.parametrize("cancel", CANCELS)
@pytest.mark.parametrize("state", STATES)
def test_what_a_cancel_does(client: Client, gate: Gate, journal: Journal, state: str, cancel: str) -> None:
    opened = Journal()
    is_call, by_group = state.startswith("a call"), cancel.startswith("group")
    with client.group(on_error="collect") as group:
        future = STATES[state](Case(client, gate, journal), opened)
        if is_call and cancel == "interrupt":
            with pytest.raises(ValueError, match="a call of an actor is not interrupted"):
                CANCELS[cancel](future, group)
            expected = {"pending"}
        else:
            CANCELS[cancel](future, group)
            expected = {"cancelled"}
        if by_group and state in ("finished", "failed"):
            expected = {"finished" if state == "finished" else "error"}
        assert future.status in expected
        always, interrupted = NOTES.get(state, (NOTHING, NOTHING))
        notes = interrupted if cancel in INTERRUPTED else always
        if "went on" not in notes:
            eventually(lambda: journal == notes, lambda: journal)
        opened.append("opened")
        gate.open()
    if state == "shielded":
        assert journal.entries()[0] == "begun"
    else:
        assert journal == notes
    eventually(lambda: client.counters()["running"] + client.counters()["parked"] == 0)
    assert client.submit(abs, -2).result() == 2


@pytest.mark.parametrize("state", [state for state in STATES if state != "cancelled"])
def test_what_a_close_does(backend: str, gate: Gate, journal: Journal, state: str) -> None:
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(Client(**OPTIONS[backend]))
        opened = Journal()
        stack.callback(opened.append, "opened")
        stack.callback(gate.open)
        future = STATES[state](Case(client, gate, journal), opened)
        before = future.status
        client.close()
        assert future.status == (before if before in ("finished", "error") else "cancelled")
        if before == "pending":
            with pytest.raises(azolla.CancelledByCloseError):
                future.result()
