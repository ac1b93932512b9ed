"""How long a `Client` lives: as long as the program refers to it or to one of its futures."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dask
import pytest
from azolla import (
    CancelledByCloseError,
    CancelledError,
    Client,
    ClosedClientError,
    Future,
    FutureCancelledError,
    FuturesCancelledError,
    LocalCluster,
    Queue,
    as_completed,
    default_client,
    fire_and_forget,
    get_client,
    get_worker,
    wait,
)
from conftest import Gate, eventually
from processes import children

#: What `made` gives a client, in the test at hand.
_here: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def here(request: pytest.FixtureRequest) -> Iterator[None]:
    """Has `made` make clients of the backend that a test takes."""
    backend = request.getfixturevalue("backend") if "backend" in request.fixturenames else "threads"
    _here["processes"] = backend == "processes"
    yield
    _here.clear()


def made(**options: Any) -> Client:
    return Client(n_workers=1, threads_per_worker=2, dashboard_address=None, **_here, **options)


def threads_and_processes() -> set[object]:
    """Returns this process's threads, and the processes that it has started."""
    return {*threading.enumerate(), *children(os.getpid())}


# --- Forms in which only futures are left of a client. Each begins work, and returns what asks for its result.

Ask = Callable[[], Any]
FORMS: dict[str, Callable[[Gate], Ask]] = {}


def form(begin: Callable[[Gate], Ask]) -> Callable[[Gate], Ask]:
    FORMS[begin.__name__] = begin
    return begin


@form
def a_future(gate: Gate) -> Ask:
    return made().submit(gate.hold, 1).result


@form
def a_map(gate: Gate) -> Ask:
    futures = made().map(gate.hold, [1, 1])
    return lambda: futures[1].result()


@form
def a_gather(gate: Gate) -> Ask:
    futures = made().map(gate.hold, [0, 1], pure=False)

    def ask() -> Any:
        assert futures[0].client is not None
        assert futures[0].client is futures[1].client
        return sum(futures[0].client.gather(futures))

    return ask


@form
def a_wait(gate: Gate) -> Ask:
    futures = made().map(gate.hold, [0], pure=False)
    return lambda: len(wait(futures).done)


@form
def an_exception(gate: Gate) -> Ask:
    future = made().submit(lambda: 1 // gate.hold(0), pure=False)
    return lambda: isinstance(future.exception(), ZeroDivisionError)


@form
def in_their_order(gate: Gate) -> Ask:
    futures = as_completed(made().map(gate.hold, [0, 1], pure=False))
    return lambda: sum(future.result() for future in futures)


@form
def a_callback(gate: Gate) -> Ask:
    results: list[int] = []
    called = threading.Event()

    def callback(future: Future[int]) -> None:
        results.append(future.result())
        called.set()

    made().submit(gate.hold, 1).add_done_callback(callback)
    return lambda: called.wait(60) and results[0]


@form
def a_callback_that_comes_later(gate: Gate) -> Ask:
    future = made().submit(gate.hold, 1)

    def ask() -> Any:
        called = threading.Event()
        future.add_done_callback(lambda future: called.set())
        return called.wait(60)

    return ask


@form
def a_future_that_a_task_gives(gate: Gate) -> Ask:
    inner = made().submit(lambda: [get_client().submit(gate.hold, 1)], pure=False).result()
    return lambda: inner[0].result()


@form
def a_task_that_asks_for_its_client(gate: Gate) -> Ask:
    def grow() -> int:
        gate.hold()
        return get_client().submit(abs, -1).result()

    return made().submit(grow, pure=False).result


@form
def an_actor(gate: Gate) -> Ask:
    words = made().submit(list, actor=True).result()
    return lambda: words.append("one").result() is None and words.__len__().result()


@form
def an_executor(gate: Gate) -> Ask:
    return made().get_executor().submit(gate.hold, 1).result


@form
def a_collection(gate: Gate) -> Ask:
    client = made()
    collection = dask.delayed(gate.hold)(1).persist()
    del client
    return lambda: collection.compute()


@form
def another_call(gate: Gate) -> Ask:
    future = made().submit(gate.hold, -1)

    def ask() -> Any:
        assert get_client() is default_client() is future.client
        return get_client().submit(abs, future).result()

    return ask


@form
def its_stand_in(gate: Gate) -> Ask:
    client = made().submit(gate.hold, -1).client
    assert client is not None
    return lambda: client.submit(abs, -1).result()


@pytest.mark.parametrize("begin", FORMS.values(), ids=FORMS)
def test_it_lives_while_only_its_futures_are_left(begin: Callable[[Gate], Ask], gate: Gate, backend: str) -> None:
    before = threads_and_processes()
    ask = begin(gate)
    gc.collect()
    gate.open()
    assert ask() == 1
    del ask

    def all_have_ended() -> bool:
        gc.collect()
        return threads_and_processes() <= before

    eventually(all_have_ended)
    with pytest.raises(ValueError, match="no client"):
        get_client()


def test_an_asynchronous_one_does_too(gate: Gate, backend: str) -> None:
    async def begin() -> list[Future[int]]:
        client = await made(asynchronous=True)
        return client.map(gate.hold, [0, 1], pure=False)

    async def main() -> Any:
        futures = await begin()
        gc.collect()
        gate.open()
        waiting = wait(futures)
        assert len((await waiting).done) == 2
        client = futures[0].client
        assert client is not None
        assert client.asynchronous
        return await futures[1], await client.gather(futures)

    assert asyncio.run(main()) == (1, [0, 1])


def test_a_guest_does_too(gate: Gate, cluster: LocalCluster) -> None:
    with cluster:
        futures = Client(cluster).map(gate.hold, [0, 1])
        gc.collect()
        assert {future.status for future in futures} == {"pending"}
        gate.open()
        assert [future.result() for future in futures] == [0, 1]
        del futures
        with Client(cluster) as other:
            eventually(lambda: other.counters()["kept"] == 0)


class App:
    """Refers to its client and its futures, and its client refers to it."""

    def __init__(self) -> None:
        self.client = made()
        self.client.subscribe_topic("topic", self.heard)
        self.futures = self.client.map(abs, [-1, -2])
        self.client.gather(self.futures)

    def heard(self, event: object) -> None:
        raise NotImplementedError


def kept_by_itself() -> None:
    client = made()
    client.mine = client.submit(abs, -1)  # type: ignore[attr-defined]
    client.mine.result()  # type: ignore[attr-defined]


def kept_in_metadata() -> None:
    client = made()
    client.set_metadata("result", [client.submit(abs, -1)])
    client.set_metadata(["by", "name"], client.submit(abs, -2))


def kept_in_a_dataset() -> None:
    made().publish_dataset(numbers=[client.submit(abs, -1) for client in [made()]])


def kept_in_a_queue() -> None:
    client = made()
    Queue("named", client=client).put([client.submit(abs, -1)])


def kept_in_a_result() -> None:
    assert made().submit(lambda: [get_client().submit(abs, -1)], pure=False).result()


def kept_in_an_event() -> None:
    def logs() -> None:
        get_worker().log_event("kept", [get_client().submit(abs, -1)])

    made().submit(logs).result()


RINGS: list[Callable[[], object]] = [
    App,
    kept_by_itself,
    kept_in_metadata,
    kept_in_a_dataset,
    kept_in_a_queue,
    kept_in_an_event,
]


@pytest.mark.parametrize("ring", [*RINGS, kept_in_a_result])
def test_what_its_cluster_keeps_does_not_keep_it(ring: Callable[[], object], backend: str) -> None:
    before = threads_and_processes()
    ring()

    def all_have_ended() -> bool:
        gc.collect()
        return threads_and_processes() <= before

    eventually(all_have_ended)


def test_what_is_forgotten_does_not_keep_it(gate: Gate, backend: str) -> None:
    future = made().submit(gate.hold)
    late = made().submit(gate.hold, pure=False)
    fire_and_forget(late)
    gate.entered()
    del future, late
    with pytest.raises(ValueError, match="no client"):
        get_client()


# --- What errors say of a client that is closed


def asks(futures: list[Future[Any]], other: Client) -> list[Ask]:
    async def awaited() -> Any:
        return await futures[0]

    return [
        futures[0].result,
        lambda: other.gather(futures),
        lambda: wait(futures),
        lambda: [future.result() for future in as_completed(futures)],
        lambda: asyncio.run(awaited()),
    ]


@pytest.mark.parametrize("guest", [False, True])
def test_futures_of_a_closed_one_say_so(guest: bool, gate: Gate, cluster: LocalCluster) -> None:
    with Client(cluster) as other:
        with Client(cluster) if guest else made() as client:
            futures = client.map(gate.hold, [-1, -2])
            gate.entered()
        for ask in asks(futures, other):
            with pytest.raises(CancelledByCloseError, match="the client is closed") as caught:
                ask()
            for kind in (CancelledError, FutureCancelledError, FuturesCancelledError, ClosedClientError):
                assert isinstance(caught.value, kind)
            assert "gone" not in str(caught.value)


def test_a_wait_that_closing_ends_says_so(gate: Gate, backend: str) -> None:
    client = made()
    future = client.submit(gate.hold)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(future.result)
        gate.entered()
        client.close()
        assert type(asked.exception()) is CancelledByCloseError


def test_a_wait_for_futures_of_two_of_them_names_each_future_once(gate: Gate) -> None:
    with made() as client, made() as other:
        futures = [made_by.submit(gate.hold, key=key) for made_by, key in ((client, "one"), (other, "two"))]
        futures += [other.submit(gate.hold, key="three"), Future("three", other), client.submit(abs, -1, key="four")]
        client.cancel(futures[-1])
        other.close()
        with pytest.raises(CancelledByCloseError) as caught:
            wait(futures[1:])
        why = "the task was cancelled, and the client is closed"
        assert str(caught.value) == f"cancelled: four; three, two: {why}"
        with pytest.raises(CancelledByCloseError) as caught:
            wait(futures[1:2])
        assert str(caught.value) == f"cancelled: two: {why}"
        gate.open()


def test_what_is_left_of_a_dropped_one_says_so(backend: str) -> None:
    queue: Queue = Queue("left", client=made())
    with pytest.raises(ClosedClientError, match="client is gone: nothing refers to the Client or to its futures"):
        queue.get(timeout=60)
    with pytest.raises(ClosedClientError, match="client is gone"):
        queue.put(1)


@pytest.mark.parametrize("call", ["run", "run_on_scheduler", "sync"])
def test_a_call_that_closes_the_client_it_runs_on_says_so(call: str) -> None:
    client = Client(processes=False)

    async def close() -> None:
        client.close()
        await asyncio.sleep(3600)

    with pytest.raises(ClosedClientError, match="the client was closed during the call"):
        getattr(client, call)(close if call == "sync" else client.close)
