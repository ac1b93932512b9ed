"""The two helper threads: `LoopThread` runs a cluster's event loop, `CallbackThread` calls a client's done-callbacks.

Each thread starts when it is first needed. The code here holds no lock: a finalizer may run at any point, on any
thread, and may call into the client. Single-step operations on counters, dictionaries and queues do instead.
"""

import asyncio
import contextlib
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from itertools import count
from typing import Any

from azolla._base import leave as _leave
from azolla._base.errors import ClosedClientError
from azolla._base.inbox import Inbox
from azolla._base.threads import LastingThread


class LoopThread:
    """A thread that runs an event loop once it has been started."""

    def __init__(self, name: str, begin: Callable[[], None]) -> None:
        self.loop = asyncio.new_event_loop()
        self._name = name
        self._begin: Callable[[], None] | None = begin
        self._stopping = False
        self._numbers = count()
        #: The `give_up` callbacks of posted work that has not ended, by number. Each is called if the loop ends first.
        self._posted: dict[int, Callable[[], object]] = {}
        #: What the loop has not begun yet, by the same number.
        self._unbegun: dict[int, Callable[[], object]] = {}
        #: The thread that runs the loop, or was to. The first to enter a thread here starts it.
        self._threads: dict[None, LastingThread] = {}

    @property
    def ident(self) -> int | None:
        """Python's identifier of the thread; None before the thread has been started."""
        thread = self._threads.get(None)
        return None if thread is None else thread.ident

    def start(self) -> None:
        """Starts the thread. Only the first call has an effect, unless the system had no thread to give then."""
        _start_once(self._threads, self._run, self._name)

    def discard(self) -> None:
        """Closes a loop whose thread was never started."""
        self._stopping = True
        self.loop.close()
        self._give_up()

    def post(
        self,
        begin: Callable[[asyncio.AbstractEventLoop], "asyncio.Task[Any]"],
        give_up: Callable[[], object],
        ended: Callable[["asyncio.Task[Any]"], object],
    ) -> None:
        """Has the loop call `begin`, which must return an asyncio task, and `ended` with that task at its end.

        If the loop ends before that task does, `give_up` is called instead, on the thread that notices.
        """
        number = next(self._numbers)
        self._posted[number] = give_up

        def over(task: "asyncio.Task[Any]") -> None:
            self._posted.pop(number, None)
            ended(task)

        def run() -> None:
            if self._unbegun.pop(number, None) is None:
                return
            if self._stopping:
                self._give_up()
            elif number in self._posted:
                begin(self.loop).add_done_callback(over)

        self._unbegun[number] = run
        try:
            self.loop.call_soon_threadsafe(run)
        except RuntimeError:  # the loop has just been closed
            self._give_up()
            raise ClosedClientError("the client is closed") from None

    def _give_up(self) -> None:
        self._unbegun.clear()
        while self._posted:
            with contextlib.suppress(KeyError):  # another thread has emptied the dictionary meanwhile
                self._posted.popitem()[1]()

    def _run(self) -> None:
        # Whatever escapes this function, the thread calls it again.
        if self.loop.is_closed():
            return
        if self._begin is not None:
            self._begin()
            self._begin = None  # it refers to the cluster, which may be dropped before its loop ends
        asyncio.set_event_loop(self.loop)
        for run in list(self._unbegun.values()):
            self.loop.call_soon(run)  # what escaped may have taken an earlier call with it
        if self._stopping:
            self.loop.call_soon(self.loop.stop)  # what escaped may have taken an earlier stop with it
        while True:
            self.loop.run_forever()
            if self._stopping:  # otherwise a callback has stopped the loop
                break
        try:
            self._cancel_tasks()
        finally:
            self.loop.close()
            self._give_up()

    def _cancel_tasks(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            _, pending = self.loop.run_until_complete(asyncio.wait(tasks, timeout=0.5))
            for task in pending:
                # The task is abandoned with its cluster: closing said so. asyncio need not log it once more.
                task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())

    def is_current(self) -> bool:
        """Returns true on the loop's own thread."""
        return threading.current_thread() is self._threads.get(None)

    def stop(self, timeout: float) -> None:
        """Stops the loop, and waits up to `timeout` seconds for its thread to end."""
        self._stopping = True
        with contextlib.suppress(RuntimeError):  # the loop has just been closed
            self.loop.call_soon_threadsafe(self.loop.stop)
        thread = self._threads.get(None)
        if thread is not None and not self.is_current() and thread.ident is not None:
            thread.join(timeout)
            # A callback may block the loop for ever: its waiters must not wait for it.
            self._give_up()


class CallbackThread:
    """A thread that makes calls one after the other: a client's done-callbacks, a cluster's log."""

    def __init__(self, name: str) -> None:
        self._calls: Inbox[tuple[Callable[[Any], object], Any] | None] = Inbox()
        self._name = name
        #: The thread, as in `LoopThread`.
        self._threads: dict[None, LastingThread] = {}

    def start(self) -> None:
        """Starts the thread, unless it has been started. If the system has no thread to give, a later call tries again."""
        if not _leave.ending:
            _start_once(self._threads, self._run, self._name)

    def waiting(self) -> int:
        """Returns how many calls wait for their turn."""
        return len(self._calls.items)

    def post(self, function: Callable[[Any], object], future: Any) -> None:
        """Has the thread call `function(future)`."""
        self._calls.put((function, future))
        self.start()

    def _run(self) -> None:
        while self._call_one():
            pass
        self._threads.pop(None, None)
        # What was posted before that has started no thread.
        if len(self._calls.items) > 1:
            self.start()

    def _call_one(self) -> bool:
        items = self._calls.items
        call = self._calls.first()
        if call is None:  # the thread is to end, which stays the last item
            if len(items) == 1:
                return False
            if items[-1] is not None:
                self._calls.put(None)
            del items[0]
            return True
        function, future = call
        process = os.getpid()
        error: BaseException | None = None
        try:
            del items[0]
            function(future)
        except BaseException as raised:
            error = raised
        if os.getpid() != process:
            _leave.child(error)
        if error is not None:
            # No caller could catch the error. It is reported, and the thread goes on with the next callback.
            _show(_Unraisable(type(error), error, error.__traceback__, "Exception in a callback", function))
        # The traceback of an error that the callback has caught leads to this frame.
        del call, function, future
        return True

    def catch_up(self, timeout: float) -> None:
        """Waits up to `timeout` seconds until the callbacks posted so far have returned."""
        thread = self._threads.get(None)
        if thread is not None and thread.is_alive() and threading.current_thread() is not thread:
            caught_up: queue.SimpleQueue[None] = queue.SimpleQueue()
            self._calls.put((caught_up.put, None))
            with contextlib.suppress(queue.Empty):
                caught_up.get(timeout=timeout)

    def stop(self, timeout: float) -> None:
        """Ends the thread after the callbacks posted so far, and waits up to `timeout` seconds for it to end. What is posted
        later, since a task has been cancelled meanwhile, gets another thread.
        """
        self._calls.put(None)
        thread = self._threads.get(None)
        if thread is not None and threading.current_thread() is not thread and thread.ident is not None:
            thread.join(timeout)


def _start_once(threads: dict[None, LastingThread], work: Callable[[], object], name: str) -> None:
    """Starts a thread, unless `threads` holds one that was started. To enter a dictionary is a single step."""
    if threads:
        return
    made = LastingThread(work, name)
    try:
        if threads.setdefault(None, made) is made:
            _leave.start(made)
    except BaseException:
        # Ctrl-C may have interrupted the wait for a thread that runs already.
        if threads.get(None) is made and made.ident is None:
            threads.pop(None)
        raise


def _show(args: "_Unraisable") -> None:
    """Reports an error through `sys.unraisablehook`.

    The interpreter's own hook accepts only its own argument class, so this prints what that hook would print.
    """
    try:
        if sys.unraisablehook is not sys.__unraisablehook__:
            sys.unraisablehook(args)
            return
    except BaseException as error:
        args = _Unraisable(type(error), error, error.__traceback__, "Exception in", sys.unraisablehook)
    with contextlib.suppress(BaseException):  # there may be no stderr, and a `__repr__` may raise
        print(f"{args.err_msg}: {args.object!r}", file=sys.stderr)  # noqa: T201
        traceback.print_exception(args.exc_type, args.exc_value, args.exc_traceback)


class _Unraisable:
    """The argument of `sys.unraisablehook`. Python code cannot construct the interpreter's own class for it."""

    def __init__(self, exc_type: Any, exc_value: Any, exc_traceback: Any, err_msg: str | None, object: Any) -> None:
        self.exc_type = exc_type
        self.exc_value = exc_value
        self.exc_traceback = exc_traceback
        self.err_msg = err_msg
        self.object = object
