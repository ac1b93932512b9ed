"""Cancelling: of what waits, of what runs, of what depends on it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import operator
import threading
from typing import Any

import pytest
from azolla import (
    CancelledError,
    Client,
    Future,
    FutureCancelledError,
    FuturesCancelledError,
    as_completed,
    fire_and_forget,
    get_client,
    secede,
    wait,
)
from conftest import Gate, Journal, eventually


def inc(x: int) -> int:
    return x + 1


def test_queued_work_never_runs(client: Client, gate: Gate, journal: Journal) -> None:
    held = client.map(gate.hold, range(2), pure=False)
    gate.entered(2)
    queued = client.map(journal.append, range(10), pure=False)
    client.cancel(queued)
    assert [future.status for future in queued] == ["cancelled"] * 10
    gate.open()
    assert client.gather(held) == [0, 1]
    assert client.submit(inc, 1).result() == 2
    assert journal == []


def test_dependents_are_cancelled(client: Client, gate: Gate) -> None:
    root = client.submit(gate.hold, 1, pure=False)
    middle = client.submit(inc, root)
    leaf = client.submit(operator.add, middle, 1)
    root.cancel()
    assert (middle.status, leaf.status) == ("cancelled", "cancelled")
    with pytest.raises(FutureCancelledError, match=str(leaf.key)):
        leaf.result()


def test_an_input_wanted_elsewhere_goes_on(client: Client, gate: Gate) -> None:
    root = client.submit(gate.hold, 1, pure=False)
    doomed, other = client.submit(inc, root), client.submit(operator.neg, root)
    doomed.cancel()
    gate.open()
    assert other.result() == -1
    assert root.result() == 1


def sprout(gate: Gate, late: Gate) -> None:
    """Grows two generations, and another child when `late` opens."""
    client = get_client()
    fire_and_forget(client.submit(nest, gate, pure=False))
    late.hold()
    fire_and_forget(client.submit(nest, gate, pure=False))


def nest(gate: Gate) -> None:
    child = get_client().submit(gate.hold, pure=False)
    child.result()


def counted(client: Client, what: str) -> int:
    return client.counters()[what]


def test_what_has_grown_is_cancelled_with_it(client: Client, gate: Gate) -> None:
    before, late = counted(client, "cancelled"), Gate()
    root = client.submit(sprout, gate, late, pure=False)
    gate.entered()
    root.cancel(subtree=True)
    assert counted(client, "live") == 0
    assert counted(client, "cancelled") == before + 3
    late.open()
    eventually(lambda: counted(client, "cancelled") == before + 4)
    gate.open()


def test_what_has_grown_from_a_task_that_has_ended_is_cancelled(client: Client, gate: Gate) -> None:
    late = Gate()
    late.open()
    root = client.submit(sprout, gate, late, pure=False)
    root.result()
    client.cancel({"roots": [root]}, subtree=True)
    assert counted(client, "live") == 0
    assert root.status == "cancelled"
    gate.open()


def test_what_has_grown_goes_on_without_it(client: Client, gate: Gate) -> None:
    before, late = counted(client, "cancelled"), Gate()
    late.open()
    root = client.submit(sprout, gate, late, pure=False)
    root.result()
    gate.entered()
    root.cancel()
    gate.open()
    eventually(lambda: counted(client, "live") == 0)
    assert counted(client, "cancelled") == before + 1


def share(gate: Gate) -> None:
    client = get_client()
    fire_and_forget(client.submit(gate.hold, 1, key="shared"))
    fire_and_forget(client.submit(gate.hold, 2, key="own"))


def test_what_is_wanted_elsewhere_too_is_not_cancelled_with_its_parent(client: Client, gate: Gate) -> None:
    root = client.submit(share, gate, pure=False)
    root.result()
    shared, own = client.submit(gate.hold, 1, key="shared"), Future("own", client)
    root.cancel(subtree=True)
    assert (shared.status, own.status) == ("pending", "cancelled")
    gate.open()
    assert shared.result() == 1


def test_what_has_grown_for_another_client_goes_on(client: Client, gate: Gate) -> None:
    with Client(client.cluster) as other:
        late = Gate()
        late.open()
        root = client.submit(sprout, gate, late, key="root")
        theirs = other.submit(sprout, gate, late, key="root")
        theirs.result()
        theirs.cancel(subtree=True)
        assert (root.status, theirs.status) == ("finished", "cancelled")
        assert counted(client, "live") > 0
        root.cancel(subtree=True)
        assert counted(client, "live") == 0
    gate.open()


def keep_one(gate: Gate) -> None:
    fire_and_forget(get_client().submit(gate.hold, pure=False))


def cancels_its_child(gate: Gate) -> str:
    secede()  # what the child keeps may take its slot, and that for ever
    child = get_client().submit(keep_one, gate, pure=False)
    child.result()
    get_client().cancel(child, subtree=True)
    return str(child.status)


def test_a_task_cancels_what_its_child_has_grown(client: Client, gate: Gate) -> None:
    assert client.submit(cancels_its_child, gate, pure=False).result() == "cancelled"
    assert counted(client, "live") == 0
    gate.open()


def test_subtree_is_a_flag(client: Client) -> None:
    future = client.submit(inc, 1)
    with pytest.raises(TypeError, match=r"cancel\(\): subtree must be"):
        future.cancel(subtree="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"cancel\(\): subtree must be"):
        client.cancel(future, subtree=2)  # type: ignore[arg-type]
    assert future.result() == 2


def test_a_running_task_goes_on_for_nobody(client: Client, gate: Gate) -> None:
    future = client.submit(gate.hold, 1, pure=False)
    gate.entered()
    future.cancel()
    assert future.status == "cancelled"
    gate.open()
    eventually(lambda: client.counters()["running"] == 0)
    assert future.status == "cancelled"


def test_what_a_cancelled_future_says(client: Client, gate: Gate) -> None:
    future = client.submit(gate.hold, pure=False)
    future.cancel()
    assert future.cancelled()
    assert future.done()
    assert future.type is None
    # As in Dask: it has not failed.
    assert future.exception() is None
    assert future.traceback() is None
    with pytest.raises(FutureCancelledError, match=str(future.key)):
        future.result()


def test_the_errors_are_cancelled_errors() -> None:
    assert issubclass(FutureCancelledError, CancelledError)
    assert issubclass(FutureCancelledError, concurrent.futures.CancelledError)


def test_a_result_that_is_there_is_taken_back(client: Client) -> None:
    future = client.submit(inc, 1)
    assert future.result() == 2
    future.cancel()
    assert future.status == "cancelled"
    with pytest.raises(FutureCancelledError):
        future.result()


def test_a_failed_one_can_be_cancelled(client: Client) -> None:
    future = client.submit(operator.truediv, 1, 0)
    assert type(future.exception()) is ZeroDivisionError
    future.cancel()
    assert future.status == "cancelled"


def test_all_futures_on_a_task_are_cancelled(client: Client, gate: Gate) -> None:
    first = client.submit(gate.hold, key="k")
    second = client.submit(gate.hold, key="k")
    first.cancel()
    assert second.cancelled()


def test_the_key_is_free_again(client: Client, gate: Gate) -> None:
    first = client.submit(gate.hold, key="k")
    first.cancel()
    second = client.submit(inc, 1, key="k")
    assert second.result() == 2
    assert first.cancelled()


def test_twice_and_nested(client: Client, gate: Gate) -> None:
    futures = client.map(gate.hold, range(4), pure=False)
    client.cancel([futures[0], {"a": futures[1]}, (futures[2],)])
    client.cancel(futures)
    client.cancel(futures, force=True, reason="because", msg="really")
    futures[0].cancel(reason="again", msg="and again")
    client.cancel(iter(futures))
    assert all(future.cancelled() for future in futures)


def test_waits_end(client: Client, gate: Gate) -> None:
    future = client.submit(gate.hold, pure=False)
    gate.entered()
    errors: list[BaseException] = []

    def result() -> None:
        try:
            future.result()
        except FutureCancelledError as error:
            errors.append(error)

    threads = [threading.Thread(target=result) for _ in range(3)]
    for thread in threads:
        thread.start()
    future.cancel()
    for thread in threads:
        thread.join()
    assert len(errors) == 3
    errors.clear()


def test_a_task_waiting_for_a_cancelled_one_goes_on(client: Client, gate: Gate) -> None:
    child = client.submit(gate.hold, key="child")
    gate.entered()
    waiting = Gate()

    def parent() -> str:
        child = get_client().submit(gate.hold, key="child")
        waiting.enter()
        try:
            child.result()
        except FutureCancelledError:
            return "cancelled"
        return "not"

    future = client.submit(parent, pure=False)
    waiting.entered()
    child.cancel()
    assert future.result() == "cancelled"


def test_cancelling_while_iterating(client: Client, gate: Gate) -> None:
    quick = client.submit(inc, 1)
    quick.result()
    held = client.map(gate.hold, range(20), pure=False)
    endings = as_completed([quick, *held])
    assert next(endings) is quick
    client.cancel(held)
    assert {future.status for future in endings} == {"cancelled"}


def test_a_chain_however_long(client: Client, gate: Gate) -> None:
    first = future = client.submit(gate.hold, 0, pure=False)
    chain = [first]
    for _ in range(20_000):
        future = client.submit(inc, future)
        chain.append(future)
    first.cancel()
    eventually(chain[-1].cancelled)
    assert all(future.cancelled() for future in chain)


def test_retries_of_a_cancelled_task_are_off(client: Client, gate: Gate, journal: Journal) -> None:
    def task() -> None:
        journal.append(1)
        gate.hold()
        raise ValueError

    future = client.submit(task, retries=5, pure=False)
    gate.entered()
    future.cancel()
    gate.open()
    assert client.submit(inc, 1).result() == 2
    eventually(lambda: client.counters()["running"] == 0)
    assert journal == [1]


def test_awaitable_on_the_clients_loop(client: Client, gate: Gate) -> None:
    async def run() -> list[str]:
        futures: list[Any] = client.map(gate.hold, range(4), pure=False)
        await client.cancel(futures[:1])
        await futures[1].cancel()
        # Not awaiting it is no mistake either: it is done by then.
        client.cancel(futures[2])
        futures[3].cancel()
        return [future.status for future in futures]

    assert client.sync(run) == ["cancelled"] * 4


def test_awaitable_when_asked(client: Client) -> None:
    future = client.submit(inc, 1)
    asyncio.run(client.cancel(future, asynchronous=True))
    assert future.cancelled()


def test_the_errors_say_the_reason(client: Client, gate: Gate) -> None:
    running = client.submit(gate.hold, 1, pure=False, key="running")
    after, done = client.submit(inc, running, key="after"), client.submit(inc, 1, key="done")
    done.result()
    running.cancel(reason="the user left", msg="at noon")
    done.cancel("not needed")
    for future, text, reason, msg in (
        (running, "running cancelled for reason: the user left.\nat noon", "the user left", "at noon"),
        (after, "after cancelled for reason: the user left.\nat noon", "the user left", "at noon"),
        (done, "done cancelled for reason: not needed.", "not needed", None),
    ):
        for ask in (
            future.result,
            lambda future=future: client.gather([future]),
            lambda future=future: asyncio.run(wait_for(future)),
        ):
            with pytest.raises(FutureCancelledError) as told:
                ask()
            assert (str(told.value), told.value.reason, told.value.msg) == (text, reason, msg)
        ((_, error),) = as_completed([future], with_results=True)
        assert str(error) == text
    with pytest.raises(FuturesCancelledError, match=r"after \(the user left: at noon\), done \(not needed\)"):
        wait([after, done])
    gate.open()


async def wait_for(future: Any) -> Any:
    return await future


def test_the_errors_of_what_is_submitted_later_say_the_reason(client: Client) -> None:
    gone = client.submit(inc, 1, key="gone")
    gone.result()
    gone.cancel(reason="the user left", msg="at noon")
    later = [
        client.submit(inc, gone, key="later"),
        client.submit(lambda x: x, x=[{"nested": gone}], key="nested"),
        client.submit(ainc, gone, key="coroutine"),
        *client.map(lambda x, y: x + y, [1, gone], y=gone, key=["first", "second"]),
    ]
    later.append(client.submit(inc, later[0], key="after later"))
    for future in later:
        with pytest.raises(FutureCancelledError) as told:
            future.result()
        assert str(told.value) == (
            f"{future.key} cancelled for reason: the user left.\nat noon\n"
            "(it depends on gone, which had been cancelled before it was submitted)"
        )
        assert (told.value.reason, told.value.msg) == ("the user left", "at noon")
    without = client.submit(inc, 1, key="without")
    without.cancel()
    with pytest.raises(FutureCancelledError, match=r"^last: the task was cancelled: it depends on without, which had "):
        client.submit(inc, without, key="last").result()
    with pytest.raises(FuturesCancelledError, match=r"last, later \(the user left: at noon\)"):
        wait([client.submit(inc, without, key="last"), later[0]])


async def ainc(x: int) -> int:
    return x + 1


def test_what_needs_a_result_that_is_taken_away_is_cancelled_and_does_not_fail(one_slot: Client, gate: Gate) -> None:
    client = one_slot
    gone, kept = client.map(inc, [1, 2])
    assert client.gather([gone, kept]) == [2, 3]
    busy = client.submit(gate.hold)
    gate.entered()
    needs = [client.submit(inc, gone), *client.map(lambda x, y: x + y, [kept] * 40, y=gone), client.submit(ainc, gone)]
    after = client.submit(sum, needs)
    others = client.map(inc, [kept] * 40, pure=False)
    gone.cancel(reason="not needed")
    gate.open()
    busy.result()
    assert client.gather(others) == [4] * 40
    for future in [*needs, after]:
        with pytest.raises(FutureCancelledError, match="not needed"):
            future.result()
        assert future.status == "cancelled"


def test_a_later_cancel_has_its_own_reason(client: Client) -> None:
    first = client.submit(inc, 1, key="same")
    client.cancel([first], reason="first")
    second = client.submit(inc, 1, key="same")
    second.result()
    client.cancel(second, msg="only words")
    with pytest.raises(FutureCancelledError, match=r"same cancelled for reason: first\."):
        first.result()
    with pytest.raises(FutureCancelledError, match=r"same cancelled for reason: unknown\.\nonly words"):
        second.result()
    third = client.submit(inc, 1, key="same")
    third.cancel()
    third.cancel(reason="it was cancelled before")
    with pytest.raises(FutureCancelledError, match="same: the task was cancelled") as told:
        third.result()
    assert told.value.reason == "unknown"
    for word in ("reason", "msg"):
        with pytest.raises(TypeError, match=f"{word} must be text, not 7"):
            first.cancel(**{word: 7})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=f"{word} must be text, not 7"):
            client.cancel([], **{word: 7})  # type: ignore[arg-type]


def test_a_reason_holds_for_one_client_of_several(client: Client, gate: Gate) -> None:
    with Client(client.cluster) as other:
        theirs, ours = other.submit(gate.hold, 1, key="shared"), client.submit(gate.hold, 1, key="shared")
        ours.cancel(reason="only ours")
        with pytest.raises(FutureCancelledError, match=r"shared cancelled for reason: only ours\."):
            ours.result()
        gate.open()
        assert theirs.result() == 1


@pytest.mark.parametrize("nothing", [7, "key", b"bytes", None, object()])
def test_what_holds_no_futures_is_refused(client: Client, nothing: Any) -> None:
    for method in (client.cancel, client.retry):
        with pytest.raises(TypeError, match=rf"{method.__name__}\(\) takes futures, or a container of them, not "):
            method(nothing)
        method([nothing])


def test_what_is_still_to_come_of_an_as_completed_is_cancelled(client: Client, gate: Gate) -> None:
    done, held = client.submit(inc, 1), client.map(gate.hold, range(3), pure=False)
    done.result()
    endings = as_completed([done, *held, held[0]])
    assert endings.futures == {held[0]: 2, held[1]: 1, held[2]: 1}
    assert next(endings) is done
    client.cancel(endings)
    assert (done.status, [future.status for future in held]) == ("finished", ["cancelled"] * 3)
    assert (endings.count(), endings.futures) == (4, {})
    assert set(endings) == {*held}
    gate.open()
