"""Actors: one call at a time, in the order of the calls, on an object that stays."""

import asyncio
import gc
import pickle
import threading
import weakref
from contextvars import ContextVar
from typing import Any

import azolla
import pytest
from azolla import (
    Actor,
    ActorFuture,
    ActorLostError,
    Client,
    FutureCancelledError,
    Reschedule,
    WaitCycleError,
    get_client,
    wait,
)
from backends import OPTIONS, Reason, threads_only
from conftest import PATIENCE, Gate, Journal, eventually


class Counter:
    n = 0

    def __init__(self, start: int = 0) -> None:
        self.n = start
        self.only_here = "an instance's"

    def increment(self, by: int = 1) -> int:
        self.n += by
        return self.n

    def fail(self) -> None:
        raise OSError("the disk is full")

    def leave(self, how: type[BaseException]) -> None:
        raise how("leaving")

    @property
    def tenfold(self) -> int:
        return self.n * 10

    def kind(self, value: Any) -> str:
        return type(value).__name__

    async def slowly(self) -> int:
        await asyncio.sleep(0)
        return self.increment()


# No fixture: one would hold it while the client is looked over.
def counting(client: Client) -> Any:
    return client.submit(Counter, actor=True).result()


def test_methods_give_actor_futures(client: Client) -> None:
    counter = counting(client)
    future = counter.increment(by=3)
    assert isinstance(future, ActorFuture) and isinstance(future, azolla.BaseActorFuture)
    assert (future.result(PATIENCE), future.done(), future.status) == (3, True, "finished")
    assert str(future.key).startswith("Counter.increment-")
    assert "ActorFuture" in repr(future)


def test_calls_run_in_their_order(client: Client) -> None:
    seen = client.submit(list, actor=True).result()
    for n in range(1_000):
        seen.append(n)
    assert seen.copy().result(PATIENCE) == list(range(1_000))


class Alone:
    def __init__(self) -> None:
        self.inside = self.calls = 0
        self.together = False

    def call(self) -> None:
        self.inside += 1
        self.together |= self.inside > 1
        threading.Event().wait(0.0001)  # lets others run, if any may
        self.calls += 1
        self.inside -= 1


def test_one_call_at_a_time_whoever_calls(backend: str) -> None:
    options = {**OPTIONS[backend], "n_workers": 1, "threads_per_worker": 4}
    with azolla.LocalCluster(**options) as cluster:
        with Client(cluster) as client, Client(cluster) as other:
            actor: Any = client.submit(Alone, actor=True, key="alone").result()
            same: Any = azolla.Future("alone", other).result()
            in_tasks = [
                one.map(lambda _, a: a.call().result(), range(40), a=actor, pure=False) for one in (client, other)
            ]
            threads = [
                threading.Thread(target=lambda a: [a.call() for _ in range(40)], args=(a,)) for a in (actor, same)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            client.gather(in_tasks[0])
            other.gather(in_tasks[1])
            actor.call().result(PATIENCE)
            assert (actor.calls, actor.together) == (161, False)


def test_attributes_are_read_as_they_are(client: Client) -> None:
    counter = counting(client)
    counter.increment(4).result(PATIENCE)
    assert (counter.n, counter.only_here, counter.tenfold) == (4, "an instance's", 40)
    with pytest.raises(AttributeError, match="missing"):
        _ = counter.missing
    with pytest.raises(AttributeError, match="its own methods"):
        counter.n = 5
    assert {"n", "increment", "key", "client"} <= set(dir(counter)) and "_future" not in dir(counter)


def test_errors_are_the_calls_alone(client: Client) -> None:
    counter = counting(client)
    with pytest.raises(OSError, match="the disk is full") as raised:
        counter.fail().result(PATIENCE)
    assert "in the azolla task Counter.fail-" in raised.value.__notes__[0]
    for error in (SystemExit, KeyboardInterrupt):
        with pytest.raises(error):
            counter.leave(error).result(PATIENCE)
    with pytest.raises(TypeError):
        counter.increment(1, 2, 3).result(PATIENCE)
    assert counter.increment().result(PATIENCE) == 1


def test_one_that_cannot_be_made_fails_its_future(client: Client) -> None:
    future = client.submit(lambda: 1 / 0, actor=True)
    with pytest.raises(ZeroDivisionError):
        future.result(PATIENCE)


class AsksAgain:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.ask()

    def ask(self) -> int:
        self.journal.append("asked")
        if len(self.journal.entries()) % 2:
            raise Reschedule
        return len(self.journal.entries())


def test_what_asks_for_another_run_gets_one(client: Client, journal: Journal) -> None:
    actor = client.submit(AsksAgain, journal, actor=True).result(PATIENCE)
    assert actor.ask().result(PATIENCE) == 4


def test_it_is_what_its_key_is(client: Client) -> None:
    counter = counting(client)
    copy = pickle.loads(pickle.dumps(counter))
    assert isinstance(copy, Actor) and copy == counter and hash(copy) == hash(counter)
    assert copy.increment().result(PATIENCE) == 1 and counter.n == 1
    assert repr(counter) == f"<Actor: Counter, key={counter.key}>"
    assert counter.client is client


def test_map_makes_one_each_and_equal_calls_are_none(client: Client) -> None:
    for option in ("actor", "actors"):
        made = client.gather(client.map(Counter, [1, 1, 3], **{option: True}))
        assert [one.increment().result() for one in made] == [2, 2, 4]
    assert client.submit(Counter, actor=True).key != client.submit(Counter, actor=True).key
    counter = client.submit(Counter, actors=True).result()

    def call(it: Any) -> Any:
        return it.increment().result()

    # What it changes counts: the second is not the first.
    assert [client.submit(call, counter).result() for _ in range(2)] == [1, 2]


def test_arguments_are_passed_as_they_are(client: Client) -> None:
    counter = counting(client)
    assert counter.kind(client.submit(int, 1)).result(PATIENCE) == "Future"
    assert counter.kind(counter).result(PATIENCE) == "Actor"
    future = client.submit(Counter, actor=True)
    assert client.submit(lambda it: type(it).__name__, future).result() == "Actor"
    assert client.submit(lambda n: n + 1, counter.increment()).result() == 2
    assert client.gather([counter.increment(), counter.increment()]) == [2, 3]
    assert [f.result() for f in azolla.as_completed([counter.increment()])] == [4]
    wait([counter.increment()], timeout=PATIENCE)


class Waits:
    def ask(self, other: Any) -> Any:
        return other.increment().result()

    def task(self) -> Any:
        return get_client().submit(lambda: 7, pure=False).result()

    def itself(self, own: Any) -> Any:
        try:
            return own.task().result()
        except WaitCycleError as error:
            return str(error)


def test_waits_take_no_slot(one_slot: Client) -> None:
    counter, waits = one_slot.submit(Counter, actor=True).result(), one_slot.submit(Waits, actor=True).result()
    assert waits.ask(counter).result(PATIENCE) == 1
    assert waits.task().result(PATIENCE) == 7
    assert one_slot.submit(lambda it, counter: it.ask(counter).result() + 1, waits, counter).result(PATIENCE) == 3


def test_an_actor_that_waits_for_itself_is_told(client: Client) -> None:
    waits = client.submit(Waits, actor=True).result()
    message = waits.itself(waits).result(PATIENCE)
    assert "Waits.itself-" in message and "Waits.task-" in message


class Waiter:
    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.running: list[str] = []
        self.clash = False

    async def wait(self) -> str:
        await self.event.wait()
        return "waited"

    async def set(self) -> None:
        self.event.set()

    def _enter(self, who: str) -> None:
        self.clash |= bool(self.running)
        self.running.append(who)
        threading.Event().wait(0.0001)
        self.running.pop()

    async def stretches(self) -> None:
        for _ in range(5):
            self._enter("coroutine")
            await asyncio.sleep(0)

    def at_once(self) -> None:
        self._enter("call")

    def outwait(self, future: Any) -> Any:
        try:
            return future.result()
        except WaitCycleError:
            return "told"

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise OSError("in a coroutine")


def test_coroutines_let_others_in_where_they_await(client: Client) -> None:
    waiter = client.submit(Waiter, actor=True).result()
    waits = waiter.wait()
    waiter.set().result(PATIENCE)
    assert waits.result(PATIENCE) == "waited"
    with pytest.raises(OSError, match="in a coroutine"):
        waiter.fail().result(PATIENCE)


def test_coroutines_and_calls_never_run_at_once(client: Client) -> None:
    waiter = client.submit(Waiter, actor=True).result()
    calls = [call() for _ in range(20) for call in (waiter.stretches, waiter.at_once)]
    client.gather(calls)
    assert not waiter.clash


def test_a_call_that_waits_for_a_coroutine_of_its_own_actor_is_told(client: Client) -> None:
    waiter = client.submit(Waiter, actor=True).result()
    waits = waiter.wait()
    assert waiter.outwait(waits).result(PATIENCE) == "told"
    waiter.set()
    assert waits.result(PATIENCE) == "waited"


def test_a_coroutine_that_is_cancelled_lets_the_next_in(client: Client) -> None:
    waiter = client.submit(Waiter, actor=True).result()
    waits = [waiter.wait() for _ in range(3)]
    for future in waits:
        future.cancel()
    waiter.at_once().result(PATIENCE)
    with pytest.raises(FutureCancelledError):
        waits[0].result(PATIENCE)


def test_awaited_on_any_loop(client: Client) -> None:
    counter = counting(client)

    async def main() -> Any:
        return await counter.increment(), await counter.slowly()

    assert asyncio.run(main()) == (1, 2)
    assert client.sync(main) == (3, 4)


def test_an_asynchronous_client(backend: str) -> None:
    async def main() -> Any:
        async with Client(**OPTIONS[backend], asynchronous=True) as client:
            counter: Any = await client.submit(Counter, actor=True)
            return await counter.increment(), await counter.n, await counter.increment().result()

    assert asyncio.run(main()) == (1, 1, 2)


def test_one_that_is_gone_says_so(client: Client, gate: Gate) -> None:
    future = client.submit(Counter, actor=True, key="gone")
    counter: Any = future.result()
    holds = client.submit(Holds, gate, actor=True).result()
    holds.hold()
    late = holds.hold()
    future.cancel()
    for use in (lambda: counter.increment(), lambda: counter.n):
        with pytest.raises(ActorLostError, match="gone"):
            use()
    azolla.Future(holds.key).cancel()
    with pytest.raises(FutureCancelledError):
        late.result(PATIENCE)


class Holds:
    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def hold(self) -> None:
        self.gate.hold()


def test_a_closed_client(backend: str) -> None:
    client = Client(**OPTIONS[backend])
    counter = client.submit(Counter, actor=True).result()
    client.close()
    for use in (lambda: counter.increment(), lambda: counter.n):
        with pytest.raises(ActorLostError, match="closed"):
            use()


def by_its_key(cls: type, key: str) -> str:
    actor: Any = Actor(cls, None, key)
    try:
        return str(actor.increment().result())
    except ActorLostError as error:
        return str(error)


def test_one_whose_key_is_another_tasks_says_so(client: Client) -> None:
    plain = client.submit(abs, -1, key="plain")
    assert plain.result(PATIENCE) == 1
    with client.as_current():
        assert by_its_key(Counter, "plain") == "the actor plain is gone: its key is another task's"
    told = client.submit(by_its_key, Counter, "plain", pure=False)
    assert told.result(PATIENCE) == "the actor plain is gone: its key is another task's"


class Tells:
    """Tells a journal when it goes."""

    def __init__(self, journal: Journal) -> None:
        weakref.finalize(self, journal.append, "gone").atexit = False

    def one(self) -> int:
        return 1


def test_it_goes_with_the_last_who_has_it_after_the_calls_made(client: Client, journal: Journal) -> None:
    made = client.submit(Tells, journal, actor=True)
    actor: Any = made.result()
    del made
    last = actor.one()
    assert last.result(PATIENCE) == 1
    assert journal.entries() == []
    del actor
    gc.collect()
    eventually(journal.entries)
    assert last.result() == 1


variable: ContextVar[str] = ContextVar("variable", default="unset")


class Looks:
    def look(self) -> Any:
        return variable.get(), get_client().name, azolla.get_worker().name


@threads_only(Reason.CONTEXT)
def test_methods_see_the_callers_context_and_the_client(client: Client) -> None:
    looks = client.submit(Looks, actor=True).result()
    token = variable.set("set")
    seen = looks.look()
    variable.reset(token)
    assert seen.result(PATIENCE) == ("set", client.name, 0)
    assert looks.look().result(PATIENCE)[0] == "unset"


def test_a_timeout_leaves_the_call_alone(client: Client, gate: Gate) -> None:
    holds = client.submit(Holds, gate, actor=True).result()
    call = holds.hold()
    with pytest.raises(TimeoutError):
        call.result(timeout=0.01)
    gate.open()
    assert call.result(PATIENCE) is None


def test_calls_go_before_newer_work(one_slot: Client, gate: Gate, journal: Journal) -> None:
    actor: Any = one_slot.submit(Notes, journal, actor=True).result()
    blocks = one_slot.submit(gate.hold, pure=False)
    gate.entered()
    newer = one_slot.submit(journal.append, "newer", pure=False)
    call = actor.note("call")
    gate.open()
    one_slot.gather([blocks, newer, call])
    assert journal.entries() == ["call", "newer"]


class Notes:
    def __init__(self, order: Journal) -> None:
        self.order = order

    def note(self, what: str) -> None:
        self.order.append(what)
