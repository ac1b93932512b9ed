"""Names: of tasks, made from their functions, and back; of arguments that were meant; of a class's methods."""

import functools
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar, cast

C = TypeVar("C", bound=type)
R = TypeVar("R")


def function_name(function: object) -> str:
    """Returns the name that begins the keys of a function's tasks. A plain function's is the one that Dask uses."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, type):
        return function.__name__
    name = getattr(function, "__name__", None)
    if name == "<lambda>":
        return "lambda"
    return name if isinstance(name, str) else type(function).__name__


def function_of(key: Any) -> str:
    """Returns the beginning of a task's key: the function's name, unless the user has given a key."""
    text = str(key[0] if isinstance(key, tuple) and key else key)
    name, dash, digest = text.rpartition("-")
    if dash and len(digest) == 32 and all(digit in "0123456789abcdef" for digit in digest):
        return name
    parts = text.rsplit("-", 5)
    return parts[0] if len(parts) == 6 and [len(part) for part in parts[1:]] == [8, 4, 4, 4, 12] else text


#: What other libraries call an argument.
_ELSEWHERE = {"nthreads": "threads_per_worker", "max_workers": "threads_per_worker", "n_jobs": "threads_per_worker"}


def suggestion(strange: list[str], known: Iterable[str]) -> str:
    """Returns what a message adds on arguments that are unknown: the names of those that may be meant."""
    import difflib  # only an error needs it

    known, meant = list(known), []
    for name in strange:
        close = difflib.get_close_matches(name, known, n=1)
        meant += [_ELSEWHERE[name]] if name in _ELSEWHERE else [one for one in known if name in one][:1] or close
    return f": did you mean {', '.join(dict.fromkeys(meant))}?" if meant else ""


def as_called(name: str, function: Callable[..., Coroutine[Any, Any, R]], *args: Any) -> Coroutine[Any, Any, R]:
    """Calls a coroutine function, and has the coroutine bear the name of what the user called.

    Python's warning that a coroutine was never awaited says its name.
    """
    coroutine = function(*args)
    cast(Any, coroutine).__qualname__ = name
    return coroutine


def named_by_itself(cls: C) -> C:
    """Has the methods that a class inherits from its bases bear the class's name. A decorator of that class.

    Users know the class alone, and Python's messages name a method as its base does: `Transfer.gather()`.
    """
    for base in cls.__mro__[1:]:
        if not base.__module__.startswith("azolla."):
            continue
        for name, member in vars(base).items():
            parts = [member.fget, member.fset] if isinstance(member, property) else [member]
            for part in parts:
                function = getattr(part, "__func__", part)
                while function is not None:
                    if getattr(function, "__qualname__", None) == f"{base.__qualname__}.{name}":
                        try:
                            function.__qualname__ = f"{cls.__qualname__}.{name}"
                        except AttributeError:  # a native method
                            break
                    function = getattr(function, "__wrapped__", None)
    return cls
