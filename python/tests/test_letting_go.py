"""Futures and graphs that go: in a loop, however deep, and without stopping other threads."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from azolla import Client, Future, FutureCancelledError, wait
from conftest import Gate, Journal, eventually

LIMIT = 60
LONG = 30_000
#: So wide that the thread which lets others run does so hundreds of times: a few turns must come even on a busy machine.
WIDE = 200_000


class Link:
    """A result that holds the future of the task that goes on."""

    def __init__(self, following: Future[Any]) -> None:
        self.following = following


class Box:
    """What is in it is no argument of the task."""

    def __init__(self, inside: Future[Any]) -> None:
        self.inside = inside


def in_an_object(box: Box) -> Link:
    return Link(box.inside)


def itself(box: Box) -> Future[Any]:
    return box.inside


@pytest.mark.parametrize("result", [in_an_object, itself])
def test_a_long_chain_of_results_is_dropped(client: Client, result: Callable[[Box], Any]) -> None:
    held: Any = client.submit(int, pure=False)
    for _ in range(LONG):
        held = client.submit(result, Box(held), pure=False)
    wait(held, LIMIT)
    # On a thread that has little stack.
    box = [held]
    del held
    size = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=box.clear)
        thread.start()
    finally:
        threading.stack_size(size)
    thread.join()
    assert client.submit(int, pure=False).result(LIMIT) == 0


@contextmanager
def counts_turns() -> Iterator[list[int]]:
    """Counts how often another thread has its turn meanwhile."""
    turns, over, begun = [0], threading.Event(), threading.Event()

    def take_turns() -> None:
        while not over.is_set():
            turns[0] += 1
            begun.set()
            time.sleep(0)  # gives the GIL back, so that each turn needs another thread to let go of it

    thread = threading.Thread(target=take_turns)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    begun.wait(LIMIT)
    try:
        yield turns
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_one_cancel_of_a_wide_graph_lets_other_threads_go_on(client: Client, gate: Gate) -> None:
    root = client.submit(gate.hold, pure=False)
    wide = client.map(lambda _, n: n, [root] * WIDE, range(WIDE), pure=False)
    with counts_turns() as turns:
        before = turns[0]
        root.cancel()
        taken = turns[0] - before
    assert taken > 3, f"{taken} turns during one cancel of {WIDE} tasks"
    gate.open()
    assert wide[-1].cancelled()


@pytest.mark.parametrize("ended", [True, False])
def test_dropping_very_many_futures_lets_other_threads_go_on(client: Client, gate: Gate, ended: bool) -> None:
    held = [client.submit(gate.hold, pure=False) for _ in range(0 if ended else 2)]
    futures = client.map(abs, range(WIDE), pure=False)
    if ended:
        client.gather(futures)
    with counts_turns() as turns:
        before = turns[0]
        futures.clear()
        taken = turns[0] - before
    assert taken > 3, f"{taken} turns during one drop of {WIDE} futures"
    gate.open()
    del held


LONG_CALLS: dict[str, Callable[[Client, list[Future[Any]]], object]] = {
    "a pure call": lambda client, futures: client.submit(len, futures),
    "a call": lambda client, futures: client.submit(len, futures, pure=False),
    "a cancel": lambda client, futures: client.cancel(futures),
}


@pytest.mark.parametrize("name", LONG_CALLS)
def test_a_call_with_very_many_futures_lets_other_threads_go_on(client: Client, name: str) -> None:
    futures = client.map(abs, range(WIDE), pure=False)
    wait(futures)
    with counts_turns() as turns:
        before = turns[0]
        LONG_CALLS[name](client, futures)
        taken = turns[0] - before
    assert taken > 3, f"{taken} turns during {name} with {WIDE} futures"


def test_a_task_that_waits_for_its_retry_does_not_run() -> None:
    gates = [threading.Event() for _ in range(3)]
    begun = threading.Event()

    def blocks() -> None:
        begun.set()
        gates[0].wait(LIMIT)

    with Client(threads_per_worker=1, processes=False, dashboard_address=None) as single:
        tried: list[Future[Any]] = []

        def fails_once() -> int:
            if not tried:
                tried.append(single.submit(blocks, priority=10, pure=False))
                raise ValueError("not yet")
            return 1

        future = single.submit(fails_once, retries=1, pure=False)
        assert begun.wait(LIMIT)
        assert "running" not in repr(future)
        gates[0].set()
        assert future.result(LIMIT) == 1


class Tells:
    """A result that cannot be pickled, and notes when it goes."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.lock = journal, threading.Lock()

    def __del__(self) -> None:
        self.journal.append("gone")


def held(gate: Gate, journal: Journal) -> Tells:
    gate.hold()
    return Tells(journal)


async def stubborn(gate: Gate, journal: Journal) -> Tells:
    try:
        gate.enter()
        await asyncio.sleep(LIMIT)
    except asyncio.CancelledError:
        pass
    return Tells(journal)


def fails(gate: Gate, journal: Journal) -> None:
    tells = Tells(journal)
    gate.hold()
    raise ValueError(tells.lock)


def test_a_cancel_lets_go_of_the_result_though_there_is_a_future(client: Client, gate: Gate, journal: Journal) -> None:
    gate.open()
    future = client.submit(held, gate, journal)
    assert client.submit(lambda tells: tells.journal.entries(), future).result(LIMIT) == []
    future.cancel()
    eventually(lambda: journal == ["gone"])
    assert future.status == "cancelled"
    assert client.nbytes() == {}


@pytest.mark.parametrize("task", [held, stubborn, fails])
def test_what_a_cancelled_task_still_makes_is_let_go_of(
    client: Client, gate: Gate, journal: Journal, task: Callable[..., Any]
) -> None:
    future = client.submit(task, gate, journal)
    gate.entered()
    future.cancel()
    gate.open()
    eventually(lambda: journal == ["gone"])
    assert future.status == "cancelled"


def test_a_cancel_lets_go_of_the_error(client: Client, gate: Gate, journal: Journal) -> None:
    gate.open()
    future = client.submit(fails, gate, journal)
    wait(future, LIMIT)
    future.cancel()
    eventually(lambda: journal == ["gone"])


def test_a_cancel_frees_large_results(client: Client) -> None:
    def stored() -> int:
        return sum(stored for *_, stored in client.cluster._figures()[0])

    futures = client.map(bytes, [1_000_000] * 3, pure=False)
    wait(futures, LIMIT)
    client.cancel(futures)
    eventually(lambda: stored() == 0)
    assert client.nbytes() == {}


def test_a_result_that_is_read_while_it_is_cancelled_is_read_whole(client: Client) -> None:
    def reads(future: Future[Any]) -> None:
        while True:
            try:
                assert len(future.result(LIMIT)) == 100_000
            except FutureCancelledError:
                return

    for _ in range(20):
        future = client.submit(bytes, 100_000, pure=False)
        wait(future, LIMIT)
        threads = [threading.Thread(target=reads, args=(future,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        future.cancel()
        for thread in threads:
            thread.join(LIMIT)
