"""Which group is entered here. A context has its own; a task is in no group that was entered where it was submitted."""

import weakref
from contextvars import ContextVar, Token

from azolla import _azolla
from azolla._azolla import Future
from azolla._run.current import task_here


class Entered:
    """A block of a group that was entered.

    Only the group keeps its gate: a context may live for long after the block, by copies of it or by a frame that an error
    keeps. So a group that nothing refers to is over, since nobody can leave it.
    """

    __slots__ = ("_gate", "task")

    def __init__(self, gate: "Future[None]") -> None:
        self._gate = weakref.ref(gate)
        #: What tells the task in which it was entered.
        self.task = task_here()

    @property
    def gate(self) -> "Future[None] | None":
        """The gate of the group; None once the group has ended."""
        return self._gate()


#: The latest block that was entered in this context.
here: ContextVar[Entered | None] = ContextVar("azolla_group", default=None)


def gate_here() -> "Future[None] | None":
    """Returns the gate of the group that what is submitted here belongs to; None if there is none."""
    entered = here.get()
    return None if entered is None or entered.task != task_here() else entered.gate


def enter(gate: "Future[None]") -> tuple[Entered, Token[Entered | None]]:
    """Makes this the group here, until `leave` gets what this returns."""
    entered = Entered(gate)
    token = here.set(entered)
    _azolla.group_entered()
    return entered, token


def leave(entered: Entered, token: Token[Entered | None]) -> None:
    """Ends an `enter`. What was current before is so again."""
    _azolla.group_left()
    if here.get() is entered:
        try:
            here.reset(token)
        except ValueError:
            # It was entered in another context, of which this one is a copy.
            here.set(None)
