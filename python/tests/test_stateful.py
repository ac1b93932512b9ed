"""Random operations on a cluster and its clients, by hypothesis: no wait hangs, no key is lost, no task leaks.

`AZOLLA_OPERATIONS=100000` asks for that many; a few hundred are tried otherwise.
"""

from __future__ import annotations

import gc
import logging
import os
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from azolla import (
    CancelledError,
    Client,
    Event,
    Future,
    LocalCluster,
    Lock,
    Queue,
    Semaphore,
    Variable,
    as_completed,
    fire_and_forget,
    get_client,
    wait,
)
from backends import OPTIONS
from conftest import PATIENCE, Journal, eventually, nothing_is_kept
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from stateful_tasks import Failed, add, fail

OPERATIONS = int(os.environ.get("AZOLLA_OPERATIONS", "500"))
#: Of more, so many in a test: each has its time, and what hypothesis remembers of it does not grow with all of them.
AT_ONCE = 5_000
STEPS = 50
CLIENTS = 3
KEYS = 5

indexes = st.integers(0, 10**6)
clients = st.integers(0, CLIENTS - 1)


class Task:
    """What is known of a task: its sum, None if it fails, and whether it may have been cancelled."""

    def __init__(self, total: int | None, inputs: list[Task]) -> None:
        self.total = None if any(task.total is None for task in inputs) else total
        self.inputs = inputs
        self.cancelled = False

    def may_be_cancelled(self) -> bool:
        return self.cancelled or any(task.may_be_cancelled() for task in self.inputs)


Held = tuple["Future[int]", Task]


class Operations(RuleBasedStateMachine):
    """Futures of several clients, each with what is known of its task; and what the clients share."""

    options: ClassVar[dict[str, Any]]

    def __init__(self) -> None:
        super().__init__()
        self.cluster = LocalCluster(**self.options)
        self.clients = [self.join() for _ in range(CLIENTS)]
        self.held: list[Held] = []
        #: By their numbers: the tasks whose keys are shared, and how often such a task was cancelled.
        self.keyed: dict[int, Task] = {}
        self.cancelled_keys = [0] * KEYS
        self.queued: deque[Task | int] = deque()
        self.variable: Task | int | None = None
        #: Events that tasks wait for; nobody else waits for such a task before they are set.
        self.unset: list[str] = []
        self.names = 0

    def join(self) -> Client:
        return Client(self.cluster, set_as_default=False)

    def name(self) -> str:
        self.names += 1
        return f"name-{self.names}"

    def some(self, picks: list[int]) -> list[Held]:
        return [self.held[pick % len(self.held)] for pick in picks] if self.held else []

    def hold(self, future: Future[int], task: Task) -> None:
        self.held.append((future, task))

    # --- Tasks

    @rule(
        client=clients,
        number=indexes,
        picks=st.lists(indexes, max_size=3),
        fails=st.booleans(),
        priority=st.sampled_from([None, -1, 2]),
    )
    def submit(self, client: int, number: int, picks: list[int], fails: bool, priority: int | None) -> None:
        inputs = self.some(picks)
        futures = [future for future, _ in inputs]
        tasks = [task for _, task in inputs]
        total = None if fails else number + sum(task.total or 0 for task in tasks)
        function = fail if fails else add
        future = self.clients[client].submit(function, number, *futures, pure=False, priority=priority)
        self.hold(future, Task(total, tasks))

    @rule(client=clients, numbers=st.lists(indexes, max_size=5))
    def map(self, client: int, numbers: list[int]) -> None:
        futures = self.clients[client].map(add, numbers, pure=False)
        for future, number in zip(futures, numbers, strict=True):
            self.hold(future, Task(number, []))

    @rule(client=clients, numbers=st.lists(indexes, max_size=3))
    def scatter(self, client: int, numbers: list[int]) -> None:
        futures = self.clients[client].scatter(numbers, hash=False)
        for future, number in zip(futures, numbers, strict=True):
            self.hold(future, Task(number, []))

    @rule(client=clients, number=st.integers(0, KEYS - 1))
    def submit_with_a_shared_key(self, client: int, number: int) -> None:
        task = self.keyed.setdefault(number, Task(number, []))
        if task.cancelled:
            self.cancelled_keys[number] += 1
            task = self.keyed[number] = Task(number, [])
        key = ("key", number, self.cancelled_keys[number])
        in_use = any(other is task for _, other in self.held)
        # Another function under a key in use is not called.
        future = self.clients[client].submit(fail if in_use else add, number, key=key)
        assert future.key == key
        self.hold(future, task)

    @rule(client=clients, number=indexes, failures=st.integers(0, 2))
    def submit_with_retries(self, client: int, number: int, failures: int) -> None:
        runs = Journal()

        def unsteady() -> int:
            runs.append("run")
            if len(runs) <= failures:
                raise Failed
            return number

        self.hold(self.clients[client].submit(unsteady, pure=False, retries=failures), Task(number, []))

    # --- Futures

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
        future.cancel()
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
        self.set_events()
        self.check(*self.some([pick])[0])

    @rule(picks=st.lists(indexes, max_size=5))
    def wait_for(self, picks: list[int]) -> None:
        self.set_events()
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
        self.set_events()
        futures = [future for future, _ in self.some(picks)]
        ended = list(as_completed(futures, timeout=PATIENCE))
        assert sorted(map(id, ended)) == sorted(map(id, futures))

    # --- Clients

    @rule(client=clients)
    def leave(self, client: int) -> None:
        """Another comes in its place; what only its futures wanted goes."""
        left = self.clients[client]
        mine = [future for future, _ in self.held if future.client is left]
        self.held = [(future, task) for future, task in self.held if future.client is not left]
        left.close()
        assert all(future.cancelled() for future in mine)
        self.clients[client] = self.join()

    # --- What is shared

    @rule(client=clients, number=indexes, pick=indexes, of_a_future=st.booleans())
    def put(self, client: int, number: int, pick: int, of_a_future: bool) -> None:
        queue = Queue("queue", self.clients[client])
        if of_a_future and self.held:
            [(future, task)] = self.some([pick])
            if self.gives(queue.put, future, task):
                self.queued.append(task)
        else:
            queue.put(number)
            self.queued.append(number)

    def gives(self, give: Callable[[Any], object], future: Future[int], task: Task) -> bool:
        """Gives a future away. Returns False if that is refused because the task was cancelled."""
        try:
            give(future)
        except CancelledError:
            assert task.may_be_cancelled(), future
            return False
        return True

    @precondition(lambda self: self.queued)
    @rule(client=clients, batch=st.sampled_from([False, True, 1]))
    def get(self, client: int, batch: bool | int) -> None:
        queue = Queue("queue", self.clients[client])
        assert queue.qsize() == len(self.queued)
        got = queue.get(timeout=PATIENCE, batch=batch)
        for value in got if batch else [got]:
            self.take(value, self.queued.popleft())
        assert queue.qsize() == len(self.queued)

    def take(self, value: Any, expected: Task | int) -> None:
        if isinstance(expected, Task):
            self.hold(value, expected)
        else:
            assert value == expected

    @rule(client=clients, number=indexes, pick=indexes, of_a_future=st.booleans())
    def set_variable(self, client: int, number: int, pick: int, of_a_future: bool) -> None:
        variable = Variable("variable", self.clients[client])
        if of_a_future and self.held:
            [(future, task)] = self.some([pick])
            if self.gives(variable.set, future, task):
                self.variable = task
        else:
            variable.set(number)
            self.variable = number

    @precondition(lambda self: self.variable is not None)
    @rule(client=clients)
    def get_variable(self, client: int) -> None:
        self.take(Variable("variable", self.clients[client]).get(timeout=PATIENCE), self.variable)  # type: ignore[arg-type]

    @rule(client=clients)
    def delete_variable(self, client: int) -> None:
        Variable("variable", self.clients[client]).delete()
        self.variable = None

    @rule()
    def set_events(self) -> None:
        while self.unset:
            Event(self.unset.pop(), self.clients[0]).set()

    # --- What must hold

    @invariant()
    def the_engine_holds(self) -> None:
        self.clients[0]._check()

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
            self.set_events()
            for future, task in self.held:
                self.check(future, task)
            future = task = None  # type: ignore[assignment]
            self.held.clear()
            Queue("queue", self.clients[0]).get(batch=True)
            Variable("variable", self.clients[0]).delete()
            gc.collect()
            eventually(lambda: nothing_is_kept(self.clients[0]))
        finally:
            self.cluster.close()


class InTasks(Operations):
    """What tasks do with azolla themselves, too."""

    @rule(client=clients, number=indexes)
    def grow(self, client: int, number: int) -> None:
        def parent() -> int:
            return sum(get_client().gather(get_client().map(add, [number, 1], pure=False)))

        self.hold(self.clients[client].submit(parent, pure=False), Task(number + 1, []))

    @rule(client=clients, numbers=st.lists(indexes, min_size=1, max_size=5), maxsize=st.integers(0, 2))
    def produce_and_consume(self, client: int, numbers: list[int], maxsize: int) -> None:
        name = self.name()

        def produce() -> None:
            for number in numbers:
                Queue(name, maxsize=maxsize).put(number)

        def consume() -> int:
            return sum(Queue(name, maxsize=maxsize).get() for _ in numbers)

        # Whoever cancels the one would leave the other waiting: they are waited for at once.
        produced = self.clients[client].submit(produce, pure=False)
        consumed = self.clients[client - 1].submit(consume, pure=False)
        assert consumed.result(timeout=PATIENCE) == sum(numbers)
        assert produced.result(timeout=PATIENCE) is None

    @rule(client=clients, others=st.integers(1, 3), leases=st.integers(1, 2), locks=st.booleans())
    def contend(self, client: int, others: int, leases: int, locks: bool) -> None:
        name = self.name()
        within = Journal()

        def enter() -> int:
            with Lock(name) if locks else Semaphore(leases, name):
                within.append(1)
                assert sum(within) <= (1 if locks else leases)
                get_client().submit(add, 1, pure=False).result()
                within.append(-1)
            return 1

        for _ in range(others):
            self.hold(self.clients[client].submit(enter, pure=False), Task(1, []))

    @rule(client=clients, number=indexes)
    def wait_for_an_event(self, client: int, number: int) -> None:
        name = self.name()
        self.unset.append(name)

        def late() -> int:
            assert Event(name).wait(timeout=PATIENCE)
            return number

        self.hold(self.clients[client].submit(late, pure=False), Task(number, []))


@pytest.mark.parametrize("after", range(0, OPERATIONS, AT_ONCE))
def test_operations(backend: str, caplog: pytest.LogCaptureFixture, after: int) -> None:
    # What is logged of failures that no future shows would be kept, and with it the errors and their frames.
    caplog.set_level(logging.CRITICAL, "azolla")
    how = settings(
        max_examples=max(1, min(AT_ONCE, OPERATIONS - after) // STEPS),
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=OPERATIONS <= 500,  # the gate tries the same each time
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(type("OnABackend", (InTasks,), {"options": OPTIONS[backend]}), settings=how)
