"""Which group is entered here. A context has its own; a task is in no group that was entered where it was submitted."""

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from azolla import _azolla
from azolla._azolla import Future
from azolla._run.current import task_here

#: The gate of the latest group that was entered in this context, the task in which that was done, and what says whether the
#: group has ended.
here: "ContextVar[tuple[Future[None], object, Callable[[], bool]] | None]" = ContextVar("azolla_group", default=None)


def gate_here() -> "Future[None] | None":
    """Returns the gate of the group that what is submitted here belongs to; None if there is none."""
    entered = here.get()
    if entered is None:
        return None
    gate, task, has_ended = entered
    return gate if task == task_here() and not has_ended() else None


def enter(gate: "Future[None]", has_ended: Callable[[], bool]) -> "Token[Any]":
    """Makes this the group here, until `leave`."""
    token = here.set((gate, task_here(), has_ended))
    _azolla.group_entered()
    return token


def leave(token: "Token[Any]") -> None:
    """Ends the `enter` that has given this token."""
    _azolla.group_left()
    try:
        here.reset(token)
    except ValueError:
        # It was entered in another context, which a framework has made for its set-up.
        here.set(None)
