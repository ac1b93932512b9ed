"""Small things that programs written for Dask rely on: what is accepted, what comes back, and the words of errors."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import enum
import uuid
from collections import namedtuple
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import azolla
import numpy as np
import pytest
from azolla import (
    CancelledError,
    Client,
    Event,
    Future,
    LocalCluster,
    Lock,
    MultiLock,
    Queue,
    Semaphore,
    Variable,
    as_completed,
    futures_of,
    wait,
)
from conftest import Gate

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1


def test_numbers_of_threads_are_awaited_on_an_asynchronous_client() -> None:
    async def main() -> None:
        async with Client(processes=False, n_workers=2, threads_per_worker=1, asynchronous=True) as client:
            threads = await client.nthreads()
            assert list(threads.values()) == [1, 1]
            assert await client.ncores() == threads
            one = next(iter(threads))
            assert await client.nthreads([one]) == {one: 1}
            assert sorted(await client.who_has()) == []

    asyncio.run(main())


def test_scatter_of_ranges_named_tuples_and_to_workers(client: Client) -> None:
    futures = client.scatter(range(3))
    assert type(futures) is list
    assert client.gather(futures) == [0, 1, 2]
    point = client.scatter(Point(1, [2]))
    assert type(point) is Point
    assert client.gather(point) == Point(1, [2])
    address = next(iter(client.nthreads()))
    for workers in (address, [address], [0], 0):
        assert client.scatter(1, workers=workers).result() == 1
    with pytest.raises(ValueError, match="no worker 'nowhere'"):
        client.scatter(1, workers=["nowhere"])


NAMES: list[Any] = [
    "123",
    b"123",
    123,
    1.5,
    ("a", 1),
    ["a", 1],
    [("a",), [1]],
    frozenset({1, 2}),
    Colour.RED,
    uuid.UUID(int=1),
    frozenset({(1, 2), "a"}),
    None,
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_whatever_is_hashable_is_a_name(client: Client, name: Any) -> None:
    lock, event, variable = Lock(name), Event(name), Variable(name)
    queue, semaphore, several = Queue(name), Semaphore(1, name), MultiLock([name])
    if name is not None:
        assert {lock.name, event.name, variable.name, queue.name} == {name} if not isinstance(name, list) else True
        assert lock.name == event.name == name
        same = copy.deepcopy(name)
        with Lock(name):
            assert not Lock(same).acquire(blocking=False)
        variable.set(1)
        assert Variable(same).get(timeout=60) == 1
        queue.put(2)
        assert Queue(same).get(timeout=60) == 2
        event.set()
        assert Event(same).is_set()
        with several:
            assert not MultiLock([same]).acquire(blocking=False)
        variable.delete()
    assert semaphore.acquire(blocking=True) if isinstance(semaphore, Lock) else semaphore.acquire()
    semaphore.release()


EQUAL: list[list[Any]] = [
    [1, 1.0, True, Fraction(1), Decimal(1), 1 + 0j, np.int64(1), np.float32(1)],
    [0.5, Fraction(1, 2), Decimal("0.5"), np.float16(0.5)],
    [("a", 1), ("a", 1.0), ["a", True]],
    [frozenset({1, "a"}), frozenset({"a", 1.0})],
    [2**70, 2.0**70],
    [float("inf"), Decimal("inf")],
]


@pytest.mark.own_cluster
def test_equal_names_are_one(client: Client) -> None:
    for number, names in enumerate(EQUAL):
        Variable(names[0]).set(number)
    for number, names in enumerate(EQUAL):
        assert [Variable(name).get(timeout=60) for name in names] == [number] * len(names)
    for name in ("1", b"1", ("1",), (1,), 1 + 1j, 1.5):
        with pytest.raises(TimeoutError):
            Variable(name).get(timeout=0)


@pytest.mark.own_cluster
def test_errors_show_the_name(client: Client) -> None:
    for name in (1.5, ("a", 1), Colour.RED):
        for shared in (Variable(name), Queue(name)):
            with pytest.raises(TimeoutError) as raised:
                shared.get(timeout=0)
            assert "\0" not in str(raised.value)
            assert str(raised.value).startswith({1.5: "1.5", ("a", 1): "('a'", Colour.RED: "Colour"}[name])
        kept = Semaphore(1, name)
        with pytest.raises(ValueError, match="Inconsistent max leases") as inconsistent:
            Semaphore(2, name).acquire()
        assert kept.get_value() == 0
        assert "x00" not in str(inconsistent.value) and "\0" not in str(inconsistent.value)


@pytest.mark.parametrize("make", [Lock, Event, Variable, Queue, lambda name: Semaphore(1, name)])
def test_what_is_nothing_but_itself_is_no_name(client: Client, make: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        make(object())


def test_names_of_different_kinds_are_different_things(client: Client) -> None:
    variables = [Variable(name) for name in NAMES if name not in (None, ["a", 1])]
    for number, variable in enumerate(variables):
        variable.set(number)
    assert [variable.get() for variable in variables] == list(range(len(variables)))
    assert Variable(["a", 1]).get() == Variable(("a", 1)).get()
    with pytest.raises(TypeError):
        Lock({})


def test_a_key_of_none_is_no_key(client: Client) -> None:
    assert client.submit(abs, -1, key=None).key == client.submit(abs, -1).key


def test_arguments_that_change_nothing_in_one_process_are_taken() -> None:
    more: dict[str, Any] = {
        "scheduler_port": 0,
        "protocol": "inproc://",
        "ip": "",
        "host": None,
        "nanny": False,
        "security": False,
        "preload": [],
        "extensions": {},
        "scheduler_kwargs": {},
        "local_directory": "/somewhere",
        "silence_logs": 30,
        "worker_dashboard_address": ":0",
        "timeout": 5,
        "port": 0,
        "validate": False,
        "data": None,
        "executor": None,
        "contact_address": None,
        "lifetime": None,
        "lifetime_stagger": "0 seconds",
        "lifetime_restart": False,
    }
    with LocalCluster(processes=False, dashboard_address=None, **more) as cluster, Client(cluster) as client:
        assert client.submit(abs, -1).result() == 1
    with Client(processes=False, dashboard_address=None, **more) as client:
        assert client.submit(abs, -1).result() == 1


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("scheduler_port", 8786),
        ("protocol", "tcp://"),
        ("nanny", True),
        ("security", True),
        ("preload", ["m"]),
        ("port", 8786),
        ("validate", True),
        ("data", dict),
        ("contact_address", "tcp://here:1"),
        ("lifetime", "1 hour"),
    ],
)
def test_arguments_that_would_change_something_are_refused(argument: str, value: Any) -> None:
    for make in (LocalCluster, Client):
        with pytest.raises(NotImplementedError, match=argument):
            make(processes=False, **{argument: value})


def test_joining_a_closed_cluster_is_a_runtime_error() -> None:
    cluster = LocalCluster(processes=False, dashboard_address=None)
    cluster.close()
    with pytest.raises(RuntimeError, match="closed"):
        Client(cluster)


def test_cancelled_futures_go_into_no_queue_and_no_variable(client: Client) -> None:
    cancelled, released = client.submit(abs, -1, pure=False), client.submit(abs, -2)
    cancelled.cancel()
    released.release()
    for future in (cancelled, released):
        with pytest.raises(CancelledError):
            Queue().put(future)
        with pytest.raises(CancelledError):
            Variable().set(future)


def test_gather_skips_what_was_released(client: Client) -> None:
    ok, released, failed = client.submit(abs, -1), client.submit(abs, -2), client.submit(int, "no")
    released.release()
    assert client.gather([ok, released, failed], errors="skip") == [1]
    assert client.gather({"ok": ok, "all": [released, ok]}, errors="skip") == {"ok": 1, "all": [1]}
    with pytest.raises(CancelledError):
        client.gather([ok, released])

    async def main() -> Any:
        async with Client(processes=False, asynchronous=True) as client:
            ok, released = client.submit(abs, -1), client.submit(abs, -2)
            released.release()
            return await client.gather([released, ok], errors="skip")

    assert asyncio.run(main()) == [1]


def test_ids(client: Client) -> None:
    assert client.id.startswith("Client-")
    for make in (lambda: Lock("x"), lambda: MultiLock(["x"]), lambda: Semaphore(1, "y")):
        assert make().id != make().id


def test_as_completed_shows_what_waits_and_what_is_done(client: Client, gate: Gate) -> None:
    futures = client.map(gate.hold, range(2))
    endings = as_completed(futures)
    gate.entered(2)
    assert repr(endings) == str(endings) == "<as_completed: waiting=2 done=0>"
    gate.open()
    wait(futures)
    assert repr(endings) == "<as_completed: waiting=0 done=2>"
    next(endings)
    assert repr(endings) == "<as_completed: waiting=0 done=1>"


def test_dasks_words(client: Client) -> None:
    one, other = client.map(abs, [-1, -2])
    with pytest.raises(TypeError, match="expects a list"):
        wait(one, other)
    with pytest.raises(TypeError, match="Scheduler address must be a string or a Cluster instance"):
        Client(1)  # type: ignore[arg-type]


def test_dasks_words_of_executors(client: Client) -> None:
    with pytest.raises(TypeError, match=r"unsupported arguments to ClientExecutor: \['nonesuch'\]"):
        client.get_executor(nonesuch=1)


def test_without_a_client_an_object_is_not_properly_initialized() -> None:
    for shared in (Lock("x"), Event("x"), Variable("x"), Queue("x"), MultiLock(["x"])):
        assert shared.client is None
        act: Any = getattr(shared, "acquire", None) or getattr(shared, "get", None) or shared.is_set  # type: ignore[union-attr]
        with pytest.raises(RuntimeError, match="not properly initialized"):
            act()


def test_the_clients_own_futures(client: Client) -> None:
    one, other = client.map(abs, [-1, -2])
    assert client.futures_of([one, {"k": other}]) == [one, other]
    other.cancel()
    with pytest.raises(CancelledError, match="abs-"):
        client.futures_of([one, other])
    with pytest.raises(CancelledError):
        futures_of([one, other], client=client)
    assert futures_of([one, other]) == [one, other]


def test_a_future_on_an_unknown_key_says_so(client: Client) -> None:
    with pytest.raises(CancelledError, match="unknown: the client has no task of this key"):
        Future("unknown", client).result()


def test_a_closed_client_has_no_stories() -> None:
    client = Client(processes=False, dashboard_address=None)
    client.close()
    with pytest.raises(azolla.ClosedClientError):
        client.story("key")


def test_a_file_that_is_no_module_is_taken(client: Client, tmp_path: Any) -> None:
    path = tmp_path / "notes"
    path.write_text("to be opened by tasks")
    client.upload_file(path)
    assert client.submit(path.read_text).result() == "to be opened by tasks"


@dataclasses.dataclass
class Job:
    future: Any


def test_copies_of_futures_keep_their_client() -> None:
    with (
        Client(processes=False, dashboard_address=None) as one,
        Client(processes=False, dashboard_address=None) as other,
    ):
        future = one.submit(pow, 2, 10, key="mine")
        assert azolla.get_client() is other
        for made in (
            copy.copy(future),
            copy.deepcopy(future),
            copy.deepcopy([future])[0],
            dataclasses.asdict(Job(future))["future"],
            dataclasses.replace(Job(future)).future,
        ):
            assert (made.client, made.key, made.result()) == (one, "mine", 1024)
        made = copy.copy(future)
        future.release()
        assert made.result() == 1024
        assert copy.deepcopy(future).cancelled()


def test_a_copied_actors_future_is_whole(client: Client) -> None:
    words = client.submit(list, actor=True).result()
    answer = words.append("x")
    assert copy.deepcopy(answer).result() is None


def test_nothing_is_deleted_by_replicating(client: Client) -> None:
    client.replicate(client.map(abs, [-1]), n=2)
    with pytest.raises(ValueError, match="delete data"):
        client.replicate([], n=0)


def test_results_are_at_hand(client: Client) -> None:
    assert client.direct_to_workers
    assert not Client(client.cluster, direct_to_workers=False).direct_to_workers


def test_results_are_at_hand_in_tasks(client: Client) -> None:
    assert client.submit(lambda: azolla.get_client().direct_to_workers).result()
