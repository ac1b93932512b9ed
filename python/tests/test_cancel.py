"""Cancelling: of what waits, of what runs, of what depends on it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import operator
import threading
from typing import Any

import pytest
from azolla import CancelledError, Client, FutureCancelledError, FuturesCancelledError, as_completed, get_client, wait
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
