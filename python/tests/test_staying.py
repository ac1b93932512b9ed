"""Results that cannot be pickled: they stay in their worker process, and the tasks that need them run there."""

from __future__ import annotations

import gc
import os
import random
import signal
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azolla import Client, KilledWorker, get_client, wait
from conftest import PATIENCE, Gate, eventually, nothing_is_kept


@pytest.fixture(params=[1, 2])
def two(request: pytest.FixtureRequest) -> Iterator[Client]:
    with Client(n_workers=2, threads_per_worker=request.param, dashboard_address=None) as client:
        yield client
        client._check()
        eventually(lambda: nothing_is_kept(client))


class Held:
    """Cannot be pickled. Counts in its process how many of its kind there are."""

    def __init__(self, value: int = 0) -> None:
        self.value, self.process, self.lock = value, os.getpid(), threading.Lock()


def held(value: int = 0) -> Held:
    return Held(value)


def value(one: Held, *others: Held) -> int:
    with one.lock:
        assert {other.process for other in (one, *others)} == {os.getpid()}
        return one.value + sum(other.value for other in others)


def grown(one: Held, by: int) -> Held:
    return Held(value(one) + by)


def process(one: Held) -> int:
    return one.process


def living() -> int:
    gc.collect()
    return sum(type(thing).__name__ == "Held" for thing in gc.get_objects())


def in_two_processes(client: Client) -> tuple[Any, Any]:
    """Makes two that are in different processes."""
    one, other = (client.submit(held, pure=False, workers=[worker]) for worker in (0, 1))
    wait([one, other], timeout=PATIENCE)
    return one, other


def test_tasks_that_need_it_run_where_it_is(two: Client) -> None:
    for future in in_two_processes(two):
        values = two.map(lambda one, x: value(one) + x, [future] * 40, range(40), pure=False)
        assert two.gather(values) == list(range(40))
    # Also those that were there before it.
    chains = [two.submit(held, n, pure=False) for n in range(20)]
    for by in range(5):
        chains = two.map(grown, chains, [by] * 20, pure=False)
    assert two.gather(two.map(value, chains)) == [n + 10 for n in range(20)]
    connection = two.submit(sqlite3.connect, ":memory:", check_same_thread=False)
    assert two.submit(lambda it: it.execute("select 1 + 1").fetchall(), connection).result() == [(2,)]


def test_who_asks_for_it_elsewhere_gets_an_error(two: Client) -> None:
    one, other = in_two_processes(two)
    assert one.status == "finished" and one.exception() is None
    for ask in (one.result, lambda: two.gather([one, other]), lambda: two.gather({"it": one})):
        with pytest.raises(TypeError, match=r"cannot pickle .*lock.*\nthe result of held-.* so it stays in worker"):
            ask()

    class Asks:
        """Has a future where it is not replaced by its result."""

        def __init__(self, future: Any) -> None:
            self.future = future

        def __call__(self) -> Any:
            try:
                return self.future.result(PATIENCE).process == os.getpid()
            except TypeError as error:
                return error.__notes__[0]

    assert two.submit(Asks(one), workers=[0]).result() is True
    assert "stays in worker 0" in two.submit(Asks(one), workers=[1]).result()


def test_a_task_that_cannot_run_where_it_is_says_so(two: Client) -> None:
    one, other = in_two_processes(two)
    with pytest.raises(TypeError, match="cannot be pickled and stay in different processes: workers 0 and 1"):
        two.submit(value, one, other).result()
    with pytest.raises(TypeError, match="stays in worker 0, where it may not run"):
        two.submit(value, one, workers=[1]).result()
    # A wish is none of that.
    assert two.submit(process, one, workers=[1], allow_other_workers=True).result() == two.submit(process, one).result()


def test_it_goes_with_its_last_future(two: Client) -> None:
    futures = two.map(held, range(20), pure=False)
    wait(futures, timeout=PATIENCE)
    assert sum(two.run(living).values()) == 20
    assert two.submit(value, futures[0]).result() == 0
    del futures
    eventually(lambda: sum(two.run(living).values()) == 0)


def test_it_is_gone_with_its_process(two: Client) -> None:
    one, other = in_two_processes(two)
    os.kill(two.submit(process, one).result(), signal.SIGKILL)

    def is_gone() -> bool:
        try:
            two.submit(value, one, pure=False).result(PATIENCE)
        except KilledWorker as error:
            return "the result of held-" in str(error) and "was killed by signal 9" in str(error)
        return False

    eventually(is_gone)
    assert two.submit(value, other).result() == 0


def test_it_is_gone_with_a_process_that_retires(two: Client) -> None:
    one, other = in_two_processes(two)
    two.retire_workers([1])
    with pytest.raises(KilledWorker, match="the result of held-"):
        two.submit(value, other).result(PATIENCE)
    assert two.submit(value, one).result(PATIENCE) == 0


def test_a_process_that_has_it_is_spared(two: Client) -> None:
    one = two.submit(held, 3, workers=[0])
    wait(one, timeout=PATIENCE)
    assert [worker["name"] for worker in two.retire_workers().values()] == [1]
    adaptive = two.cluster.adapt(minimum=0, interval="1ms", wait_count=1)
    waits = two.submit(value, one, two.submit(held, 4))
    assert waits.result(PATIENCE) == 7
    two.cluster.scale(2)
    eventually(lambda: list(two.cluster.workers) == [0])
    assert two.submit(value, one).result(PATIENCE) == 3
    del one, waits
    eventually(lambda: not two.cluster.workers)
    adaptive.stop()


def test_it_is_with_its_process_alone(two: Client) -> None:
    one, other = in_two_processes(two)
    key, address = one.key, two.cluster.workers[0].address
    assert two.who_has([one, other]) == {
        key: [address],
        other.key: [two.cluster.workers[1].address],
    }
    assert two.has_what([0]) == {address: [key]}
    two.restart_workers([0])
    assert two.who_has(one) == {key: []}


def test_a_gather_that_skips_errors_does_not_skip_it(two: Client) -> None:
    futures = [two.submit(abs, -1), two.submit(held), two.submit(int, "no")]
    with pytest.raises(TypeError, match="pickle"):
        two.gather(futures, errors="skip")


def test_it_is_shown_without_a_type(two: Client) -> None:
    one = two.submit(held)
    wait(one, timeout=PATIENCE)
    assert one.type is None
    assert "finished" in one._repr_html_()


def test_coroutine_tasks_leave_it_too(two: Client) -> None:
    async def later(n: int) -> Held:
        return Held(n)

    async def read(one: Held) -> int:
        return value(one)

    futures = two.map(later, range(20))
    assert two.gather(two.map(value, futures)) == list(range(20))
    assert two.gather(two.map(read, futures)) == list(range(20))
    with pytest.raises(TypeError, match="cannot be pickled"):
        futures[0].result()
    del futures
    eventually(lambda: sum(two.run(living).values()) == 0)


def test_a_cancelled_coroutine_leaves_nothing(two: Client, gate: Gate) -> None:
    async def later() -> Held:
        gate.hold()
        return Held()

    future = two.submit(later)
    gate.entered()
    future.cancel()
    del future
    gate.open()
    eventually(lambda: sum(two.run(living).values()) == 0)


def test_tasks_that_tasks_submit_find_it(two: Client) -> None:
    def parent(n: int) -> int:
        client = get_client()
        made = client.map(held, range(n), pure=False)
        return sum(client.gather(client.map(value, made)))

    assert two.gather(two.map(parent, range(10))) == [n * (n - 1) // 2 for n in range(10)]


def test_a_random_workflow_of_it(two: Client) -> None:
    chance = random.Random(1)
    futures, expected = [], []
    for n in range(400):
        made, others = chance.random() < 0.3, chance.sample(range(n), min(n, chance.randrange(2)))
        keep = [futures[other] for other in others]
        by = chance.randrange(100)

        def step(n: int, keep: list[Any], made: bool = made) -> Any:
            total = n + sum(one.value if isinstance(one, Held) else one for one in keep)
            return Held(total) if made else total

        futures.append(two.submit(step, by, keep, priority=chance.randrange(3), pure=False))
        expected.append(by + sum(expected[other] for other in others))
    numbers = two.map(lambda one: one.value if isinstance(one, Held) else one, futures, pure=False)
    assert two.gather(numbers) == expected


def test_what_is_no_matter_of_the_result_is_the_tasks_error(two: Client) -> None:
    class Hungry:
        def __reduce__(self) -> Any:
            raise MemoryError("no room")

    class Unfinished:
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt("not now")

    for kind, error in ((Hungry, MemoryError), (Unfinished, KeyboardInterrupt)):
        with pytest.raises(error) as raised:
            two.submit(kind).result()
        assert "must travel from its worker process" in "".join(raised.value.__notes__)


class Holds:
    """An actor that has what cannot be pickled."""

    def __init__(self, one: Held) -> None:
        self.one = one

    def value(self) -> int:
        return value(self.one)


@pytest.mark.parametrize("worker", [0, 1])
@pytest.mark.parametrize("is_there", [True, False])
def test_an_actor_is_made_where_what_it_needs_is(two: Client, worker: int, is_there: bool, gate: Gate) -> None:
    def made() -> Held:
        gate.hold()
        return Held(7)

    one = two.submit(made, workers=[worker], pure=False)
    gate.entered()
    if is_there:
        gate.open()
        wait(one, timeout=PATIENCE)
    makes = [two.submit(Holds, one, actor=True) for _ in range(3)]
    gate.open()
    actors = [future.result(PATIENCE) for future in makes]
    assert [actor.value().result(PATIENCE) for actor in actors] == [7] * 3
    assert two.cluster._staying([worker, 1 - worker]) == [4, 0]
    elsewhere = two.submit(Holds, one, actor=True, workers=[1 - worker])
    with pytest.raises(TypeError, match="where it may not run"):
        elsewhere.result(PATIENCE)


def test_an_actor_that_waits_for_what_can_be_pickled_is_made_where_it_was_to_be(two: Client, gate: Gate) -> None:
    def made() -> int:
        gate.hold()
        return 7

    one = two.submit(made, workers=[0], pure=False)
    gate.entered()
    makes = [two.submit(Counts, one, actor=True) for _ in range(4)]
    gate.open()
    actors = [future.result(PATIENCE) for future in makes]
    assert [actor.add().result(PATIENCE) for actor in actors] == [8] * 4
    assert two.cluster._staying([0, 1]) == [2, 2]


class Counts:
    def __init__(self, n: int) -> None:
        self.n = n

    def add(self) -> int:
        self.n += 1
        return self.n


def test_a_connection_of_multiprocessing_stays(two: Client) -> None:
    def pipe() -> Any:
        import multiprocessing

        return multiprocessing.Pipe()

    def sends(ends: Any) -> Any:
        ends[0].send(5)
        return ends[1].recv()

    def is_handed_over(ends: Any) -> bool:
        from multiprocessing.reduction import ForkingPickler

        return len(ForkingPickler.dumps(ends[0])) > 0

    both = two.submit(pipe, pure=False)
    assert two.submit(sends, both, pure=False).result(PATIENCE) == 5
    with pytest.raises(TypeError, match="cannot pickle 'Connection'"):
        both.result(PATIENCE)
    assert two.submit(is_handed_over, both, pure=False).result(PATIENCE)
