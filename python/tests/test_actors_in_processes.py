"""Actors in worker processes: where they are, what becomes of them when their processes die, and what travels."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from azolla import ActorLostError, Client, FutureCancelledError, KilledWorker, get_client
from conftest import PATIENCE, Gate, Journal, eventually, nothing_is_kept

#: How many processes are killed under actors in use, at the least.
KILLS = int(os.environ.get("KILLS", "100")) // 10
SEED = int(os.environ.get("KILL_SEED", "1"))


@pytest.fixture
def two() -> Iterator[Client]:
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


class Counter:
    n = 0

    def increment(self, by: int = 1) -> int:
        self.n += by
        return self.n

    def process(self) -> int:
        return os.getpid()

    def end(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def hold(self, gate: Gate) -> None:
        gate.hold()


def counting(client: Client, **options: Any) -> Any:
    return client.submit(Counter, actor=True, **options).result(PATIENCE)


def increment(counter: Any) -> tuple[int, int, int]:
    """Uses an actor from within a task: by a call, and by its attribute."""
    return counter.increment().result(), counter.n, os.getpid()


# --- Where they are


def test_they_spread_and_stay_where_they_are(two: Client) -> None:
    counters = [counting(two) for _ in range(4)]
    processes = two.gather([counter.process() for counter in counters])
    assert len(set(processes[:2])) == 2
    assert sorted(processes) == sorted(processes[:2] * 2)
    assert two.gather([counter.process() for counter in counters]) == processes


def test_the_process_with_the_fewest_is_chosen(two: Client) -> None:
    one, other = counting(two), counting(two)
    free = other.process().result(PATIENCE)
    del other
    gc.collect()
    eventually(lambda: nothing_but(two, 1))
    assert counting(two).process().result(PATIENCE) == free != one.process().result(PATIENCE)


def nothing_but(client: Client, tasks: int) -> bool:
    gc.collect()
    return client.counters()["kept"] == tasks


def test_workers_are_chosen(two: Client) -> None:
    there = [name for worker, name in enumerate(two.scheduler_info()["workers"]) if worker == 1]
    counters = [counting(two, workers=there) for _ in range(3)]
    assert len(set(two.gather([counter.process() for counter in counters]))) == 1
    assert two.gather([two.submit(os.getpid, workers=there, pure=False)]) == [counters[0].process().result(PATIENCE)]


# --- What travels


def test_handles_work_in_every_process(two: Client) -> None:
    counter: Any = counting(two)
    seen = two.gather(two.map(increment, [counter] * 20, pure=False))
    assert sorted(n for n, _, _ in seen) == list(range(1, 21))
    # In results, inside anything, and as a future.
    future = two.submit(lambda counter: {"it": [counter]}, counter)
    assert future.result(PATIENCE)["it"][0].increment().result(PATIENCE) == 21
    assert two.submit(lambda found: increment(found["it"][0])[0], future).result(PATIENCE) == 22
    assert two.submit(increment, two.submit(Counter, actor=True)).result(PATIENCE)[:2] == (1, 1)


def make_and_use() -> tuple[Any, int]:
    counter: Any = get_client().submit(Counter, actor=True).result()
    return counter, counter.increment().result()


class Pair:
    def __init__(self, number: int, other: Any) -> None:
        self.number, self.other = number, other

    def both(self) -> tuple[int, int]:
        return self.number, self.other.increment().result()


def test_they_are_made_of_futures_and_of_each_other(two: Client) -> None:
    pair: Any = two.submit(Pair, two.submit(abs, -3), other=two.submit(Counter, actor=True), actor=True).result()
    assert pair.both().result(PATIENCE) == (3, 1)
    assert pair.other.increment().result(PATIENCE) == 2


def test_tasks_make_them_too(two: Client) -> None:
    counter, n = two.submit(make_and_use).result(PATIENCE)
    assert (n, counter.increment().result(PATIENCE)) == (1, 2)


def test_a_method_travels(two: Client) -> None:
    counter = counting(two)
    assert two.submit(lambda method: method(5).result(), counter.increment).result(PATIENCE) == 5
    assert counter.n == 5


class Holder:
    def __init__(self, array: Any) -> None:
        self.array = array

    def add(self, array: Any) -> Any:
        self.array += array
        return self.array

    def total(self) -> float:
        return float(self.array.sum())


def test_large_data_goes_both_ways(two: Client) -> None:
    array = np.ones(1_000_000)
    holder = two.submit(Holder, array, actor=True).result(PATIENCE)
    array[:] = 7
    sums = [holder.add(np.full(1_000_000, n)) for n in range(1, 4)]
    assert [result.result(PATIENCE)[-1] for result in sums] == [2, 4, 7]
    result = sums[0].result(PATIENCE)
    result[:] = 0  # a copy of the caller's own
    assert holder.total().result(PATIENCE) == 7e6 == holder.array.sum()


# --- How they go


class Tells:
    def __init__(self, journal: Journal) -> None:
        self.large = np.ones(1_000_000)
        weakref.finalize(self, journal.append, "gone").atexit = False

    def one(self) -> int:
        return 1


def test_a_state_goes_in_a_process_that_is_idle(two: Client, journal: Journal) -> None:
    actor: Any = two.submit(Tells, journal, actor=True).result(PATIENCE)
    assert actor.one().result(PATIENCE) == 1
    del actor
    gc.collect()
    eventually(journal.entries)
    assert two.gather(two.map(abs, range(-10, 0))) == list(range(10, 0, -1))
    eventually(lambda: nothing_is_kept(two))


def test_states_go_whichever_threads_are_idle_and_whoever_has_died(journal: Journal) -> None:
    with Client(n_workers=1, threads_per_worker=4, dashboard_address=None) as client:
        for round in range(1, 4):
            client.gather(client.map(abs, range(4 * round), pure=False))
            made = client.gather(client.map(lambda _: Tells(journal), range(8), actor=True, pure=False))
            assert client.gather([actor.one() for actor in made]) == [1] * 8
            del made
            gc.collect()
            eventually(lambda round=round: len(journal.entries()) == 8 * round)
            [process] = [int(worker["pid"]) for worker in client.scheduler_info()["workers"].values()]
            os.kill(process, signal.SIGKILL)


def test_a_state_goes_that_is_made_too_late(two: Client, gate: Gate, journal: Journal) -> None:
    def slowly() -> Tells:
        gate.hold()
        return Tells(journal)

    future = two.submit(slowly, actor=True, pure=False)
    gate.entered()
    future.cancel()
    del future
    gate.open()
    eventually(journal.entries)


def test_a_state_goes_whose_class_cannot_travel(two: Client, journal: Journal) -> None:
    def unpicklable() -> Any:
        lock = threading.Lock()

        class Local(Tells):
            held = lock

        return Local(journal)

    error = two.submit(unpicklable, actor=True).exception(PATIENCE)
    assert isinstance(error, TypeError), error
    del error
    gc.collect()
    eventually(journal.entries)


def test_one_that_is_retried(two: Client, tmp_path: Any) -> None:
    class Second(Counter):
        def __init__(self) -> None:
            try:
                (tmp_path / "first").touch(exist_ok=False)
            except FileExistsError:
                return
            raise OSError("not yet")

    future = two.submit(Second, actor=True, pure=False)
    with pytest.raises(OSError, match="not yet"):
        future.result(PATIENCE)
    future.retry()
    assert future.result(PATIENCE).increment().result(PATIENCE) == 1


# --- Processes that die


def test_calls_of_one_whose_process_has_died_say_so(two: Client, gate: Gate) -> None:
    future = two.submit(Counter, actor=True, key="lost")
    counter: Any = future.result(PATIENCE)
    other = counting(two)
    running = counter.hold(gate)
    gate.entered()
    waiting, ends = counter.increment(), counter.process()
    os.kill(_process_of(two, other), signal.SIGKILL)
    for call in (running, waiting, ends):
        with pytest.raises(
            ActorLostError, match=r"the actor lost is gone: its process \(worker .\) was killed by signal 9"
        ):
            call.result(PATIENCE)
    for use in (lambda: counter.increment(), lambda: counter.n, lambda: future.result().increment()):
        with pytest.raises(ActorLostError, match="lost is gone"):
            use()
    # Where a task asks, the client says so.
    with pytest.raises(ActorLostError, match="lost is gone"):
        two.submit(increment, counter).result(PATIENCE)
    assert other.increment().result(PATIENCE) == 1
    assert counting(two).increment().result(PATIENCE) == 1


def _process_of(client: Client, other: Any) -> int:
    """Returns the number of the process in which another actor is not."""
    there = {int(worker["pid"]) for worker in client.scheduler_info()["workers"].values()}
    [process] = there - {other.process().result(PATIENCE)}
    return process


def test_one_that_ends_its_process_is_lost(two: Client) -> None:
    counter = counting(two)
    with pytest.raises(ActorLostError, match="signal 9"):
        counter.end().result(PATIENCE)


def test_one_whose_making_ends_its_process_is_made_again(two: Client, tmp_path: Any) -> None:
    class Second(Counter):
        def __init__(self) -> None:
            with contextlib.suppress(FileExistsError):
                (tmp_path / "first").touch(exist_ok=False)
                self.end()

    assert two.submit(Second, actor=True, pure=False).result(PATIENCE).increment().result(PATIENCE) == 1


def test_actors_of_processes_that_are_killed_at_random() -> None:
    """Each call has its turn once at most: what it returns is the number of calls so far, or the actor is lost."""
    chance = random.Random(SEED)
    with Client(n_workers=3, threads_per_worker=2, dashboard_address=None, set_as_default=False) as client:
        kills = 0
        while kills < KILLS:
            counters = [client.submit(Counter, actor=True, pure=False) for _ in range(6)]
            made = []
            for future in counters:
                with contextlib.suppress(KilledWorker):
                    made.append(future.result(PATIENCE))
            calls: list[list[Any]] = [[] for _ in made]
            in_tasks = [client.submit(_calls, counter, pure=False) for counter in made]
            for number in range(60):
                counter = chance.randrange(len(made))
                with contextlib.suppress(ActorLostError):
                    calls[counter].append(made[counter].increment())
                if number % 30 == 15:
                    workers = [int(worker["pid"]) for worker in client.scheduler_info()["workers"].values()]
                    process = chance.choice(workers)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                        kills += 1
            for future in in_tasks:
                with contextlib.suppress(ActorLostError, KilledWorker):
                    assert future.result(PATIENCE)
            for of_one in calls:
                numbers = []
                lost = False
                for call in of_one:
                    try:
                        numbers.append(call.result(PATIENCE))
                        assert not lost, "a call came after the actor was lost"
                    except ActorLostError:
                        lost = True
                assert numbers == sorted(set(numbers))
        del counters, made, calls, in_tasks, future, counter, of_one, call
        client._check()
        eventually(lambda: nothing_is_kept(client))


def _calls(counter: Any) -> bool:
    numbers = [counter.increment().result() for _ in range(10)]
    return numbers == sorted(set(numbers))


def test_a_cancelled_actor_is_gone_in_every_process(two: Client) -> None:
    future = two.submit(Counter, actor=True)
    counter = future.result(PATIENCE)

    def uses(counter: Any, gate: Gate) -> int:
        gate.hold()
        return int(counter.increment().result())

    gate = Gate()
    task = two.submit(uses, counter, gate)
    gate.entered()
    future.cancel()
    gate.open()
    with pytest.raises((ActorLostError, FutureCancelledError)):
        task.result(PATIENCE)
