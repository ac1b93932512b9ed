"""How the containers in a call are copied: past the methods of their classes, each once, and what a callable holds too."""

from __future__ import annotations

import collections
import copyreg
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from azolla import Client, Future
from backends import Reason, threads_only
from conftest import PATIENCE, Gate, Journal


def echo(*args: Any, **kwargs: Any) -> Any:
    return (args, kwargs) if kwargs else args if len(args) != 1 else args[0]


@threads_only(Reason.OBJECTS)
def test_large_containers_are_scattered_once(client: Client) -> None:
    table = {"rows": [[1], [2]]}
    [shared] = client.scatter([table])
    same = client.gather(client.map(lambda i, table: id(table), range(3), table=shared))
    assert len(set(same)) == 1
    seen: list[Any] = []
    client.gather(client.map(lambda i, table: seen.append(table), range(3), table=table))
    assert len({id(one) for one in [*seen, table]}) == 4  # each task has a copy of its own


def hold(client: Client, gate: Gate) -> Future[Any]:
    """Returns a future on a task that waits for the gate."""
    future = client.submit(gate.hold, 1, pure=False)
    gate.entered()
    return future


# --- Classes that make something of what is put in


class LowDict(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key.lower(), value * 2)

    def __iter__(self) -> Iterator[str]:
        return iter(["other"])

    def update(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("a copy calls no method")

    keys = items = copy = update  # type: ignore[assignment]


class LowOrdered(collections.OrderedDict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value * 2)


class LowDefault(collections.defaultdict[str, Any]):
    def __init__(self) -> None:
        super().__init__(list)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value * 2)


class LowCounter(collections.Counter[str]):
    def __setitem__(self, key: str, value: int) -> None:
        super().__setitem__(key, value * 2)


class LowList(list[Any]):
    def append(self, value: Any) -> None:
        super().append(value * 2)

    def extend(self, values: Any) -> None:
        super().extend(value * 2 for value in values)


class LowSet(set[Any]):
    def __init__(self, name: str) -> None:
        super().__init__()

    def add(self, value: Any) -> None:
        super().add(value * 2)

    def update(self, *values: Any) -> None:
        raise AssertionError("a copy calls no method")


class LowDeque(collections.deque[Any]):
    def append(self, value: Any) -> None:
        super().append(value * 2)

    def extend(self, values: Any) -> None:
        super().extend(value * 2 for value in values)


def low_dicts() -> Iterator[Any]:
    for made in (LowDict(), LowOrdered(), LowDefault(), LowCounter()):
        made["a"] = 3
        yield made


def low_sequences() -> Iterator[Any]:
    for made in (LowList(), LowDeque(maxlen=5)):
        made.append(3)
        yield made
    low = LowSet("name")
    low.add(3)
    yield low


@threads_only(Reason.PICKLES)
@pytest.mark.parametrize("pure", [True, False])
def test_a_copy_is_made_past_the_methods_of_its_class(client: Client, pure: bool) -> None:
    for given in [*low_dicts(), *low_sequences()]:
        given.note = "kept"
        [got] = client.map(echo, [given], pure=pure)
        again = client.submit(echo, (given,), pure=pure).result(PATIENCE)[0]
        for made in (got.result(PATIENCE), again):
            assert type(made) is type(given) and made is not given and made.note == "kept"
            assert dict.__eq__(made, {"a": 6}) if isinstance(made, dict) else list(made) == [6]
            assert getattr(made, "maxlen", None) == getattr(given, "maxlen", None)
            assert getattr(made, "default_factory", list) is list


@threads_only(Reason.PICKLES)
def test_futures_are_put_in_past_the_methods_of_the_class(client: Client) -> None:
    seven = client.submit(int, "7")
    ordered = LowOrdered()
    for key in "abc":
        collections.OrderedDict.__setitem__(ordered, key, seven)
    ordered.move_to_end("a")
    low = LowDict()
    dict.__setitem__(low, "a", seven)
    got = client.submit(echo, ordered, low).result(PATIENCE)
    assert list(got[0].items()) == [("b", 7), ("c", 7), ("a", 7)] and dict.__eq__(got[1], {"a": 7})


class Slotted(list[Any]):
    __slots__ = ("_name", "unset")

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, "_name"):
            raise AttributeError("it cannot be changed")
        super().__setattr__(name, value)


class Attributes(dict[str, Any]):
    def __init__(self, **items: Any) -> None:
        super().__init__(items)
        self.__dict__ = self


@threads_only(Reason.PICKLES)
def test_a_copy_has_the_attributes_of_the_container(client: Client) -> None:
    slotted = Slotted("name")
    slotted.append([1])
    attributes = Attributes(a=client.submit(int, "1"))
    one, other = client.submit(echo, slotted, attributes).result(PATIENCE)
    assert one == [[1]] and one._name == "name" and not hasattr(one, "unset")
    assert other.a == other["a"] == 1 and other.__dict__ is other


class Counted(list[Any]):
    """Says itself how it is copied, and counts how often."""

    copies = 0

    def __copy__(self) -> Any:
        type(self).copies += 1
        made = Counted(item + 1 for item in self)
        return made


class Reduced(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value * 2)

    def __reduce__(self) -> Any:
        return _reduced, (dict(self),)


def _reduced(items: dict[str, Any]) -> Reduced:
    made = Reduced()
    for key, value in items.items():
        made[key] = value
    return made


class Registered(list[Any]):
    pass


@threads_only(Reason.PICKLES)
def test_a_class_that_says_how_it_is_copied_is_asked_once_for_a_call(client: Client) -> None:
    Counted.copies = 0
    assert client.submit(echo, Counted([1]), pure=False).result(PATIENCE) == [2]
    assert [future.result(PATIENCE)[1]["by"] for future in client.map(echo, [1, 2], by=Counted([1]), pure=False)] == [
        [2],
        [2],
    ]
    assert Counted.copies == 2
    assert client.submit(echo, Reduced(a=3)).result(PATIENCE) == {"a": 6}
    copyreg.pickle(Registered, lambda value: (Registered, ([*value, "registered"],)))
    try:
        assert client.submit(echo, Registered([1]), pure=False).result(PATIENCE) == [1, "registered"]
    finally:
        del copyreg.dispatch_table[Registered]


# --- Containers with fields, and futures that are keys


@dataclass
class Table(dict[str, Any]):
    rows: Any = None


@dataclass
class Rows(list[Any]):
    name: Any = None
    parts: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Pair(tuple[Any, ...]):
    note: Any = None

    def __new__(cls, *items: Any, note: Any = None) -> Any:
        return super().__new__(cls, items)

    def __init__(self, *items: Any, note: Any = None) -> None:
        object.__setattr__(self, "note", note)


@threads_only(Reason.PICKLES)
def test_the_fields_of_a_dataclass_that_is_a_container_are_looked_into(client: Client, gate: Gate) -> None:
    held = hold(client, gate)
    table, rows, pair = Table(held), Rows(held, [held]), Pair(held, note=[held])
    dict.__setitem__(table, "a", held)
    rows.append(held)
    future = client.submit(echo, table, rows, pair)
    rows.parts.clear()
    rows.name = None
    pair.note.clear()
    gate.open()
    table, rows, pair = future.result(PATIENCE)
    assert (type(table), dict(table), table.rows) == (Table, {"a": 1}, 1)
    assert (type(rows), list(rows), rows.name, rows.parts) == (Rows, [1], 1, [1])
    assert (type(pair), tuple(pair), pair.note) == (Pair, (1,), [1])


@pytest.mark.parametrize(
    "make",
    [
        dict,
        collections.OrderedDict,
        pytest.param(LowDict, marks=threads_only(Reason.PICKLES)),
        pytest.param(LowOrdered, marks=threads_only(Reason.PICKLES)),
        collections.ChainMap,
    ],
)
def test_a_future_that_is_a_key_is_resolved_where_a_value_holds_one(client: Client, make: Any) -> None:
    one, two = client.map(int, ["1", "2"])
    given = make()
    inside = given.maps[0] if make is collections.ChainMap else given
    base = collections.OrderedDict if isinstance(given, collections.OrderedDict) else dict
    for key, value in ((0, one), (one, "a"), ((two, 3), two), ("b", 4)):
        base.__setitem__(inside, key, value)
    got = client.submit(echo, given).result(PATIENCE)
    assert type(got) is make
    inside = got.maps[0] if make is collections.ChainMap else got
    assert list(dict.__iter__(inside)) == [0, 1, (2, 3), "b"] == list(base.__iter__(inside))
    assert [dict.__getitem__(inside, key) for key in base.__iter__(inside)] == [1, "a", 2, 4]
    key, name = client.submit(echo, {one: 1, "b": [2]}).result(PATIENCE)
    assert (key.key, name) == (one.key, "b")


def test_gather_leaves_the_keys_of_a_dict(client: Client) -> None:
    one = client.submit(int, "1")
    assert client.gather({one: one}) == {one: 1}


# --- What a callable holds


class Batch(list[Any]):
    def total(self) -> int:
        return sum(self)


#: What is called with 1 and holds the batch, and what it gives.
HOLDERS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "a partial": (lambda batch: functools.partial(echo, batch), ([1, 1], 1)),
    "a keyword of a partial": (lambda batch: functools.partial(echo, x=batch), ((1,), {"x": [1, 1]})),
    "what is in a partial": (lambda batch: functools.partial(echo, ({"a": batch},)), (({"a": [1, 1]},), 1)),
    "a method": (lambda batch: batch.count, 2),
    "a method in a partial": (lambda batch: functools.partial(batch.count), 2),
    "a slot": (lambda batch: batch.__contains__, True),
}


@pytest.mark.parametrize("what", HOLDERS)
@pytest.mark.parametrize("how", ["submit", "map"])
def test_what_a_callable_holds_is_as_it_was_at_the_submit(one_slot: Client, gate: Gate, what: str, how: str) -> None:
    make, expected = HOLDERS[what]
    batch, held = Batch([1, 1]), hold(one_slot, gate)
    future: Any = one_slot.submit(make(batch), 1) if how == "submit" else one_slot.map(make(batch), [1])[0]
    batch.clear()
    gate.open()
    assert held.result(PATIENCE) == 1
    assert future.result(PATIENCE) == expected
    assert one_slot.submit(make(Batch([1, 1])), 1).result(PATIENCE) == expected


def test_a_method_and_a_partial_among_the_arguments(one_slot: Client, gate: Gate) -> None:
    batch, held = Batch([1, 1]), hold(one_slot, gate)
    total = one_slot.submit(batch.total)
    given = one_slot.submit(lambda value: value[0](), [functools.partial(echo, batch)])
    batch.clear()
    gate.open()
    assert one_slot.gather([held, total, given]) == [1, 2, [1, 1]]


def test_each_run_has_what_the_callable_holds_anew(client: Client) -> None:
    left = Journal()

    def spend(items: list[int], *, seen: list[int]) -> int:
        seen.append(1)
        left.append((len(items), len(seen)))
        items.clear()
        if len(left) < 3:
            raise ValueError("again")
        return 1

    items, seen = [1, 2], [0]
    call = functools.partial(spend, items, seen=seen)
    assert client.submit(call, retries=2, pure=False).result(PATIENCE) == 1
    assert left == [(2, 2)] * 3 and (items, seen) == ([1, 2], [0])


def test_a_future_in_a_partial_stays_a_future(client: Client) -> None:
    seven = client.submit(int, "7")
    [got], by_name = client.submit(functools.partial(echo, [seven], x=seven)).result(PATIENCE)
    assert ([one.key for one in got], by_name["x"].key) == ([seven.key], seven.key)


class Named(functools.partial[Any]):
    pass


def test_a_partial_keeps_its_class_and_its_attributes(client: Client) -> None:
    given = Named(echo, [1])
    given.note = "kept"  # type: ignore[attr-defined]
    got = client.submit(echo, given).result(PATIENCE)
    assert type(got) is Named and got.note == "kept" and got() == [1]


@threads_only(Reason.OBJECTS)
def test_an_impure_call_of_a_bound_method_shares_the_object(client: Client) -> None:
    seen: list[int] = []
    client.submit(seen.append, 1, pure=False).result(PATIENCE)
    client.gather(client.map(seen.append, [2], pure=False))
    client.get_executor().submit(seen.append, 3).result(PATIENCE)
    assert seen == [1, 2, 3]
    assert client.submit(seen.append, 4).result(PATIENCE) is None
    assert seen == [1, 2, 3]


# --- Once for all the calls of a map


class Looked(dict[str, Any]):
    """Counts how often it is hashed and copied."""

    hashed = copied = 0

    def __dask_tokenize__(self) -> Any:
        type(self).hashed += 1
        return list(self.items())

    def __copy__(self) -> Any:
        type(self).copied += 1
        return Looked(self)


def test_what_the_calls_of_a_map_have_in_common_is_taken_once(client: Client) -> None:
    Looked.hashed = Looked.copied = 0
    keyword = Looked(a=1)
    client.gather(client.map(echo, range(20), by_name=keyword))
    assert (Looked.hashed, Looked.copied) == (1, 1)


def test_a_call_of_a_map_has_the_key_that_it_has_alone(client: Client) -> None:
    one = client.submit(int, "1")
    inner = frozenset([(1, (2,))])
    for given in ({"x": [1, 2]}, {"x": [inner], "y": inner}, {"x": one, "y": {"z": [one]}}, {}):
        items: list[Any] = [[1, 2], [1, 2], 3, inner, {"b": one}, (inner, [inner])]
        together = client.map(echo, items, **given)
        assert [future.key for future in together] == [client.submit(echo, item, **given).key for item in items]
        assert len(set(together)) == 5
