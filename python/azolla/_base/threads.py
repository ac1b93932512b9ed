"""`LastingThread`: a thread that outlives whatever escapes the code that it runs.

An exception can come up at any point of Python code: another thread sends it (`PyThreadState_SetAsyncExc`), a debugger
quits, a trace function raises. A thread that others wait for must not end by that.
"""

import contextlib
import queue
import threading
from collections.abc import Callable

#: Why no thread is started where gevent or eventlet has patched `threading`. Its threads take turns on one thread of the
#: system, and a worker that waits in native code would hold up all of them.
_GREEN = (
    "gevent, eventlet or the like has replaced the threads of this program by its own, which take turns on one thread of the "
    "system. azolla needs threads of the system: leave them as they are, as gevent.monkey.patch_all(thread=False) does"
)


class LastingThread(threading.Thread):
    """A daemon thread that calls `work` until a call has returned.

    An exception that leaves a call goes to `escaped`, and the next call begins. By default it is reported as the
    interpreter reports an exception that ends a thread.
    """

    def __init__(
        self, work: Callable[[], object], name: str, escaped: Callable[[BaseException], object] | None = None
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._started = LocklessEvent()
        self._work: Callable[[], object] | None = work
        self._escaped = report if escaped is None else escaped
        #: The thread of the system that starts this one, and whether this one runs on it.
        self._starter = 0
        self._is_green = False

    def start(self) -> None:
        self._starter = threading.get_native_id()
        super().start()
        if self._is_green:
            raise RuntimeError(_GREEN)

    def run(self) -> None:
        if threading.get_native_id() == self._starter:
            self._work, self._is_green = None, True
        while self._work is not None:
            try:
                self._work()
                self._work = None
            except BaseException as error:
                self._escaped(error)

    def _delete(self) -> None:
        # Python calls this last on every thread. `run` may have been left in its first line, which a trace function
        # sees, or while it reported an exception. A trace function that has raised is not called again.
        try:
            self.run()
        finally:
            super()._delete()  # type: ignore[misc]


class LocklessEvent(threading.Event):
    """An event for which one thread waits: that another has begun, say.

    Ctrl-C may interrupt the thread that waits for it or sets it. The standard library's event would then keep its lock, and the
    other thread would wait for that lock for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False
        self._said: queue.SimpleQueue[None] = queue.SimpleQueue()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._said.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._said.get(timeout=timeout)
        return self._is_set


def report(error: BaseException) -> None:
    """Reports an exception of this thread through `threading.excepthook`, which is silent about SystemExit."""
    args = threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
    with contextlib.suppress(BaseException):  # a program's own hook may raise
        threading.excepthook(args)


def take_what_was_sent() -> None:
    """Does nothing. What another thread has sent to this one comes up here."""
