"""Checks of arguments. Each error names the argument, and shows what was given."""

from collections.abc import Iterable
from typing import Any


def flag(name: str, value: Any, default: bool) -> bool:
    """Returns an argument that is true or false; the default for None."""
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    raise TypeError(f"{name} must be True, False or None, not {value!r}")


def whole(name: str, value: Any) -> int:
    """Returns an argument that is a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    return value


def positive(name: str, value: Any) -> int:
    """Returns an argument that is a whole number, 1 or more."""
    if whole(name, value) < 1:
        raise ValueError(f"{name} must be 1 or more, not {value}")
    return int(value)


def several(name: str, value: Any, of: str) -> list[Any]:
    """Returns the items of an argument that holds several. A text is one item."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list of {of}, not {value!r}")
    return list(value)
