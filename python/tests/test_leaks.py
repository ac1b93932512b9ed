"""What a program lets go of goes, also where the way back leads through the engine: errors, actors, queues, variables."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from azolla import CancelledError, Client, Event, Future, Lock, Queue, Variable, get_client, wait
from backends import Reason, threads_only
from conftest import PATIENCE, Gate, Journal, eventually

#: What runs, and why it does so on threads alone if it does.
PROGRAMS: list[Any] = []


class Held:
    """Something that a frame, an actor or a queue holds."""

    def __init__(self) -> None:
        living.add(self)


#: Every `Held` that lives.
living: weakref.WeakSet[Held] = weakref.WeakSet()


Program = Callable[[Client], None]


def program(run: Program, *, on_threads: Reason | None = None) -> Program:
    marks = [] if on_threads is None else [threads_only(on_threads)]
    PROGRAMS.append(pytest.param(run, marks=marks, id=run.__name__))
    return run


def none_lives() -> bool:
    gc.collect()
    return not living


def fail(_: Any = None) -> Any:
    raise ValueError("it failed")


def kept(client: Client, future: Future[Any]) -> None:
    """Keeps the error of a future in the frame that the error's traceback leads to."""
    held = Held()
    try:
        future.result()
    except ValueError as raised:
        error = raised
    assert error is not None
    assert held is not None


# --- Coroutine tasks that end by an exception


def ends(client: Client, coroutine: Callable[[], Any], *, cancelled: bool = False) -> None:
    """Runs a coroutine task, whose exception's frames lead to its event loop's tasks and contexts."""
    begun = Gate()

    async def task() -> None:
        held = Held()
        begun.enter()
        await coroutine()
        del held

    future = client.submit(task, pure=False)
    begun.entered()
    if cancelled:
        future.cancel()
    with pytest.raises((ValueError, TimeoutError, CancelledError)):
        future.result()


@program
def a_coroutine_whose_time_is_up(client: Client) -> None:
    ends(client, lambda: asyncio.wait_for(asyncio.sleep(1000), 0.001))


@program
def a_coroutine_that_is_cancelled(client: Client) -> None:
    ends(client, lambda: asyncio.sleep(1000), cancelled=True)


@program
def a_coroutine_that_lets_a_childs_error_through(client: Client) -> None:
    async def child() -> None:
        await get_client().submit(fail, pure=False)

    ends(client, child)


@program
def a_coroutine_that_waits_for_a_queue_in_vain(client: Client) -> None:
    async def get() -> None:
        await Queue("empty").get(timeout=0.001)

    ends(client, get)


def test_a_lock_of_a_cancelled_coroutine_is_free(client: Client) -> None:
    locked = Gate()

    async def hold() -> None:
        lock = Lock("held")
        await lock.acquire()
        locked.enter()
        await asyncio.sleep(1000)

    future = client.submit(hold, pure=False)
    locked.entered()
    future.cancel()
    del future
    eventually(lambda: gc.collect() is not None and Lock("held").acquire(timeout=0.1))


# --- Errors that the caller keeps


@program
def an_error(client: Client) -> None:
    kept(client, client.submit(fail, pure=False))


@program
def an_error_through_a_dependency(client: Client) -> None:
    failed = client.submit(fail, pure=False)
    kept(client, client.submit(fail, failed, pure=False))
    held, dependents = Held(), client.map(fail, [failed] * 3, pure=False)
    try:
        client.gather(dependents)
    except ValueError as raised:
        error = raised
    assert error is not None
    assert held is not None


@program
def an_error_through_a_chain_of_dropped_futures(client: Client) -> None:
    future = client.submit(fail, pure=False)
    for _ in range(5):
        future = client.submit(fail, future, pure=False)
    kept(client, future)


@program
def an_error_through_a_dependency_that_failed_before(client: Client) -> None:
    failed = client.submit(fail, pure=False)
    wait([failed])
    kept(client, client.submit(fail, failed, pure=False))


@program
def an_error_through_a_dependency_asked_for(client: Client) -> None:
    held, future = Held(), client.submit(fail, client.submit(fail, pure=False), pure=False)
    error = future.exception()
    assert error is not None
    try:
        raise error
    except ValueError:
        assert held is not None


@program
def an_error_through_a_dependency_awaited(client: Client) -> None:
    async def main() -> None:
        held, future = Held(), client.submit(fail, client.submit(fail, pure=False), pure=False)
        try:
            await future
        except ValueError as raised:
            error = raised
        assert error is not None
        assert held is not None

    asyncio.run(main())


@program
def an_error_of_each_attempt(client: Client) -> None:
    held, future = Held(), client.submit(fail, pure=False)
    errors = []
    for _ in range(3):
        try:
            future.result()
        except ValueError as raised:
            errors.append(raised)
        future.retry()
    wait([future])
    assert held is not None


@program
def an_error_before_a_success(client: Client) -> None:
    attempts = Journal()

    def fail_once() -> None:
        attempts.append("run")
        if len(attempts) == 1:
            fail()

    held, future = Held(), client.submit(fail_once, pure=False)
    try:
        future.result()
    except ValueError as raised:
        error = raised
    future.retry()
    assert future.result() is None
    assert error is not None
    assert held is not None


@program
def an_error_through_a_parent(client: Client) -> None:
    kept(client, client.submit(lambda: get_client().submit(fail, pure=False).result(), pure=False))


@program
def an_error_through_a_coroutine(client: Client) -> None:
    async def coroutine() -> Any:
        held, child = Held(), get_client().submit(fail, pure=False)
        try:
            return await child
        except ValueError as raised:
            error = raised
            assert held is not None
            raise error from None

    kept(client, client.submit(coroutine, pure=False))


@program
def an_argument_that_leads_to_the_future_of_a_task_that_an_input_fails(client: Client) -> None:
    held = Held()
    future = client.submit(lambda *_: None, client.submit(fail, pure=False), [held], pure=False)
    held.future = future  # type: ignore[attr-defined]
    wait([future])


# --- Actors


class Node:
    """An actor that can know another."""

    def __init__(self) -> None:
        self.held = Held()
        self.other: Any = None

    def meet(self, other: Any) -> None:
        self.other = other


@partial(program, on_threads=Reason.CYCLES)
def actors_that_hold_each_other(client: Client) -> None:
    actors = [future.result() for future in [client.submit(Node, actor=True) for _ in range(3)]]
    for one, other in zip(actors, actors[1:] + actors[:1], strict=True):
        one.meet(other).result()


@partial(program, on_threads=Reason.CYCLES)
def an_actor_that_holds_itself_and_a_method_of_its_own(client: Client) -> None:
    actor = client.submit(Node, actor=True).result()
    actor.meet([actor, actor.meet]).result()


@partial(program, on_threads=Reason.CYCLES)
def actors_that_hold_futures_on_each_other(client: Client) -> None:
    one, other = (client.submit(Node, actor=True, pure=False) for _ in range(2))
    one.result().meet(other).result()
    other.result().meet(one).result()


# --- Queues and variables without a name


@program
def a_queue_with_contents(client: Client) -> None:
    queue = Queue()
    queue.put(Held())
    queue.put(client.submit(Held, pure=False))
    queue.put([Held(), queue])


@program
def queues_that_hold_each_other(client: Client) -> None:
    queues = Queue(), Queue()
    queues[0].put((Held(), queues[1]))
    queues[1].put((Held(), queues[0]))


@program
def a_variable_with_contents(client: Client) -> None:
    variable = Variable()
    variable.set(client.submit(Held, pure=False))
    variable.set([Held(), variable])
    future = Variable()
    future.set(client.submit(lambda: [Held(), future], pure=False))


@pytest.mark.parametrize("run", PROGRAMS)
def test_nothing_stays(client: Client, run: Program) -> None:
    run(client)
    eventually(none_lives)


def test_what_has_a_name_stays_without_a_handle(client: Client) -> None:
    held = Held()
    Queue("stays").put([held, Queue("stays")])
    Variable("stays").set([held, Variable("stays")])
    Event("stays").set()
    gc.collect()
    assert Queue("stays").get()[0] is held
    assert Variable("stays").get(timeout=1)[0] is held
    assert Event("stays").is_set()
    Variable("stays").delete()


def test_what_has_no_name_is_found_by_the_name_it_got_while_an_object_of_that_name_lives(client: Client) -> None:
    queue = Queue()
    queue.put("one")
    another = Queue(queue.name)
    del queue
    assert another.get() == "one"
    event = Event()
    event.set()
    name = event.name
    assert Event(name).is_set()
    del event
    assert not Event(name).is_set()


@threads_only(Reason.OBJECTS)  # in a pickle on its way a queue without a name is not kept
def test_the_collector_takes_nothing_of_a_queue_that_is_in_use(client: Client) -> None:
    queue = Queue()

    def take(queue: Queue) -> list[Any]:
        return [queue.get() for _ in range(200)]

    future = client.submit(take, queue, pure=False)
    for number in range(200):
        queue.put([number, [number]])
        gc.collect(0)
    del queue
    assert future.result() == [[number, [number]] for number in range(200)]


# --- Clients that are dropped and not closed


async def double(x: int) -> int:
    return 2 * x


def called_back(client: Client) -> None:
    called = threading.Event()
    client.submit(abs, -1).add_done_callback(lambda future: called.set())
    assert called.wait(60)


USES: dict[str, Callable[[Client], object]] = {
    "tasks": lambda client: client.submit(abs, -1).result(),
    "coroutines": lambda client: client.submit(double, 1).result(),
    "sync": lambda client: client.sync(double, 1),
    "loop": lambda client: client.loop,
    "callbacks": called_back,
    "profile": lambda client: client.profile(),
    "actors": lambda client: client.submit(list, actor=True).result().append(1).result(),
    "topics": lambda client: client.subscribe_topic("topic", print),
    "run": lambda client: client.run(int),
    "datasets": lambda client: client.publish_dataset(numbers=[1, 2]),
    "executors": lambda client: client.get_executor().submit(abs, -1).result(),
}


@pytest.mark.parametrize("use", USES)
def test_a_client_that_is_dropped_leaves_no_thread(use: str) -> None:
    before = set(threading.enumerate())
    client = Client(processes=False, n_workers=1, threads_per_worker=2, set_as_default=False)
    USES[use](client)
    assert set(threading.enumerate()) > before
    del client

    def all_have_ended() -> bool:
        gc.collect()
        return set(threading.enumerate()) <= before

    eventually(all_have_ended)


async def for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_a_coroutine_that_waits_and_holds_its_own_future_goes_with_its_end(end: str) -> None:
    def task() -> Future[Any]:
        async def waits() -> None:
            begun.set()
            await for_ever()
            print(held)

        begun, held = threading.Event(), Held()
        held.future = client.submit(waits, pure=False)  # type: ignore[attr-defined]
        assert begun.wait(PATIENCE)
        return held.future  # type: ignore[attr-defined, no-any-return]

    client = Client(processes=False, threads_per_worker=1, dashboard_address=None)
    for _ in range(3):
        future = task()
        if end == "cancel":
            future.cancel()
        del future
    if end == "cancel":
        eventually(none_lives)
    client.close()
    eventually(none_lives)


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_a_client_that_its_own_coroutine_holds_goes_with_the_coroutine(end: str) -> None:
    def task() -> tuple[Future[Any], weakref.ref[Client]]:
        async def waits() -> None:
            begun.set()
            await for_ever()
            print(client)

        begun = threading.Event()
        client = Client(processes=False, threads_per_worker=1, dashboard_address=None)
        future = client.submit(waits, pure=False)
        assert begun.wait(PATIENCE)
        return future, weakref.ref(client)

    def is_gone() -> bool:
        gc.collect()
        return itself() is None

    future, itself = task()
    assert not is_gone()
    if end == "cancel":
        future.cancel()
    else:
        client = itself()
        assert client is not None
        client.close()
        del client
    del future
    eventually(is_gone)
