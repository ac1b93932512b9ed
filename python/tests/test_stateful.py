"""Random operations on a client, by hypothesis: no wait hangs, no key is lost, no task leaks.

`AZOLLA_OPERATIONS=100000` asks for that many; a few hundred are tried otherwise.
"""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from azolla import CancelledError, Client, Future, as_completed, fire_and_forget, wait
from conftest import PATIENCE, eventually, nothing_is_kept
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

OPERATIONS = int(os.environ.get("AZOLLA_OPERATIONS", "500"))
STEPS = 50

indexes = st.integers(0, 10**6)


class Failed(Exception):
    """What failing tasks raise."""


def add(*numbers: int) -> int:
    return sum(numbers)


def fail(*_: int) -> int:
    raise Failed


class Task:
    """What is known of a task: its sum, None if it fails, and whether it may have been cancelled."""

    def __init__(self, total: int | None, inputs: list[Task]) -> None:
        self.total = None if any(task.total is None for task in inputs) else total
        self.inputs = inputs
        self.cancelled = False

    def may_be_cancelled(self) -> bool:
        return self.cancelled or any(task.may_be_cancelled() for task in self.inputs)


class Operations(RuleBasedStateMachine):
    """Futures, each with what is known of its task."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Client(processes=False, n_workers=1, threads_per_worker=2, set_as_default=False)
        self.held: list[tuple[Future[int], Task]] = []
        self.keys = 0

    def some(self, picks: list[int]) -> list[tuple[Future[int], Task]]:
        return [self.held[pick % len(self.held)] for pick in picks] if self.held else []

    @rule(
        number=indexes,
        picks=st.lists(indexes, max_size=3),
        fails=st.booleans(),
        priority=st.sampled_from([None, -1, 2]),
    )
    def submit(self, number: int, picks: list[int], fails: bool, priority: int | None) -> None:
        inputs = self.some(picks)
        futures = [future for future, _ in inputs]
        tasks = [task for _, task in inputs]
        total = None if fails else number + sum(task.total or 0 for task in tasks)
        function = fail if fails else add
        future = self.client.submit(function, number, *futures, pure=False, priority=priority)
        self.held.append((future, Task(total, tasks)))

    @rule(numbers=st.lists(indexes, max_size=5))
    def map(self, numbers: list[int]) -> None:
        futures = self.client.map(add, numbers, pure=False)
        self.held += [(future, Task(number, [])) for future, number in zip(futures, numbers, strict=True)]

    @rule(number=indexes)
    def submit_with_a_key(self, number: int) -> None:
        self.keys += 1
        future = self.client.submit(add, number, key=("key", self.keys))
        again = self.client.submit(fail, key=("key", self.keys))
        assert again.key == future.key
        task = Task(number, [])
        self.held += [(future, task), (again, task)]

    @rule(number=indexes)
    def grow(self, number: int) -> None:
        client = self.client

        def parent() -> int:
            return sum(client.gather(client.map(add, [number, 1], pure=False)))

        self.held.append((client.submit(parent, pure=False), Task(number + 1, [])))

    @precondition(lambda self: self.held)
    @rule(pick=indexes)
    def drop(self, pick: int) -> None:
        self.held.pop(pick % len(self.held))

    @precondition(lambda self: self.held)
    @rule(pick=indexes)
    def release(self, pick: int) -> None:
        future, _ = self.held.pop(pick % len(self.held))
        future.release()
        assert (future.status, future.done()) == ("cancelled", True)

    @precondition(lambda self: self.held)
    @rule(pick=indexes)
    def cancel(self, pick: int) -> None:
        [(future, task)] = self.some([pick])
        self.client.cancel(future)
        task.cancelled = True
        assert future.cancelled()

    @precondition(lambda self: self.held)
    @rule(pick=indexes)
    def retry(self, pick: int) -> None:
        [(future, _)] = self.some([pick])
        future.retry()

    @precondition(lambda self: self.held)
    @rule(pick=indexes)
    def forget(self, pick: int) -> None:
        [(future, _)] = self.some([pick])
        fire_and_forget(future)

    @precondition(lambda self: self.held)
    @rule(pick=indexes)
    def result(self, pick: int) -> None:
        self.check(*self.some([pick])[0])

    @rule(picks=st.lists(indexes, max_size=5))
    def wait_for(self, picks: list[int]) -> None:
        chosen = self.some(picks)
        try:
            done, not_done = wait([future for future, _ in chosen], timeout=PATIENCE)
        except CancelledError:
            assert any(task.may_be_cancelled() for _, task in chosen)
        else:
            assert not not_done
            assert all(future.done() for future in done)

    @rule(picks=st.lists(indexes, max_size=5, unique=True))
    def complete(self, picks: list[int]) -> None:
        futures = [future for future, _ in self.some(picks)]
        ended = list(as_completed(futures, timeout=PATIENCE))
        assert sorted(map(id, ended)) == sorted(map(id, futures))

    @invariant()
    def the_engine_holds(self) -> None:
        self.client._check()

    def check(self, future: Future[int], task: Task) -> None:
        try:
            result: Any = future.result(timeout=PATIENCE)
        except Failed:
            result = None
        except CancelledError:
            assert task.may_be_cancelled(), future
            return
        assert result == task.total

    def teardown(self) -> None:
        try:
            for future, task in self.held:
                self.check(future, task)
            future = task = None  # type: ignore[assignment]
            self.held.clear()
            gc.collect()
            eventually(lambda: nothing_is_kept(self.client))
        finally:
            self.client.close()


TestOperations = pytest.mark.timeout(max(120, OPERATIONS))(Operations.TestCase)
TestOperations.settings = settings(
    max_examples=max(1, OPERATIONS // STEPS),
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=OPERATIONS <= 500,  # the gate tries the same each time
    suppress_health_check=list(HealthCheck),
    database=None,
)
