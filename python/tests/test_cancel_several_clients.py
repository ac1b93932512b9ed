"""Cancelling among several clients of a cluster: each drops its own interest, and `force=True` drops everyone's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azolla import CancelledError, Client, LocalCluster, as_completed, wait
from backends import OPTIONS
from conftest import Gate, eventually


@pytest.fixture(params=["guests", "owner first", "owner second"])
def pair(request: pytest.FixtureRequest, backend: str) -> Iterator[tuple[Client, Client]]:
    """The client that cancels, and the other: both have joined a cluster, or the cluster is one's own."""
    if request.param == "guests":
        with LocalCluster(**OPTIONS[backend]) as cluster:
            yield Client(cluster), Client(cluster)
    else:
        with Client(**OPTIONS[backend]) as owner:
            guest = Client(owner.cluster)
            yield (owner, guest) if request.param == "owner first" else (guest, owner)


def test_the_others_futures_go_on(pair: tuple[Client, Client], gate: Gate) -> None:
    one, other = pair
    mine = one.submit(gate.hold, 1, key="held")
    theirs = other.submit(gate.hold, 1, key="held")
    gate.entered()
    one.cancel(mine)
    assert (mine.status, theirs.status) == ("cancelled", "pending")
    with pytest.raises(CancelledError):
        mine.result()
    assert mine.exception() is None
    gate.open()
    assert theirs.result() == 1
    assert mine.status == "cancelled"


def test_the_last_to_cancel_ends_it(pair: tuple[Client, Client], gate: Gate) -> None:
    one, other = pair
    blocker = [one.submit(gate.hold, n, pure=False) for n in range(2)]
    gate.entered(2)
    mine, theirs = one.submit(abs, -1, key="k"), other.submit(abs, -1, key="k")
    mine.cancel()
    assert theirs.status == "pending"
    theirs.cancel()
    assert theirs.status == "cancelled"
    gate.open()
    wait(blocker)


def test_force_cancels_for_all(pair: tuple[Client, Client], gate: Gate) -> None:
    one, other = pair
    for cancel in (lambda f: one.cancel([f], force=True), lambda f: f.cancel(force=True)):
        mine, theirs = (client.submit(gate.hold, 1, key="held") for client in (one, other))
        gate.entered()
        cancel(mine)
        assert (mine.status, theirs.status) == ("cancelled", "cancelled")
        with pytest.raises(CancelledError):
            theirs.result()
    gate.open()


def test_it_can_be_asked_for_again(pair: tuple[Client, Client], gate: Gate) -> None:
    one, other = pair
    mine, theirs = (client.submit(gate.hold, 1, key="held") for client in (one, other))
    gate.entered()
    mine.cancel()
    again = one.submit(gate.hold, 1, key="held")
    assert (mine.status, again.status) == ("cancelled", "pending")
    gate.open()
    assert (again.result(), theirs.result(), mine.status) == (1, 1, "cancelled")
    del mine, theirs
    assert again.result() == 1
    again.release()
    eventually(lambda: one.counters()["kept"] == 0)
    one._check()


def test_what_another_client_needs_goes_on(pair: tuple[Client, Client], gate: Gate) -> None:
    """An input that only one client has goes on while another client has what depends on it."""
    one, other = pair
    held = one.submit(gate.hold, 1, key="held")
    gate.entered()
    step = one.submit(abs, held, key="step")
    aside = one.submit(abs, held, key="aside")
    theirs = other.submit(abs, step, key="end") if other is not one else None
    assert theirs is not None
    one.cancel(held)
    assert (held.status, step.status, aside.status) == ("cancelled", "cancelled", "cancelled")
    gate.open()
    assert theirs.result() == 1


def test_a_result_that_is_there_stays_for_what_another_client_needs(pair: tuple[Client, Client], gate: Gate) -> None:
    one, other = pair
    there = one.submit(abs, -1)
    assert there.result() == 1
    held = other.submit(gate.hold, 2)
    gate.entered()
    theirs = other.submit(divmod, there, held)
    one.cancel(there)
    assert there.status == "cancelled"
    gate.open()
    assert theirs.result() == (0, 1)


def test_once_the_others_have_gone_what_needs_the_result_is_cancelled_again(cluster: LocalCluster, gate: Gate) -> None:
    with Client(cluster) as one:
        with Client(cluster) as other:
            assert other.submit(abs, -2).result() == 2
        there = one.submit(abs, -1)
        assert there.result() == 1
        held = one.submit(gate.hold, 2)
        gate.entered()
        needs = one.submit(divmod, there, held)
        there.cancel()
        gate.open()
        with pytest.raises(CancelledError):
            needs.result()


def blocked(client: Client, wait_for: Callable[[Any], Any], future: Any) -> tuple[threading.Thread, list[Any]]:
    answers: list[Any] = []

    def waits() -> None:
        try:
            answers.append(wait_for(future))
        except BaseException as error:
            answers.append(type(error).__name__)

    thread = threading.Thread(target=waits)
    thread.start()
    return thread, answers


@pytest.mark.parametrize(
    ("wait_for", "answer"),
    [
        (lambda future: future.result(), "FutureCancelledError"),
        (lambda future: future.exception(), None),
        (lambda future: wait([future]), "FuturesCancelledError"),
        (lambda future: future.client.gather([future]), "FutureCancelledError"),
        (lambda future: future.client.gather([future], errors="skip"), []),
        (lambda future: next(as_completed([future])).status, "cancelled"),
        (lambda future: asyncio.run(awaited(future)), "FutureCancelledError"),
    ],
    ids=["result", "exception", "wait", "gather", "gather what is there", "as_completed", "await"],
)
def test_waits_end(pair: tuple[Client, Client], gate: Gate, wait_for: Callable[[Any], Any], answer: Any) -> None:
    one, other = pair
    mine, theirs = (client.submit(gate.hold, 1, key="held") for client in (one, other))
    gate.entered()
    called = threading.Event()
    mine.add_done_callback(lambda _: called.set())
    thread, answers = blocked(one, wait_for, mine)
    one.cancel(mine)
    thread.join(60)
    assert answers == [answer]
    assert called.wait(60)
    assert theirs.status == "pending"
    gate.open()
    assert theirs.result() == 1


async def awaited(future: Any) -> Any:
    return await future


def test_another_clients_future_is_not_touched(pair: tuple[Client, Client], gate: Gate) -> None:
    one, other = pair
    theirs = other.submit(gate.hold, 1)
    gate.entered()
    one.cancel(theirs)
    assert theirs.status == "pending"
    one.cancel(theirs, force=True)
    assert theirs.status == "cancelled"
    gate.open()


def test_another_clusters_tasks_are_not_touched(backend: str, gate: Gate) -> None:
    with Client(**OPTIONS[backend]) as one, Client(**OPTIONS[backend]) as other:
        mine, theirs = (client.submit(gate.hold, 1, key="held") for client in (one, other))
        gate.entered(2)
        for force in (False, True):
            one.cancel([theirs], force=force)
            assert (mine.status, theirs.status) == ("pending", "pending")
        one.cancel([mine, theirs])
        assert (mine.status, theirs.status) == ("cancelled", "pending")
        gate.open()
        assert theirs.result() == 1
        failed = other.submit(int, "no")
        wait(failed)
        one.retry([failed])
        assert failed.status == "error"


def test_a_task_cancels_for_its_client(cluster: LocalCluster, gate: Gate) -> None:
    with Client(cluster) as one, Client(cluster) as other:
        mine, theirs = (client.submit(gate.hold, 1, key="held") for client in (one, other))
        gate.entered()

        def cancels() -> str:
            from azolla import Future, get_client

            future = Future("held", get_client())
            future.cancel()
            return str(future.status)

        assert one.submit(cancels, pure=False).result() == "cancelled"
        assert (mine.status, theirs.status) == ("cancelled", "pending")
        gate.open()
        assert theirs.result() == 1


def test_a_published_dataset_goes_on(cluster: LocalCluster, gate: Gate) -> None:
    with Client(cluster) as one:
        future = one.submit(gate.hold, 1)
        gate.entered()
        one.publish_dataset(future, name="published")
        future.cancel()
        gate.open()
        assert one.get_dataset("published").result() == 1
        assert future.status == "cancelled"


def test_a_single_client_cancels_as_ever(backend: str, gate: Gate) -> None:
    with Client(**OPTIONS[backend]) as client:
        held = client.submit(gate.hold, 1)
        gate.entered()
        after = client.submit(abs, held)
        client.cancel(held)
        assert (held.status, after.status) == ("cancelled", "cancelled")
        gate.open()


def test_a_future_that_is_cancelled_and_ends_is_counted_once(pair: tuple[Client, Client], gate: Gate) -> None:
    one, other = pair
    more = Gate()

    async def gathers() -> None:
        mine, slow = one.submit(gate.hold, 1, key="held"), one.submit(more.hold, 2, key="slow")
        theirs = other.submit(gate.hold, 1, key="held"), other.submit(more.hold, 2, key="slow")
        gathering = asyncio.ensure_future(one.gather([mine, slow], errors="skip", asynchronous=True))
        await asyncio.sleep(0)
        one.cancel(mine)
        gate.open()
        assert await theirs[0] == 1
        # One more turn of the loop, in which the wait would end.
        assert await other.submit(abs, -3) == 3
        assert not gathering.done()
        more.open()
        assert await gathering == [2]

    asyncio.run(gathers())
