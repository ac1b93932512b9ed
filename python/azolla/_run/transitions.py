"""Tells listeners when tasks begin and when they end. The listeners are worker plugins and the recorder of runs.

A worker thread calls them itself, around the task; for a coroutine's end, the event loop's thread does. Without
listeners a task pays for one look at an empty dictionary.
"""

import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import CoroutineType
from typing import Any, Protocol, TypeAlias

from azolla import _azolla


class Listener(Protocol):
    """An object whose methods are called as tasks begin and end."""

    def begun(self, key: Any, number: int, context: Context) -> object:
        """Called when the task of this key begins on this thread. `number` is the worker thread's number."""

    def detached(self, coroutine: Coroutine[Any, Any, Any]) -> object:
        """Called when the task on this thread has returned a coroutine, which continues on the cluster's event loop."""

    def ended(
        self, key: Any, finish: str, outcome: object, coroutine: Coroutine[Any, Any, Any] | None = None
    ) -> object:
        """Called when a task has ended, with a result (`"memory"`) or an exception (`"error"`) as its `outcome`.

        It is the task of `coroutine` if one is given, and otherwise the task on this thread.
        """


#: The listeners. A plugin stands under its name, the recorder under None.
Listeners: TypeAlias = dict[str | None, Listener]


def begun(listeners: Listeners, context: Context) -> None:
    """Tells the listeners that the task on this thread has begun, in this context."""
    task = _azolla.thread_task()
    if task is not None:
        key, number = task
        _tell(listeners, lambda listener: listener.begun(key, number, context))


def returned(listeners: Listeners, result: object) -> None:
    """Tells the listeners that the call of the task on this thread has returned."""
    if isinstance(result, CoroutineType):
        _tell(listeners, lambda listener: listener.detached(result))
    else:
        _ended(listeners, "memory", result)


def raised(listeners: Listeners, error: BaseException) -> None:
    """Tells the listeners that the call of the task on this thread has raised."""
    _ended(listeners, "error", error)


def coroutine_ended(
    listeners: Listeners, key: Any, finish: str, outcome: object, coroutine: Coroutine[Any, Any, Any]
) -> None:
    """Tells the listeners that a coroutine task has ended."""
    _tell(listeners, lambda listener: listener.ended(key, finish, outcome, coroutine))


def _ended(listeners: Listeners, finish: str, outcome: object) -> None:
    task = _azolla.thread_task()
    if task is not None:
        _tell(listeners, lambda listener: listener.ended(task[0], finish, outcome))


def _tell(listeners: Listeners, tell: Callable[[Listener], object]) -> None:
    # Copying a dictionary's values is a single step, so another thread cannot change them midway.
    for listener in list(listeners.values()):
        try:
            tell(listener)
        except Exception:
            # No caller could catch the error. It is reported, and the task goes on.
            sys.excepthook(*sys.exc_info())


class PluginListener:
    """A listener that calls a plugin's `transition`."""

    def __init__(self, transition: Callable[..., object]) -> None:
        self._transition = transition

    def begun(self, key: Any, number: int, context: Context) -> object:
        return self._transition(key, "ready", "executing")

    def detached(self, coroutine: Coroutine[Any, Any, Any]) -> object:
        """Does nothing: to a plugin, the task is still executing."""

    def ended(
        self, key: Any, finish: str, outcome: object, coroutine: Coroutine[Any, Any, Any] | None = None
    ) -> object:
        return self._transition(key, "executing", finish)


def thread_of(number: int, threads: "set[threading.Thread]") -> int | None:
    """Returns Python's identifier of the worker thread that has this number, or None if it has ended."""
    return next((thread.ident for thread in list(threads) if thread.name == f"azolla-{number}"), None)
