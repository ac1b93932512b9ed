"""Checks of arguments. Each error names the argument, and shows what was given."""

import sys
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

#: The most characters of an argument that an error shows.
_SHOWN = 80


def shown(value: Any) -> str:
    """Returns an argument as an error shows it: its `repr`, shortened."""
    try:
        text = repr(value)
    except Exception:  # it is the user's code; and no int of more than some thousand digits has a text
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def flag(name: str, value: Any, default: bool) -> bool:
    """Returns an argument that is true or false; the default for None."""
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    raise TypeError(f"{name} must be True, False or None, not {shown(value)}")


def whole(name: str, value: Any) -> int:
    """Returns an argument that is a whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, not {shown(value)}")
    return int(value)


def check_number(name: str, value: Any) -> Any:
    """Returns an argument that is a number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, not {shown(value)}")
    return value


def positive(name: str, value: Any) -> int:
    """Returns an argument that is a whole number, 1 or more."""
    if whole(name, value) < 1:
        raise ValueError(f"{name} must be 1 or more, not {shown(value)}")
    return int(value)


def fits(name: str, value: int) -> int:
    """Returns a whole number that is not too large for the engine."""
    if value > sys.maxsize:
        raise ValueError(f"{name} is too large: {shown(value)}")
    return value


def check_function(name: str, value: Any) -> Any:
    """Returns an argument that can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {shown(value)}")
    return value


def several(name: str, value: Any, of: str) -> list[Any]:
    """Returns the items of an argument that holds several. A text is one item."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list of {of}, not {shown(value)}")
    return list(value)
