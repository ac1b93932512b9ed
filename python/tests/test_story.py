"""`Client.story`: the transitions of a task, in order, with times; what was not recorded is not made up."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from azolla import Client, Future, get_client, secede
from conftest import Gate, eventually


def inc(x: int) -> int:
    return x + 1


def steps(client: Client, task: Any) -> list[tuple[str | None, str]]:
    return [(start, finish) for _, _, start, finish, _, _, _ in client.story(task)]


RUNS = [("released", "waiting"), ("waiting", "queued"), ("queued", "processing")]


def test_a_task_that_succeeds(client: Client) -> None:
    before = time.time()
    assert client.story() == []
    future = client.submit(inc, 1)
    assert future.result() == 2
    rows = client.story(future)
    assert steps(client, future) == [*RUNS, ("processing", "memory")]
    worker = client.cluster.workers[0].address
    assert [row[0] for row in rows] == ["scheduler", "scheduler", worker, worker]
    assert {row[1] for row in rows} == {future.key}
    times = [row[6] for row in rows]
    assert times == sorted(times)
    # Clocks are read in two ways, and a little apart.
    assert before - 1 <= times[0] <= times[-1] <= time.time() + 1
    assert client.story(future.key) == rows == client.story(future, future.key)


def test_a_task_that_was_released(client: Client) -> None:
    client.story()
    future = client.submit(inc, 1, pure=False)
    future.result()
    key = future.key
    del future
    eventually(lambda: steps(client, key)[-1] == ("memory", "forgotten"))
    assert steps(client, key) == [*RUNS, ("processing", "memory"), ("memory", "forgotten")]


def test_a_key_that_is_used_again(client: Client) -> None:
    client.story()
    for _ in range(2):
        future = client.submit(inc, 1, key="mine")
        future.result()
        del future
        eventually(lambda: steps(client, "mine")[-1] == ("memory", "forgotten"))
    assert len(steps(client, "mine")) == 10
    assert steps(client, "mine")[:5] == steps(client, "mine")[5:]


def test_a_task_that_fails_with_its_dependent(client: Client) -> None:
    client.story()
    failed = client.submit(inc, "one", pure=False)
    dependent = client.submit(inc, failed, pure=False)
    assert isinstance(dependent.exception(), TypeError)
    assert steps(client, failed) == [*RUNS, ("processing", "erred")]
    assert steps(client, dependent) == [("released", "waiting"), ("waiting", "erred")]
    client.retry(dependent)
    eventually(lambda: dependent.done())
    assert steps(client, failed) == [
        *RUNS,
        ("processing", "erred"),
        ("erred", "waiting"),
        ("waiting", "queued"),
        ("queued", "processing"),
        ("processing", "erred"),
    ]


def test_a_task_with_retries(client: Client) -> None:
    client.story()
    tries: list[int] = []

    def second_time_lucky() -> int:
        tries.append(1)
        return 1 // (len(tries) - 1)

    future = client.submit(second_time_lucky, retries=1, pure=False)
    assert future.result() == 1
    assert steps(client, future) == [
        *RUNS,
        ("processing", "queued"),
        ("queued", "processing"),
        ("processing", "memory"),
    ]


def test_a_task_that_is_cancelled(one_slot: Client, gate: Gate) -> None:
    one_slot.story()
    first = one_slot.submit(gate.hold)
    gate.entered()
    second = one_slot.submit(inc, 1)
    second.cancel()
    assert steps(one_slot, second) == [("released", "waiting"), ("waiting", "queued"), ("queued", "cancelled")]
    gate.open()
    first.result()


def test_a_task_that_waits_for_its_children(one_slot: Client) -> None:
    one_slot.story()

    def parent() -> Future[int]:
        child = get_client().submit(inc, 1, pure=False)
        child.result()
        return child

    future = one_slot.submit(parent, pure=False)
    child = future.result()
    assert steps(one_slot, future) == [
        *RUNS,
        ("processing", "parked"),
        ("parked", "processing"),
        ("processing", "memory"),
    ]
    assert one_slot.story(child)[0][5] == f"submitted-by-{future.key}"
    assert one_slot.story(future)[0][5] == "submitted"


def test_a_task_that_secedes(client: Client) -> None:
    client.story()
    future = client.submit(secede, pure=False)
    future.result()
    assert steps(client, future) == [*RUNS, ("processing", "long-running"), ("long-running", "memory")]


def test_a_coroutine(client: Client) -> None:
    client.story()

    async def coroutine() -> int:
        await asyncio.sleep(0)
        return 1

    future = client.submit(coroutine, pure=False)
    future.result()
    assert steps(client, future) == [*RUNS, ("processing", "coroutine"), ("coroutine", "memory")]


@pytest.mark.own_cluster
def test_what_was_not_recorded_is_not_made_up(client: Client, gate: Gate) -> None:
    ended = client.submit(inc, 1, key="ended")
    ended.result()
    held = client.submit(gate.hold, key="held")
    gate.entered()
    assert client.story(ended, held) == [
        ("scheduler", "ended", None, "memory", {}, "not-recorded", None),
        ("scheduler", "held", None, "processing", {}, "not-recorded", None),
    ]
    gate.open()
    held.result()
    assert steps(client, held) == [(None, "memory")]
    assert client.scatter({"data": 1})["data"].result() == 1
    assert steps(client, "data")[0] == ("released", "waiting")
    assert client.story("never heard of") == []


def test_what_is_asked_for_wrongly(client: Client) -> None:
    with pytest.raises(TypeError, match="a key is"):
        client.story(["a", "list"])
    with pytest.raises(ValueError, match="on_error"):
        client.story("key", on_error="shout")


def test_clients_of_one_cluster_share_it(client: Client) -> None:
    client.story()
    with Client(client.cluster) as other:
        future = client.submit(inc, 1)
        future.result()
        assert other.story(future.key) == client.story(future.key)
