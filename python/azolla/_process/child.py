"""The main program of a worker process, and the loop of each of its threads.

The loop is written in Python so that no native frame ever lies below the user's code. It makes a call, and hands the
result back. Whatever escapes the loop fails the task at hand, if there is one, and the loop begins again.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import partial
from importlib import import_module
from types import CoroutineType
from typing import Any

from azolla import _azolla
from azolla._azolla import TaskThread, after_fork, before_fork, serve_process, share_secret
from azolla._base import leave as _leave
from azolla._base import where as _where
from azolla._base.imports import once_imported
from azolla._base.threads import LastingThread, report
from azolla._process import package as _package
from azolla._process.staying import connections_stay

#: What makes the calls of tasks while plugins want to be told when tasks begin and end. It is called with the context, and
#: what is to be called in it.
tells: Callable[..., Any] | None = None


def main(secret: bytes, argv: list[str]) -> None:
    """Serves the client that has started this process, until that client ends it. The digests of both depend on `secret`."""
    # Ctrl-C is the client's affair. A program that a task starts is to end by it, so it is not ignored.
    signal.signal(signal.SIGINT, lambda signal, frame: None)
    # It was blocked until here.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    number, client, worker = map(int, sys.argv[1:])
    sys.argv[:] = argv  # what tasks read is the program's
    share_secret(secret)
    _print_at_once()
    _where.in_worker_process, _where.worker = True, worker
    _package.defer()
    once_imported("dask", _serve_dask)
    once_imported("joblib", _serve_joblib)
    once_imported("multiprocessing.connection", connections_stay)
    os.register_at_fork(before=before_fork, after_in_child=after_fork)
    serve_process(number, client, _start)


def _start(thread: TaskThread) -> None:
    work, escaped = partial(_work, thread), partial(_escaped, thread)
    _leave.start(LastingThread(work, f"azolla-{thread.number}", escaped))


def _work(thread: TaskThread) -> None:
    run = _Run()
    # What another thread sends to this one may come up when a frame has been heard. Its tasks are still there then, so
    # they come first.
    while True:
        _run_some(thread, run)
        _flush()
        if not thread.rest():
            return
        if run.tells is not tells:
            run.renew()


def _escaped(thread: TaskThread, error: BaseException) -> None:
    if thread.forked:
        _leave.child(error)
    if not thread.failed(error):
        report(error)


def _run_some(thread: TaskThread, run: "_Run") -> None:
    # `while True` compiles to an unconditional jump back. CPython 3.11 specialises code only when it enters a function or
    # jumps back unconditionally.
    while True:
        task = thread.next()
        if task is None:
            return
        function, args, kwargs, annotations = task
        del task
        if annotations is not None:
            run.note(annotations)
            del annotations
        # No variable here names the context: an error that the user's code keeps leads to this frame, which outlives its run.
        try:
            result = run.call(function, *args) if kwargs is None else run.call(function, *args, **kwargs)
            if type(result) is CoroutineType:
                _detach(result, run.context())
                del function, args, kwargs, result
                run.check()
                continue
        except BaseException as error:
            # The error's traceback refers to this frame.
            del function, args, kwargs
            thread.failed(error)
        else:
            del function, args, kwargs
            thread.done(result)
            del result
        run.check()


def _detach(coroutine: "CoroutineType[Any, Any, Any]", context: Context | None) -> None:
    """Has the task at hand go on as a coroutine on the loop of this process."""
    try:
        _azolla.detach(coroutine, _where.worker, context)
    except BaseException:
        coroutine.close()
        raise


class _Run:
    """Where the calls of a thread run: in a context in which no variable is set."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Takes another context."""
        self._context, self.tells = Context(), tells
        self.call = self._context.run if tells is None else partial(tells, self._context)

    def note(self, annotations: dict[str, Any]) -> None:
        """Notes in the context what is noted on the task."""
        from azolla._base.annotations import note

        self._context.run(note, annotations)

    def context(self) -> Context | None:
        """Returns the context of the task at hand, if there is anything in it."""
        return self._context if len(self._context) else None

    def check(self) -> None:
        """Takes another context if a task has set a variable in this one."""
        if len(self._context):
            self.renew()


def _serve_dask() -> None:
    """Has what a task computes by Dask run on the task's client."""
    # This stands on a floor above. Only a process whose tasks use Dask needs it.
    import_module("azolla._client.dask_scheduler").use(_serve_dask)


def _serve_joblib() -> None:
    """Has joblib know the backend `"azolla"`, which is imported when a task uses it."""

    def backend(**options: Any) -> Any:
        return import_module("azolla.joblib").AzollaBackend(**options)

    sys.modules["joblib"].register_parallel_backend("azolla", backend)


def _print_at_once() -> None:
    """Has each line that tasks print written at once. The process may be killed as soon as a task has ended."""
    with suppress(Exception):  # there may be no such stream
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _flush() -> None:
    """Writes out what tasks have printed without ending the line."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):  # a task may have put anything there, and the thread must come to its rest
            stream.flush()
