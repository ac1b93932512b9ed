"""Queues, variables, locks, semaphores and events: what holds for all of them."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from azolla import (
    Client,
    ClosedClientError,
    Event,
    LocalCluster,
    Lock,
    MultiLock,
    Queue,
    Semaphore,
    Variable,
    get_client,
    tokenize,
)
from backends import Reason, threads_only
from conftest import PATIENCE, Gate, Journal, eventually


class Case(NamedTuple):
    """Something to wait for: what makes it such that one waits, the wait, and what ends it."""

    make: Callable[[], Any]
    wait: Callable[[Any], Any]
    end: Callable[[Any], Any]
    timed_out: Any = False


def full_queue() -> Queue:
    queue = Queue(maxsize=1)
    queue.put("first")
    return queue


def held(lock: Any) -> Any:
    """A pair: one that holds, and another of the same name."""
    lock.acquire()
    return lock, pickle.loads(pickle.dumps(lock))


def while_held(lock: Any, call: Callable[[Any], Any]) -> Any:
    """What `call` comes to with another object of that name, meanwhile."""
    one, other = held(lock)
    outcome = call(other)
    one.release()
    return outcome


CASES = {
    "queue-get": Case(Queue, lambda q: q.get(), lambda q: q.put("value"), TimeoutError),
    "queue-put": Case(full_queue, lambda q: q.put("second"), lambda q: q.get(), TimeoutError),
    "queue-batch": Case(Queue, lambda q: q.get(batch=2), lambda q: [q.put(1), q.put(2)], TimeoutError),
    "variable": Case(Variable, lambda v: v.get(), lambda v: v.set("value"), TimeoutError),
    "event": Case(Event, lambda e: e.wait(), lambda e: e.set()),
    "lock": Case(lambda: held(Lock()), lambda pair: pair[1].acquire(), lambda pair: pair[0].release()),
    "semaphore": Case(
        lambda: held(Semaphore(max_leases=1)), lambda pair: pair[1].acquire(), lambda pair: pair[0].release()
    ),
    "multi-lock": Case(
        lambda: held(MultiLock(["a", "b"])), lambda pair: pair[1].acquire(), lambda pair: pair[0].release()
    ),
}
ALL = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@ALL
def test_a_task_that_waits_takes_no_slot(one_slot: Client, case: Case) -> None:
    shared = case.make()
    waiting = one_slot.submit(case.wait, shared, pure=False)
    # This runs on the only slot.
    assert one_slot.submit(abs, -1, pure=False).result(PATIENCE) == 1
    case.end(shared)
    waiting.result(PATIENCE)
    eventually(lambda: one_slot.counters()["live"] == 0)


@ALL
def test_a_wait_outside_tasks_ends(client: Client, case: Case) -> None:
    shared = case.make()
    ending = threading.Timer(0.01, case.end, (shared,))
    ending.start()
    case.wait(shared)
    ending.join()


@ALL
def test_waits_end_when_the_client_is_closed(case: Case) -> None:
    with Client(processes=False, n_workers=1, threads_per_worker=1) as client:
        shared = case.make()
        errors: list[type[BaseException]] = []
        begun = threading.Semaphore(0)

        def wait() -> None:
            begun.release()
            try:
                case.wait(shared)
            except BaseException as error:
                errors.append(type(error))

        outside = threading.Thread(target=wait)
        outside.start()
        client.submit(wait, key="waits").add_done_callback(lambda future: None)
        future = client.submit(wait, key="waits")
        for _ in range(2):
            assert begun.acquire(timeout=PATIENCE)
        client.close()
        outside.join(PATIENCE)
        assert errors.count(ClosedClientError) == 2, errors
        with pytest.raises(ClosedClientError):
            case.wait(shared)
        del future


@ALL
def test_a_wait_that_begins_after_the_close_says_so(case: Case) -> None:
    with Client(processes=False, n_workers=1, threads_per_worker=1) as client:
        shared = case.make()
    with pytest.raises(ClosedClientError, match="the client is closed"):
        case.wait(shared)
    assert client.status == "closed"


@threads_only(Reason.OBJECTS)
@ALL
def test_waits_are_awaited_in_coroutine_tasks(one_slot: Client, case: Case) -> None:
    async def waits() -> str:
        await case.wait(shared)
        return "done"

    shared = case.make()
    waiting = [one_slot.submit(waits, pure=False)]
    one_slot.submit(case.end, shared, pure=False).result(PATIENCE)
    assert one_slot.gather(waiting) == ["done"]


@ALL
def test_an_awaited_wait_is_cancelled_and_given_up(one_slot: Client, case: Case) -> None:
    shared = case.make()

    async def waits() -> None:
        waiting = asyncio.ensure_future(case.wait(shared))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    one_slot.submit(waits, pure=False).result(PATIENCE)
    case.end(shared)
    case.wait(shared)  # what it waited for went to nobody


def test_with_an_asynchronous_client_all_is_awaited() -> None:
    async def main() -> None:
        async with Client(processes=False, threads_per_worker=1, asynchronous=True) as client:
            queue = await Queue("q")
            await queue.put(client.submit(abs, -1))
            assert await queue.qsize() == 1
            assert await (await queue.get()) == 1
            assert await queue.get(batch=True) == []
            with pytest.raises(TimeoutError):
                await queue.get(timeout=0.001)
            variable = Variable()
            await variable.set(1)
            assert await variable.get() == 1
            await variable.delete()
            with pytest.raises(TimeoutError):
                await variable.get(timeout="1ms")
            event = await Event()
            assert await event.wait(timeout=0.001) is False
            await event.set()
            assert await event.is_set() is True
            assert await event.wait() is True
            await event.clear()
            async with Lock("x") as lock:
                assert await lock.locked()
                assert await Lock("x").acquire(blocking=False) is False
                assert await Lock("x").acquire(timeout=0.001) is False
            assert not await lock.locked()
            async with await Semaphore(2) as semaphore:
                assert await semaphore.get_value() == 1
                assert await semaphore.acquire() is True
                assert await semaphore.release() is True
            async with MultiLock(["a", "b"]) as locks:
                assert locks.locked()
                assert await MultiLock(["b"]).acquire(timeout=0.001) is False
            assert not locks.locked()
            with pytest.raises(RuntimeError, match="async with"), lock:
                pass

    asyncio.run(main())


def test_async_with_works_on_any_loop(client: Client) -> None:
    lock, order = Lock(), []

    async def main() -> None:
        async with lock:
            later = asyncio.ensure_future(second())
            await asyncio.sleep(0)
            order.append(1)
        await later

    async def second() -> None:
        async with lock:
            order.append(2)

    asyncio.run(main())
    assert order == [1, 2]


TIMEOUTS: dict[str, tuple[Callable[[], Any], Any]] = {
    "get": (lambda: Queue().get(timeout=0.001), TimeoutError),
    "put": (lambda: full_queue().put(1, timeout="1ms"), TimeoutError),
    "batch": (lambda: Queue().get(timeout=0.001, batch=2), TimeoutError),
    "variable": (lambda: Variable().get(timeout=0.001), TimeoutError),
    "event": (lambda: Event().wait(timeout=0), False),
    "lock": (lambda: while_held(Lock(), lambda lock: lock.acquire(timeout=0.001)), False),
    "lock-at-once": (lambda: while_held(Lock(), lambda lock: lock.acquire(blocking=False)), False),
    "semaphore": (lambda: while_held(Semaphore(), lambda lock: lock.acquire(timeout="1ms")), False),
    "semaphore-of-none": (lambda: Semaphore(max_leases=0).acquire(timeout=0), False),
    "locks": (lambda: while_held(MultiLock(["a"]), lambda lock: lock.acquire(timeout=0.001)), False),
    "locks-at-once": (lambda: while_held(MultiLock(["a"]), lambda lock: lock.acquire(blocking=False)), False),
}


@pytest.mark.parametrize(("wait", "outcome"), TIMEOUTS.values(), ids=TIMEOUTS.keys())
@pytest.mark.parametrize("inside", [False, True])
def test_timeouts(client: Client, wait: Callable[[], Any], outcome: Any, inside: bool) -> None:
    call = client.submit(wait, pure=False).result if inside else wait
    if outcome is TimeoutError:
        with pytest.raises(TimeoutError):
            call()
    else:
        assert call() is outcome


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception]]] = {
    "maxsize": (lambda: Queue(maxsize="many"), TypeError),  # type: ignore[arg-type]
    "name": (lambda: Queue(name=object()), TypeError),
    "negative-batch": (lambda: Queue().get(batch=-1), ValueError),
    "batch": (lambda: Queue().get(batch="all"), TypeError),  # type: ignore[arg-type]
    "timeout": (lambda: Queue().get(timeout="a while"), ValueError),
    "leases": (lambda: Semaphore(max_leases=1.5), TypeError),  # type: ignore[arg-type]
    "negative-leases": (lambda: Semaphore(max_leases=-1), ValueError),
    "other-leases": (lambda: [held(Semaphore(2, name="s")), Semaphore(3, name="s")], ValueError),
    "semaphore-over-release": (lambda: Semaphore().release(), RuntimeError),
    "lock-over-release": (lambda: Lock().release(), RuntimeError),
    "lock-timeout": (lambda: Lock().acquire(blocking=False, timeout=1), ValueError),
    "locks-names": (lambda: MultiLock("ab"), TypeError),
    "locks-over-release": (lambda: MultiLock(["a"]).release(), ValueError),
    "too-many-locks": (lambda: MultiLock(["a"]).acquire(num_locks=2), ValueError),
    "no-locks": (lambda: MultiLock(["a"]).acquire(num_locks=0), ValueError),
    "locks-timeout": (lambda: MultiLock(["a"]).acquire(blocking=False, timeout=1), ValueError),
}


@pytest.mark.parametrize(("call", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_at_the_call(client: Client, call: Callable[[], Any], error: type) -> None:
    with pytest.raises(error):
        call()


MAKERS: dict[str, Callable[[], Any]] = {
    "queue": lambda: Queue("n"),
    "variable": lambda: Variable("n"),
    "event": lambda: Event("n"),
    "lock": lambda: Lock("n"),
    "semaphore": lambda: Semaphore(2, "n"),
    "locks": lambda: MultiLock(["n"]),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_they_are_pickled_by_name_and_hashed_so(client: Client, make: Callable[[], Any]) -> None:
    one, other = make(), make()
    copy = pickle.loads(pickle.dumps(one))
    assert type(copy) is type(one)
    assert copy.name == one.name or isinstance(one, MultiLock)
    assert tokenize(one) == tokenize(other) == tokenize(copy)
    assert copy.client is client


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_without_a_client_they_say_so(make: Callable[[], Any]) -> None:
    shared = make()
    assert shared.client is None
    use = {Queue: "qsize", Variable: "get", Event: "set", MultiLock: "release"}.get(type(shared), "acquire")
    with pytest.raises(RuntimeError, match=f"^{type(shared).__name__} object .* no client"):
        getattr(shared, use)()
    with Client(processes=False, threads_per_worker=1) as client:
        assert shared.client is client


def test_a_name_that_is_no_text_is_another_name(client: Client) -> None:
    Event(1).set()
    assert not Event("1").is_set()
    assert Event(1).is_set()


class Named:
    """A name that compares itself with its own kind alone."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __hash__(self) -> int:
        return hash(self.x)

    def __eq__(self, other: object) -> bool:
        return self.x == other.x  # type: ignore[attr-defined, no-any-return]


def test_a_name_is_compared_with_no_other_object(client: Client) -> None:
    Variable(Named(1)).set("one")
    assert Variable(Named(1)).get(timeout=60) == "one"
    for made in (Queue, Variable, Lock, Event, Semaphore):
        assert isinstance(made(name=Named(2)).name, Named)


def test_two_clients_do_not_share_names(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:
        Event("go", client=other).set()
        assert not Event("go").is_set()
        assert other.submit(lambda: Event("go").is_set()).result()


def test_a_queue_keeps_the_results_of_its_futures(client: Client) -> None:
    queue = Queue()
    future = client.submit(abs, -1)
    key = future.key
    queue.put(future)
    del future
    taken = queue.get()
    assert (taken.key, taken.result()) == (key, 1)
    queue.put(taken)
    taken.release()
    again = queue.get()
    assert again.result() == 1
    assert again is not taken


def test_a_future_that_failed_comes_out_failed(client: Client) -> None:
    queue, variable = Queue(), Variable()
    queue.put(client.submit(int, "one"))
    variable.set(client.submit(int, "two"))
    for future in (queue.get(), variable.get()):
        with pytest.raises(ValueError, match="invalid literal"):
            future.result()
    variable.delete()


def test_a_variable_gives_each_a_future_of_its_own(client: Client) -> None:
    variable = Variable("best")
    variable.set(client.submit(abs, -1))
    one, two = variable.get(), variable.get()
    one.release()
    assert two.result() == 1
    variable.set("text")
    assert two.result() == 1
    assert Variable("best").get() == "text"


def test_objects_come_out_as_they_went_in(client: Client) -> None:
    queue, value = Queue(), object()
    queue.put(value)
    assert queue.get() is value
    queue.put({"any": value})
    assert queue.get()["any"] is value
    queue.put([client.submit(abs, -1)])
    assert client.gather(queue.get()) == [1]


def test_a_queue_is_first_in_first_out(client: Client) -> None:
    queue = Queue()
    for number in range(5):
        queue.put(number)
    assert [queue.get(), queue.get(batch=2), queue.get(batch=True)] == [0, [1, 2], [3, 4]]


def test_what_a_batch_had_got_is_in_the_queue_again(client: Client) -> None:
    queue = Queue()
    queue.put(1)
    with pytest.raises(TimeoutError):
        queue.get(timeout=0.001, batch=2)
    queue.put(2)
    assert queue.get(batch=True) == [1, 2]


def test_producers_and_consumers_on_one_slot(one_slot: Client) -> None:
    def produce(n: int) -> None:
        for number in range(10):
            Queue("work", maxsize=2).put((n, number))

    def consume(_: int) -> list[Any]:
        return [Queue("work", maxsize=2).get() for _ in range(10)]

    keep = Queue("work", maxsize=2)
    consumers = one_slot.map(consume, range(3), pure=False)
    producers = one_slot.map(produce, range(3), pure=False)
    got = sorted(item for items in one_slot.gather(consumers) for item in items)
    one_slot.gather(producers)
    assert got == [(n, number) for n in range(3) for number in range(10)]
    assert keep.qsize() == 0


def test_a_lock_is_held_by_one_task_at_a_time(client: Client, journal: Journal) -> None:
    def enter(number: int) -> None:
        with Lock("one"):
            journal.append(number)
            get_client().submit(abs, -1, pure=False).result()  # lends its slot, and the next one waits for the lock
            journal.append(number)

    client.gather(client.map(enter, range(20), pure=False))
    entries = journal.entries()
    assert entries[::2] == entries[1::2] and sorted(entries[::2]) == list(range(20))


def test_a_lock_is_handed_over_in_the_order_of_waiting(one_slot: Client, journal: Journal) -> None:
    lock = Lock()

    async def enter(number: int) -> None:
        async with lock:
            journal.append(number)

    lock.acquire()
    waiting = one_slot.map(enter, range(10), pure=False)
    lock.release()
    one_slot.gather(waiting)
    assert journal == list(range(10))


def test_leases_go_with_the_object_that_has_them(client: Client) -> None:
    client.submit(lambda: Lock("forgotten").acquire()).result()
    assert Lock("forgotten").acquire(timeout=PATIENCE)


def test_they_go_while_the_task_goes_on(client: Client, gate: Gate) -> None:
    def forget() -> None:
        Lock("forgotten").acquire()
        Event("any").set()  # a process tells of what it has no more with what it says next
        gate.hold()

    future = client.submit(forget)
    gate.entered()
    assert Lock("forgotten").acquire(timeout=PATIENCE)
    gate.open()
    future.result()


def test_releases_are_the_holders(client: Client) -> None:
    one, other = held(Lock("one"))
    with pytest.raises(RuntimeError, match="Released too often: "):
        other.release()
    assert one.locked() and other.locked()
    assert one.release() is True
    assert not other.locked()


def test_a_semaphore_is_closed_for_all(client: Client, gate: Gate) -> None:
    one, other = held(Semaphore(1, name="closing"))
    # The task has used it before it is closed: what is first used afterwards is another one of this name.
    waiting = client.submit(lambda: (other.get_value(), gate.hold(), other.acquire()), pure=False)
    gate.entered()
    gate.open()
    with pytest.warns(RuntimeWarning, match="Closing semaphore closing but there remain unreleased leases: 1"):
        one.close()
    for call in (waiting.result, other.acquire):
        with pytest.raises(RuntimeError, match="Semaphore `closing` not known or already closed"):
            call()
    assert Semaphore(3, name="closing").acquire() is True


def test_an_event_sends_on_all_who_wait(client: Client) -> None:
    event = Event()
    waiting = client.map(lambda _: event.wait(), range(10), pure=False)
    event.set()
    event.clear()
    event.set()
    assert all(client.gather(waiting))


def test_nothing_is_left_of_what_nobody_has(client: Client) -> None:
    for number in range(100):
        with Lock(f"lock {number}"):
            pass
        Queue(f"queue {number}").put(number)
        assert Queue(f"queue {number}").get() == number
    # A semaphore of the same name with another number of leases would be refused if something was left.
    assert all(Semaphore(2, name=f"lock {number}").acquire() for number in range(100))


def test_a_closed_queue_lets_go_unless_another_has_it(client: Client) -> None:
    one, two = Queue("q"), Queue("q")
    one.put(1)
    one.close()
    assert two.qsize() == 1
    del two
    one.close()
    assert one.qsize() == 0


def test_ctrl_c_breaks_off_a_wait(client: Client) -> None:
    import _thread

    event, lock = Event(), Lock()
    lock.acquire()
    for wait in (event.wait, lock.acquire):
        interrupt = threading.Timer(0.05, _thread.interrupt_main)
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            wait()
        interrupt.join()
    lock.release()
    assert lock.acquire(timeout=0)


def test_the_clients_of_a_cluster_share_names() -> None:
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False) as cluster, Client(cluster) as one:
        other = Client(cluster, set_as_default=False)
        queue, theirs = Queue("q", client=one), Queue("q", client=other)
        future = other.submit(abs, -1)
        theirs.put(future)
        Event("go", client=other).set()
        assert Event("go", client=one).is_set()
        del future
        other.close()
        # The queue keeps the result, though the client that made it has gone.
        taken = queue.get()
        assert (taken.result(), taken.client) == (1, one)
        for call in (theirs.qsize, theirs.get):
            with pytest.raises(ClosedClientError):
                call()
        queue.put("still there")
        assert queue.get() == "still there"


@pytest.mark.parametrize("awaited", [False, True])
def test_waits_of_a_client_that_leaves_its_cluster_end(awaited: bool) -> None:
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False) as cluster, Client(cluster) as one:
        other = Client(cluster, set_as_default=False)
        queue, begun = Queue(client=other), threading.Event()

        async def awaits() -> Any:
            begun.set()
            return await queue.get()

        def waits() -> Any:
            begun.set()
            return queue.get()

        waiting = one.submit(awaits if awaited else waits, pure=False)
        assert begun.wait(PATIENCE)
        other.close()
        with pytest.raises(ClosedClientError):
            waiting.result(PATIENCE)
