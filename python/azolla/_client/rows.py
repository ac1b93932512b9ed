"""`map` over whatever can be iterated over: the rows of arguments, a portion at a time."""

import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from azolla._base.arguments import positive

#: The types of iterable whose iteration runs only the interpreter's own code.
_PLAIN = frozenset({list, tuple, range, dict, set, frozenset, str, bytes})

#: How many tasks `map` submits at once: few enough for the first to begin early.
_PORTION = 256


def mapped(
    submit: Callable[[tuple[Any, ...], Any], list[Any]], iterables: tuple[Iterable[Any], ...], key: Any, batch_size: Any
) -> list[Any]:
    """Returns the futures that `submit` gives for the columns of the rows, and the keys for them."""
    if batch_size is None and all(type(iterable) in _PLAIN for iterable in iterables):
        return submit(iterables, key)
    # Iterating over any other type may run the user's code. It is done here, since no native frame may lie below the user's
    # code.
    size = _PORTION if batch_size is None else min(positive("map(): batch_size", batch_size), sys.maxsize)
    rows, futures, listed = zip(*iterables, strict=False), list[Any](), isinstance(key, list)
    while portion := list(islice(rows, size)):
        own = key[len(futures) : len(futures) + len(portion)] if listed else key
        futures += submit(_columns(iterables, portion), own)
    if not futures or (listed and len(key) > len(futures)):
        # Nothing is left to submit. The engine's half still checks the arguments, and the number of keys.
        futures += submit(_columns(iterables, []), key[len(futures) :] if listed else key)
    return futures


def _columns(iterables: tuple[Iterable[Any], ...], rows: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(zip(*rows, strict=True)) if rows else ((),) * len(iterables)
