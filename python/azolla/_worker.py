"""The workers' threads.

The loop is Python so that no native frame ever lies below the user's code: a thread that wakes while the interpreter
ends is taken down cleanly only then. The engine hands out calls and takes results.
"""

import sys
import threading
from collections.abc import Callable
from types import CoroutineType
from typing import TypeAlias

from azolla import _azolla, _leave
from azolla._azolla import Worker

#: What plugins have called when a task begins and when it has ended.
_Transitions: TypeAlias = list[Callable[..., object]]


def start(threads: set[threading.Thread], transitions: _Transitions, worker: Worker) -> None:
    """Starts a thread for a worker, and keeps it in `threads` while it lives."""
    name, args = f"azolla-{worker.number}", (threads, transitions, worker)
    thread = threading.Thread(target=_work, args=args, name=name, daemon=True)
    threads.add(thread)
    try:
        _leave.start(thread)
    except BaseException:
        # Ctrl-C may come when the thread has begun already: it adds itself.
        threads.discard(thread)
        raise


def _work(threads: set[threading.Thread], transitions: _Transitions, worker: Worker) -> None:
    if not worker.begin():
        return
    threads.add(threading.current_thread())
    try:
        while _run_some(worker, transitions):
            pass
    except BaseException as error:
        if worker.forked:
            _leave.child(error)
        raise
    finally:
        worker.end()
        threads.discard(threading.current_thread())


def _run_some(worker: Worker, transitions: _Transitions) -> bool:
    # A function of its own, so that nothing of a task is held while the next is waited for.
    task = worker.next()
    if task is None:
        return False
    while task is not None:
        context, function, args, kwargs = task
        del task
        if transitions:
            _tell(transitions, "ready", "executing")
        try:
            result = context.run(function, *args, **kwargs)
        except BaseException as error:
            if transitions and not worker.forked:
                _tell(transitions, "executing", "error")
            worker.failed(error)
            break
        del context, function, args, kwargs
        if transitions and not worker.forked and not isinstance(result, CoroutineType):
            _tell(transitions, "executing", "memory")
        # The next one, if it is at hand.
        task = worker.done(result)
        del result
    return True


def _tell(transitions: _Transitions, start: str, finish: str) -> None:
    task = _azolla.thread_task()
    for transition in list(transitions):
        try:
            transition(task[0] if task is not None else None, start, finish)
        except Exception:
            # As for any callback with nobody to tell: shown, and the task goes on.
            sys.excepthook(*sys.exc_info())
