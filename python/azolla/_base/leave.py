"""The ends of the interpreter and of forked children, as far as threads are concerned."""

import atexit
import os
import sys
import threading
import time
import weakref
from typing import NoReturn

#: The interpreter is coming to its end: a thread that is started now would never run.
ending = False

#: All threads that were started, but for those abandoned. A cluster that nobody has any more cannot tell of its own.
_started: "weakref.WeakSet[threading.Thread]" = weakref.WeakSet()


def start(thread: threading.Thread) -> None:
    """Starts a thread, unless the interpreter is coming to its end."""
    if ending:
        raise RuntimeError("the interpreter is coming to its end: no thread can be started")
    _started.add(thread)
    thread.start()


def abandon(threads: set[threading.Thread]) -> None:
    """Says that these have been waited for long enough."""
    _started.difference_update(list(threads))


def join(deadline: float) -> None:
    """Waits until all threads have ended but those abandoned, or until the deadline (of `time.monotonic`)."""
    for thread in list(_started):
        if thread.is_alive():
            thread.join(max(0.0, deadline - time.monotonic()))


def child(error: BaseException | None) -> NoReturn:
    """Ends the child of a fork that was made on one of azolla's threads, as if its main program had ended so.

    That thread is all there is in the child. What lay below the task waits for work that never comes.
    """
    code: object = 0
    try:
        try:
            if isinstance(error, SystemExit):
                code = 0 if error.code is None else error.code
                if not isinstance(code, int):
                    print(code, file=sys.stderr)  # noqa: T201 (as the interpreter does)
                    code = 1
            elif error is not None:
                code = 1
                sys.excepthook(type(error), error, error.__traceback__)
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
    finally:
        os._exit(code & 0xFF if isinstance(code, int) else 1)
