"""`get_executor`: real futures of `concurrent.futures`, CPython's own tests, and what asks for an executor."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import pickle
import threading
import uuid
import weakref
from datetime import timedelta
from typing import Any

import adaptive
import azolla
import processes
import pytest
from azolla import Client, ClientExecutor, Future, get_client, get_worker
from azolla._azolla import cancel_unless_begun, has_begun
from backends import BACKENDS, Reason, threads_only
from conftest import PATIENCE, Gate, Journal, eventually


@pytest.mark.parametrize("own", BACKENDS)
def test_cpythons_own_tests_pass(own: str) -> None:
    ended = processes.run("cpython_executor.py", own)
    if ended.code == 77:
        pytest.skip("neither this Python nor Debian has CPython's tests here")
    assert ended.code == 0, ended.stdout + ended.stderr


def test_futures_are_those_of_the_standard_library(client: Client) -> None:
    with client.get_executor() as executor:
        futures = [executor.submit(pow, 2, n) for n in range(5)]
        assert all(isinstance(future, concurrent.futures.Future) for future in futures)
        done, not_done = concurrent.futures.wait(futures, timeout=PATIENCE)
        assert (len(done), len(not_done)) == (5, 0)
        assert sum(future.result() for future in concurrent.futures.as_completed(futures)) == 31


def test_what_is_submitted_twice_runs_twice_unless_it_is_said_to_be_pure(
    client: Client, gate: Gate, journal: Journal
) -> None:
    def counted(n: int) -> Any:
        journal.append(n)
        return gate.hold(n)

    with client.get_executor() as impure, client.get_executor(pure=True) as pure:
        futures = [executor.submit(counted, 1) for executor in (impure, impure, pure, pure)]
        gate.open()
        assert [future.result() for future in futures] == [1, 1, 1, 1]
    assert journal == [1, 1, 1]


def test_an_exception_is_the_tasks_own(client: Client, backend: str) -> None:
    raised = OSError("the disk is full")

    def fail() -> None:
        raise raised

    future = client.get_executor().submit(fail)
    error = future.exception(PATIENCE)
    assert error is raised if backend == "threads" else repr(error) == repr(raised)
    assert error is not None and error is future.exception()
    assert [note.rpartition("-")[0][:25] for note in error.__notes__] == [
        "in the azolla task fail-" + error.__notes__[0][24:25]
    ]


def test_it_is_tried_again_as_often_as_said(client: Client, journal: Journal) -> None:
    def unsteady(journal: Journal) -> int:
        journal.append("tried")
        if len(journal) < 3:
            raise ValueError
        return len(journal)

    assert client.get_executor(retries=2).submit(unsteady, journal).result(PATIENCE) == 3


def test_priorities_hold(one_slot: Client, gate: Gate, journal: Journal) -> None:
    first = one_slot.submit(gate.hold)
    gate.entered()
    low = one_slot.get_executor(priority=-1).map(journal.append, ["low"])
    high = one_slot.get_executor(priority=1).map(journal.append, ["high"])
    gate.open()
    first.result()
    assert [*low, *high] == [None, None]
    assert journal == ["high", "low"]


@threads_only(Reason.FRAMES)
def test_closing_the_map_iterator_cancels_the_rest(one_slot: Client, gate: Gate) -> None:
    executor = one_slot.get_executor()
    seen: list[int] = []

    def see(n: int) -> None:
        seen.append(n)
        if n == 1:
            gate.hold()

    results = executor.map(see, range(10))
    next(results)
    gate.entered()
    results.close()  # type: ignore[attr-defined]
    assert one_slot.counters()["ready"] == 0
    gate.open()
    executor.shutdown()
    assert seen == [0, 1]


def test_a_wait_that_is_out_of_time_tells_what_has_ended(client: Client, gate: Gate) -> None:
    executor = client.get_executor()
    ended, held = executor.submit(pow, 6, 2), executor.submit(gate.hold, "held")
    assert ended.result(PATIENCE) == 36
    gate.entered()
    assert concurrent.futures.wait([ended, held], timeout=0.01) == ({ended}, {held})
    with pytest.raises(TimeoutError):
        held.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        held.exception(timeout=0.01)
    with pytest.raises(TimeoutError, match=r"1 \(of 2\) futures unfinished"):
        list(concurrent.futures.as_completed([ended, held], timeout=0.01))
    gate.open()
    assert concurrent.futures.wait([ended, held], timeout=PATIENCE) == ({ended, held}, set())


def test_a_map_that_is_out_of_time_says_so_and_cancels_the_rest(one_slot: Client, gate: Gate, journal: Journal) -> None:
    executor = one_slot.get_executor()
    held = executor.submit(gate.hold)
    gate.entered()
    results = executor.map(journal.append, range(3), timeout=0)
    assert one_slot.counters()["ready"] == 3
    with pytest.raises(TimeoutError):
        next(results)
    assert one_slot.counters()["ready"] == 0
    gate.open()
    held.result()
    eventually(lambda: one_slot.counters()["live"] == 0)
    assert journal == []


def test_shutdown_can_cancel_what_has_not_begun(one_slot: Client, gate: Gate) -> None:
    executor = one_slot.get_executor()
    running = executor.submit(gate.hold, "held")
    gate.entered()
    waiting = [executor.submit(abs, n) for n in range(5)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert running.running()
    assert not running.cancel()
    assert all(future.cancelled() for future in waiting)
    gate.open()
    assert running.result() == "held"
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)
    assert one_slot.submit(abs, -1).result() == 1


@threads_only(Reason.OBJECTS)
def test_a_call_that_shuts_its_own_executor_down_is_told_that_it_would_wait_for_itself(client: Client) -> None:
    def shut_down(executor: ClientExecutor) -> None:
        executor.shutdown()

    def leave(executor: ClientExecutor) -> None:
        with executor:
            pass

    async def shut_down_on_a_loop(executor: ClientExecutor) -> None:
        executor.shutdown()

    for call in (shut_down, leave, shut_down_on_a_loop):
        executor = client.get_executor()
        with pytest.raises(RuntimeError, match="wait for that call"):
            executor.submit(call, executor).result(PATIENCE)
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.submit(abs, -1)
    executor = client.get_executor()
    executor.submit(executor.shutdown, wait=False).result(PATIENCE)
    other = client.get_executor()
    client.get_executor().submit(other.shutdown).result(PATIENCE)


def test_waiting_for_it_in_a_task_takes_no_slot(one_slot: Client) -> None:
    executor = one_slot.get_executor()

    def down(n: int) -> int:
        if n == 0:
            return 0
        with get_client().get_executor() as inner:
            return 1 + inner.submit(down, n - 1).result() + len(list(inner.map(abs, [])))

    assert executor.submit(down, 5).result(PATIENCE) == 5


def test_waits_end_when_the_client_is_closed(gate: Gate, backend: str) -> None:
    client = Client(processes=backend == "processes", n_workers=1, threads_per_worker=1)
    executor = client.get_executor()
    running, waiting = executor.submit(gate.hold), executor.submit(abs, 1)
    gate.entered()
    closing = threading.Thread(target=client.close)
    closing.start()
    assert isinstance(concurrent.futures.wait([waiting], PATIENCE).done, set)
    assert waiting.cancelled()
    with pytest.raises(azolla.CancelledError):
        running.result(PATIENCE)
    gate.open()
    closing.join()
    with pytest.raises(azolla.ClosedClientError):
        executor.submit(abs, 1)
    with pytest.raises(azolla.ClosedClientError):
        client.get_executor()


def test_azollas_futures_are_resolved_and_their_failures_passed_on(client: Client) -> None:
    executor = client.get_executor()
    assert executor.submit(pow, client.submit(abs, -2), 3).result() == 8
    failed = client.submit(int, "seven")
    assert repr(executor.submit(abs, failed).exception()) == repr(failed.exception())


def test_coroutine_functions_run(client: Client) -> None:
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    executor = client.get_executor()
    assert executor.submit(double, 4).result() == 8


def test_bad_arguments_are_refused(client: Client) -> None:
    with pytest.raises(TypeError, match=r"unsupported arguments to ClientExecutor: \['priorty'\]"):
        client.get_executor(priorty=1)
    with pytest.raises(TypeError, match="takes a function first"):
        client.get_executor().submit(1)  # type: ignore[arg-type]


NAMES = (
    "key",
    "workers",
    "retries",
    "priority",
    "pure",
    "resources",
    "actor",
    "func",
    "self",
    "fn",
    "args",
    "kwargs",
    "timeout",
)


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_keywords_are_the_functions_own(client: Client, name: str, pure: bool) -> None:
    def keywords(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    executor = client.get_executor(pure=pure)
    assert executor.submit(keywords, **{name: 1}).result() == {name: 1}
    # azolla's futures among them are resolved, whatever they are called.
    assert executor.submit(keywords, **{name: [client.submit(abs, -2)]}).result() == {name: [2]}


def test_pure_calls_share_their_task_with_the_clients(client: Client) -> None:
    def unique(n: int, key: int = 0) -> str:
        return uuid.uuid4().hex

    executor = client.get_executor(pure=True)
    future = client.submit(unique, 1)
    assert executor.submit(unique, 1).result() == future.result()
    one, two = executor.submit(unique, 1, key=5), executor.submit(unique, 1, key=6)
    assert one.result() != two.result()


def test_timeouts_may_be_text(client: Client, gate: Gate) -> None:
    executor = client.get_executor()
    held = executor.submit(gate.hold, 1)
    for waits in (held.result, held.exception):
        with pytest.raises(TimeoutError):
            waits(timeout="10ms")
    with pytest.raises(TimeoutError):
        list(executor.map(gate.hold, [2], timeout="10ms"))
    gate.open()
    assert list(executor.map(abs, [-1, -2], timeout=timedelta(minutes=2), chunksize=2)) == [1, 2]


def test_shutdown_without_waiting_cancels_nothing(one_slot: Client, gate: Gate) -> None:
    executor = one_slot.get_executor()
    held, queued = executor.submit(gate.hold, 1), executor.submit(abs, -2)
    gate.entered()
    executor.shutdown(wait=False)
    assert not held.done() and not queued.done()
    gate.open()
    assert (held.result(), queued.result()) == (1, 2)


# --- In worker processes


def test_a_result_is_unpickled_once(client: Client) -> None:
    future = client.get_executor().submit(list, "ab")
    assert future.result() is future.result()


def test_a_failed_call_goes_without_the_garbage_collector(client: Client) -> None:
    executor = client.get_executor()
    gc.collect()
    gc.disable()
    try:
        future = executor.submit(int, "seven")
        assert type(future.exception()) is ValueError
        gone = weakref.ref(future)
        del future
        eventually(lambda: gone() is None)
    finally:
        gc.enable()


def test_a_chunk_of_a_map_is_a_task(client: Client, backend: str) -> None:
    def submitted() -> int:
        return client.counters()["submitted"]

    executor, before = client.get_executor(), submitted()
    assert list(executor.map(pow, range(10), range(10), chunksize=4)) == [n**n for n in range(10)]
    assert submitted() - before == (10 if backend == "threads" else 3)
    results = executor.map(divmod, [1, 1, client.submit(abs, -5), 1, 1], [2, 3, 2, 0, 5], chunksize=3)
    assert [next(results) for _ in range(3)] == [(0, 1), (0, 1), (2, 1)]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_neither_an_executor_nor_its_future_travels(client: Client) -> None:
    executor = client.get_executor()
    with pytest.raises(TypeError, match=r"a task makes its own, by get_client\(\).get_executor\(\)"):
        pickle.dumps(executor)
    with pytest.raises(TypeError, match=r"cannot pickle '(Executor|Process)Future' object"):
        pickle.dumps(executor.submit(abs, -1))


def test_what_cannot_be_pickled_is_an_error_at_the_submit(client: Client, backend: str) -> None:
    with client.get_executor() as executor:
        if backend == "threads":
            assert executor.submit(id, threading.Lock()).result() > 0
            return
        with pytest.raises(TypeError, match="cannot pickle"):
            executor.submit(id, threading.Lock())
        assert list(executor.map(abs, [-1])) == [1]


def test_a_task_too_cancels_only_what_has_not_begun(one_slot: Client) -> None:
    def cancels() -> Any:
        ended = get_client().submit(abs, -1)
        ended.result()
        late = has_begun(ended), cancel_unless_begun(ended)
        me = Future("me", get_client())
        return late, has_begun(me), cancel_unless_begun(me), cancel_unless_begun(get_client().submit(abs, me))

    assert one_slot.submit(cancels, key="me").result() == ((False, False), True, False, True)


# --- What asks for an executor


def test_asyncio_runs_in_it(client: Client) -> None:
    def here() -> str:
        return get_worker().address

    async def main() -> tuple[int, str]:
        loop = asyncio.get_running_loop()
        executor = client.get_executor()
        value = await loop.run_in_executor(executor, pow, 2, 10)
        loop.set_default_executor(executor)
        return value, await loop.run_in_executor(None, here)

    value, worker = asyncio.run(main())
    assert value == 1024 and worker in client.scheduler_info()["workers"]


@threads_only(Reason.CONTEXT)
def test_asyncio_puts_functions_on_its_threads(client: Client) -> None:
    async def main() -> object:
        asyncio.get_running_loop().set_default_executor(client.get_executor())
        return await asyncio.to_thread(lambda: get_worker().client)

    assert asyncio.run(main()) is client


def test_adaptive_learns_with_it(client: Client) -> None:
    learner = adaptive.Learner1D(lambda x: x**2, bounds=(-1, 1))
    executor = client.get_executor()
    assert isinstance(executor, ClientExecutor)
    adaptive.BlockingRunner(learner, npoints_goal=20, executor=executor, raise_if_retries_exceeded=True)
    assert learner.npoints >= 20
    assert all(learner.data[x] == x**2 for x in learner.data)
