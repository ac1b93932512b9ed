"""`InTurn`: calls that are made one after the other, each as a whole.

Python calls the handlers of signals on the main thread. So Ctrl-C may interrupt that thread between any two steps, and a handler
may begin again what it has interrupted. What must be done as a whole is done on another thread: an interrupted caller gives up
its wait, and the call goes on. What a handler asks for comes after it.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from azolla._base import leave as _leave
from azolla._base.threads import LastingThread
from azolla._run.lockless import LocklessFuture

R = TypeVar("R")


class InTurn:
    """Makes calls one after the other. Each brings a thread, and one of these threads makes all that wait."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: deque[tuple[Callable[[], Any], LocklessFuture[Any]]] = deque()
        #: The thread that makes the calls. The first to enter itself does.
        self._maker: dict[None, threading.Thread] = {}

    def call(self, function: Callable[[], R]) -> LocklessFuture[R]:
        """Has a call made after those that wait. Returns at once.

        Raises:
            RuntimeError: There is no thread to be had. The call is not made.
        """
        ended: LocklessFuture[R] = LocklessFuture()
        call = function, ended
        self._waiting.append(call)
        if not self._is_maker():
            try:
                _leave.start(LastingThread(self._make_all, self._name))
            except RuntimeError:
                with contextlib.suppress(ValueError):  # another thread has begun it
                    self._waiting.remove(call)
                    raise
        return ended

    def do(self, function: Callable[[], None]) -> None:
        """Has a call made, and waits for it. A finalizer that asks for it within such a call does not wait.

        Raises:
            BaseException: What the call raises.
        """
        ended = self.call(function)
        if not self._is_maker():
            ended.result()

    def do_here(self, function: Callable[[], None]) -> None:
        """Does what `do` does, for a `LastingThread` of azolla's own, which no signal reaches: it makes the calls itself, if no
        other thread is making any.
        """
        ended: LocklessFuture[None] = LocklessFuture()
        self._waiting.append((function, ended))
        del function
        self._make_all()
        ended.result()

    def _is_maker(self) -> bool:
        return self._maker.get(None) is threading.current_thread()

    def _make_all(self) -> None:
        own = threading.current_thread()
        # A call that comes after the last look finds no maker, or is found by the next look.
        while self._waiting and self._maker.setdefault(None, own) is own:
            while self._waiting:
                _make(*self._waiting.popleft())
            self._maker.pop(None)


def _make(function: Callable[[], Any], ended: LocklessFuture[Any]) -> None:
    if ended.set_running_or_notify_cancel():
        try:
            ended.set_result(function())
        except BaseException as error:
            ended.set_exception(error)
        del function, ended  # the traceback of an exception leads to this frame
