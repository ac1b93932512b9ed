"""`secede` and `rejoin`, as Dask's documentation has them."""

from __future__ import annotations

import pytest
from azolla import Client, get_client, rejoin, secede
from backends import Reason, threads_only
from conftest import PATIENCE, Gate, Journal, eventually


def inc(x: int) -> int:
    return x + 1


def test_the_slot_goes_to_another(one_slot: Client, gate: Gate) -> None:
    def parent() -> bool:
        secede()
        gate.hold()
        return True

    future = one_slot.submit(parent)
    gate.entered()
    assert one_slot.submit(abs, -1).result(PATIENCE) == 1
    gate.open()
    assert future.result() is True


def test_rejoin_waits_for_a_slot_and_comes_before_queued_tasks(one_slot: Client, journal: Journal) -> None:
    rejoins, gate = Gate(), Gate()

    def parent() -> None:
        secede()
        rejoins.hold()
        rejoin()
        journal.append("parent")

    def held() -> None:
        gate.hold()
        journal.append("held")

    future = one_slot.submit(parent)
    rejoins.entered()
    busy = one_slot.submit(held, pure=False)
    gate.entered()  # now the only slot is taken
    queued = one_slot.map(journal.append, ["queued"] * 3, priority=100, pure=False)
    rejoins.open()
    # The rejoin is a wait: nothing tells from outside that it has begun but the count.
    eventually(lambda: one_slot.counters()["parked"])
    gate.open()
    one_slot.gather([future, busy, *queued])
    assert journal == ["held", "parent", "queued", "queued", "queued"]


def test_a_second_time_they_do_nothing(client: Client) -> None:
    def task() -> int:
        rejoin()
        secede()
        secede()
        rejoin()
        rejoin()
        return 1

    assert client.gather(client.map(lambda _: task(), range(20), pure=False)) == [1] * 20
    client._check()


def test_waiting_while_seceded(client: Client) -> None:
    def parent() -> int:
        client = get_client()
        futures = client.map(inc, range(10), pure=False)
        secede()
        total = sum(client.gather(futures))
        total += client.submit(inc, total, pure=False).result()
        rejoin()
        return total

    assert client.gather(client.map(lambda _: parent(), range(20), pure=False)) == [111] * 20
    client._check()


def test_ending_without_rejoining(client: Client) -> None:
    assert client.gather([client.submit(secede, pure=False) for _ in range(20)]) == [None] * 20

    def fail() -> None:
        secede()
        raise ValueError("no")

    for future in client.map(lambda _: fail(), range(5), pure=False):
        assert type(future.exception()) is ValueError
    assert client.submit(inc, 1).result() == 2


@threads_only(Reason.OBJECTS)
def test_sync_does_not_end_a_secession(client: Client) -> None:
    async def nothing() -> None:
        pass

    def task() -> bool:
        secede()
        client.sync(nothing)
        # A second secede gives up a slot only if there is one again.
        return client.counters()["running"] <= 2

    assert client.submit(task).result() is True


@pytest.mark.parametrize("function", [secede, rejoin])
def test_outside_a_task(client: Client, function: object) -> None:
    with pytest.raises(ValueError, match="outside a task"):
        function()  # type: ignore[operator]


def test_in_a_coroutine_task_they_do_nothing(client: Client) -> None:
    async def task() -> int:
        secede()
        rejoin()
        return 1

    assert client.submit(task).result() == 1


class Secedes:
    """An actor one of whose methods runs for long without a slot."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def hold(self) -> None:
        secede()
        self.gate.hold()


def test_an_actors_call_that_secedes_leaves_its_slot_to_other_work(one_slot: Client, gate: Gate) -> None:
    call = one_slot.submit(Secedes, gate, actor=True).result().hold()
    gate.entered()
    assert one_slot.submit(abs, -1).result(PATIENCE) == 1
    gate.open()
    assert call.result(PATIENCE) is None
