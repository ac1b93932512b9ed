"""`fire_and_forget`: tasks that run though nobody holds a future."""

from __future__ import annotations

import weakref
from typing import Any

from azolla import Client, fire_and_forget
from backends import Reason, threads_only
from conftest import Gate, Journal, eventually, nothing_is_kept


def inc(x: int) -> int:
    return x + 1


def test_it_runs_to_its_end(client: Client, gate: Gate, journal: Journal) -> None:
    held = client.map(gate.hold, range(2), pure=False)
    gate.entered(2)
    fire_and_forget(client.submit(journal.append, 1, pure=False))
    dropped = client.submit(journal.append, 2, pure=False)
    del dropped
    gate.open()
    client.gather(held)
    eventually(lambda: client.counters()["live"] == 0)
    assert journal == [1]


def test_its_inputs_run_too(client: Client, journal: Journal) -> None:
    fire_and_forget(client.submit(journal.append, client.submit(inc, client.submit(inc, 1)), pure=False))
    eventually(lambda: journal == [3])


def test_several_nested(client: Client, journal: Journal) -> None:
    put = journal.append
    fire_and_forget([client.submit(put, 1, pure=False), {"a": client.submit(put, 2, pure=False)}])
    fire_and_forget(client.submit(put, number, pure=False) for number in (3, 4))
    eventually(lambda: sorted(journal) == [1, 2, 3, 4])


@threads_only(Reason.OBJECTS)
def test_the_result_is_not_kept(client: Client, gate: Gate) -> None:
    class Result:
        pass

    kept: list[weakref.ref[Result]] = []

    def make() -> Result:
        gate.hold()
        result = Result()
        kept.append(weakref.ref(result))
        return result

    fire_and_forget(client.submit(make, pure=False))
    gate.open()
    eventually(lambda: nothing_is_kept(client))
    eventually(lambda: kept and kept[0]() is None)


def test_a_failure_is_nobodys(client: Client) -> None:
    fire_and_forget(client.submit(inc, "no"))
    eventually(lambda: nothing_is_kept(client))


def test_what_is_there_and_what_is_no_future(client: Client) -> None:
    future: Any = client.submit(inc, 1)
    assert future.result() == 2
    fire_and_forget(future)
    fire_and_forget(5)
    assert future.result() == 2


def test_it_can_still_be_cancelled(client: Client, gate: Gate, journal: Journal) -> None:
    held = client.map(gate.hold, range(2), pure=False)
    gate.entered(2)
    future = client.submit(journal.append, 1, pure=False)
    fire_and_forget(future)
    future.cancel()
    gate.open()
    client.gather(held)
    eventually(lambda: client.counters()["live"] == 0)
    assert journal == []
