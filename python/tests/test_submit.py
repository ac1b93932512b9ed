"""`Client.submit`: calls, inputs, keys."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections import namedtuple
from typing import Any

import pytest
from azolla import Client, Future
from backends import Reason, threads_only
from conftest import Gate


def inc(x: int) -> int:
    return x + 1


def echo(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    return args, kwargs


def test_a_call_with_arguments_and_keywords(client: Client) -> None:
    assert client.submit(echo, 1, "a", b=2, c=None).result() == ((1, "a"), {"b": 2, "c": None})


def test_whatever_the_keywords_are_called_they_reach_the_function(client: Client) -> None:
    names = {"call": 1, "args": 2, "self": 3, "\ud800": 4, "": 5, "ключ": 6}
    assert client.submit(echo, **names, pure=False).result() == ((), names)  # type: ignore[arg-type]


def test_the_function_may_be_given_by_name(client: Client) -> None:
    assert client.submit(func=inc, x=1).result() == 2
    with pytest.raises(TypeError, match="multiple values for argument 'func'"):
        client.submit(inc, 1, func=inc)
    for options in ({}, {"pure": False}, {"x": 1}):
        with pytest.raises(TypeError, match="takes a function first"):
            client.submit(**options)


def test_whether_a_call_is_pure_is_true_false_or_not_said(client: Client) -> None:
    assert client.submit(inc, 1, pure=None).key == client.submit(inc, 1).key == client.submit(inc, 1, pure=True).key
    with pytest.raises(TypeError, match="pure must be True, False or None, not 'no'"):
        client.submit(inc, 1, pure="no")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (operator.add, (1, 2), 3),
        (len, ([1, 2],), 2),
        (int, ("7",), 7),
        ("a,b".split, (",",), ["a", "b"]),
        (functools.partial(operator.sub, 10), (3,), 7),
        (lambda x: -x, (4,), -4),
    ],
    ids=["builtin", "len", "type", "method", "partial", "lambda"],
)
def test_anything_callable_runs(client: Client, function: Any, args: tuple[Any, ...], expected: object) -> None:
    assert client.submit(function, *args).result() == expected


def test_keywords_of_submit_itself_do_not_reach_the_function(client: Client) -> None:
    future = client.submit(echo, 1, key="k", retries=2, priority=3, pure=False, fifo_timeout="1s", x=4)
    assert future.result() == ((1,), {"x": 4})
    assert future.key == "k"


@threads_only(Reason.OBJECTS)
def test_the_result_is_the_very_object(client: Client) -> None:
    value = object()
    assert client.submit(lambda: value).result() is value


Point = namedtuple("Point", "x y")


@dataclasses.dataclass(frozen=True)
class Pair:
    left: Any
    right: Any = 0
    derived: Any = dataclasses.field(init=False, default=5)


class Stranger:
    def __init__(self, held: Any) -> None:
        self.held = held


def test_futures_are_resolved_in_containers(client: Client) -> None:
    one, two = client.submit(inc, 0), client.submit(inc, 1)
    args, kwargs = client.submit(
        echo,
        one,
        [one, [two]],
        (one, two),
        {one, two},
        frozenset([one]),
        {"k": one, "n": {"m": two}},
        Point(one, two),
        Pair(one, [two]),
        word=two,
        words=[two],
    ).result()
    assert args == (1, [1, [2]], (1, 2), {1, 2}, frozenset([1]), {"k": 1, "n": {"m": 2}}, Point(1, 2), Pair(1, [2]))
    assert kwargs == {"word": 2, "words": [2]}
    assert type(args[6]) is Point
    assert args[7].derived == 5


@threads_only(Reason.OBJECTS)
def test_futures_are_not_resolved_in_keys_and_other_objects(client: Client) -> None:
    one = client.submit(inc, 0)
    args, _ = client.submit(echo, {one: 1}, Stranger(one), {"a": 1}.keys(), pure=False).result()
    assert list(args[0]) == [one]
    assert args[1].held is one


@threads_only(Reason.OBJECTS)
def test_objects_without_futures_are_passed_as_they_are(client: Client) -> None:
    array, pair, both = bytearray(b"1"), Pair(1), (1, (2, 3))
    args, _ = client.submit(echo, array, pair, both, pure=False).result()
    assert args[0] is array
    assert args[1] is pair
    assert args[2] is both


def test_the_callers_containers_are_left_alone(client: Client) -> None:
    one = client.submit(inc, 0)
    items, pair = [one], Pair(one)
    assert client.submit(echo, items, pair).result()[0] == ([1], Pair(1))
    assert items == [one]
    assert pair.left is one


def test_a_chain_of_dependencies(client: Client) -> None:
    future = client.submit(inc, 0)
    for _ in range(2_000):
        future = client.submit(inc, future)
    assert future.result() == 2_001


def test_an_input_outlives_its_future_while_it_is_needed(client: Client, gate: Gate) -> None:
    first = client.submit(gate.hold, 5, pure=False)
    second = client.submit(inc, first)
    del first
    gate.open()
    assert second.result() == 6


def test_a_failed_input_fails_its_dependents_with_the_same_error(client: Client) -> None:
    root = client.submit(operator.truediv, 1, 0)
    leaf = client.submit(inc, client.submit(inc, [root]))
    assert type(leaf.exception()) is ZeroDivisionError
    assert repr(leaf.exception()) == repr(root.exception())
    assert leaf.status == "error"


def test_an_input_that_was_cancelled_cancels(client: Client, gate: Gate) -> None:
    # As in Dask: whether it was cancelled before the submission or after it makes no difference.
    early = client.submit(gate.hold, pure=False)
    early.cancel()
    dependent = client.submit(inc, early)
    assert dependent.cancelled()
    assert client.map(inc, [early])[0].cancelled()


def test_a_given_key_is_the_futures_key(client: Client) -> None:
    for key in ("k", b"bytes", 7, 1.5, ("k", 1, ("nested", 2.5))):
        future = client.submit(inc, 1, key=key)
        assert future.key == key
        assert future.result() == 2


def test_a_live_key_gives_the_old_task_whatever_the_function(client: Client) -> None:
    first = client.submit(inc, 1, key="k")
    second = client.submit(operator.neg, 1, key="k")
    assert second.result() == 2
    assert second is not first
    assert second != first
    assert hash(second) != hash(first)


def test_a_key_is_free_again_when_its_futures_are_gone(client: Client) -> None:
    assert client.submit(inc, 1, key="k").result() == 2
    assert client.submit(operator.neg, 1, key="k").result() == -1


def test_impure_calls_run_each_time(client: Client) -> None:
    futures = [client.submit(inc, 1, pure=False) for _ in range(10)]
    assert len({future.key for future in futures}) == 10
    assert all(str(future.key).startswith("inc-") for future in futures)
    assert client.gather(futures) == [2] * 10


def test_the_key_of_an_impure_task_finds_it(client: Client, gate: Gate) -> None:
    future = client.submit(gate.hold, 3, pure=False)
    again = Future(future.key, client)
    gate.open()
    assert again.key == future.key
    assert again.result() == 3


def test_keys_begin_with_the_functions_name(client: Client) -> None:
    names = {
        "inc-": inc,
        "lambda-": lambda: 1,
        "len-": len,
        "int-": int,
        "sub-": functools.partial(functools.partial(operator.sub)),
        "hold-": Gate().hold,
    }
    futures = {name: client.submit(function, pure=False) for name, function in names.items() if name != "hold-"}
    for name, future in futures.items():
        assert str(future.key).startswith(name)
        future.exception()


def test_a_function_that_returns_a_future_gives_the_future(client: Client) -> None:
    def grow() -> Any:
        from azolla import get_client

        return get_client().submit(inc, 1)

    inner = client.submit(grow).result()
    assert isinstance(inner, Future)
    assert inner.result() == 2
