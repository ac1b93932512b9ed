"""Actors in a worker process: the functions of the tasks that make them, call their methods and read their attributes.

The process keeps the states. What travels in place of a state is a `StandIn`, the result of the task that has made it.
"""

from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from azolla._azolla import (
    actor_caller,
    arrived_actor,
    keep_actor,
    keep_caller,
    kept_actor,
    kept_caller,
    task_at_hand,
)
from azolla._base import where
from azolla._base.errors import ActorLostError


class StandIn:
    """Stands for the state of an actor. In a worker process its pickle is an `Actor`."""

    __slots__ = ("cls", "key")

    def __init__(self, cls: type, key: object) -> None:
        self.cls, self.key = cls, key

    def __reduce__(self) -> Any:
        return _arrived, (self.cls, self.key)


def _arrived(cls: type, key: object) -> Any:
    return arrived_actor(cls, key) if where.in_worker_process else StandIn(cls, key)


def make(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Makes an actor by calling a function."""
    task = task_at_hand()
    assert task is not None, "this is a task"
    made = function(*args, **kwargs)
    return _awaited(task, made) if type(made) is CoroutineType else _kept(task, made)


async def _awaited(task: tuple[int, Any], made: Coroutine[Any, Any, Any]) -> StandIn:
    return _kept(task, await made)


def _kept(task: tuple[int, Any], state: Any) -> StandIn:
    number, key = task
    keep_actor(number, state)
    return StandIn(type(state), key)


def call(number: int, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """Calls a method of the actor of this number."""
    state, caller = _state(number), kept_caller(number)
    if caller is not None:
        return caller(state, name, *args, **kwargs)
    result = getattr(state, name)(*args, **kwargs)
    if type(result) is not CoroutineType:
        return result
    # From now on its calls and its coroutines take turns.
    caller = actor_caller()
    keep_caller(number, caller)
    return caller(_Begun(result), "begun")


class _Begun:
    """Has a method that returns a coroutine which is there already."""

    def __init__(self, coroutine: Any) -> None:
        self._coroutine = coroutine

    def begun(self) -> Any:
        return self._coroutine


def read(number: int, name: str) -> tuple[bool, Any]:
    """Reads an attribute of the actor of this number. Returns whether it can be called, and otherwise its value."""
    value = getattr(_state(number), name)
    return (True, None) if callable(value) else (False, value)


def _state(number: int) -> Any:
    state = kept_actor(number)
    if state is None:  # the engine sends no call to another process
        raise ActorLostError(f"the actor {number} is not in this process")
    return state
