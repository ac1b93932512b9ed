"""Results that cannot be pickled: they stay in their worker process, and something that can be pickled stands for them."""

import copyreg
import pickle
import sys
from typing import Any, NoReturn

from azolla._azolla import kept_actor
from azolla._base import where
from azolla._process.errors import pack, unpack


class _StandIn:
    """Stands for the result of a task. Its pickle is the result where that is, and an error elsewhere."""

    __slots__ = ("parts",)

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> Any:
        return _arrived, self.parts


def stand_in(number: int, key: str, error: BaseException, is_actor: bool) -> bytes:
    """Returns the pickle of what stands for the result of a task, which cannot be pickled because of an error.

    Raises:
        BaseException: The error, if the result does not stay: it is no matter of what the result is, or the task has made an
            actor, for which something else stands.
    """
    if is_actor or isinstance(error, MemoryError) or not isinstance(error, Exception):
        error.add_note("the task has returned this result, which must travel from its worker process as a pickle")
        raise error
    note = (
        f"the result of {key} cannot be pickled, so it stays in worker {where.worker}: pass its future to tasks, which run "
        "there, or return what can be pickled"
    )
    return pickle.dumps(_StandIn(number, note, pack(error)), 5)


def _arrived(number: int, note: str, packed: bytes) -> Any:
    result = kept_actor(number)
    if result is None:
        raise _noted(unpack(packed), note)  # a name for it here would make a cycle of it and this frame
    return result


def _noted(error: BaseException, note: str) -> BaseException:
    error.add_note(note)
    return error


def connections_stay() -> None:
    """Has a connection of `multiprocessing` count as what cannot be pickled. A pickle would hold the number of its descriptor, which
    is another file elsewhere. `multiprocessing` pickles it in a way of its own, for a process that it starts.
    """
    copyreg.pickle(sys.modules["multiprocessing.connection"].Connection, _refuse)


def _refuse(connection: object) -> NoReturn:
    raise TypeError(f"cannot pickle {type(connection).__name__!r} object: it is open in this process alone")
