"""Waiting inside tasks: no slot is held, threads are bounded, and a cycle is an error."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from azolla import Client, Future, WaitCycleError, as_completed, get_client, wait
from backends import Reason, threads_only
from conftest import Gate
from watching import Watch


def inc(x: int) -> int:
    return x + 1


@pytest.mark.parametrize("slots", ["one_slot", "client"])
def test_nested_waits_need_no_slot(request: pytest.FixtureRequest, backend: str, slots: str) -> None:
    client = request.getfixturevalue(slots)

    def nest(depth: int) -> int:
        return 0 if depth == 0 else get_client().submit(nest, depth - 1, pure=False).result() + 1

    assert client.submit(nest, 100).result() == 100


def fib(n: int) -> int:
    if n < 2:
        return n
    client = get_client()
    a = client.submit(fib, n - 1, pure=False)
    b = client.submit(fib, n - 2, pure=False)
    return a.result() + b.result()


def test_fibonacci_by_8361_tasks(client: Client) -> None:
    before = client.counters()["submitted"]
    with Watch() as watch:
        assert client.submit(fib, 18, pure=False).result() == 2584
    assert client.counters()["submitted"] - before == 8361
    assert watch.threads <= 300


def child(number: int) -> int:
    time.sleep(0.001)
    return number


async def child_async(number: int) -> int:
    await asyncio.sleep(0.001)
    return number


def by_gather(client: Client, function: Callable[[int], Any]) -> int:
    return sum(client.gather(client.map(function, range(10), pure=False)))


def by_as_completed(client: Client, function: Callable[[int], Any]) -> int:
    return sum(future.result() for future in as_completed(client.map(function, range(10), pure=False)))


def by_result(client: Client, function: Callable[[int], Any]) -> int:
    return sum(future.result() for future in client.map(function, range(10), pure=False))


def by_wait(client: Client, function: Callable[[int], Any]) -> int:
    return sum(future.result() for future in wait(client.map(function, range(10), pure=False)).done)


@pytest.mark.parametrize(
    ("parents", "way", "function"),
    [
        (10_000, by_gather, inc),
        (1_000, by_gather, child),
        (500, by_as_completed, child),
        (2_000, by_gather, child_async),
        (2_000, by_as_completed, child_async),
        (500, by_result, child),
        (500, by_wait, child),
    ],
)
def test_thousands_of_parents_wait_for_their_children(
    client: Client, parents: int, way: Callable[..., int], function: Callable[[int], Any]
) -> None:
    expected = 55 if function is inc else 45
    with Watch() as watch:
        results = client.gather(client.map(lambda _: way(get_client(), function), range(parents), pure=False))
    assert results == [expected] * parents
    assert watch.threads <= 300
    assert watch.grown <= 200


@threads_only(Reason.OBJECTS)
def test_parents_that_wait_for_what_the_last_one_does(client: Client) -> None:
    # They wait for a future of the client's, which ends only when the last parent has begun.
    parents = 1_000
    arrived: list[int] = []
    opened = threading.Event()

    async def door() -> str:
        await asyncio.to_thread(opened.wait, 100)
        return "open"

    client.submit(door, key="door").add_done_callback(lambda _: None)
    entrance = client.submit(door, key="door")

    def parent(number: int) -> str:
        arrived.append(number)
        if number == parents - 1:
            opened.set()
        return get_client().submit(door, key="door").result()

    assert client.gather(client.map(parent, range(parents), pure=False)) == ["open"] * parents
    assert entrance.result() == "open"
    assert sorted(arrived) == list(range(parents))


def test_two_tasks_that_wait_for_each_other(client: Client, gate: Gate) -> None:
    def task(other: str) -> str:
        gate.hold()
        try:
            return str(Future(other, get_client()).result())
        except WaitCycleError as error:
            return str(error)

    futures = [client.submit(task, "b", key="a"), client.submit(task, "a", key="b")]
    gate.entered(2)
    gate.open()
    results = client.gather(futures)
    assert results[0] == results[1]
    assert "a -> b" in results[0] or "b -> a" in results[0]


@pytest.mark.parametrize("how", ["result", "gather", "wait", "as_completed", "exception", "first"])
def test_a_task_that_waits_for_itself(client: Client, how: str) -> None:
    def task() -> Any:
        me = get_client().submit(task, key="myself")
        waits: dict[str, Callable[[], Any]] = {
            "result": me.result,
            "exception": me.exception,
            "gather": lambda: get_client().gather([me]),
            "wait": lambda: wait([me]),
            "first": lambda: wait([me], return_when="FIRST_COMPLETED"),
            "as_completed": lambda: list(as_completed([me])),
        }
        waits[how]()

    with pytest.raises(WaitCycleError, match="myself"):
        client.submit(task, key="myself").result()
    # What did not wait has cost no slot.
    assert client.gather(client.map(inc, range(10))) == list(range(1, 11))
    client._check()


def test_a_task_that_waits_for_its_dependent(client: Client, gate: Gate) -> None:
    def root() -> Any:
        gate.hold()
        return Future("leaf", get_client()).result()

    future = client.submit(root, key="root")
    dependent = client.submit(inc, client.submit(inc, future, key="middle"), key="leaf")
    gate.open()
    with pytest.raises(WaitCycleError) as raised:
        future.result()
    assert "root" in str(raised.value)
    assert "leaf" in str(raised.value)
    assert str(dependent.exception()) == str(raised.value)
    del raised


def test_a_time_out_within_a_task(client: Client, gate: Gate) -> None:
    # The slot that it lent is taken: it goes on in the other.
    def parent() -> str:
        held = get_client().submit(gate.hold, True, pure=False)
        try:
            held.result(timeout=0.01)
        except TimeoutError:
            gate.open()
            return f"timed out, then {held.result()}"
        return "it came"

    assert client.submit(parent).result() == "timed out, then True"
    client._check()


def test_thousands_of_waits_that_time_out(client: Client) -> None:
    def parent(_: int) -> int:
        future = get_client().submit(inc, 1, pure=False)
        late = 0
        while True:
            try:
                return future.result(timeout=0) - 2 + 0 * late
            except TimeoutError:
                late += 1

    assert client.gather(client.map(parent, range(300), pure=False)) == [0] * 300
    client._check()


def test_the_client_may_be_used_from_many_threads(client: Client) -> None:
    results: list[int] = []

    def use(start: int) -> None:
        futures = client.map(inc, range(start, start + 200), pure=False)
        results.append(sum(client.gather(futures)))

    threads = [threading.Thread(target=use, args=(1_000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [sum(range(1_000 * n + 1, 1_000 * n + 201)) for n in range(8)]
