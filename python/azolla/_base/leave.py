"""The end of the interpreter and of forked children, as it concerns azolla's threads."""

import atexit
import os
import sys
import threading
import time
import weakref
from typing import NoReturn

#: True once the interpreter is ending: a thread started from then on would never run.
ending = False

#: All threads that were started and not abandoned. They stand here because a cluster that was dropped cannot name its.
_started: "weakref.WeakSet[threading.Thread]" = weakref.WeakSet()


def start(thread: threading.Thread) -> None:
    """Starts a thread. Raises RuntimeError if the interpreter is ending."""
    if ending:
        raise RuntimeError("the interpreter is coming to its end: no thread can be started")
    _started.add(thread)
    thread.start()


def abandon(threads: set[threading.Thread]) -> None:
    """Removes threads from those that `join` waits for: their cluster has waited for them long enough."""
    _started.difference_update(list(threads))


def join(deadline: float) -> None:
    """Waits until all threads that were not abandoned have ended, or until the deadline (of `time.monotonic`)."""
    for thread in list(_started):
        if thread.is_alive():
            thread.join(max(0.0, deadline - time.monotonic()))


def child(error: BaseException | None) -> NoReturn:
    """Ends the child of a fork that was made on one of azolla's threads, as if the child's main program had ended.

    That thread is the child's only one. The child must end here: azolla's frames below the task would go back to an
    engine whose other threads stayed in the parent.
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
