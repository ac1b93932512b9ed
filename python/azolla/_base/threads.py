"""`LastingThread`: a thread that outlives whatever escapes the code that it runs.

An exception can come up at any point of Python code: another thread sends it (`PyThreadState_SetAsyncExc`), a debugger
quits, a trace function raises. A thread that others wait for must not end by that.
"""

import contextlib
import threading
from collections.abc import Callable


class LastingThread(threading.Thread):
    """A daemon thread that calls `work` until a call has returned.

    An exception that leaves a call goes to `escaped`, and the next call begins. By default it is reported as the
    interpreter reports an exception that ends a thread.
    """

    def __init__(
        self, work: Callable[[], object], name: str, escaped: Callable[[BaseException], object] | None = None
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work: Callable[[], object] | None = work
        self._escaped = report if escaped is None else escaped

    def run(self) -> None:
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


def report(error: BaseException) -> None:
    """Reports an exception of this thread through `threading.excepthook`, which is silent about SystemExit."""
    args = threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
    with contextlib.suppress(BaseException):  # a program's own hook may raise
        threading.excepthook(args)
