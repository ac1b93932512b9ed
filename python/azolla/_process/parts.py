"""One exception as bytes: taken apart, and put together again.

An exception's class is code of the user's, and so are its `__str__`, `__reduce__` and `__setstate__`: they may raise
anything. What the interpreter keeps of an exception is read and written past the class.
"""

import builtins
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import BuiltinFunctionType, MemberDescriptorType, WrapperDescriptorType
from typing import Any, TypeAlias

#: An exception's class, its arguments, its attributes, and those that have places of their own (`__slots__`).
_Parts: TypeAlias = tuple[type[BaseException], tuple[Any, ...], dict[str, Any], dict[str, Any]]

#: How a class says that its objects are pickled in a way of its own.
_OWN_WAYS = {"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__"}

#: What does not travel: the members of a group, which do so themselves, and the object that has no such attribute.
_LEFT_OUT = {(BaseExceptionGroup, "message"), (BaseExceptionGroup, "exceptions"), (AttributeError, "obj")}

#: The interpreter's own classes: their names, by their identities.
_BUILTINS = {
    id(cls): cls.__name__ for cls in vars(builtins).values() if isinstance(cls, type) and issubclass(cls, BaseException)
}

#: The longest text that stands for an exception, in characters.
_TEXT = 100_000


def field(error: BaseException, name: str, base: type[BaseException] = BaseException) -> Any:
    """Returns what the interpreter keeps under this name."""
    return _names(base)[name].__get__(error)


def set_field(error: BaseException, name: str, value: object) -> None:
    vars(BaseException)[name].__set__(error, value)


def attributes(error: BaseException) -> dict[str, Any]:
    """Returns the dictionary of an exception's attributes."""
    found: dict[str, Any] = field(error, "__dict__")
    return found


def members(error: BaseException) -> tuple[BaseException, ...]:
    """Returns the members of a group, and none for another exception."""
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    found: tuple[BaseException, ...] = field(error, "exceptions", BaseExceptionGroup)
    return found


def plain(text: str) -> str:
    """Returns a text of the interpreter's own class, cut short if it is very long."""
    return str.__str__(text)[:_TEXT]


def words(error: BaseException) -> str:
    """Returns an exception's class and text."""
    name: str = vars(type)["__qualname__"].__get__(type(error))
    try:
        text = plain(str(error))
    except BaseException:
        text = "<its str() raises an exception>"
    return f"{name}: {text}" if text else name


def builtin(error: BaseException) -> str:
    """Returns the name of the nearest of the interpreter's own classes that an exception is of."""
    return next(_BUILTINS[id(base)] for base in _bases(type(error)) if _is_builtin(base))


def pickled(error: BaseException, text: str) -> bytes | None:
    """Returns an exception as bytes that lead back to one of its class. If there are none, returns one of a class that it
    derives from, with this text. Returns None if that fails too. What it leads to (its cause, say) is left out.
    """
    ways: list[Callable[[BaseException], object]] = [_parts, _parts_one_by_one]
    if not issubclass(type(error), BaseExceptionGroup):
        ways.insert(0 if _has_own_way(type(error)) else 2, _whole)
    for way in ways:
        # What another thread sends to this one comes up here too. It has come too late: the task has ended.
        with suppress(BaseException):
            found = dumps(way(error))
            if type(made(found, members(error))) is type(error):
                return found
    for base in _bases(type(error))[1:]:
        with suppress(BaseException):
            found = dumps((base, (text,), {}, {}))
            again = made(found)
            if type(again) is base and str(again):
                return found
    return None


def made(pickle_: bytes, group: tuple[BaseException, ...] = (), message: str | None = None) -> BaseException:
    """Returns the exception of these bytes. A group has these members. Raises what the exception's class raises."""
    loaded = pickle.loads(pickle_)
    error: BaseException = _put_together(loaded, group, message) if type(loaded) is tuple else loaded
    return error


def of_builtin(name: str, text: str, group: tuple[BaseException, ...] = ()) -> BaseException:
    """Returns an exception of one of the interpreter's own classes, or a RuntimeError if that takes no single text."""
    if group:
        return BaseExceptionGroup(text, group)
    with suppress(Exception):
        error: BaseException = getattr(builtins, name)(text)
        if str(error):
            return error
    return RuntimeError(text)


def dumps(thing: object) -> bytes:
    """Returns a thing as bytes. What belongs to a main module goes by value, since each process has its own."""
    with suppress(Exception):
        found = pickle.dumps(thing, 5)
        if b"__main__" not in found:
            return found
    from azolla._process import by_value  # few processes need it

    return by_value.dumps_whole(thing)


def _whole(error: BaseException) -> object:
    return error


def _parts(error: BaseException) -> _Parts:
    own = {name: value for name, value in attributes(error).items() if name != "__notes__"}
    args = () if members(error) else field(error, "args")
    return type(error), args, own, dict(_slots(error))


def _parts_one_by_one(error: BaseException) -> _Parts:
    """Returns the parts of an exception, with a text in place of each that cannot be pickled."""
    cls, args, own, slots = _parts(error)
    return (
        cls,
        tuple(_travelling(arg) for arg in args),
        {name: _travelling(value) for name, value in own.items()},
        {name: _travelling(value) for name, value in slots.items()},
    )


def _travelling(value: Any) -> Any:
    with suppress(BaseException):
        pickle.loads(dumps(value))
        return value
    with suppress(BaseException):
        return plain(repr(value))
    return f"<{type(value).__name__}>"


def _put_together(parts: _Parts, group: tuple[BaseException, ...], message: str | None) -> BaseException:
    cls, args, own, slots = parts
    error: BaseException
    if group:
        error = vars(BaseExceptionGroup)["__new__"](cls, message or "", group)
    else:
        error = _first(cls, "__new__", BuiltinFunctionType)(cls, *args)
        # A native class keeps what it was made of beside the arguments. It may refuse those that are texts by now.
        with suppress(Exception):
            _first(cls, "__init__", WrapperDescriptorType)(error, *args)
        set_field(error, "args", args)
    attributes(error).update(own)
    for base in _bases(cls):
        for name, place in _names(base).items():
            if name in slots and type(place) is MemberDescriptorType:
                with suppress(Exception):
                    place.__set__(error, slots[name])
    return error


def _slots(error: BaseException) -> Iterator[tuple[str, Any]]:
    for base in _bases(type(error)):
        for name, place in _names(base).items():
            if type(place) is MemberDescriptorType and not name.startswith("__") and (base, name) not in _LEFT_OUT:
                with suppress(AttributeError):
                    value = place.__get__(error)
                    # A native class reads None where nothing is, and would show it if it were written.
                    if value is not None or not _is_builtin(base):
                        yield name, value


def _first(cls: type[BaseException], name: str, kind: type) -> Any:
    """Returns the first native function of this name that a class inherits."""
    return next(found for base in _bases(cls) if type(found := _names(base).get(name)) is kind)


def _bases(cls: type[BaseException]) -> list[type[BaseException]]:
    """Returns a class and what it derives from, as far as these are exceptions."""
    return [base for base in vars(type)["__mro__"].__get__(cls) if issubclass(base, BaseException)]


def _has_own_way(cls: type[BaseException]) -> bool:
    return any(not _is_builtin(base) and _OWN_WAYS & _names(base).keys() for base in _bases(cls))


def _is_builtin(cls: type[BaseException]) -> bool:
    return id(cls) in _BUILTINS


def _names(cls: type[BaseException]) -> dict[str, Any]:
    """Returns what a class itself defines. Its metaclass has no say in it, here or anywhere above."""
    names: dict[str, Any] = vars(type)["__dict__"].__get__(cls)
    return names
