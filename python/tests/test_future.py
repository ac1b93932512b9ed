"""`Future`: what it says, and how long it counts."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from azolla import Client, Future, FutureCancelledError, get_client, wait
from backends import Reason, threads_only
from conftest import Gate, Journal, eventually, nothing_is_kept


def inc(x: int) -> int:
    return x + 1


def fail() -> None:
    raise ValueError("no")


def test_status_done_and_type(client: Client, gate: Gate) -> None:
    held = client.submit(gate.hold, 1, pure=False)
    assert (held.status, held.done(), held.cancelled(), held.type) == ("pending", False, False, None)
    gate.open()
    held.result()
    assert (held.status, held.done(), held.cancelled(), held.type) == ("finished", True, False, int)
    bad = client.submit(fail)
    assert type(bad.exception()) is ValueError
    assert (bad.status, bad.done(), bad.cancelled(), bad.type) == ("error", True, False, None)


class Notes:
    """Notes each time that it is unpickled."""

    def __init__(self, journal: Journal, fails: bool) -> None:
        self.journal, self.fails = journal, fails

    def __reduce__(self) -> Any:
        return unpickled, (self.journal, self.fails)


def unpickled(journal: Journal, fails: bool) -> Notes:
    journal.append("unpickled")
    if fails:
        raise ValueError("it cannot be unpickled")
    return Notes(journal, fails)


@pytest.mark.parametrize("fails", [False, True])
def test_what_shows_a_future_unpickles_nothing(client: Client, journal: Journal, fails: bool) -> None:
    future = client.submit(Notes, journal, fails)
    wait(future)
    assert "finished" in repr(future)
    assert "finished" in future._repr_html_()
    assert journal == []
    if fails and client.cluster._has_processes:
        assert future.type is None
    else:
        assert future.type is Notes


def test_result_exception_and_traceback(client: Client) -> None:
    good, bad = client.submit(inc, 1), client.submit(fail)
    assert (good.result(), good.exception(), good.traceback()) == (2, None, None)
    assert type(bad.exception()) is ValueError
    traceback = bad.traceback()
    assert traceback is not None
    assert traceback.tb_frame.f_code.co_name == fail.__name__
    with pytest.raises(ValueError, match="no"):
        bad.result()


@pytest.mark.parametrize("method", ["result", "exception", "traceback"])
@pytest.mark.parametrize("timeout", [0, 0.01, "10ms", -1])
def test_timeouts(client: Client, gate: Gate, method: str, timeout: object) -> None:
    held = client.submit(gate.hold, 1, pure=False)
    with pytest.raises(TimeoutError):
        getattr(held, method)(timeout)
    gate.open()
    held.result(timeout=60)
    getattr(held, method)(timeout=timeout)


@pytest.mark.parametrize("timeout", ["soon", [], float("nan")])
def test_a_bad_timeout_is_refused_whether_or_not_it_is_waited(client: Client, timeout: object) -> None:
    future = client.submit(inc, 1)
    for _ in range(2):
        with pytest.raises((TypeError, ValueError), match="timeout"):
            future.result(timeout)
        assert future.result() == 2


def test_an_endless_timeout(client: Client) -> None:
    assert client.submit(inc, 1).result(timeout=float("inf")) == 2
    assert client.submit(inc, 2).result(timeout=1e300) == 3


def test_the_client(client: Client) -> None:
    assert client.submit(inc, 1).client is client


def test_it_is_equal_to_itself_alone(client: Client) -> None:
    first, second = client.submit(inc, 1), client.submit(inc, 1)
    assert first == first
    assert first != second
    assert len({first, second}) == 2


def test_repr(client: Client, gate: Gate, backend: str) -> None:
    held = client.submit(gate.hold, 1, key="held")
    gate.entered()
    assert repr(held) == "<Future: running, key: held>"
    gate.open()
    held.result()
    # The pickle that a worker process has sent is not read for this.
    type_ = "type: int, " if backend == "threads" else ""
    assert repr(held) == f"<Future: finished, {type_}key: held>"
    queued = Gate()
    busy = client.map(queued.hold, range(2), pure=False)
    waiting = client.submit(inc, 1, key="waiting")
    assert repr(waiting) == "<Future: pending, key: waiting>"
    queued.open()
    client.gather(busy)
    bad = client.submit(fail, key="bad")
    assert bad.exception() is not None
    assert repr(bad) == "<Future: error, exception: ValueError('no'), key: bad>"
    bad.cancel()
    assert repr(bad) == "<Future: cancelled, key: bad>"


def test_html_is_escaped(client: Client) -> None:
    class Odd:
        pass

    Odd.__qualname__ = "<Odd>"
    future = client.submit(Odd, key="<script>&")
    future.result()
    html = future._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;&amp;" in html
    assert ("&lt;Odd&gt;" in html) is not client.cluster._has_processes
    assert "finished" in html


def test_a_released_future_reads_cancelled(client: Client) -> None:
    future = client.submit(inc, 1)
    key = future.key
    assert future.result() == 2
    future.release()
    future.release()
    assert (future.key, future.status, future.type) == (key, "cancelled", None)
    assert future.done()
    assert future.cancelled()
    assert repr(future) == f"<Future: cancelled, key: {key}>"
    assert future.exception() is None
    assert future.traceback() is None
    with pytest.raises(FutureCancelledError, match="released"):
        future.result()
    with pytest.raises(FutureCancelledError, match="released"):
        client.submit(inc, future)
    with pytest.raises(FutureCancelledError, match="released"):
        future.retry()
    future.cancel()


def test_releasing_one_of_two_keeps_the_task(client: Client) -> None:
    first, second = client.submit(inc, 1), client.submit(inc, 1)
    first.release()
    assert second.result() == 2


def test_what_nobody_wants_is_not_run(client: Client, gate: Gate, journal: Journal) -> None:
    held = client.map(gate.hold, range(2), pure=False)
    gate.entered(2)
    futures = client.map(journal.append, range(1_000), pure=False)
    del futures
    eventually(lambda: client.counters()["live"] == 2)
    gate.open()
    client.gather(held)
    assert client.submit(inc, 1).result() == 2
    assert journal == []


@threads_only(Reason.OBJECTS)
def test_results_go_with_their_futures(client: Client) -> None:
    class Result:
        pass

    future = client.submit(Result, pure=False)
    alive = weakref.ref(future.result())
    copy = Future(future.key, client)
    del future
    gc.collect()
    assert alive() is not None
    del copy
    eventually(lambda: gc.collect() >= 0 and alive() is None)


def test_arguments_go_when_the_task_is_done(client: Client) -> None:
    class Argument:
        pass

    argument = Argument()
    alive = weakref.ref(argument)
    future = client.submit(id, argument, pure=False)
    del argument
    future.result()
    eventually(lambda: alive() is None)
    assert future.done()


def test_inputs_go_with_what_wanted_them(client: Client) -> None:
    leaf = client.submit(inc, client.submit(inc, client.submit(inc, 1)))
    assert leaf.result() == 4
    eventually(lambda: client.counters()["kept"] == 1)


def test_a_failure_that_was_raised_keeps_no_frames(client: Client) -> None:
    # The traceback holds the frame, the frame the future, and the future the exception.
    class Local:
        pass

    alive: list[weakref.ref[Local]] = []

    def work() -> None:
        local = Local()
        alive.append(weakref.ref(local))
        inner = client.submit(fail)
        outer = client.submit(lambda x: x, inner)
        for future in (inner, outer, inner):
            with pytest.raises(ValueError, match="no"):
                future.result()
        with pytest.raises(ValueError, match="no"):
            client.gather([inner, outer])

    work()
    eventually(lambda: nothing_is_kept(client))
    assert alive[0]() is None


def test_nor_does_one_that_went_through_several_tasks(client: Client) -> None:
    def parent() -> Any:
        return get_client().submit(fail, pure=False).result()

    def work() -> None:
        future = client.submit(parent, pure=False)
        with pytest.raises(ValueError, match="no"):
            future.result()

    work()
    eventually(lambda: nothing_is_kept(client))


def test_an_exception_that_is_held_keeps_its_traceback(client: Client) -> None:
    future = client.submit(fail)
    held: list[BaseException] = []
    try:
        future.result()
    except ValueError as error:
        held.append(error)
    gc.collect()
    traceback = held[0].__traceback__
    assert traceback is not None
    assert traceback.tb_frame.f_code is test_an_exception_that_is_held_keeps_its_traceback.__code__
    del traceback
    held.clear()


def test_a_key_that_is_not_there_is_lost(client: Client) -> None:
    future = Future("nowhere", client)
    assert future.status == "lost"
    assert future.done()
    with pytest.raises(FutureCancelledError):
        future.result()


def test_generic(client: Client) -> None:
    assert Future[int] is not None


@pytest.mark.parametrize("fails", [False, True])
def test_a_future_that_its_own_task_refers_to_can_be_collected(client: Client, fails: bool) -> None:
    class Owner:
        future: Any = None

        def work(self) -> Any:
            if fails:
                error = ValueError("no")
                raise error
            return self

    owner = Owner()
    owner.future = client.submit(owner.work, pure=False)
    wait(owner.future)
    alive = weakref.ref(owner)
    del owner
    eventually(lambda: gc.collect() >= 0 and alive() is None)


@threads_only(Reason.OBJECTS)
def test_a_failure_that_is_kept_in_a_variable_can_be_collected(client: Client) -> None:
    def work() -> None:
        kept = ValueError("no")

        def task() -> None:
            raise kept

        future = client.submit(task, pure=False)
        try:
            future.result()
        except ValueError as error:
            again = error
        assert again is kept

    work()
    eventually(lambda: nothing_is_kept(client))


@threads_only(Reason.OBJECTS)
def test_what_is_shared_is_not_collected(client: Client) -> None:
    class Held:
        pass

    held = Held()
    held.cycle = held  # type: ignore[attr-defined]
    first = client.submit(lambda value: value, held, key="shared")
    second = Future("shared", client)
    failed = client.submit(fail, key="failed")
    dependent = client.submit(inc, failed)
    wait([first, failed, dependent])
    del held, failed
    gc.collect()
    assert first.result().cycle is second.result()
    with pytest.raises(ValueError, match="no"):
        dependent.result()
    del first
    gc.collect()
    assert second.result().cycle is second.result()
    assert dependent.exception().args == ("no",)


def test_an_input_may_be_released_before_the_task_begins(one_slot: Client, gate: Gate) -> None:
    one, held = one_slot.submit(abs, -1), one_slot.submit(gate.hold)
    gate.entered()
    dependent = one_slot.submit(sum, [one, one])
    one.release()
    gate.open()
    assert dependent.result() == 2
    held.result()
