"""Which part of a call cannot be pickled: the words that its error gets.

The pickle module tells the type of what it cannot pickle, and not where that is. So the parts are pickled one by one here.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from azolla._process.by_value import dumps_whole

#: How far down the parts of parts are looked at.
_DEPTH = 8


def in_arguments(call: tuple[tuple[Any, ...], dict[str, Any] | None]) -> str | None:
    """Returns which argument of a call cannot be pickled, or None if each can be by itself."""
    args, kwargs = call
    named = [(f"argument {place}", value) for place, value in enumerate(args, 1)]
    named += [(f"argument {name!r}", value) for name, value in (kwargs or {}).items()]
    return _first(named, _DEPTH)


def in_function(function: Any) -> str | None:
    """Returns what the function depends on that cannot be pickled, or None if all of that can be by itself."""
    return _first(_parts("the function", function), _DEPTH)


def _first(parts: Iterator[tuple[str, Any]] | list[tuple[str, Any]], depth: int) -> str | None:
    for name, part in parts:
        error = _error(part)
        if error is None:
            continue
        if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
            limit = sys.getrecursionlimit()
            return f"{name} is nested too deeply: sys.getrecursionlimit() is {limit}, and each level takes some of that"
        deeper = _first(_parts(name, part), depth - 1) if depth else None
        return deeper or f"{name} ({type(part).__name__}) cannot be pickled"
    return None


def _error(part: Any) -> Exception | None:
    try:
        # What is large is left out.
        dumps_whole(part, buffer_callback=lambda _: False)
    except Exception as error:
        return error
    return None


def _parts(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """Returns what a thing consists of, with names."""
    kind = type(thing)
    if kind in _PARTS:
        return _PARTS[kind](name, thing)
    attributes = getattr(thing, "__dict__", None)
    if type(attributes) is dict and not isinstance(thing, type):
        return ((f"{name}.{attribute}", value) for attribute, value in list(attributes.items()))
    return iter(())


def _of_function(name: str, function: FunctionType) -> Iterator[tuple[str, Any]]:
    whose = f"of {function.__name__}"
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"the variable {variable!r} that {function.__name__} closes over", cell.cell_contents
        except ValueError:  # it has no value yet
            continue
    for variable in _globals(function.__code__):
        if variable in function.__globals__:
            yield f"the global {variable!r} {whose}", function.__globals__[variable]
    for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield f"a default {whose}", default
    for attribute, value in vars(function).items():
        yield f"the attribute {attribute!r} {whose}", value


def _globals(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)


def _of_partial(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    yield f"{name}.func", thing.func
    yield from ((f"{name}.args[{place}]", value) for place, value in enumerate(thing.args))
    yield from ((f"{name}.keywords[{key!r}]", value) for key, value in thing.keywords.items())


def _of_method(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    return iter([(f"{name}.__self__", thing.__self__), (f"{name}.__func__", thing.__func__)])


def _of_list(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    return ((f"{name}[{place}]", value) for place, value in enumerate(thing))


def _of_dict(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    # The text of a key may be code of the user's.
    for place, (key, value) in enumerate(list(thing.items())):
        yield f"key {place} of {name}", key
        yield f"{name}[{key!r}]" if type(key) in (str, int, bytes) else f"value {place} of {name}", value


_PARTS: dict[type, Callable[[str, Any], Iterator[tuple[str, Any]]]] = {
    FunctionType: _of_function,
    MethodType: _of_method,
    partial: _of_partial,
    list: _of_list,
    tuple: _of_list,
    dict: _of_dict,
}
