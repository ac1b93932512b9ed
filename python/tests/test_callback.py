"""`Future.add_done_callback`."""

from __future__ import annotations

import gc
import queue
import sys
import threading
from typing import Any

import pytest
from azolla import Client, Future, FutureCancelledError
from backends import OPTIONS
from conftest import PATIENCE, Gate, Journal


def inc(x: int) -> int:
    return x + 1


def fail() -> None:
    raise ValueError("no")


class Calls:
    """A callback that notes what it is called with, and where."""

    def __init__(self) -> None:
        self.queue: queue.Queue[tuple[Any, threading.Thread]] = queue.Queue()

    def __call__(self, future: Future[Any]) -> None:
        self.queue.put((future, threading.current_thread()))

    def next(self) -> tuple[Any, threading.Thread]:
        return self.queue.get(timeout=PATIENCE)


def test_called_with_the_future_off_the_callers_thread(client: Client, gate: Gate) -> None:
    calls = Calls()
    future = client.submit(gate.hold, 1, pure=False)
    future.add_done_callback(calls)
    assert calls.queue.empty()
    gate.open()
    called, thread = calls.next()
    assert called is future
    assert called.status == "finished"
    assert thread is not threading.current_thread()


def test_when_it_has_ended_already(client: Client) -> None:
    calls = Calls()
    future = client.submit(inc, 1)
    future.result()
    future.add_done_callback(calls)
    called, thread = calls.next()
    assert called is future
    assert thread is not threading.current_thread()


def test_on_an_error(client: Client) -> None:
    calls = Calls()
    client.submit(fail).add_done_callback(calls)
    assert calls.next()[0].status == "error"


def test_on_an_inputs_error(client: Client) -> None:
    calls = Calls()
    client.submit(inc, client.submit(fail)).add_done_callback(calls)
    assert calls.next()[0].status == "error"


def test_on_a_cancellation(client: Client, gate: Gate) -> None:
    calls = Calls()
    future = client.submit(gate.hold, pure=False)
    dependent = client.submit(inc, future)
    future.add_done_callback(calls)
    dependent.add_done_callback(calls)
    future.cancel()
    assert {calls.next()[0] for _ in range(2)} == {future, dependent}
    future.add_done_callback(calls)
    assert calls.next()[0] is future


def test_on_one_that_was_released(client: Client) -> None:
    calls = Calls()
    future = client.submit(inc, 1)
    future.release()
    future.add_done_callback(calls)
    called, _ = calls.next()
    assert called is future
    with pytest.raises(FutureCancelledError):
        called.result()


def test_each_as_often_as_added_and_in_order(client: Client, gate: Gate) -> None:
    order: queue.Queue[int] = queue.Queue()
    future = client.submit(gate.hold, pure=False)
    for number in (1, 2, 2, 3):
        future.add_done_callback(lambda _, number=number: order.put(number))
    gate.open()
    assert [order.get(timeout=PATIENCE) for _ in range(4)] == [1, 2, 2, 3]


def test_called_though_the_future_is_dropped(client: Client, gate: Gate) -> None:
    calls = Calls()
    future = client.submit(gate.hold, 1, pure=False)
    gate.entered()
    future.add_done_callback(calls)
    del future
    gc.collect()
    gate.open()
    assert calls.next()[0].result() == 1


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_an_exception_in_one_is_shown_and_the_next_is_called(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: shown.append((args.exc_type, str(args.exc_value))))
    calls = Calls()

    def bad(_: object) -> None:
        raise error("in a callback")

    future = client.submit(inc, 1)
    future.add_done_callback(bad)
    future.add_done_callback(calls)
    calls.next()
    assert shown == [(error, "in a callback")]


def test_it_may_submit_and_wait(client: Client) -> None:
    results: queue.Queue[int] = queue.Queue()
    client.submit(inc, 1).add_done_callback(lambda future: results.put(client.submit(inc, future).result()))
    assert results.get(timeout=PATIENCE) == 3


def test_a_failed_one_that_is_retried_calls_once(client: Client, journal: Journal) -> None:
    calls = Calls()

    def flaky() -> None:
        journal.append("run")
        if len(journal) == 1:
            raise ValueError("first")

    future = client.submit(flaky, pure=False)
    future.add_done_callback(calls)
    assert calls.next()[0].status == "error"
    future.retry()
    assert future.result() is None
    assert calls.queue.empty()


def test_thousands(client: Client) -> None:
    results: queue.Queue[int] = queue.Queue()
    futures = client.map(inc, range(3_000))
    for future in futures:
        future.add_done_callback(lambda future: results.put(future.result()))
    assert sorted(results.get(timeout=PATIENCE) for _ in futures) == list(range(1, 3_001))


def test_on_closing(gate: Gate) -> None:
    calls = Calls()
    client = Client(processes=False, threads_per_worker=1, set_as_default=False)
    busy, queued = client.map(gate.hold, range(2), pure=False)
    gate.entered()
    queued.add_done_callback(calls)
    gate.open()
    client.close()
    assert calls.next()[0] is queued
    del busy


def test_one_that_is_added_when_the_client_is_closed(backend: str) -> None:
    calls = Calls()
    client = Client(**OPTIONS[backend], set_as_default=False)
    futures = client.map(abs, range(3))
    futures[0].add_done_callback(calls)
    assert calls.next()[0] is futures[0]
    client.close()
    for future in futures:
        future.add_done_callback(calls)
        assert calls.next()[0] is future
    # Neither thread stays.
    assert not [thread for thread in threading.enumerate() if thread.name == f"{client.cluster.name}-callbacks"]


def test_an_end_is_told_while_an_exception_goes_through_the_thread(one_slot: Client, gate: Gate) -> None:
    told: list[Any] = []

    class Loop:
        def call_soon_threadsafe(self, callback: Any) -> None:
            told.append(callback)

    busy = one_slot.submit(gate.hold, 1)
    gate.entered()
    waiting = [one_slot.submit(inc, 1, pure=False)]
    listening = waiting[0]._listen(Loop(), "told")  # type: ignore[attr-defined]
    with pytest.raises(TimeoutError):
        # The future goes while the exception is raised, and the task is cancelled with it.
        waiting.pop().result(timeout=0)
    assert told == ["told"]
    gate.open()
    assert busy.result() == 1
    del listening


def hook_that_raises(_: Any) -> None:
    raise RuntimeError("not even shown")


@pytest.mark.parametrize("hook", [sys.__unraisablehook__, hook_that_raises])
def test_one_that_raises_is_shown_and_keeps_no_other_from_being_called(
    client: Client, hook: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", hook)
    called = threading.Event()

    def fail(_: Future[int]) -> None:
        raise ValueError("deliberate")

    future = client.submit(abs, -1)
    future.add_done_callback(fail)
    future.add_done_callback(lambda _: called.set())
    assert called.wait(PATIENCE)
    shown = capsys.readouterr().err
    message = "ValueError: deliberate" if hook is sys.__unraisablehook__ else "RuntimeError: not even shown"
    assert shown.startswith("Exception in")
    assert shown.endswith(f"{message}\n")
