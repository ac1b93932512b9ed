"""A call is as it was at the submit: its containers are copied, once each, however they are nested and shared."""

from __future__ import annotations

import collections
import copy
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import dask
import pytest
from azolla import Client, Future, annotate
from backends import Reason, threads_only
from conftest import PATIENCE, Gate, Journal


def echo(*args: Any, **kwargs: Any) -> Any:
    return (args, kwargs) if kwargs else args if len(args) != 1 else args[0]


@dataclass
class Job:
    parts: list[Any] = field(default_factory=list)
    name: str = "job"


@dataclass
class Node:
    value: Any
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    before: Node | None = None
    after: Node | None = None


class Place(NamedTuple):
    x: Any
    y: Any


def hold(client: Client, gate: Gate) -> Future[Any]:
    """Returns a future on a task that waits for the gate."""
    future = client.submit(gate.hold, 1, pure=False)
    gate.entered()
    return future


# --- What a program does to a container after the submit

LATER: dict[str, tuple[Callable[[Any], Any], Callable[[Any], object], Any]] = {
    "a list": (lambda one: [one, one], lambda made: made.clear(), [1, 1]),
    "a list that grows": (lambda one: [one], lambda made: made.append(2), [1]),
    "a dict": (lambda one: {"a": one}, lambda made: made.update(b=2), {"a": 1}),
    "a set": (lambda one: {one}, lambda made: made.clear(), {1}),
    "a list in a dict": (lambda one: {"a": [one]}, lambda made: made["a"].clear(), {"a": [1]}),
    "a list in a tuple": (lambda one: ([one], 2), lambda made: made[0].clear(), ([1], 2)),
    "a list in a named tuple": (lambda one: Place([one], 2), lambda made: made.x.clear(), Place([1], 2)),
    "a list in a dataclass": (lambda one: Job([one]), lambda made: made.parts.clear(), Job([1])),
    "another list in a dataclass": (lambda one: Job([one]), lambda made: setattr(made, "parts", []), Job([1])),
    "a deque": (lambda one: collections.deque([one], 3), lambda made: made.clear(), collections.deque([1], 3)),
    "a defaultdict": (
        lambda one: collections.defaultdict(list, a=[one]),
        lambda made: made["a"].clear(),
        collections.defaultdict(list, a=[1]),
    ),
    "an OrderedDict": (
        lambda one: collections.OrderedDict(a=one),
        lambda made: made.clear(),
        collections.OrderedDict(a=1),
    ),
    "a UserDict": (lambda one: collections.UserDict(a=[one]), lambda made: made["a"].clear(), {"a": [1]}),
    "a UserList": (lambda one: collections.UserList([one]), lambda made: made.clear(), [1]),
    "a ChainMap": (lambda one: collections.ChainMap({"a": one}), lambda made: made.clear(), {"a": 1}),
}


@pytest.mark.parametrize("what", LATER)
@pytest.mark.parametrize("with_future", [True, False], ids=["with a future", "without futures"])
@pytest.mark.parametrize(
    "how",
    [
        "submit",
        "keyword",
        "map",
        "map keyword",
        "executor",
        "actor",
    ],
)
def test_a_call_is_as_it_was_at_the_submit(client: Client, gate: Gate, what: str, with_future: bool, how: str) -> None:
    held = hold(client, gate)
    make, change, expected = LATER[what]
    if how == "actor":
        actor: Any = client.submit(Echo, held, actor=True)
        given = make(1)
        gate.open()
        echoes: Any = actor.result(PATIENCE)
        blocks = echoes.hold(own := Gate())
        answer = echoes.echo(given)
        change(given)
        own.open()
        assert blocks.result(PATIENCE) is None
        assert answer.result(PATIENCE) == expected
        return
    given = make(held if with_future else 1)
    after = held if not with_future else 0  # the task waits in any case
    if how == "submit":
        future: Any = client.submit(first, given, after)
    elif how == "keyword":
        future = client.submit(first, value=given, after=after)
    elif how == "map":
        [future] = client.map(first, [given], [after])
    elif how == "map keyword":
        [future] = client.map(first_of_keyword, [after], value=given)
    else:
        future = client.get_executor().submit(first, given, after)
    change(given)
    gate.open()
    result = future.result(PATIENCE)
    assert result == expected
    assert not hasattr(expected, "default_factory") or result.default_factory is list


def first(value: Any, after: Any = None) -> Any:
    return value


def first_of_keyword(after: Any, value: Any) -> Any:
    return value


class Echo:
    def __init__(self, after: Any) -> None:
        pass

    def hold(self, gate: Gate) -> None:
        gate.hold()

    def echo(self, value: Any) -> Any:
        return value


def test_a_pure_key_is_that_of_what_the_task_is_called_with(client: Client, gate: Gate) -> None:
    batch, held = [1, 2], hold(client, gate)
    one = client.submit(first, batch, held)
    batch.append(3)
    other = client.submit(first, [1, 2], held)
    third = client.submit(first, batch, held)
    gate.open()
    assert one.key == other.key != third.key
    assert client.gather([one, other, third]) == [[1, 2], [1, 2], [1, 2, 3]]


def test_scattered_data_is_what_its_key_says(client: Client) -> None:
    batch = [1, 2]
    [one] = client.scatter([batch])
    batch.append(3)
    [same] = client.scatter([[1, 2]])
    assert (one.key, one.result()) == (same.key, [1, 2])


def test_a_list_may_get_the_future_of_its_own_call(client: Client, gate: Gate) -> None:
    parts = [hold(client, gate)]
    for _ in range(3):
        parts.append(client.submit(sum, parts))
    gate.open()
    assert client.gather(parts) == [1, 1, 2, 4]


def test_a_delayed_call_is_as_it_was_at_the_compute(client: Client, gate: Gate) -> None:
    batch, names, held = [1, 2], {"a": [3]}, hold(client, gate)
    delayed = dask.delayed(first, pure=False)({"batch": batch, "names": names}, held)
    future = client.compute(delayed)
    batch.clear()
    names["a"].clear()
    raw = [4]
    graph = {"data": raw, "x": (echo, "data", held, {"raw": raw})}
    [got] = client.get(graph, ["x"], sync=False)
    raw.clear()
    gate.open()
    assert future.result(PATIENCE) == {"batch": [1, 2], "names": {"a": [3]}}
    assert got.result(PATIENCE) == ([4], 1, {"raw": [4]})


def test_each_run_has_arguments_of_its_own(client: Client) -> None:
    def spend(items: list[int], *, seen: list[int]) -> tuple[list[int], list[int]]:
        got = items.pop(), len(seen)
        seen.append(1)
        attempts.append(got)
        if len(attempts) < 3:
            raise ValueError("again")
        return items, seen

    attempts = Journal()
    future = client.submit(spend, [1, 2], seen=[], retries=2, pure=False)
    assert future.result(PATIENCE) == ([1], [1])
    assert attempts == [(2, 0)] * 3


def test_the_calls_of_a_map_share_no_keyword(client: Client) -> None:
    def note(number: int, seen: list[int]) -> list[int]:
        seen.append(number)
        return seen

    assert client.gather(client.map(note, range(3), seen=[])) == [[0], [1], [2]]


# --- What is looked into


class Words(list[Any]):
    def __init__(self, text: str) -> None:
        super().__init__(text.split())


class Bag(set[Any]):
    pass


class Frozen(frozenset[Any]):
    pass


class Table(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("only ever read")

    def __reduce__(self) -> Any:
        return Table, (dict(self),)


class Pair(tuple[Any, ...]):
    note: str


def test_futures_in_what_is_derived_from_containers_are_found(client: Client) -> None:
    one = client.submit(int, "1")
    words, table, pair = Words("a b"), Table(a=one), Pair((one, [one]))
    words.append(one)
    pair.note = "kept"
    counter = collections.Counter(a=1)
    counter["b"] = one  # type: ignore[assignment]
    given = [words, table, pair, Bag([one]), Frozen([one]), counter, collections.defaultdict(list, a=[one])]
    got = client.submit(echo, given).result(PATIENCE)
    expected = [["a", "b", 1], {"a": 1}, (1, [1]), {1}, {1}, {"a": 1, "b": 1}, {"a": [1]}]
    assert got == expected
    assert [type(value) for value in got] == [type(value) for value in given]
    assert got[2].note == "kept"
    assert got[6]["new"] == []
    assert client.gather(given) == expected
    assert words == ["a", "b", one] and pair == (one, [one])


class Whole(set[Any]):
    def __copy__(self) -> Any:
        raise TypeError("there is one of each")


@threads_only(Reason.PICKLES)
def test_a_container_that_cannot_be_copied_is_passed_as_it_is_or_refused(client: Client) -> None:
    whole = Whole([1])
    assert client.submit(echo, whole, pure=False).result() is whole
    assert client.map(echo, [1], value=whole, pure=False)[0].result()[1]["value"] is whole
    with pytest.raises(TypeError, match="a Whole holds futures, and cannot be copied"):
        client.submit(echo, Whole([client.submit(int)]))


@pytest.mark.parametrize(
    "depth", [101, *(pytest.param(depth, marks=threads_only(Reason.PICKLES)) for depth in (5_000, 100_000))]
)
def test_futures_are_found_however_deep_they_are(client: Client, depth: int) -> None:
    def unwrapped(value: Any) -> Any:
        levels = 0
        while isinstance(value, (list, tuple, dict)):
            value, levels = (value["x"] if isinstance(value, dict) else value[0]), levels + 1
        return value, levels

    value: Any = client.submit(int, "7")
    for level in range(depth):
        value = [value] if level % 3 == 0 else (value,) if level % 3 == 1 else {"x": value}
    assert client.submit(unwrapped, value).result(PATIENCE) == (7, depth)
    assert unwrapped(client.gather(value)) == (7, depth)


@pytest.mark.parametrize("depth", [1_000, 40_000, 200_000])
def test_a_key_may_be_nested_as_deep_as_one_likes(client: Client, depth: int) -> None:
    def nested(innermost: str) -> Any:
        key: Any = innermost
        for _ in range(depth):
            key = (key, 1)
        return key

    one = client.submit(echo, 1, key=nested("a"))
    same = client.submit(echo, 2, key=nested("a"))
    other = client.submit(echo, 3, key=nested("b"))
    assert client.gather([one, same, other]) == [1, 1, 3]


# --- Each object once


def test_what_is_shared_stays_shared(client: Client) -> None:
    one = client.submit(int, "1")
    shared = [one]
    args, kwargs = client.submit(echo, shared, (shared, {"a": shared}), by_name=shared).result(PATIENCE)
    assert args == ([1], ([1], {"a": [1]}))
    assert args[0] is args[1][0] is args[1][1]["a"] is kwargs["by_name"]
    results = client.gather([shared, shared])
    assert results[0] is results[1]


def test_what_leads_back_to_itself_does_so_in_the_task(client: Client) -> None:
    one = client.submit(int, "1")
    ring: list[Any] = [one]
    ring.append(ring)
    knot: Any = ([one],)
    knot[0].append((knot, 2))
    table: dict[str, Any] = {"one": one}
    table["self"] = [table]
    ring_, knot_, table_ = client.submit(echo, ring, knot, table).result(PATIENCE)
    assert ring_[0] == 1 and ring_[1] is ring_
    assert knot_[0][0] == 1 and knot_[0][1][0] is knot_
    assert table_["one"] == 1 and table_["self"][0] is table_
    gathered = client.gather(ring)
    assert gathered[0] == 1 and gathered[1] is gathered


def test_a_tree_that_knows_its_parents(client: Client) -> None:
    def leaves(node: Node) -> int:
        todo, found = [node], 0
        while todo:
            node = todo.pop()
            assert all(child.parent is node for child in node.children)
            todo += node.children
            found += node.value if not node.children else 0
        return found

    one = client.submit(int, "1")
    root = Node(0)
    level = [root]
    for _ in range(8):
        for parent in level:
            parent.children = [Node(one, parent) for _ in range(2)]
        level = [child for parent in level for child in parent.children]
    assert client.submit(leaves, root).result(PATIENCE) == 256
    assert client.map(leaves, [root], pure=False)[0].result(PATIENCE) == 256


@threads_only(Reason.PICKLES)
def test_a_list_that_is_linked_both_ways(client: Client) -> None:
    def total(node: Node | None) -> int:
        seen = 0
        while node is not None:
            assert node.after is None or node.after.before is node
            seen, node = seen + node.value, node.after
        return seen

    first_node = last = Node(client.submit(int, "1"))
    for _ in range(3_000):
        last.after = Node(1, before=last)
        last = last.after
    assert client.submit(total, first_node).result(PATIENCE) == 3_001


BRANCHING: dict[str, Callable[[Any], Any]] = {
    "lists": lambda inner: [inner, inner],
    "tuples": lambda inner: (inner, inner),
    "dicts": lambda inner: {"a": inner, "b": inner},
    "dataclasses": lambda inner: Node(inner, parent=inner),
    "frozensets": lambda inner: frozenset([(inner, 0), (inner, 1)]),
}


@pytest.mark.parametrize("what", BRANCHING)
@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("with_future", [True, False])
def test_what_branches_sixty_times_is_walked_once(client: Client, what: str, pure: bool, with_future: bool) -> None:
    value: Any = client.submit(int, "1") if with_future else 1
    for _ in range(60):
        value = BRANCHING[what](value)
    assert client.submit(lambda value: type(value), value, pure=pure).result(PATIENCE) is type(value)
    gathered = client.gather(value)
    assert type(gathered) is type(value)
    assert client.map(lambda value: type(value), [value], pure=pure)[0].result(PATIENCE) is type(value)
    assert len(set(client.scatter([value]))) == 1
    client.cancel(value)


def test_a_long_walk_sees_signals(client: Client) -> None:
    class Interrupts(list[Any]):
        def __copy__(self) -> Any:
            signal.raise_signal(signal.SIGINT)
            return copy.deepcopy(self[:1])

    items = [Interrupts()] + [[number] for number in range(10_000)]
    with pytest.raises(KeyboardInterrupt):
        client.submit(echo, items, pure=False).result()
        raise AssertionError("the walk was deaf")


# --- Arguments that have azolla's names


def test_any_keyword_is_the_functions_own(client: Client) -> None:
    def named(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    assert client.submit(named, 1, self=3).result() == ((1,), {"self": 3})
    assert client.gather(client.map(named, [1], self=3)) == [((1,), {"self": 3})]
    assert client.gather(client.map(named, iter([1]), self=3)) == [((1,), {"self": 3})]
    assert client.run_on_scheduler(named, 1, self=3) == ((1,), {"self": 3})


def test_any_keyword_of_run_is_the_functions_own(client: Client) -> None:
    def named(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    assert list(client.run(named, 1, self=3).values()) == [((1,), {"self": 3})] * len(client.nthreads())


@pytest.mark.parametrize("size", [1, 10**30])
def test_a_batch_may_be_of_any_size(client: Client, size: int) -> None:
    assert client.gather(client.map(abs, [-1, -2], batch_size=size)) == [1, 2]


@pytest.mark.parametrize("none", [[], (), set(), {}], ids=str)
def test_no_names_of_workers_are_as_if_nothing_was_said(none: Any) -> None:
    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        assert client.submit(abs, -1, workers=none).result(PATIENCE) == 1
        assert client.gather(client.map(abs, [-1, -2], workers=none)) == [1, 2]
        assert client.get_executor(workers=none).submit(abs, -3).result(PATIENCE) == 3
        assert client.get({"x": (abs, -4)}, "x", workers=none) == 4
        assert client.compute(dask.delayed(abs)(-5), workers=none).result(PATIENCE) == 5
        assert client.scatter(6, workers=none).result() == 6
        with annotate(workers=none):
            assert client.submit(abs, -7).result(PATIENCE) == 7
        both = {worker.address for worker in client.cluster.workers.values()}
        assert set(client.run(int, workers=none)) == both
        assert set(client.nthreads(none)) == set(client.has_what(none)) == set(client.processing(none)) == both
        assert client.profile(workers=none) == client.profile()
        with pytest.raises(ValueError, match="Only use allow_other_workers"):
            client.submit(abs, -1, workers=none, allow_other_workers=True)
