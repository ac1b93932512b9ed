"""`Client.gather`: results in place of futures."""

from __future__ import annotations

import operator
import threading
from collections import namedtuple
from typing import Any

import pytest
from azolla import Client, FutureCancelledError
from conftest import PATIENCE, Gate

Point = namedtuple("Point", "x y")


def inc(x: int) -> int:
    return x + 1


def fail(message: str = "no") -> None:
    raise ValueError(message)


def test_nested_containers(client: Client) -> None:
    a, b = client.map(inc, [0, 1])
    assert client.gather(a) == 1
    assert client.gather([a, [b, (a,)]]) == [1, [2, (1,)]]
    assert client.gather({"a": a, "b": [b]}) == {"a": 1, "b": [2]}
    assert client.gather({a, b}) == {1, 2}
    assert client.gather(frozenset([a])) == frozenset([1])
    assert client.gather(Point(a, [b])) == Point(1, [2])
    assert type(client.gather(Point(a, b))) is Point


def test_what_is_no_future_passes_through(client: Client) -> None:
    a = client.submit(inc, 0)
    same = object()
    assert client.gather([a, same, None, "text"]) == [1, same, None, "text"]
    assert client.gather(5) == 5
    assert client.gather("abc") == "abc"
    assert client.gather([]) == []
    assert client.gather({}) == {}


def test_iterators_and_generators_are_gathered_as_lists(client: Client) -> None:
    futures = client.map(inc, range(3))
    assert client.gather(iter(futures)) == [1, 2, 3]
    assert client.gather(future for future in futures) == [1, 2, 3]
    assert client.gather(reversed(futures)) == [3, 2, 1]


def test_a_future_several_times(client: Client) -> None:
    a = client.submit(inc, 0)
    assert client.gather([a, a, [a]]) == [1, 1, [1]]


def test_skip_leaves_the_failed_out_of_lists(client: Client) -> None:
    good, bad = client.submit(inc, 0), client.submit(fail)
    assert client.gather([bad, good, bad], errors="skip") == [1]
    assert client.gather([good, [bad, good], [bad]], errors="skip") == [1, [1], []]
    assert client.gather(iter([bad, good]), errors="skip") == [1]


def test_skip_puts_none_elsewhere(client: Client) -> None:
    good, bad = client.submit(inc, 0), client.submit(fail)
    assert client.gather((bad, good), errors="skip") == (None, 1)
    assert client.gather({"a": bad, "b": good}, errors="skip") == {"a": None, "b": 1}
    assert client.gather({bad, good}, errors="skip") == {None, 1}
    assert client.gather(Point(bad, [bad, good]), errors="skip") == Point(None, [1])
    assert client.gather(bad, errors="skip") is None


def test_skip_skips_the_cancelled_too(client: Client, gate: Gate) -> None:
    cancelled = client.submit(gate.hold, pure=False)
    cancelled.cancel()
    assert client.gather([cancelled, client.submit(inc, 1)], errors="skip") == [2]


def test_a_failure_is_raised_while_others_are_pending(client: Client, gate: Gate) -> None:
    held = client.submit(gate.hold, pure=False)
    gate.entered()
    with pytest.raises(ValueError, match="no"):
        client.gather([held, client.submit(fail)])
    assert held.status == "pending"


def test_a_failure_there_already_is_raised_at_once(client: Client, gate: Gate) -> None:
    bad = client.submit(fail)
    assert type(bad.exception()) is ValueError
    held = client.submit(gate.hold, pure=False)
    with pytest.raises(ValueError, match="no"):
        client.gather([held, bad])


def test_a_cancelled_future_is_raised(client: Client, gate: Gate) -> None:
    held = client.submit(gate.hold, pure=False)
    held.cancel()
    with pytest.raises(FutureCancelledError):
        client.gather([held])


def test_cancelling_ends_a_gather(client: Client, gate: Gate) -> None:
    held = client.submit(gate.hold, pure=False)
    gate.entered()
    canceller = threading.Timer(0.01, held.cancel)
    canceller.start()
    with pytest.raises(FutureCancelledError):
        client.gather([held])
    canceller.join()


def test_a_released_future_is_refused(client: Client) -> None:
    future = client.submit(inc, 1)
    future.release()
    with pytest.raises(FutureCancelledError, match="released"):
        client.gather([future])


def test_bad_errors(client: Client) -> None:
    with pytest.raises(ValueError, match="'raise' or 'skip'"):
        client.gather([], errors="ignore")


def test_the_lists_given_are_left_alone(client: Client) -> None:
    futures = client.map(inc, range(3))
    before = list(futures)
    client.gather(futures)
    assert futures == before


def test_from_several_threads(client: Client) -> None:
    futures = client.map(inc, range(500))
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(client.gather(futures))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == [list(range(1, 501))] * 4


def test_futures_of_another_client(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:
        mine, theirs = client.submit(inc, 0), other.submit(inc, 1)
        assert client.gather([mine, theirs]) == [1, 2]
        assert other.gather({"a": mine}) == {"a": 1}


def test_dependents_of_many(client: Client) -> None:
    total = client.submit(sum, client.map(inc, range(100)))
    assert client.gather(total) == 5050
    assert client.gather(client.submit(operator.add, total, 1)) == 5051
