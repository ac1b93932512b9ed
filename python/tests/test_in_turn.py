"""Calls that are made one after the other, each as a whole, whatever interrupts the threads that ask for them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from azolla import Client
from azolla._base import leave
from azolla._cluster import adaptive, coming_and_going, presence
from azolla._run import in_turn
from azolla._run.in_turn import InTurn
from conftest import PATIENCE, eventually
from processes import children
from test_interrupted_anywhere import interrupted_at

OPTIONS: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": None}


def test_calls_are_made_in_their_order_and_one_at_a_time() -> None:
    turn, at_it, seen = InTurn("turn"), threading.Lock(), []

    def call(number: int) -> int:
        with at_it:
            seen.append(number)
        return number

    calls = [turn.call(lambda number=number: call(number)) for number in range(100)]  # type: ignore[misc]
    assert [each.result(PATIENCE) for each in calls] == list(range(100))
    assert seen == list(range(100))


def test_what_a_call_raises_is_raised_where_it_is_waited_for() -> None:
    turn = InTurn("turn")
    for do in (turn.do, turn.do_here):
        with pytest.raises(ZeroDivisionError):
            do(lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    assert turn.call(lambda: 5).result(PATIENCE) == 5


def test_what_a_signal_handler_asks_for_comes_after_what_it_interrupts() -> None:
    turn, asked, seen = InTurn("turn"), threading.Event(), list[str]()

    def handler(*_: object) -> None:
        later = turn.call(lambda: seen.append("handler"))
        asked.set()
        later.result(PATIENCE)

    def call() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert asked.wait(PATIENCE)
        seen.append("call")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        turn.do(call)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == ["call", "handler"]


def test_a_finalizer_within_a_call_does_not_wait() -> None:
    turn, seen = InTurn("turn"), list[str]()

    def call() -> None:
        turn.do(lambda: seen.append("inner"))
        seen.append("outer")

    turn.do(call)
    turn.do(lambda: None)
    assert seen == ["outer", "inner"]


def test_without_a_thread_nothing_is_done_then_or_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    turn, seen = InTurn("turn"), list[int]()
    with monkeypatch.context() as patched:
        patched.setattr(leave, "start", no_thread)
        with pytest.raises(RuntimeError, match="new thread"):
            turn.do(lambda: seen.append(1))
    turn.do(lambda: seen.append(2))
    assert seen == [2]


# --- Workers that come and go


@pytest.fixture
def one() -> Iterator[Client]:
    with Client(n_workers=1, **OPTIONS) as client:
        client.wait_for_workers(1, timeout=PATIENCE)
        yield client


def counts(frame: Any) -> bool:
    return frame.f_code.co_filename in {module.__file__ for module in (adaptive, coming_and_going, in_turn, presence)}


def steps_of(call: Callable[[], object]) -> Iterator[None]:
    """Interrupts a call at one step after the other."""
    step = 0
    while interrupted_at(step, call, counts):
        yield
        step += 1
    assert step > 10


@pytest.mark.parametrize("number", [0, 2])
def test_an_interrupted_scale_loses_no_process(one: Client, number: int) -> None:
    others = children(os.getpid()) - {worker["pid"] for worker in one.scheduler_info()["workers"].values()}
    cluster = one.cluster
    for _ in steps_of(lambda: cluster.scale(number)):
        cluster.scale(1)
        assert len(cluster.workers) == 1
        eventually(lambda: not cluster._leaving and len(children(os.getpid()) - others) <= 1)
    cluster.scale(1)
    assert one.submit(abs, -1).result(PATIENCE) == 1
    one._check()


def test_an_interrupted_retirement_loses_no_process(one: Client) -> None:
    cluster = one.cluster
    for _ in steps_of(lambda: one.retire_workers(list(cluster.workers)[:1])):
        cluster.scale(1)
        assert len(cluster.workers) == 1
        eventually(lambda: not cluster._leaving)
    cluster.scale(1)
    assert one.submit(abs, -1).result(PATIENCE) == 1


def test_an_adaptive_that_an_interrupt_has_left_is_replaced(one: Client) -> None:
    def running() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == f"{one.cluster.name}-adapt"]

    for _ in steps_of(lambda: one.cluster.adapt(minimum=0, maximum=0, interval="1ms", wait_count=1)):
        last = one.cluster.adapt(minimum=1, maximum=1, interval="1ms")
        eventually(lambda last=last: running() == [last._thread])  # type: ignore[misc]
    one.cluster.adapt().stop()
    one.cluster.scale(2)
    eventually(lambda: not running())
    assert len(one.cluster.workers) == 2


def test_a_worker_that_no_thread_would_see_off_stays(one: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    start = leave.start

    def no_thread(thread: threading.Thread) -> None:
        if "leaving" in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(leave, "start", no_thread)
        with pytest.raises(RuntimeError, match="new thread"):
            one.cluster.scale(0)
    assert list(one.cluster.workers) == [0]
    assert not one.cluster._leaving
    assert one.submit(abs, -1).result(PATIENCE) == 1
    one.cluster.scale(0)
    eventually(lambda: not one.cluster._leaving)


def test_a_call_that_is_given_up_before_it_begins_is_not_made() -> None:
    turn, begun, goes_on = InTurn("turn"), threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        assert goes_on.wait(PATIENCE)

    ends: Future[None] = turn.call(first)
    assert begun.wait(PATIENCE)
    seen = list[int]()
    given_up = turn.call(lambda: seen.append(1))
    assert given_up.cancel()
    goes_on.set()
    ends.result(PATIENCE)
    turn.do(lambda: seen.append(2))
    assert seen == [2]
