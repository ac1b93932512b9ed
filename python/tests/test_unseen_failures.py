"""Failures that no caller will see are logged once, with the task's key, its call and the exception."""

from __future__ import annotations

import asyncio
import gc
import logging
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azolla import Client, Future, as_completed, fire_and_forget, get_client, wait
from azolla._cluster import logs
from conftest import PATIENCE, Gate, eventually


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.queue: queue.Queue[logging.LogRecord] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.queue.put(record)

    def next(self) -> tuple[str, BaseException | None]:
        record = self.queue.get(timeout=PATIENCE)
        return record.getMessage(), record.exc_info[1] if record.exc_info else None

    def none_so_far(self, client: Client) -> None:
        """That nothing was logged before what this has logged."""
        fire_and_forget(client.submit(fail, "last", key="last", pure=False))
        assert "task last failed" in self.next()[0]


@pytest.fixture
def records() -> Iterator[Records]:
    records, logger = Records(), logging.getLogger("azolla")
    logger.addHandler(records)
    yield records
    logger.removeHandler(records)


def fail(text: Any, **options: Any) -> None:
    raise ValueError(text)


async def fail_later(text: str) -> None:
    await asyncio.sleep(0)
    raise ValueError(text)


class Counter:
    def fail(self, text: str) -> None:
        raise ValueError(text)


def fails_forgotten(client: Client, gate: Gate) -> None:
    fire_and_forget(client.submit(fail, "no", way=7, key="one"))


def fails_without_a_future(client: Client, gate: Gate) -> None:
    def hold(text: str, way: int) -> None:
        gate.hold()
        fail(text)

    hold.__name__ = "fail"
    future = client.submit(hold, "no", way=7, key="one", pure=False)
    gate.entered()
    del future
    gate.open()


def fails_and_is_dropped(client: Client, gate: Gate) -> None:
    future = client.submit(fail, "no", way=7, key="one")
    wait(future)
    assert future.done()


def fails_on_the_way(client: Client, gate: Gate) -> None:
    first = client.submit(fail, "no", way=7, key="one")
    second = client.submit(abs, first, key="two")
    wait(second)


WAYS = [fails_forgotten, fails_without_a_future, fails_and_is_dropped]


def call_of(name: str, arguments: str, backend: str) -> str:
    """Returns a call as it is logged. What went to a worker process is pickled, and is not unpickled to be shown."""
    return f"{name}({arguments if backend == 'threads' else '...'})"


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_failure_without_a_future_is_logged_with_key_call_and_exception(
    client: Client, backend: str, gate: Gate, records: Records, way: Callable[[Client, Gate], None]
) -> None:
    way(client, gate)
    text, error = records.next()
    call = call_of("fail", "'no', way=7", backend)
    assert text == f"task one failed, and no future shows it: {call}"
    assert isinstance(error, ValueError) and str(error) == "no" and error.__traceback__ is not None
    del error
    records.none_so_far(client)


def test_what_dependents_share_is_logged_once(client: Client, records: Records, gate: Gate) -> None:
    fails_on_the_way(client, gate)
    assert "task two failed" in records.next()[0]
    first = client.submit(fail, "no", key="three")
    fire_and_forget(client.map(abs, [first] * 3, key=["a", "b", "c"]))
    del first
    records.next()
    records.none_so_far(client)


def test_coroutines_are_logged(client: Client, backend: str, records: Records) -> None:
    fire_and_forget(client.submit(fail_later, "async", key="async"))
    call = call_of("fail_later", "'async'", backend)
    assert f"task async failed, and no future shows it: {call}" in records.next()[0]
    records.none_so_far(client)


def test_calls_of_actors_are_logged(client: Client, records: Records) -> None:
    actor: Any = client.submit(Counter, actor=True).result()
    actor.fail("call")
    assert str(records.next()[1]) == "call"
    del actor
    records.none_so_far(client)


def test_what_tasks_forget_is_logged(client: Client, records: Records) -> None:
    def forget() -> None:
        fire_and_forget(get_client().submit(fail, "within", key="within"))

    client.submit(forget, pure=False).result()
    assert str(records.next()[1]) == "within"
    records.none_so_far(client)


def asks_result(client: Client, future: Future[Any]) -> None:
    with pytest.raises(ValueError):
        future.result()


def asks_exception(client: Client, future: Future[Any]) -> None:
    assert future.exception() is not None


def asks_traceback(client: Client, future: Future[Any]) -> None:
    assert future.traceback() is not None


def asks_status(client: Client, future: Future[Any]) -> None:
    wait(future)
    assert future.status == "error"


def asks_repr(client: Client, future: Future[Any]) -> None:
    wait(future)
    assert "error" in repr(future)


def awaits(client: Client, future: Future[Any]) -> None:
    async def main() -> None:
        with pytest.raises(ValueError):
            await future

    asyncio.run(main())


def gathers(client: Client, future: Future[Any]) -> None:
    other = client.submit(fail, "other", pure=False)
    with pytest.raises(ValueError):
        client.gather([future, other])


def skips(client: Client, future: Future[Any]) -> None:
    assert client.gather([future], errors="skip") == []


def completes(client: Client, future: Future[Any]) -> None:
    with pytest.raises(ValueError):
        list(as_completed([future], with_results=True))


def calls_back(client: Client, future: Future[Any]) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    future.add_done_callback(lambda future: seen.put(future.exception()))
    assert seen.get(timeout=PATIENCE) is not None


def cancels(client: Client, future: Future[Any]) -> None:
    wait(future)
    future.cancel()


def waits_in_a_task(client: Client, future: Future[Any]) -> None:
    def parent(futures: list[Future[Any]]) -> str:
        return str(get_client().submit(fail, "child", pure=False).exception())

    assert client.submit(parent, [], pure=False).result() == "child"
    future.exception()


def passes_on(client: Client, future: Future[Any]) -> None:
    assert client.submit(abs, future).exception() is not None


def executes(client: Client, future: Future[Any]) -> None:
    future.exception()
    with client.get_executor(pure=False) as executor:
        assert executor.submit(fail, "no").exception() is not None


SEEN: list[Any] = [
    asks_result, asks_exception, asks_traceback, asks_status, asks_repr, awaits, gathers, skips, completes, calls_back,
    cancels, waits_in_a_task, passes_on,
    executes,
]  # fmt: skip


@pytest.mark.parametrize("see", SEEN, ids=lambda see: see.__name__)
def test_a_failure_that_was_seen_is_not_logged(
    client: Client, records: Records, see: Callable[[Client, Future[Any]], None]
) -> None:
    future = client.submit(fail, "seen", pure=False)
    see(client, future)
    del future
    gc.collect()
    records.none_so_far(client)


def test_what_an_executor_gave_out_and_the_program_dropped_is_not_logged(
    client: Client, records: Records, gate: Gate
) -> None:
    executor = client.get_executor()
    executor.submit(lambda: fail(gate.hold()))
    gate.entered()
    gc.collect()
    gate.open()
    executor.shutdown()
    records.none_so_far(client)


def test_a_failure_that_goes_while_another_is_raised_leaves_that_alone(client: Client, records: Records) -> None:
    # The futures go as the exception leaves `result`, and with them what failed beside the first.
    with pytest.raises(ValueError):
        client.submit(sum, client.map(fail, range(9), pure=False), pure=False).result()
    assert "no future shows it" in records.next()[0]


def test_another_attempt_is_another_failure(client: Client, records: Records) -> None:
    future = client.submit(fail, "no", key="one")
    assert future.exception() is not None
    future.retry()
    wait(future)
    del future
    assert "task one failed" in records.next()[0]


def test_closing_waits_for_what_is_still_to_be_logged(records: Records) -> None:
    with Client(processes=False, threads_per_worker=1, dashboard_address=None) as client:
        fire_and_forget(client.submit(fail, "no", key="one"))
        eventually(lambda: client.counters()["failed"] == 1)
    assert "task one failed" in records.next()[0]


class Awkward(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        raise KeyboardInterrupt


def test_what_cannot_be_put_into_words_is_logged_all_the_same(client: Client, backend: str, records: Records) -> None:
    def fail(value: Any) -> None:
        raise Awkward(value)

    fire_and_forget(client.submit(fail, Awkward(), key="awkward", pure=False))
    text, error = records.next()
    assert text == f"task awkward failed, and no future shows it: {call_of('fail', '<Awkward>', backend)}"
    assert isinstance(error, Awkward)
    fire_and_forget(client.submit(fail, list(range(10**6)), key="long", pure=False))
    assert len(records.next()[0]) < 600


def fail_at_length(number: int) -> None:
    raise ValueError("x" * 6_000_000)


@pytest.mark.parametrize("limit", ["MOST", "MOST_BYTES"])
def test_failures_that_are_too_many_are_counted(
    records: Records, gate: Gate, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    if limit == "MOST":
        monkeypatch.setattr(logs, "MOST", 3)
    which, logged = (fail, 3) if limit == "MOST" else (fail_at_length, 2)
    emit = records.emit

    def hold(record: logging.LogRecord) -> None:
        gate.hold()
        emit(record)

    monkeypatch.setattr(records, "emit", hold)
    with Client(processes=False, threads_per_worker=1, dashboard_address=None) as client:
        fire_and_forget(client.submit(fail, "first", pure=False))
        gate.entered()
        fire_and_forget([client.submit(which, n, pure=False) for n in range(10)])
        eventually(lambda: client.counters()["live"] == 0)
        client.submit(abs, -1).result()
        eventually(lambda: client.cluster._left_out == 10 - logged)
        gate.open()
    texts = [records.next()[0] for _ in range(1 + logged + 1)]
    assert texts[-1].startswith(f"{10 - logged} more tasks failed")


@pytest.mark.own_cluster
def test_counters_tell_of_failures_and_cancellations(client: Client, gate: Gate) -> None:
    failed = client.map(fail, ["a", "b"], pure=False)
    after = client.submit(abs, failed[0])
    wait([*failed, after])
    held = client.submit(gate.hold, pure=False)
    gate.entered()
    waiting = client.map(abs, [held, held], pure=False)
    client.cancel(waiting)
    gate.open()
    held.result()
    eventually(lambda: client.counters()["settled"] == 6)
    counters = client.counters()
    assert (counters["failed"], counters["cancelled"]) == (3, 2)
    assert [future.status for future in failed] == ["error", "error"] and after.status == "error"
