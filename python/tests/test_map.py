"""`Client.map`: a task for each item."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any

import pytest
from azolla import Client
from conftest import Gate


def inc(x: int) -> int:
    return x + 1


def add(x: int, y: int = 0, *, z: int = 0) -> int:
    return x + y + z


def test_one_task_for_each_item(client: Client) -> None:
    futures = client.map(inc, range(1_000))
    assert type(futures) is list
    assert client.gather(futures) == list(range(1, 1_001))


def test_several_iterables_are_zipped_to_the_shortest(client: Client) -> None:
    assert client.gather(client.map(add, [1, 2, 3], [10, 20])) == [11, 22]
    assert client.gather(client.map(add, itertools.count(), [10, 20])) == [10, 21]


def test_iterators_and_generators(client: Client) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2, 3)

    assert client.gather(client.map(inc, items())) == [2, 3, 4]
    assert client.gather(client.map(inc, iter([1, 2]))) == [2, 3]
    assert client.gather(client.map(inc, {1: "a", 2: "b"})) == [2, 3]
    assert client.gather(client.map(str.upper, "ab")) == ["A", "B"]


def test_nothing_to_map(client: Client) -> None:
    assert client.map(inc, []) == []
    assert client.map(add, [], [1]) == []


def test_keywords_go_to_every_call(client: Client) -> None:
    assert client.gather(client.map(add, [1, 2], z=10, y=100)) == [111, 112]


def test_keywords_are_each_calls_own(client: Client) -> None:
    def pop(_: int, **kwargs: Any) -> int:
        return kwargs.pop("z")

    assert client.gather(client.map(pop, range(5), z=1)) == [1] * 5


def test_futures_as_items_and_keywords(client: Client) -> None:
    ones = client.map(inc, [0, 1])
    assert client.gather(client.map(add, ones, [ones[0], 5], z=ones[1])) == [4, 9]


def test_equal_pure_calls_share_a_task(client: Client) -> None:
    first, second, other = client.map(inc, [1, 1, 2])
    assert first.key == second.key != other.key
    again = client.submit(inc, 1)
    assert again.key == first.key
    assert again is not first


def test_impure_calls_do_not(client: Client) -> None:
    assert len({future.key for future in client.map(inc, [1, 1, 1], pure=False)}) == 3


def test_a_list_of_keys(client: Client) -> None:
    futures = client.map(inc, [1, 2], key=["a", ("b", 2)])
    assert [future.key for future in futures] == ["a", ("b", 2)]
    assert client.gather(futures) == [2, 3]


@pytest.mark.parametrize("keys", [["a"], ["a", "b", "c"]])
def test_keys_must_be_as_many_as_calls(client: Client, keys: list[str]) -> None:
    with pytest.raises(ValueError, match="keys"):
        client.map(inc, [1, 2], key=keys)


def test_a_prefix_begins_the_keys(client: Client) -> None:
    pure = client.map(inc, [1, 1, 2], key="pre")
    impure = client.map(inc, [1, 1, 2], key="pre", pure=False)
    assert all(str(future.key).startswith("pre-") for future in pure + impure)
    assert len({future.key for future in pure}) == 2
    assert len({future.key for future in impure}) == 3


@pytest.mark.parametrize("pure", [True, False])
def test_a_prefix_used_twice_gives_nobody_anothers_results(client: Client, pure: bool) -> None:
    first = client.map(inc, [1, 2], key="pre", pure=pure)
    second = client.map(operator.neg, [5, 6], key="pre", pure=pure)
    assert client.gather(first) == [2, 3]
    assert client.gather(second) == [-5, -6]


def test_a_prefix_is_part_of_the_key(client: Client) -> None:
    plain, prefixed = client.map(inc, [1])[0], client.map(inc, [1], key="pre")[0]
    assert plain.key != prefixed.key
    assert (plain.result(), prefixed.result()) == (2, 2)


def test_a_bad_prefix(client: Client) -> None:
    with pytest.raises(TypeError, match="key"):
        client.map(inc, [1], key=5)


def test_no_iterables(client: Client) -> None:
    with pytest.raises(TypeError, match="iterable"):
        client.map(inc)


def test_what_cannot_be_iterated(client: Client) -> None:
    with pytest.raises(TypeError, match="not iterable"):
        client.map(inc, 5)


def test_an_iterator_that_fails_leaves_nothing_behind(client: Client) -> None:
    def items() -> Iterator[int]:
        yield from range(1_000)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        client.map(inc, items())


def test_an_iterator_may_submit(client: Client) -> None:
    def items() -> Iterator[Any]:
        for number in range(600):
            yield client.submit(inc, number)

    assert client.gather(client.map(inc, items())) == list(range(2, 602))


def test_work_begins_while_a_long_iterator_goes_on(client: Client, gate: Gate) -> None:
    def items() -> Iterator[int]:
        yield from range(300)
        gate.entered()
        gate.open()
        yield 300

    assert client.gather(client.map(gate.hold, items(), pure=False)) == list(range(301))


def test_items_are_drawn_a_batch_at_a_time(client: Client) -> None:
    before, seen = client.counters()["submitted"], []

    def items() -> Iterator[int]:
        for item in range(7):
            seen.append(client.counters()["submitted"] - before)
            yield item

    futures = client.map(inc, items(), batch_size=3)
    assert seen == [0, 0, 0, 3, 3, 3, 6]
    assert client.gather(futures) == list(range(1, 8))
    assert client.gather(client.map(inc, [1, 2, 3], batch_size=2, key=["a", "b", "c"])) == [2, 3, 4]
    for wrong in (0, -1, 1.5, "many", True):
        with pytest.raises(ValueError if wrong in (0, -1) else TypeError, match="batch_size"):
            client.map(inc, [1], batch_size=wrong)  # type: ignore[call-overload]


def test_the_keys_of_an_iterators_calls(client: Client) -> None:
    futures = client.map(inc, iter([1, 2]), key=["a", "b"])
    assert [future.key for future in futures] == ["a", "b"]
    for keys in (["a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="keys"):
            client.map(inc, iter([1, 2]), key=keys)
    # A prefix used twice gives nobody another's results.
    first, second = client.map(inc, iter([1, 2]), key="pre"), client.map(operator.neg, iter([1, 2]), key="pre")
    assert client.gather([first, second]) == [[2, 3], [-1, -2]]
    assert all(future.key.startswith("pre-") for future in first + second)


def test_duplicate_pure_inputs_give_the_same_future(client: Client) -> None:
    # More than are submitted at once.
    futures = client.map(inc, [number % 3 for number in range(1000)])
    assert [futures.index(future) for future in futures] == [number % 3 for number in range(1000)]
    assert all(future is futures[number % 3] for number, future in enumerate(futures))
    assert client.gather(futures)[:4] == [1, 2, 3, 1]
    assert len({id(future) for future in client.map(inc, [1, 1], pure=False)}) == 2
    [before] = client.map(inc, [7])
    assert client.map(inc, [7, 8, 7])[0] is not before
