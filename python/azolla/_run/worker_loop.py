"""The loop of a worker thread: it takes a call from the engine, makes it, and hands the result back.

The loop is written in Python so that no native frame ever lies below the user's code. When the interpreter ends, it
takes down every thread that wakes; it can do so cleanly only where no native frame is on the thread's stack.

Whatever escapes the loop fails the task at hand, if there is one, and the loop begins again on the same thread.
"""

import threading
from functools import partial

from azolla._azolla import Worker
from azolla._base import leave as _leave
from azolla._base.threads import LastingThread, report
from azolla._run import transitions as _transitions
from azolla._run.transitions import Listeners


def start(threads: set[threading.Thread], listeners: Listeners, worker: Worker) -> None:
    """Starts a thread for a worker. `threads` holds the thread while it lives."""
    work, escaped = partial(_work, threads, listeners, worker), partial(_escaped, worker)
    thread = LastingThread(work, f"azolla-{worker.number}", escaped)
    threads.add(thread)
    try:
        _leave.start(thread)
    except BaseException:
        # Ctrl-C may have interrupted the wait for a thread that runs already. That thread adds itself in `_work`.
        threads.discard(thread)
        raise


def _work(threads: set[threading.Thread], listeners: Listeners, worker: Worker) -> None:
    if worker.begin():
        threads.add(threading.current_thread())
        # An exception that another thread sends to a sleeping worker comes up after `rest`, when no task is at hand.
        while worker.rest():
            _run_some(worker, listeners)
        worker.end()
    threads.discard(threading.current_thread())


def _escaped(worker: Worker, error: BaseException) -> None:
    if worker.forked:
        _leave.child(error)
    if not worker.failed(error):
        report(error)


def _run_some(worker: Worker, listeners: Listeners) -> None:
    # A function of its own: when it returns, its locals are gone, and the wait for the next task keeps none of this
    # one's objects alive.
    task = worker.next()
    if task is None:
        return
    # `while True` compiles to an unconditional jump back, `while task is not None` to a conditional one. CPython 3.11
    # specialises code only when it enters a function or jumps back unconditionally.
    while True:
        run, call, kwargs = task
        del task
        if listeners:
            _transitions.begun(listeners, run.__self__)
        try:
            result = run(*call) if kwargs is None else run(*call, **kwargs)
        except BaseException as error:
            # The error's traceback refers to this frame, and the garbage collector does not see the call's tuple: a
            # cycle through both would never be collected.
            del run, call, kwargs
            if listeners and not worker.forked:
                _transitions.raised(listeners, error)
            worker.failed(error)
            return
        del run, call, kwargs
        if listeners and not worker.forked:
            _transitions.returned(listeners, result)
        # The engine returns the next call if one is ready now.
        task = worker.done(result)
        del result
        if task is None:
            return
