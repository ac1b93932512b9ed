"""The worker process's own side: exceptions as bytes, inputs, and what a process does for tasks."""

from __future__ import annotations

import asyncio
import gc
import pickle
import subprocess
import sys
import threading
import traceback
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azolla._azolla import Input, input_value
from azolla._process.errors import pack, unpack


def raised(f: Callable[[], object]) -> BaseException:
    try:
        f()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def travelled(error: BaseException, key: str | None = None) -> BaseException:
    return unpack(pack(error, key))


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


class TwoArguments(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.one, self.two = one, two


class Prefixed(Exception):
    """Built from its own arguments once more, it would have its prefix twice."""

    def __init__(self, text: str) -> None:
        super().__init__(f"prefix: {text}")


class ByItself(Exception):
    """It is pickled in its own way."""

    def __init__(self, url: str, *, code: int) -> None:
        super().__init__(url)
        self.url, self.code = url, code

    def __reduce__(self) -> Any:
        return _by_itself, (self.url, self.code)


def _by_itself(url: str, code: int) -> ByItself:
    return ByItself(url, code=code)


class Slots(Exception):
    __slots__ = ("__hidden", "empty", "place")

    def __init__(self) -> None:
        self.place, self.__hidden = None, 2

    def hidden(self) -> int:
        return self.__hidden


class OwnNew(Exception):
    def __new__(cls, *, needed: int) -> OwnNew:
        return super().__new__(cls, needed)

    def __init__(self, *, needed: int) -> None:
        pass


class NoFile(FileNotFoundError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "there is none", path)


class NoText(UnicodeDecodeError):
    pass


class Several(ExceptionGroup[Exception]):
    def __new__(cls, number: int, members: list[Exception]) -> Several:
        group = super().__new__(cls, f"number {number}", members)
        group.number = number
        return group

    number: int


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        ValueError("one", 2, {"three": [4]}),
        KeyError("key"),
        StopIteration(5),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit("x"),
        asyncio.CancelledError("why"),
        NotADirectoryError(20, "no folder", "/here", None, "/there"),
        NoFile("/nowhere"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no start"),
        NoText("utf-8", b"\xff", 0, 1, "no start"),
        SyntaxError("wrong", ("file.py", 3, 5, "a b", 3, 7)),
        ImportError("none", name="module", path="/path"),
        TwoArguments(1, 2),
        Prefixed("text"),
        ByItself("url", code=404),
        OwnNew(needed=4),
        ValueError("\udc80 alone"),
    ],
    ids=repr,
)
def test_an_exception_comes_back_as_it_was(error: BaseException) -> None:
    if not isinstance(error, ByItself):
        error.more = [1, 2]  # type: ignore[attr-defined]
    again = travelled(error)
    assert type(again) is type(error)
    assert again.args == error.args and str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_fields_of_native_classes_come_back() -> None:
    missing = travelled(NoFile("/nowhere"))
    assert isinstance(missing, NoFile) and (missing.errno, missing.filename) == (2, "/nowhere")
    ended = travelled(StopIteration(5))
    assert isinstance(ended, StopIteration) and ended.value == 5
    left = travelled(SystemExit(3))
    assert isinstance(left, SystemExit) and left.code == 3


def test_slots_come_back() -> None:
    again = travelled(Slots())
    assert isinstance(again, Slots) and again.place is None and again.hidden() == 2 and not hasattr(again, "empty")


def test_a_class_that_cannot_be_imported_travels_itself() -> None:
    class Local(LookupError):
        def __init__(self, place: int) -> None:
            super().__init__(f"at {place}")
            self.place = place

    again = travelled(Local(3))
    assert type(again).__name__ == "Local" and isinstance(again, LookupError)
    assert (str(again), again.place) == ("at 3", 3)  # type: ignore[attr-defined]


def test_causes_contexts_and_notes_come_back() -> None:
    def fails() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                error.add_note("of the first")
                raise ValueError("second") from error
        except ValueError:
            raise TypeError("third")  # noqa: B904 (the context is what is shown)

    def hides() -> None:
        try:
            fails()
        except TypeError:
            raise RuntimeError("fourth") from None

    for error in (raised(fails), raised(hides)):
        again = travelled(error)
        assert shown(again) == shown(error)
        assert again.__suppress_context__ == error.__suppress_context__
        assert type(again.__context__) is type(error.__context__)
        assert again.__cause__ is None


def test_the_task_is_noted_once() -> None:
    error = ValueError("x")
    error.add_note("mine")
    again = travelled(error, "key-1")
    assert again.__notes__ == ["mine", "in the azolla task key-1"]
    assert travelled(again, "key-2").__notes__ == again.__notes__
    assert travelled(ValueError(), "key").__notes__ == ["in the azolla task key"]


def test_a_traceback_shows_the_same_lines_and_marks() -> None:
    def inner(values: list[int]) -> int:
        return len(values) + values[7] + len(values)

    # fmt: off
    def outer() -> int:
        return inner(
            [1, 2],
        )
    # fmt: on
    error = raised(outer)
    assert shown(travelled(error)) == shown(error)
    assert shown(travelled(travelled(error))) == shown(error)


def test_a_deep_recursion_comes_back_with_its_outermost_and_innermost_frames() -> None:
    def deeper(n: int) -> int:
        return deeper(n + 1)

    text = shown(travelled(raised(lambda: deeper(0))))
    assert "in <lambda>" in text and "frames that are left out" in text and "RecursionError" in text


def test_groups_come_back_with_their_members() -> None:
    def fails() -> None:
        members = [raised(lambda: 1 // 0), KeyError("b"), ExceptionGroup("inner", [TwoArguments(1, 2)])]
        raise BaseExceptionGroup("outer", [*members, KeyboardInterrupt()])

    error = raised(fails)
    again = travelled(error)
    assert type(again) is BaseExceptionGroup and shown(again) == shown(error)
    assert [type(one) for one in again.exceptions] == [ZeroDivisionError, KeyError, ExceptionGroup, KeyboardInterrupt]


def test_a_group_of_a_class_of_its_own_comes_back() -> None:
    group = Several(4, [ValueError("a"), NoFile("b")])
    again = travelled(group)
    assert type(again) is Several and (again.number, again.message) == (4, "number 4")
    assert [str(one) for one in again.exceptions] == [str(one) for one in group.exceptions]


def test_exceptions_that_lead_to_each_other_come_back_as_one_each() -> None:
    one, two = ValueError("one"), KeyError("two")
    one.__cause__, two.__cause__, one.__context__ = two, one, two
    group = ExceptionGroup("both", [one, one])
    two.__context__ = group
    again = travelled(group)
    assert isinstance(again, ExceptionGroup)
    first, second = again.exceptions
    assert first is second and first.__cause__ is first.__context__
    assert first.__cause__ is not None and first.__cause__.__cause__ is first and first.__cause__.__context__ is again


def test_of_a_long_chain_the_nearest_come_back() -> None:
    error: BaseException = ValueError(0)
    for number in range(1, 5000):
        after = ValueError(number)
        after.__context__ = error
        error = after
    length, again = 0, travelled(error)
    while again.__context__ is not None:
        length, again = length + 1, again.__context__
    assert length == 99
    assert str(travelled(ExceptionGroup("many", [ValueError(number) for number in range(5000)]))).startswith(
        "many (99 "
    )


class Locked(Exception):
    def __init__(self) -> None:
        super().__init__("with a lock", threading.Lock())
        self.lock, self.count = threading.Lock(), 3


def test_what_cannot_be_pickled_comes_back_in_words() -> None:
    again = travelled(Locked())
    assert isinstance(again, Locked) and again.count == 3 and again.args[0] == "with a lock"
    assert "lock" in again.args[1] and "lock" in str(again.lock)


class Metaclass(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError("metaclass")

    def __instancecheck__(cls, other: object) -> bool:
        raise RuntimeError("metaclass")

    __subclasscheck__ = __instancecheck__


def _hostile(**names: Any) -> type[Exception]:
    def raises(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt("hostile")

    body = {name: raises if value is None else value for name, value in names.items()}
    cls = type("Hostile", (LookupError,), {"__module__": __name__, **body})
    return cls


@pytest.mark.parametrize(
    "names",
    [
        {"__str__": None, "__repr__": None},
        {"__str__": lambda self: 5},
        {"__reduce__": None},
        {"__reduce_ex__": None, "__str__": None},
        {"__reduce__": lambda self: "nothing"},
        {"__reduce__": lambda self: (ValueError, ("another",))},
        {"__reduce__": lambda self: (sys.exit, (3,))},
        {"__setstate__": None},
        {"__getattribute__": None},
        {"__setattr__": None, "__delattr__": None},
        {"__class__": property(lambda self: int)},
        {"__dict__": property(lambda self: 1 / 0)},
        {"args": property(lambda self: 1 / 0)},
        {"__cause__": property(lambda self: 1 / 0), "__context__": 7, "__traceback__": property(lambda self: 1 / 0)},
        {"__notes__": property(lambda self: 1 / 0), "add_note": None, "with_traceback": None},
        {"__eq__": None, "__hash__": None, "__bool__": None, "__len__": None, "__iter__": None},
    ],
)
def test_no_class_keeps_an_exception_from_coming_back(names: dict[str, Any]) -> None:
    cls = _hostile(**names)
    error = raised(lambda: exec("raise cls('text')", {"cls": cls}))
    BaseException.__dict__["__cause__"].__set__(error, KeyError("its cause"))
    again = travelled(error, "key")
    assert issubclass(type(again), LookupError)
    assert "text" in repr(BaseException.__dict__["args"].__get__(again))
    assert type(BaseException.__dict__["__cause__"].__get__(again)) is KeyError
    assert BaseException.__dict__["__traceback__"].__get__(again) is not None
    assert BaseException.__dict__["__dict__"].__get__(again)["__notes__"] == ["in the azolla task key"]


def test_a_metaclass_does_not_either() -> None:
    class Odd(ValueError, metaclass=Metaclass):
        pass

    again = travelled(type.__call__(Odd, "text"))
    assert BaseException.__dict__["args"].__get__(again)[0].endswith("text")
    del Odd, again
    gc.collect()  # others look through all classes of exceptions


class OnlyHere(ValueError):
    refuses = False

    def __reduce__(self) -> Any:
        return _only_here, self.args


def _only_here(*args: Any) -> OnlyHere:
    if OnlyHere.refuses:
        raise ImportError("not here")
    return OnlyHere(*args)


def test_what_the_client_cannot_unpickle_is_of_the_nearest_of_pythons_own_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packed = pack(ExceptionGroup("both", [OnlyHere("text"), KeyError("b")]))
    monkeypatch.setattr(OnlyHere, "refuses", True)
    again = unpack(packed)
    assert isinstance(again, ExceptionGroup)
    assert type(again.exceptions[0]) is ValueError and str(again.exceptions[0]) == "OnlyHere: text"
    module = types.ModuleType("gone")
    exec("class Gone(Exception): pass", vars(module))
    sys.modules["gone"] = module
    packed = pack(module.Gone("text"))
    del sys.modules["gone"]
    again = unpack(packed)
    assert type(again) is Exception and str(again) == "Gone: text"


def test_an_unpacked_error_keeps_nothing_of_where_it_was_unpacked() -> None:
    class Local:
        pass

    def unpacks() -> tuple[BaseException, weakref.ref[Local]]:
        local = Local()
        return travelled(raised(lambda: 1 // 0)), weakref.ref(local)

    error, local = unpacks()
    assert error.__traceback__ is not None and local() is None


def test_an_input_stands_for_a_value_only_while_arguments_are_unpickled() -> None:
    assert Input(3).number == 3
    pickled = pickle.dumps(Input(0), 5)
    assert len(pickled) < 70
    for asks in (lambda: pickle.loads(pickled), lambda: input_value(0)):
        assert "only while the arguments of its task are unpickled" in str(raised(asks))


def test_a_worker_process_imports_the_package_when_a_name_is_asked_for() -> None:
    import azolla

    folder = str(Path(azolla.__file__).parent)
    program = f"""
import sys
sys.path[:] = {sys.path!r}
azolla = sys.modules["azolla"] = type(sys)("azolla")
azolla.__path__ = [{folder!r}]
from azolla._process import child, errors, package
package.defer()
assert not any(name in sys.modules for name in ("asyncio", "azolla._client", "azolla._azolla.pyi", "logging"))
assert azolla.__spec__.name == "azolla" and azolla.__file__
import threading
found = []
def ask():
    from azolla import Client, as_completed
    import azolla._client.client
    found.append((Client, azolla.Client, azolla._client.client.Client))
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and len(set(sum(found, ()))) == 1
assert type(azolla) is type(sys) and azolla.__version__ and set(azolla.__all__) <= set(dir(azolla))
try:
    azolla.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.stderr, done.stdout) == ("", "module 'azolla' has no attribute 'nothing'\n")
