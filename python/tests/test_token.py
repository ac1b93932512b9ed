"""Pure keys: equal digests for equal calls, other digests for anything that could give another result.

Functions of a notebook are made by running source text in a namespace that calls itself `__main__`, one `cell`
after another.
"""

import array
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import gc
import importlib
import math
import operator
import os
import pathlib
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import types
import uuid
import weakref

import hypothesis
import hypothesis.strategies as st
import pytest
from azolla._azolla import tokenize


def notebook(*sources):
    """A namespace like a notebook's, after these cells have run."""
    namespace = {"__name__": "__main__"}
    for source in sources:
        cell(namespace, source)
    return namespace


def cell(namespace, source):
    """Runs a cell and gives what it calls `f`."""
    exec(textwrap.dedent(source), namespace)
    return namespace.get("f")


def hashable(*args, **kwargs):
    try:
        tokenize(*args, **kwargs)
    except TypeError:
        return False
    return True


# --- Values -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Point:
    x: float
    y: object = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: object


class Pair(collections.namedtuple("Pair", "a b")):
    pass


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class MyInt(int):
    pass


class MyList(list):
    pass


class MyDict(dict):
    pass


class Plain:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def method(self):
        return self


class SaysItself:
    def __init__(self, token):
        self.token = token
        self.lock = threading.Lock()

    def __dask_tokenize__(self):
        return self.token


class SaysItToo(SaysItself):
    pass


def returning_itself(x):
    return x


def adding(n, *, sign=1):
    return lambda x: sign * (x + n)


def make_cyclic():
    a, b = Plain(), Plain()
    a.other, b.other = b, a
    return a


SAME = {
    "small ints": (lambda: 1000, lambda: int("1000")),
    "big ints": (lambda: 2**200, lambda: 2**199 * 2),
    "text": (lambda: "zażółć", lambda: "".join(["zażó", "łć"])),
    "lone surrogates": (lambda: "a\ud800", lambda: "a" + chr(0xD800)),
    "lists": (lambda: [1, [2]], lambda: [*range(1, 2), [2]]),
    "lists, shared or not": (lambda: [[1]] * 2, lambda: [[1], [1]]),
    "dicts in another order": (lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1}),
    "dicts of mixed keys in another order": (lambda: {1: 1, "b": 2, (): 3}, lambda: {(): 3, "b": 2, 1: 1}),
    "sets in another order": (lambda: {8, 0, 16}, lambda: {16, 8, 0}),
    "sets of text": (lambda: set("abcdefgh"), lambda: set("hgfedcba")),
    "nested frozensets": (
        lambda: frozenset([frozenset([1, 2]), frozenset([3])]),
        lambda: frozenset([frozenset([3]), frozenset([2, 1])]),
    ),
    "sets of functions": (lambda: {math.sin, returning_itself}, lambda: {returning_itself, math.sin}),
    "slices": (lambda: slice(1, None), lambda: slice(1, None, None)),
    "ranges": (lambda: range(3), lambda: range(0, 3, 1)),
    "datetimes": (
        lambda: datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
        lambda: datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
    ),
    "datetimes, shared or not": (
        lambda: [datetime.date(2020, 1, 2)] * 2,
        lambda: [datetime.date(2020, 1, 2), datetime.date(2020, 1, 2)],
    ),
    "paths": (lambda: pathlib.Path("a/b"), lambda: pathlib.Path("a") / "b"),
    "decimals": (lambda: decimal.Decimal("1.50"), lambda: decimal.Decimal("1.50")),
    "fractions": (lambda: fractions.Fraction(1, 2), lambda: fractions.Fraction(2, 4)),
    "uuids": (lambda: uuid.UUID(int=7), lambda: uuid.UUID(int=7)),
    "patterns": (lambda: re.compile("a+", re.I), lambda: re.compile("a+", re.IGNORECASE)),
    "enum members": (lambda: Colour.RED, lambda: Colour(1)),
    "dataclasses": (lambda: Point(1.5, {"a": {1, 2}}), lambda: Point(1.5, {"a": {2, 1}})),
    "frozen dataclasses": (lambda: Frozen((1, 2)), lambda: Frozen((1, 2))),
    "namedtuples": (lambda: Pair(1, "x"), lambda: Pair(b="x", a=1)),
    "objects": (lambda: Plain(a=1, b=[2]), lambda: Plain(b=[2], a=1)),
    "objects that lead to themselves": (make_cyclic, make_cyclic),
    "objects that say what they are": (lambda: SaysItself([1]), lambda: SaysItself([1])),
    "ordered dicts": (lambda: collections.OrderedDict(a=1), lambda: collections.OrderedDict(a=1)),
    "default dicts": (lambda: collections.defaultdict(list, a=[1]), lambda: collections.defaultdict(list, a=[1])),
    "deques": (lambda: collections.deque([1, 2]), lambda: collections.deque([1, 2])),
    "arrays of the standard library": (lambda: array.array("d", [1]), lambda: array.array("d", [1])),
    "memory views": (lambda: memoryview(b"abc"), lambda: memoryview(b"xabc")[1:]),
    "memory views with equal steps": (lambda: memoryview(b"a-b-c-d")[::2], lambda: memoryview(b"a+b+c+d")[::2]),
    "large memory": (lambda: memoryview(bytes(300_000)), lambda: memoryview(bytes(300_000))),
    "partials": (lambda: functools.partial(pow, 2), lambda: functools.partial(pow, 2)),
    "bound methods": (lambda: Plain(a=1).method, lambda: Plain(a=1).method),
    "bound methods of builtins": (lambda: [1, 2].index, lambda: [1, 2].index),
    "closures": (lambda: adding(3), lambda: adding(3)),
    "generic aliases": (lambda: list[int], lambda: list[int]),
    "unions": (lambda: int | str, lambda: int | str),
    "itemgetters": (lambda: operator.itemgetter(1), lambda: operator.itemgetter(1)),
    "proxies": (lambda: types.MappingProxyType({"a": 1}), lambda: types.MappingProxyType({"a": 1})),
}

DIFFERENT = {
    # A function can tell them apart: by their strides, and by what may be written to.
    "memory views with steps": (lambda: memoryview(b"abcd"), lambda: memoryview(b"a-b-c-d")[::2]),
    "memory that may be written to": (lambda: memoryview(b"abcd"), lambda: memoryview(bytearray(b"abcd"))),
    "int, bool": (1, True),
    "int, float": (1, 1.0),
    "false, none": (False, None),
    "zeros": (0.0, -0.0),
    "complex zeros": (complex(0, 0.0), complex(0, -0.0)),
    "float, complex": (1.0, 1 + 0j),
    "near ints": (2**63 - 1, 2**63),
    "signs": (2**70, -(2**70)),
    "text, bytes": ("a", b"a"),
    "bytes, bytearray": (b"a", bytearray(b"a")),
    "bytes, memory view": (b"a", memoryview(b"a")),
    "formats of memory": (memoryview(b"abcd"), memoryview(b"abcd").cast("I")),
    "shapes of memory": (memoryview(b"abcd").cast("B", (2, 2)), memoryview(b"abcd")),
    "surrogates": ("\ud800", "\ud801"),
    "list, tuple": ([1], (1,)),
    "set, frozenset": ({1}, frozenset({1})),
    "nesting": ([1, [2, 3]], [1, 2, [3]]),
    "nesting at the end": ([[1], 2], [[1, 2]]),
    "emptiness": ([], [[]]),
    "text in parts": (["ab", "c"], ["a", "bc"]),
    "dict, its items": ({"a": 1}, [("a", 1)]),
    "dict values swapped": ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
    "dict values of mixed keys swapped": ({1: 1, "b": 2}, {1: 2, "b": 1}),
    "dict keys of other types": ({1: 0}, {"1": 0}),
    "subclass of int": (MyInt(1), 1),
    "subclass of list": (MyList([1]), [1]),
    "subclass of list, contents": (MyList([1]), MyList([2])),
    "subclass of dict": (MyDict(a=1), {"a": 1}),
    "subclass of dict, contents": (MyDict(a=1), MyDict(a=2)),
    "orders of ordered dicts": (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
    "namedtuple, tuple": (Pair(1, 2), (1, 2)),
    "slices": (slice(1), slice(1, None)),
    "slice, range": (slice(0, 3, 1), range(3)),
    "ellipsis, its name": (..., "..."),
    "ellipsis, not implemented": (..., NotImplemented),
    "dates": (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
    "date, datetime": (datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1)),
    "path, text": (pathlib.Path("a"), "a"),
    "kinds of path": (pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a")),
    "enum members": (Colour.RED, Colour.BLUE),
    "enum member, value": (Colour.RED, 1),
    "dataclass fields": (Point(1, 2), Point(1, 3)),
    "dataclass, field types": (Point(1), Point(1.0)),
    "dataclass, frozen": (Frozen([1]), Frozen([2])),
    "classes of objects": (Plain(a=1), Point(1)),
    "objects' attributes": (Plain(a=1), Plain(a=2)),
    "objects' attributes' names": (Plain(a=1), Plain(b=1)),
    "what objects say": (SaysItself(1), SaysItself(2)),
    "who says it": (SaysItself(1), SaysItToo(1)),
    "objects, what they say": (SaysItself(1), 1),
    "types": (int, float),
    "type, object": (int, 0),
    "type of None, None": (type(None), None),
    "modules": (math, operator),
    "module, its name": (math, "math"),
    "builtins": (math.sin, math.cos),
    "builtin, its name": (len, "len"),
    "methods of builtins": ([1].index, [2].index),
    "methods of builtins, names": ([1].index, [1].count),
    "methods of types": (str.upper, str.lower),
    "methods of instances": (Plain(a=1).method, Plain(a=2).method),
    "method, function": (Plain().method, Plain.method),
    "partial arguments": (functools.partial(pow, 2), functools.partial(pow, 3)),
    "partial keywords": (functools.partial(int, base=2), functools.partial(int, base=3)),
    "partial, function": (functools.partial(len), len),
    "closures": (adding(1), adding(2)),
    "keyword defaults in closures": (adding(1), adding(1, sign=-1)),
    "lambdas": (lambda x: x + 1, lambda x: x + 2),
    "lambdas' constants": (lambda: 1, lambda: True),
    "lambdas' zeros": (lambda: 0.0, lambda: -0.0),
    "lambdas' sets": (lambda x: x in {1, 2}, lambda x: x in {1, 3}),
    "itemgetters": (operator.itemgetter(1), operator.itemgetter(2)),
}


@pytest.mark.parametrize("name", SAME)
def test_equal_values_have_equal_digests(name):
    left, right = SAME[name]
    assert tokenize(left()) == tokenize(right())


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_values_have_different_digests(name):
    left, right = DIFFERENT[name]
    assert tokenize(left) != tokenize(right)


def test_no_two_values_of_the_table_share_a_digest():
    assert len({tokenize(left()) for left, _ in SAME.values()}) == len(SAME)


# A few leaves only, so that the values made of them are often equal.
LEAVES = st.sampled_from([None, True, False, 0, 1, 2**64, 0.0, -0.0, 1.0, 1j, "", "a", b"", b"a", (), ...])


def containers(inner):
    keys = LEAVES | st.tuples(LEAVES) | st.frozensets(LEAVES, max_size=2)
    return (
        st.lists(inner, max_size=2)
        | st.lists(inner, max_size=2).map(tuple)
        | st.sets(keys, max_size=2)
        | st.frozensets(keys, max_size=2)
        | st.dictionaries(keys, inner, max_size=2)
    )


VALUES = st.recursive(LEAVES, containers, max_leaves=4)


def told_apart(value):
    """A value that equals another one's only if the two are of the same types all the way down."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, tuple(map(told_apart, value))
    if kind in (set, frozenset):
        return kind, frozenset(map(told_apart, value))
    if kind is dict:
        return kind, frozenset((told_apart(key), told_apart(item)) for key, item in value.items())
    return kind, repr(value)


def made_anew(value):
    """An equal value that shares nothing with it, its sets and dicts filled in another order."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        items = [made_anew(item) for item in value]
        return kind(items if kind in (list, tuple) else reversed(items))
    if kind is dict:
        return {made_anew(key): made_anew(item) for key, item in reversed(value.items())}
    return value


@hypothesis.given(VALUES, VALUES)
def test_digests_are_equal_exactly_if_values_and_types_are(left, right):
    assert (tokenize(left) == tokenize(right)) == (told_apart(left) == told_apart(right))
    assert tokenize(left) == tokenize(made_anew(left))


def test_digest_is_32_hexadecimal_digits():
    assert re.fullmatch("[0-9a-f]{32}", tokenize())


def test_arguments_are_told_apart_by_place_and_name():
    calls = [
        tokenize(),
        tokenize(None),
        tokenize(1, 2),
        tokenize(2, 1),
        tokenize((1, 2)),
        tokenize(1, b=2),
        tokenize(1, {"b": 2}),
        tokenize(a=1, b=2),
        tokenize(a=2, b=1),
    ]
    assert len(set(calls)) == len(calls)
    assert tokenize(a=1, b=2) == tokenize(b=2, a=1)


def test_long_input_is_hashed_to_its_end():
    digests = {tokenize("x" * n) for n in range(400, 700)}
    digests |= {tokenize([0] * n) for n in range(400, 700)}
    digests |= {tokenize(["x" * 100] * 20 + [n]) for n in range(10)}
    assert len(digests) == 610


def test_an_object_met_again_is_not_mistaken_for_another():
    a, b = Plain(n=1), Plain(n=2)
    assert len({tokenize([a, b, x]) for x in (a, b, Plain(n=3))}) == 3
    assert tokenize([a, {1: a}]) != tokenize([a, {1: b}])
    assert tokenize({a: 1, b: 2} and [a, b]) == tokenize([Plain(n=1), Plain(n=2)])


# --- NumPy and pandas -----------------------------------------------------------------------------------------------


@pytest.fixture
def np():
    return pytest.importorskip("numpy")


class TestNumPy:
    def same(self, np):
        grid = np.arange(12.0).reshape(3, 4)
        return {
            "arrays": (grid, grid.copy()),
            "orders of memory": (np.asfortranarray(grid), np.asfortranarray(grid.copy())),
            "strides": (np.arange(5), np.arange(10)[::2] // 2),
            "large, strides": (np.arange(100_000)[::2], np.arange(100_000)[::2]),
            "large, broadcast": (np.broadcast_to(0.0, (300, 300)), np.broadcast_to(0.0, (300, 300))),
            "large, orders": (np.ones((300, 300), order="F"), np.ones((300, 300), order="F")),
            "dates": (np.array(["2020-01-01"], "M8[D]"), np.array(["2020-01-01"], "M8[D]")),
            "texts": (np.array(["a", "bc"]), np.array(["a", "bc"])),
            "objects": (np.array([{1, 2}, "a"], object), np.array([{2, 1}, "a"], object)),
            "records": (np.zeros(3, "i4,f8"), np.zeros(3, "i4,f8")),
            "no dimensions": (np.array(1.0), np.array(1.0)),
            "empty": (np.zeros((0, 3)), np.zeros((0, 3))),
            "scalars": (np.float64(1), np.float64(1)),
            "types": (np.dtype("f8"), np.dtype(float)),
            "universal functions": (np.add, np.add),
            "functions": (np.concatenate, np.concatenate),
        }

    def different(self, np):
        return {
            "elements": (np.arange(3), np.array([0, 1, 3])),
            "orders of memory": (np.ones((3, 4)), np.ones((3, 4), order="F")),
            "strides": (np.arange(0, 10, 2), np.arange(10)[::2]),
            "large, strides": (np.arange(0, 100_000, 2), np.arange(100_000)[::2]),
            "large, broadcast": (np.zeros((300, 300)), np.broadcast_to(0.0, (300, 300))),
            "large, orders": (np.ones((300, 300)), np.ones((300, 300), order="F")),
            "types": (np.zeros(2, "i8"), np.zeros(2, "f8")),
            "byte orders": (np.zeros(2, "<i4"), np.zeros(2, ">i4")),
            "units of time": (np.zeros(2, "M8[s]"), np.zeros(2, "M8[ms]")),
            "shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
            "empty shapes": (np.zeros((0, 2)), np.zeros((0, 3))),
            "dimensions": (np.array(1.0), np.array([1.0])),
            "transposed": (np.arange(4).reshape(2, 2), np.arange(4).reshape(2, 2).T),
            "array, list": (np.arange(2), [0, 1]),
            "array, masked array": (np.arange(2), np.ma.array([0, 1])),
            "masks": (np.ma.array([0, 1]), np.ma.array([0, 1], mask=[0, 1])),
            "objects": (np.array([1, "a"], object), np.array([1, "b"], object)),
            "names of fields": (np.zeros(1, [("a", "i4")]), np.zeros(1, [("b", "i4")])),
            "scalar, float": (np.float64(1), 1.0),
            "scalars": (np.float32(1), np.float64(1)),
            "scalar, array": (np.float64(1), np.array(1.0)),
            "last of many": (np.arange(100_000), np.append(np.arange(99_999), 0)),
            "universal functions": (np.add, np.subtract),
        }

    def test_equal(self, np):
        for name, (left, right) in self.same(np).items():
            assert tokenize(left) == tokenize(right), name

    def test_different(self, np):
        for name, (left, right) in self.different(np).items():
            assert tokenize(left) != tokenize(right), name

    def test_changed_in_place(self, np):
        for size in (10, 1_000_000):
            values = np.zeros(size)
            before = tokenize(values)
            values[-1] = 1
            assert tokenize(values) != before

    def test_an_array_far_larger_than_its_memory_is_given_up(self, np):
        assert not hashable(np.broadcast_to(0.0, (10**6, 10**6)))


def test_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    same = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert tokenize(frame) == tokenize(same)
    same.loc[1, "b"] = "z"
    assert tokenize(frame) != tokenize(same)
    assert tokenize(frame.a) != tokenize(frame.a.rename("c"))


# --- Functions --------------------------------------------------------------------------------------------------------

REDEFINITIONS_THAT_ARE_THE_SAME = {
    "function": ("def f(x): return x + 1",),
    "elsewhere in the file": ("def f(x): return x + 1", "\n\n\ndef f(x):\n    return x + 1"),
    "with a default": ("def f(x, y=[1]): return x + y",),
    "with another default of the same value": (
        "one = [1]\ndef f(x, y=one): return x + y",
        "def f(x, y=[1]): return x + y",
    ),
    "of an unused global": ("k = 1\ndef f(x): return x.k", "k = 2\ndef f(x): return x.k"),
    "naming a function": ("def g(x): return x\ndef f(x): return g(x)",),
    "calling itself": ("def f(n): return n and n * f(n - 1)",),
    "calling each other": ("def g(n): return n and f(n - 1)\ndef f(n): return n and g(n - 1)",),
    "nested": ("def f(x):\n  def g(y): return y + 1\n  return g(x)",),
    "set constant": ("def f(x): return x in {'a', 'b', 'c', 'd'}",),
    "naming a module": ("import math\ndef f(x): return math.sin(x)",),
    "naming a class": ("class A:\n  def m(self): return 1\ndef f(): return A().m()",),
    "lambda": ("f = lambda x: x + 1",),
    "cached": ("import functools\n@functools.lru_cache\ndef f(x): return x + 1",),
    "decorated": (
        """
        import functools
        def twice(g):
            @functools.wraps(g)
            def wrapper(*args):
                return g(g(*args))
            return wrapper
        @twice
        def f(x): return x + 1
        """,
    ),
    "dispatch table": (
        "def a(): pass\ndef b(): return f()\nTABLE = {'a': a, 'b': b}\ndef f(k='a'): return TABLE[k]()",
    ),
    "table by class": ("class A: pass\nclass B: pass\nTABLE = {A: 1, B: 2}\ndef f(x): return TABLE[type(x)]",),
    "generic class": ("import typing\nT = typing.TypeVar('T')\nclass A(typing.Generic[T]): pass\ndef f(): return A()",),
    "dataclass": (
        "import dataclasses\n@dataclasses.dataclass\nclass A:\n  x: int = 1\n"
        "  y: list = dataclasses.field(default_factory=list)\ndef f(): return A()",
    ),
    "namedtuple": ("import collections\nA = collections.namedtuple('A', 'x y')\ndef f(): return A(1, 2)",),
    "enum": ("import enum\nclass A(enum.Enum):\n  X = 1\n  Y = 'y'\ndef f(): return A.X",),
    "abstract class": (
        "import abc\nclass A(abc.ABC):\n  @abc.abstractmethod\n  def m(self): pass\n"
        "class B(A):\n  def m(self): return super().m()\ndef f(): return B()",
    ),
    "properties and the like": (
        "import functools\nclass A:\n  __slots__ = ('x', '__dict__')\n  @property\n  def p(self): return 1\n"
        "  @classmethod\n  def c(cls): return cls\n  @staticmethod\n  def s(): return 2\n"
        "  @functools.cached_property\n  def q(self): return 3\ndef f(): return A()",
    ),
    "instance": ("class A:\n  def __call__(self, x): return x\nf = A()",),
}

REDEFINITIONS_THAT_DIFFER = {
    "body": ("def f(x): return x + 1", "def f(x): return x + 2"),
    "type of a constant": ("def f(x): return x + 1", "def f(x): return x + 1.0"),
    "operator": ("def f(x): return x + 1", "def f(x): return x - 1"),
    "attribute": ("def f(x): return x.a", "def f(x): return x.b"),
    "default": ("def f(x, y=1): return y", "def f(x, y=2): return y"),
    "type of a default": ("def f(x, y=1): return y", "def f(x, y=True): return y"),
    "keyword default": ("def f(*, y=1): return y", "def f(*, y=2): return y"),
    "keyword only": ("def f(y): return y", "def f(*, y): return y"),
    "positional only": ("def f(y): return y", "def f(y, /): return y"),
    "generator": ("def f(): return 1", "def f():\n  return 1\n  yield"),
    "coroutine": ("def f(): return 1", "async def f(): return 1"),
    "nested body": ("def f(x):\n  def g(): return 1\n  return g", "def f(x):\n  def g(): return 2\n  return g"),
    "exception": (
        "def f(x):\n  try: return x()\n  except KeyError: pass",
        "def f(x):\n  try: return x()\n  except ValueError: pass",
    ),
    "global": ("k = 1\ndef f(): return k", "k = 2\ndef f(): return k"),
    "type of a global": ("k = 1\ndef f(): return k", "k = 1.0\ndef f(): return k"),
    "global of a nested function": (
        "k = 1\ndef f(): return [k for _ in 'ab']",
        "k = 2\ndef f(): return [k for _ in 'ab']",
    ),
    "global of a lambda": ("k = 1\ndef f(): return lambda: k", "k = 2\ndef f(): return lambda: k"),
    "global of a class inside": (
        "k = 1\ndef f():\n  class A: x = k\n  return A",
        "k = 2\ndef f():\n  class A: x = k\n  return A",
    ),
    "global that hides a builtin": ("def f(x): return len(x)", "def len(x): return 0\ndef f(x): return len(x)"),
    "named function": ("def g(x): return 1\ndef f(x): return g(x)", "def g(x): return 2\ndef f(x): return g(x)"),
    "function named by the named one": (
        "def h(): return 1\ndef g(): return h()\ndef f(): return g()",
        "def h(): return 2\ndef g(): return h()\ndef f(): return g()",
    ),
    "function that names it in turn": (
        "def g(n): return n and f(n - 1)\ndef f(n): return n and g(n - 1)",
        "def g(n): return n and f(n - 2)\ndef f(n): return n and g(n - 1)",
    ),
    "named module": ("import math as m\ndef f(x): return m.sin(x)", "import cmath as m\ndef f(x): return m.sin(x)"),
    "named builtin": (
        "from math import sin as g\ndef f(x): return g(x)",
        "from math import cos as g\ndef f(x): return g(x)",
    ),
    "method": (
        "class A:\n  def m(self): return 1\ndef f(): return A().m()",
        "class A:\n  def m(self): return 2\ndef f(): return A().m()",
    ),
    "class attribute": ("class A: x = 1\ndef f(): return A.x", "class A: x = 2\ndef f(): return A.x"),
    "base class": (
        "class A: x = 1\nclass B(A): pass\ndef f(): return B.x",
        "class A: x = 2\nclass B(A): pass\ndef f(): return B.x",
    ),
    "metaclass": (
        "class M(type): x = 1\nclass A(metaclass=M): pass\ndef f(): return A.x",
        "class M(type): x = 2\nclass A(metaclass=M): pass\ndef f(): return A.x",
    ),
    "property": (
        "class A:\n  @property\n  def p(self): return 1\ndef f(): return A().p",
        "class A:\n  @property\n  def p(self): return 2\ndef f(): return A().p",
    ),
    "kind of method": (
        "class A:\n  @staticmethod\n  def m(x=1): return x\ndef f(): return A.m()",
        "class A:\n  @classmethod\n  def m(x=1): return x\ndef f(): return A.m()",
    ),
    "global of a method": (
        "k = 1\nclass A:\n  def m(self): return k\ndef f(): return A().m()",
        "k = 2\nclass A:\n  def m(self): return k\ndef f(): return A().m()",
    ),
    "slots": ("class A: __slots__ = ('x',)\nf = A", "class A: __slots__ = ('y',)\nf = A"),
    "dataclass default": (
        "import dataclasses\n@dataclasses.dataclass\nclass A: x: int = 1\ndef f(): return A()",
        "import dataclasses\n@dataclasses.dataclass\nclass A: x: int = 2\ndef f(): return A()",
    ),
    "namedtuple fields": (
        "import collections\nA = collections.namedtuple('A', 'x')\nf = A",
        "import collections\nA = collections.namedtuple('A', 'y')\nf = A",
    ),
    "enum values": (
        "import enum\nclass A(enum.Enum): X = 1\ndef f(): return A.X",
        "import enum\nclass A(enum.Enum): X = 2\ndef f(): return A.X",
    ),
    "enum member of another enum": (
        "import enum\nclass A(enum.Enum): X = 1; Y = 2\nf = A.X",
        "import enum\nclass A(enum.Enum): X = 1; Y = 3\nf = A.X",
    ),
    "type variable": (
        "import typing\nf = typing.TypeVar('T')",
        "import typing\nf = typing.TypeVar('T', bound=int)",
    ),
    "decorated": (
        "import functools\ndef d(g):\n  @functools.wraps(g)\n  def w(): return g()\n  return w\n@d\ndef f(): return 1",
        "import functools\ndef d(g):\n  @functools.wraps(g)\n  def w(): return g()\n  return w\n@d\ndef f(): return 2",
    ),
    "cached": (
        "import functools\n@functools.lru_cache\ndef f(x): return x + 1",
        "import functools\n@functools.lru_cache\ndef f(x): return x + 2",
    ),
    "partial": (
        "import functools\ndef g(x): return 1\nf = functools.partial(g)",
        "import functools\ndef g(x): return 2\nf = functools.partial(g)",
    ),
    "class of a callable instance": (
        "class A:\n  def __call__(self): return 1\nf = A()",
        "class A:\n  def __call__(self): return 2\nf = A()",
    ),
    "class of a bound method": (
        "class A:\n  def m(self): return 1\nf = A().m",
        "class A:\n  def m(self): return 2\nf = A().m",
    ),
    "class of a named instance": (
        "class A:\n  def m(self): return 1\na = A()\ndef f(): return a.m()",
        "class A:\n  def m(self): return 2\na = A()\ndef f(): return a.m()",
    ),
    "class of an instance in a set": (
        "class A:\n  def m(self): return 1\na = {A(), 1}\ndef f(): return a",
        "class A:\n  def m(self): return 2\na = {A(), 1}\ndef f(): return a",
    ),
    "class as a key": (
        "class A: x = 1\nTABLE = {A: 1}\ndef f(): return TABLE",
        "class A: x = 2\nTABLE = {A: 1}\ndef f(): return TABLE",
    ),
    "function in a table": (
        "def a(): return 1\nTABLE = {'a': a}\ndef f(): return TABLE['a']()",
        "def a(): return 2\nTABLE = {'a': a}\ndef f(): return TABLE['a']()",
    ),
    "function in a set": (
        "def a(): return 1\nTABLE = {a}\ndef f(): return TABLE",
        "def a(): return 2\nTABLE = {a}\ndef f(): return TABLE",
    ),
    "attribute of a function": ("def f(): return f.x\nf.x = 1", "def f(): return f.x\nf.x = 2"),
    "annotation, seen by whom it is handed to": ("def f(x: int): return x", "def f(x: str): return x"),
}


@pytest.mark.parametrize("name", REDEFINITIONS_THAT_ARE_THE_SAME)
def test_a_cell_that_runs_again_unchanged_gives_the_same_digest(name):
    sources = REDEFINITIONS_THAT_ARE_THE_SAME[name]
    namespace = notebook()
    before = tokenize(cell(namespace, sources[0]))
    assert tokenize(cell(namespace, sources[-1])) == before == tokenize(notebook(sources[0])["f"])


@pytest.mark.parametrize("name", REDEFINITIONS_THAT_DIFFER)
def test_a_cell_that_runs_again_changed_gives_another_digest(name):
    first, second = REDEFINITIONS_THAT_DIFFER[name]
    namespace = notebook()
    before = tokenize(cell(namespace, first), 1)
    assert tokenize(cell(namespace, second), 1) != before
    assert tokenize(notebook(first)["f"], 1) == before


def mutate_default(namespace):
    namespace["f"].__defaults__[0].append(1)


def replace_defaults(namespace):
    namespace["f"].__defaults__ = ([1],)


def replace_keyword_default(namespace):
    namespace["f"].__kwdefaults__["z"] = 2


def replace_code(namespace):
    namespace["f"].__code__ = (lambda x, y=None, *, z=1: [g, k, x, y, z]).__code__  # noqa: F821


def replace_global(namespace):
    namespace["k"] = {"a": [2]}


def mutate_global(namespace):
    namespace["k"]["a"].append(2)


def redefine_named_function(namespace):
    cell(namespace, "def g(): return 2")


def mutate_named_functions_default(namespace):
    namespace["g"].__defaults__[0].append(1)


def delete_global(namespace):
    del namespace["k"]


def set_attribute(namespace):
    namespace["f"].x = 1


def redefine_class(namespace):
    cell(namespace, "class A:\n  def m(self): return 2")


def replace_method(namespace):
    namespace["A"].m = lambda self: 2


@pytest.mark.parametrize(
    "mutate",
    [
        mutate_default,
        replace_defaults,
        replace_keyword_default,
        replace_code,
        replace_global,
        mutate_global,
        redefine_named_function,
        mutate_named_functions_default,
        delete_global,
        set_attribute,
        redefine_class,
        replace_method,
    ],
)
def test_the_same_function_object_is_looked_at_again_each_time(mutate):
    source = """
        class A:
            def m(self): return 1
        k = {"a": [1]}
        def g(seen=[]): return k
        def f(x, y=[], *, z=1): return [g, k, A, x, y, z]
    """
    namespace = notebook(source)
    f = namespace["f"]
    before = tokenize(f)
    assert tokenize(f) == before
    mutate(namespace)
    assert tokenize(f) != before


def test_closure_cells_are_looked_at_again_each_time():
    def make():
        n = 1

        def rebind(value):
            nonlocal n
            n = value

        return (lambda x: x + n), rebind

    f, rebind = make()
    before = tokenize(f)
    rebind(2)
    assert tokenize(f) != before
    rebind(1)
    assert tokenize(f) == before


def test_an_empty_cell_is_no_error():
    def make():
        f = lambda: late  # noqa: E731
        before = tokenize(f)
        late = 1
        return before, tokenize(f)

    before, after = make()
    assert before != after


def test_a_function_that_closes_over_itself():
    def make(n):
        def f(x):
            return n if x else f(x - 1)

        return f

    assert tokenize(make(1)) == tokenize(make(1)) != tokenize(make(2))


def test_functions_that_all_name_each_other_are_gone_through_once():
    names = [f"f{i}" for i in range(40)]
    source = "\n".join(f"def {name}(): return {', '.join(names)}" for name in names) + "\nf = f0"
    namespace = notebook(source)
    before = tokenize(namespace["f"])
    cell(namespace, source)
    assert tokenize(namespace["f"]) == before
    cell(namespace, "def f39(): return 1")
    assert tokenize(namespace["f"]) != before


def test_using_a_class_does_not_change_its_digest():
    namespace = notebook("class A:\n  def m(self): return 1")
    before = tokenize(namespace["A"])
    tokenize(namespace["A"]())
    assert namespace["A"].__annotations__ == {}
    assert tokenize(namespace["A"]) == before


def test_instances_of_a_class_that_was_redefined():
    namespace = notebook("class A:\n  def m(self): return 1")
    before = tokenize(namespace["A"]())
    cell(namespace, "class A:\n  def m(self): return 2")
    assert tokenize(namespace["A"]()) != before
    cell(namespace, "class A:\n  def m(self): return 1")
    assert tokenize(namespace["A"]()) == before


def test_what_a_function_calls_itself_matters_only_where_it_is_handed_over():
    # A global that is called: annotations make no difference to it.
    first = notebook("def g(x: int): return x\ndef f(x): return g(x)")["f"]
    second = notebook("def g(x: str): return x\ndef f(x): return g(x)")["f"]
    assert tokenize(first) == tokenize(second)


def test_a_function_that_was_named_before_it_is_handed_over():
    def digest(annotation):
        namespace = notebook(f"def g(x: {annotation}): return x\ndef f(x): return g(x)")
        return tokenize(namespace["f"], namespace["g"])

    assert digest("int") == digest("int") != digest("str")


@pytest.mark.parametrize(
    "source",
    [
        "def f(): return eval('k')",
        "def f(): return globals()['k']",
        "def f(): exec('x = k')",
        "def f():\n  import __main__\n  return __main__.k",
        "import __main__\ndef f(): return __main__.k",
    ],
)
def test_a_function_that_may_use_any_global_has_no_digest(source):
    assert not hashable(notebook(source)["f"])


def test_a_function_that_names_a_large_value_has_no_digest():
    namespace = notebook("table = list(range(10**6))\ndef f(i): return table[i]")
    assert hashable(namespace["table"])
    assert not hashable(namespace["f"])


# --- Modules ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes, or writes anew, the source of an importable module and gives the module."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"token_module_{uuid.uuid4().hex}"

    def write(source):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        known = sys.modules.get(name)
        return importlib.reload(known) if known else importlib.import_module(name)

    yield write
    sys.modules.pop(name, None)


def test_functions_of_modules_go_by_name_and_code(module):
    source = """
        import threading
        lock = threading.Lock()
        def f(x): return x + 1
        def g(x): return x + 1
        def locked(x):
            with lock: return x
    """
    m = module(source)
    assert tokenize(m.f) == tokenize(m.f) != tokenize(m.g)
    # What the module's globals are does not matter: they do not change under way.
    assert hashable(m.locked)
    before = tokenize(m.f)
    m.f.__code__ = (lambda x: x + 2).__code__
    assert tokenize(m.f) != before


@pytest.mark.parametrize(
    "user",
    [
        "def f(x): return helper(x)",
        "def f(x): return LIMIT",
        "class f:\n    def m(self): return 1",
    ],
)
def test_reloading_a_module_changes_what_it_has(module, user):
    m = module(f"LIMIT = 1\ndef helper(x): return x\n{user}")
    first, module_itself = tokenize(m.f), tokenize(m)
    assert tokenize(m.f) == first
    changed = user.replace("return 1", "return 2")
    m = module(f"LIMIT = 2\ndef helper(x): return -x\n{changed}")
    second = tokenize(m.f)
    assert second != first and tokenize(m) != module_itself
    assert tokenize(m.f) == second


def test_reloading_a_module_changes_functions_that_name_or_import_it(module):
    m = module("def helper(x): return x")
    by_name = notebook(f"import {m.__name__} as m\ndef f(x): return m.helper(x)")["f"]
    inside = notebook(f"def f(x):\n  from {m.__name__} import helper\n  return helper(x)")["f"]
    before = tokenize(by_name), tokenize(inside)
    assert (tokenize(by_name), tokenize(inside)) == before
    module("def helper(x): return -x")
    assert tokenize(by_name) != before[0] and tokenize(inside) != before[1]


def test_a_variable_of_a_module_that_changes_changes_no_function_that_names_or_imports_it(module):
    m = module("limit = 1\ndef helper(): return limit")
    by_name = notebook(f"import {m.__name__} as m\ndef f(): return m.limit")["f"]
    inside = notebook(f"def f():\n  import {m.__name__} as m\n  return m.limit")["f"]
    of_its_own = notebook(f"from {m.__name__} import helper\ndef f(): return helper()")["f"]
    before = [tokenize(f) for f in (by_name, inside, of_its_own)]
    m.limit = 2
    assert [tokenize(f) for f in (by_name, inside, of_its_own)] == before


def test_the_first_import_inside_a_function_changes_nothing(module):
    m = module("def helper(x): return x")
    f = notebook(f"def f(x):\n  from {m.__name__} import helper\n  return helper(x)")["f"]
    del sys.modules[m.__name__]
    before = tokenize(f)
    f(1)
    assert tokenize(f) == before


def test_instances_of_a_reloaded_class(module):
    before = tokenize(module("class A:\n  def m(self): return 1").A())
    assert tokenize(module("class A:\n  def m(self): return 2").A()) != before


def test_a_class_that_its_name_no_longer_leads_to(module):
    m = module("class A: pass")
    old, before = m.A, tokenize(m.A)
    m.A = type("A", (), {"__module__": m.__name__, "x": 1})
    assert tokenize(old) != before
    assert tokenize(old) != tokenize(m.A)


def test_a_module_made_by_hand_has_no_digest():
    assert not hashable(types.ModuleType("by_hand"))
    f = notebook("import types\nm = types.ModuleType('by_hand')\ndef f(): return m.x")["f"]
    assert not hashable(f)


# --- What cannot be hashed ------------------------------------------------------------------------------------------


def raising(error):
    class Raises:
        def __reduce_ex__(self, protocol):
            raise error

    return Raises()


def contains_itself():
    a = []
    a.append(a)
    return a


def dict_in_itself():
    a = {}
    a["a"] = a
    return a


def nested(depth, wrap=lambda x: [x]):
    value = 1
    for _ in range(depth):
        value = wrap(value)
    return value


def shared_many_times():
    value = []
    for _ in range(60):
        value = [value, value]
    return value


UNHASHABLE = {
    "lock": threading.Lock,
    "generator": lambda: (x for x in ()),
    "open file": lambda: open(os.devnull),  # noqa: SIM115
    "thread": threading.current_thread,
    "frame": sys._getframe,
    "weak reference": lambda: weakref.ref(Plain),
    "object()": object,
    "list in itself": contains_itself,
    "dict in itself": dict_in_itself,
    "nested too deeply": lambda: nested(200),
    "dicts nested too deeply": lambda: nested(200, lambda x: {"a": x}),
    "tuples nested very deeply": lambda: nested(100_000, lambda x: (x,)),
    "objects nested too deeply": lambda: nested(200, lambda x: Plain(x=x)),
    "partials nested too deeply": lambda: nested(200, lambda x: functools.partial(lambda: 1, x)),
    "functions nested too deeply": lambda: nested(200, lambda x: lambda: x),
    "code nested too deeply": lambda: nested(200, lambda x: (lambda: 1).__code__.replace(co_consts=(None, x))),
    "cannot be pickled": lambda: raising(pickle.PicklingError("no")),
    "raises anything": lambda: raising(ZeroDivisionError()),
    "says it has no token": lambda: SaysItself(threading.Lock()),
    "code with a list in it": lambda: (lambda: 1).__code__.replace(co_consts=(None, [1])),
    "globals that are no plain dict": lambda: eval("lambda: k", MyDict(__name__="__main__")),
    "a lock deep down": lambda: Plain(a=[{"b": (threading.Lock(),)}]),
    "closure over a lock": lambda: (lambda lock: lambda: lock)(threading.Lock()),
    "default lock": lambda: lambda lock=threading.Lock(): lock,  # noqa: B008
    "bound to a lock": lambda: threading.Lock().acquire,
    "partial of a lock": lambda: functools.partial(print, threading.Lock()),
    "lock in a set": lambda: {threading.Lock()},
    "lock as a key": lambda: {threading.Lock(): 1},
    "names a lock": lambda: notebook("import threading\nlock = threading.Lock()\ndef f():\n  with lock: pass")["f"],
    "pickles as a name of a notebook's": lambda: notebook("class A:\n  def __reduce__(self): return 'f'\nf = A()")["f"],
}


@pytest.mark.parametrize("name", UNHASHABLE)
def test_what_cannot_be_hashed(name):
    value = UNHASHABLE[name]()
    with contextlib.closing(value) if hasattr(value, "close") else contextlib.nullcontext():
        with pytest.raises(TypeError, match="cannot be hashed"):
            tokenize(value)
        with pytest.raises(TypeError):
            tokenize(1, a=[value])


def test_a_value_with_more_paths_than_one_can_follow_is_given_up():
    assert not hashable(shared_many_times())


def test_the_reason_is_given():
    with pytest.raises(TypeError, match="lock") as caught:
        tokenize(threading.Lock())
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_must_reach_the_user_does(error):
    for value in (raising(error), [raising(error)], {raising(error): 1}, functools.partial(len, raising(error))):
        with pytest.raises(error):
            tokenize(value)

    class Meta(type):
        def __getattr__(cls, name):
            raise error

    with pytest.raises(error):
        tokenize(Meta("A", (), {})())


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="needs timers")
def test_a_signal_is_answered_within_a_long_value():
    import signal

    class Alarm(Exception):
        pass

    def ring(*_):
        raise Alarm

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Alarm):
            tokenize(shared_many_times())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_depth_is_no_danger_on_a_small_stack():
    outcomes = []
    wraps = [
        lambda x: [x],
        lambda x: {"a": x},
        lambda x: {1: x},
        lambda x: Plain(x=x),
        lambda x: lambda: x,
        lambda x: frozenset([x]),
        lambda x: type("A", (), {"x": x}),
    ]

    def run():
        for wrap in wraps:
            outcomes.append(hashable(nested(1000, wrap)))
            outcomes.append(hashable(nested(20, wrap)))

    before = threading.stack_size(2 * 1024 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert outcomes == [False, True] * len(wraps)


def test_a_dict_that_changes_while_it_is_hashed():
    victim = {}

    class Meddles:
        def __reduce_ex__(self, protocol):
            victim["more"] = 1
            return (Meddles, ())

    victim.update(a=Meddles(), b=2)
    assert hashable(victim)
    changing = []

    class Grows:
        def __reduce_ex__(self, protocol):
            changing.clear()
            return (Grows, ())

    changing.extend([Grows(), 1, 2])
    hashable(changing)


# --- Lifetimes and processes ------------------------------------------------------------------------------------------


def test_functions_and_values_can_be_collected_after_hashing():
    namespace = notebook(
        """
        class A:
            def m(self): return f
        k = A()
        def f(x, y=[k]): return k, A, f
        """
    )
    f, g = namespace["f"], adding(namespace["k"])
    for function in (f, g):
        tokenize(function)
    watched = [weakref.ref(thing) for thing in (f, f.__code__, g, namespace["k"], namespace["A"])]
    del f, g, function
    namespace.clear()
    gc.collect()
    assert [reference() for reference in watched] == [None] * len(watched)


def test_a_function_in_the_place_of_a_dead_one_has_its_own_digest():
    digests = set()
    for n in range(2000):
        namespace = {"__name__": "__main__"}
        exec(f"def f(x): return x + {n}", namespace)
        digests.add(tokenize(namespace.pop("f")))
    assert len(digests) == 2000


def test_threads_hash_alike():
    f = notebook("k = 1\ndef g(x): return x + k\ndef f(x): return [g(x) for _ in range(3)]")["f"]
    digests = []

    def run():
        for _ in range(200):
            digests.append(tokenize(f, [1, {"a": 2}]))
            exec("def h(): pass", namespace := {"__name__": "__main__"})
            tokenize(namespace["h"])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 800 and len(set(digests)) == 1


PROGRAM = """
import dataclasses, datetime, enum, functools, math, pathlib
from azolla._azolla import tokenize

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    tags: frozenset = frozenset()

NAMES = {"alpha", "beta", "gamma", "delta"}
TABLE = {Point(1): "one", Colour.RED: math.sin, "x": Point, len: None}

def helper(x, seen={"a", "b", "c"}):
    return x in {"p", "q", "r"} or NAMES

def function(x):
    class Local:
        kind = Colour.BLUE
    return [helper(y) for y in TABLE], Local, function

print(tokenize(function, helper, Point, Colour))
print(tokenize(Point(3, frozenset("abcdef")), Colour.RED, TABLE, NAMES))
print(tokenize(functools.partial(function, key="k"), Point(1).__hash__, datetime.date(2020, 1, 1), pathlib.Path("/a")))
print(tokenize(lambda: NAMES, str.upper, print, {1: "a", "b": None, 2.5: ()}))
"""


def test_digests_are_the_same_in_every_process(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    outputs = []
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        outputs.append(run.stdout)
    assert len(outputs[0].split()) == 4
    assert len(set(outputs)) == 1


def test_the_program_itself_is_not_taken_for_a_module(tmp_path):
    """In a real `__main__`, which can be imported by name, globals still count."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            from azolla._azolla import tokenize
            k = 1
            def f(): return k
            class A:
                def m(self): return k
            def digests(): return tokenize(f), tokenize(A), tokenize(A())
            before = digests()
            assert digests() == before
            k = 2
            assert not set(digests()) & set(before)
            """
        )
    )
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
