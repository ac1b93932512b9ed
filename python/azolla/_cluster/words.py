"""Errors of failed tasks in words, for the dashboard.

The text of an exception is made by the user's code, which may hang. So it is made on a thread of its own. If that takes
too long, the thread is given up, and another one goes on with the next error. The dashboard answers all the while.
"""

import contextlib
import os
import time
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from azolla._azolla import Dashboard
from azolla._base import leave as _leave
from azolla._base.inbox import Inbox
from azolla._base.threads import LastingThread
from azolla._process.errors import Bytes, unpack

#: How long the text of one exception may take to make, in seconds.
PATIENCE = 5.0

#: After so many threads were given up, no more are started: errors are told by their classes alone.
MOST_GIVEN_UP = 4

#: The most characters of an exception's own text, and of each note.
MOST = 8_000


#: An error of a task: the exception, the text of one of azolla's own, or the bytes of one from a worker process.
Error = BaseException | str | Bytes

#: A failed task, by its number, and its error.
Failed = tuple[int, Error]


class Words:
    """Puts errors into words, and hands them to the dashboard."""

    def __init__(self, dashboard: Dashboard, name: str) -> None:
        self._dashboard, self._name = dashboard, name
        self._errors: Inbox[Failed | None] = Inbox()
        self._given_up: list[_Turn] = []
        self._turn: _Turn | None = None

    def add(self, failed: list[Failed]) -> None:
        """Takes failed tasks with their errors, and looks after the thread. Runs no code of the user's."""
        self._put(failed)
        stuck = None if self._turn is None else self._turn.stuck_with()
        if stuck is not None:
            self._give_up(*stuck)
        if len(self._given_up) < MOST_GIVEN_UP:
            if self._turn is None and self._errors.items:
                # Without a thread to be had the errors wait for the next look.
                with contextlib.suppress(RuntimeError):
                    self._turn = _Turn(self._dashboard, self._errors, self._name)
            return
        for task, error in self._take():
            self._dashboard.add_error(task, _class(error))

    def _put(self, failed: Iterable[Failed]) -> None:
        # The server may find an error twice, and two tasks may raise the same: a text hangs one thread only.
        for task, error in failed:
            if any(turn.has_in_hand(error) for turn in self._given_up):
                self._tell_slow(task, error)
            else:
                self._errors.put((task, error))

    def _take(self) -> Iterator[Failed]:
        while self._errors.items:
            with contextlib.suppress(IndexError):  # the thread has taken it meanwhile
                one = self._errors.items.popleft()
                if one is not None:
                    yield one

    def _give_up(self, task: int, error: Error) -> None:
        self._tell_slow(task, error)
        if self._turn is not None:
            self._turn.given_up = True
            _leave.abandon({self._turn.thread})
            self._given_up.append(self._turn)
        self._turn = None
        self._put(list(self._take()))

    def _tell_slow(self, task: int, error: Error) -> None:
        self._dashboard.add_error(task, f"{_class(error)}, whose text takes too long to make")

    def stop(self) -> None:
        """Ends the thread once it has put into words what it was given."""
        self._errors.put(None)


class _Turn:
    """A thread that puts one error after the other into words, until it is given up."""

    def __init__(self, dashboard: Dashboard, errors: Inbox[Failed | None], name: str) -> None:
        self.given_up = False
        self._dashboard, self._errors = dashboard, errors
        #: What it has in hand, and when it began with that.
        self._begun: tuple[Failed, float] | None = None
        self.thread = LastingThread(self._run, f"{name}-words")
        _leave.start(self.thread)

    def stuck_with(self) -> Failed | None:
        """Returns the error that the thread has had in hand for too long."""
        begun = self._begun
        return None if begun is None or time.monotonic() - begun[1] < PATIENCE else begun[0]

    def has_in_hand(self, error: Error) -> bool:
        begun = self._begun
        if begun is None:
            return False
        own = begun[0][1]
        # Only bytes are compared: that runs no code of the user's.
        return own is error or (isinstance(own, Bytes) and isinstance(error, Bytes) and own == error)

    def _run(self) -> None:
        while self._one():
            pass

    def _one(self) -> bool:
        # A function of its own: when it returns, its locals are gone, and the wait keeps no exception alive.
        one = self._errors.first()
        if one is None:
            return False
        self._begun = (one, time.monotonic())
        del self._errors.items[0]
        text = in_words(one[1])
        self._begun = None
        if self.given_up:
            return False
        # The text may hold lone surrogates, which are no valid UTF-8.
        self._dashboard.add_error(one[0], text.encode(errors="replace").decode())
        return True


def in_words(error: Error) -> str:
    """Returns an exception with its traceback, cut where it is very long."""
    if isinstance(error, str):
        return error[:MOST]
    process = os.getpid()
    another: BaseException | None = None
    try:
        text = _text(unpack(error) if isinstance(error, Bytes) else error)
    except BaseException as raised:  # the exception's own `__str__` may raise anything
        another = raised
        text = f"{_class(error)}, which cannot be put into words: {type(raised).__qualname__}"
    if os.getpid() != process:
        _leave.child(another)
    return text


def _class(error: Error) -> str:
    if isinstance(error, Bytes):
        return "An exception from a worker process"
    return error[:MOST] if isinstance(error, str) else str(type.__getattribute__(type(error), "__qualname__"))


def _text(error: BaseException) -> str:
    told = traceback.TracebackException.from_exception(error)
    around: list[Any] = [told]
    seen = set()
    while around:
        one = around.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        # Cut before the lines are put together, each of which would be a copy.
        for part in ("_str", "msg", "text"):
            value = getattr(one, part, None)
            if isinstance(value, str):
                _set(one, part, _cut(value))
        notes = getattr(one, "__notes__", None)
        if isinstance(notes, list):
            one.__notes__ = [_cut(note) if isinstance(note, str) else note for note in notes[:100]]
        around += [one.__cause__, one.__context__, *(one.exceptions or ())]
    return "".join(told.format())


def _set(told: traceback.TracebackException, part: str, text: str) -> None:
    try:
        setattr(told, part, text)
    except AttributeError:  # a property, in some versions of Python
        return


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[:MOST]}… cut here: {len(text)} characters in all"
