"""The workers' threads.

The loop is Python so that no native frame ever lies below the user's code: a thread that wakes while the interpreter
ends is taken down cleanly only then. The engine hands out calls and takes results.
"""

import threading

from azolla._azolla import Worker
from azolla._base import leave as _leave
from azolla._run import transitions as _transitions
from azolla._run.transitions import Listeners


def start(threads: set[threading.Thread], listeners: Listeners, worker: Worker) -> None:
    """Starts a thread for a worker, and keeps it in `threads` while it lives."""
    name, args = f"azolla-{worker.number}", (threads, listeners, worker)
    thread = threading.Thread(target=_work, args=args, name=name, daemon=True)
    threads.add(thread)
    try:
        _leave.start(thread)
    except BaseException:
        # Ctrl-C may come when the thread has begun already: it adds itself.
        threads.discard(thread)
        raise


def _work(threads: set[threading.Thread], listeners: Listeners, worker: Worker) -> None:
    if not worker.begin():
        return
    threads.add(threading.current_thread())
    try:
        while _run_some(worker, listeners):
            pass
    except BaseException as error:
        if worker.forked:
            _leave.child(error)
        raise
    finally:
        worker.end()
        threads.discard(threading.current_thread())


def _run_some(worker: Worker, listeners: Listeners) -> bool:
    # A function of its own, so that nothing of a task is held while the next is waited for.
    task = worker.next()
    if task is None:
        return False
    # `while True` jumps back where `while task is not None` would loop by its condition: CPython 3.11 adapts code to
    # what it does only where it enters a function or jumps back.
    while True:
        run, call, kwargs = task
        del task
        if listeners:
            _transitions.begun(listeners, run.__self__)
        try:
            result = run(*call) if kwargs is None else run(*call, **kwargs)
        except BaseException as error:
            # The error leads to this frame, and the collector does not see the call.
            del run, call, kwargs
            if listeners and not worker.forked:
                _transitions.raised(listeners, error)
            worker.failed(error)
            return True
        del run, call, kwargs
        if listeners and not worker.forked:
            _transitions.returned(listeners, result)
        # The next one, if it is at hand.
        task = worker.done(result)
        del result
        if task is None:
            return True
