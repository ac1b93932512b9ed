"""Who is told when tasks begin and when they have ended: plugins, and what records runs.

They are told on the tasks' own threads. While there is nobody, it costs a task a look at an empty dictionary.
"""

import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import CoroutineType
from typing import Any, Protocol, TypeAlias

from azolla import _azolla


class Listener(Protocol):
    """One who is told."""

    def begun(self, key: Any, number: int, context: Context) -> object:
        """The task of this key has begun on this thread, which is the one of this number."""

    def detached(self, coroutine: Coroutine[Any, Any, Any]) -> object:
        """The task on this thread has given a coroutine, and goes on on the cluster's event loop."""

    def ended(
        self, key: Any, finish: str, outcome: object, coroutine: Coroutine[Any, Any, Any] | None = None
    ) -> object:
        """A task has ended with a result (`"memory"`) or an exception (`"error"`): that on this thread, or if one is
        given, that of the coroutine."""


#: By the names of plugins; what azolla records has none.
Listeners: TypeAlias = dict[str | None, Listener]


def begun(listeners: Listeners, context: Context) -> None:
    """Tells that the task on this thread has begun, in this context."""
    task = _azolla.thread_task()
    if task is not None:
        key, number = task
        _tell(listeners, lambda listener: listener.begun(key, number, context))


def returned(listeners: Listeners, result: object) -> None:
    """Tells that the task on this thread has returned."""
    if isinstance(result, CoroutineType):
        _tell(listeners, lambda listener: listener.detached(result))
    else:
        _ended(listeners, "memory", result)


def raised(listeners: Listeners, error: BaseException) -> None:
    """Tells that the task on this thread has raised."""
    _ended(listeners, "error", error)


def coroutine_ended(
    listeners: Listeners, key: Any, finish: str, outcome: object, coroutine: Coroutine[Any, Any, Any]
) -> None:
    """Tells that a coroutine task has ended."""
    _tell(listeners, lambda listener: listener.ended(key, finish, outcome, coroutine))


def _ended(listeners: Listeners, finish: str, outcome: object) -> None:
    task = _azolla.thread_task()
    if task is not None:
        _tell(listeners, lambda listener: listener.ended(task[0], finish, outcome))


def _tell(listeners: Listeners, tell: Callable[[Listener], object]) -> None:
    # To copy a dictionary's values is a single step for other threads.
    for listener in list(listeners.values()):
        try:
            tell(listener)
        except Exception:
            # As for any callback with nobody to tell: shown, and the task goes on.
            sys.excepthook(*sys.exc_info())


class PluginListener:
    """Calls a plugin's `transition`."""

    def __init__(self, transition: Callable[..., object]) -> None:
        self._transition = transition

    def begun(self, key: Any, number: int, context: Context) -> object:
        return self._transition(key, "ready", "executing")

    def detached(self, coroutine: Coroutine[Any, Any, Any]) -> object:
        """It is still executing."""

    def ended(
        self, key: Any, finish: str, outcome: object, coroutine: Coroutine[Any, Any, Any] | None = None
    ) -> object:
        return self._transition(key, "executing", finish)


def thread_of(number: int, threads: "set[threading.Thread]") -> int | None:
    """What Python knows a worker's thread by."""
    return next((thread.ident for thread in list(threads) if thread.name == f"azolla-{number}"), None)
