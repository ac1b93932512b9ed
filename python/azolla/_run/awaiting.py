"""Waits on event loops, and tasks that are coroutines.

A wait works on any loop: it makes a future of that loop, which the engine's listener completes. What need not wait
lets the loop's other coroutines run. A coroutine task runs on the loop of its client's caller or of its cluster:
`Call.begin` starts it there, and `_drive` reports how it ended.
"""

import asyncio
import concurrent.futures
import contextlib
import inspect
import os
import threading
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import Context, ContextVar
from functools import partial
from typing import Any, TypeVar

from azolla import _azolla
from azolla._azolla import Future, Running
from azolla._base import leave as _leave
from azolla._base.errors import ClosedClientError, ended_in_cancellation
from azolla._base.names import as_called
from azolla._base.time import seconds
from azolla._run import transitions as _transitions
from azolla._run.lending import others_wait, pause, turn
from azolla._run.transitions import Listeners

T = TypeVar("T")

#: The coroutine task of a context, and the loop that runs it.
_current: ContextVar[tuple[Running, asyncio.AbstractEventLoop] | None] = ContextVar("azolla_task", default=None)


def current_task() -> Running | None:
    """Returns the coroutine task in whose context this runs, or None.

    A plain task may have got its context from a coroutine task. On its thread this returns None, except on the loop of
    that coroutine task. It returns None in the child of a fork too: the engine that the task would report to stayed in
    the parent.
    """
    here = _current.get()
    if here is None:
        return None
    running, loop = here
    if running.forked or (_azolla.in_plain_task() and asyncio._get_running_loop() is not loop):
        return None
    return running


@contextlib.contextmanager
def in_task(running: Running | None, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Makes `running` the current task on `loop` within a `with` statement. With None it changes nothing."""
    if running is None:
        yield
        return
    token = _current.set((running, loop))
    try:
        yield
    finally:
        _current.reset(token)


def wake(waiter: "asyncio.Future[None]") -> None:
    """Completes the loop's future that a waiter awaits. Does nothing if the waiter has cancelled it."""
    if not waiter.done():
        waiter.set_result(None)


@types.coroutine
def pause_for(waiter: "asyncio.Future[None]", futures: list[Any]) -> Generator[Any, None, None]:
    """Awaits `waiter`, which completes once these futures have ended.

    The engine is told that a coroutine task waits for them, so that a circle of waits is an error. It is told only of
    what the task's own asyncio task awaits. The coroutine task may go on without what another one awaits.
    """
    running = current_task()
    task = asyncio.current_task() if running is not None else None
    if running is None or task is None or getattr(task.get_coro(), "cr_code", None) is not _drive.__code__:
        yield from pause(waiter, futures)
        return
    running.awaits(futures)
    try:
        yield from waiter
    finally:
        running.awaits([])


def wait_for(future: Future[Any]) -> Generator[Any, None, Any]:
    """Implements `await future`, on the loop that is running."""
    if future.done():
        if not others_wait():
            return future._now()
        yield
    while not future.done():  # a retry may have made a failed future pending again
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        listening = future._listen(loop, partial(wake, waiter))
        try:
            yield from pause_for(waiter, [future])
        finally:
            listening.close()
    return future._now()


def later(future: Future[Any], method: str, timeout: Any) -> Coroutine[Any, Any, Any]:
    """Returns a coroutine that awaits a future's end, then returns what its `method` (`result`, `exception` or
    `traceback`) returns.

    Those methods hand this coroutine to callers on an event loop, which must not block.
    """
    return as_called(f"Future.{method}", _later, future, method, timeout)


async def _later(future: Future[Any], method: str, timeout: Any) -> Any:
    limit = None if timeout is None else seconds(timeout)
    if future.done():
        await turn()
    try:
        async with asyncio.timeout(limit):
            await ended(future)
    except TimeoutError:
        raise _azolla.timed_out([future]) from None
    return {"result": future._now, "exception": future._exception, "traceback": future._traceback}[method]()


class Ready(Coroutine[Any, Any, T]):
    """An awaitable whose value is there already: asynchronous callers get one from a method that has finished its work.

    Awaiting it lets the loop's other coroutines run. A caller may drop it. Python then warns of no coroutine that was never awaited, and no work is lost.
    """

    def __init__(self, value: T) -> None:
        self._value = value
        self._begun = False

    def __await__(self) -> Generator[Any, None, T]:
        if others_wait():
            yield
        return self._value

    def send(self, value: Any) -> Any:
        if self._begun or not others_wait():
            raise StopIteration(self._value)
        self._begun = True
        return None

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        raise typ if val is None else val

    def close(self) -> None:
        pass


def answer(client: Any, value: Any, asynchronous: bool | None = None) -> Any:
    """Returns what a client's method that need not wait gives its caller: the value, or an awaitable of it.

    The caller gets an awaitable if `asynchronous` is true, or if it is None and the client's callers here must await.
    """
    return Ready(value) if asynchronous or (asynchronous is None and client._async_here()) else value


async def ended(future: Future[Any]) -> None:
    """Waits until a future has finished, failed or been cancelled."""
    while not future.done():  # a retry may have made a failed future pending again
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        listening = future._listen(loop, partial(wake, waiter))
        try:
            await pause_for(waiter, [future])
        finally:
            listening.close()


class Call:
    """A coroutine task from the time when its coroutine is there until an end is reported to the engine, once."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], running: Running, listeners: Listeners) -> None:
        self.coroutine, self.running, self.listeners = coroutine, running, listeners
        self._over = False

    def begin(self, context: Context | None, loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
        """Starts the coroutine. Must be called on the loop that is to run it."""
        context = context.copy() if context is not None else Context()
        context.run(_current.set, (self.running, loop))
        task = loop.create_task(_drive(self), context=context)
        # Cancelling the azolla task cancels the coroutine. After the coroutine has ended, `cancel` does nothing.
        self.running.on_end(loop, task.cancel)
        return task

    def give_up(self) -> None:
        """Fails the task: its loop was closed, so its coroutine never ends."""
        close_unbegun(self.coroutine)
        self.end("error", RuntimeError("the event loop that ran this coroutine task was closed before the task ended"))

    def ended(self, task: "asyncio.Task[None]") -> None:
        """Ends the task if its coroutine has ended and did not do so.

        The asyncio task may have been cancelled before its first step, or an exception may have come up in azolla's own
        code.
        """
        if self._over:
            return
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self.end("error", error)

    def end(self, finish: str, outcome: Any) -> None:
        """Reports the end: a result (`"memory"`) or an exception (`"error"`). Only the first report counts.

        In the child of a fork there is no engine to hear of it.
        """
        if self._over or self.running.forked:
            return
        self._over = True
        if self.listeners:
            _transitions.coroutine_ended(self.listeners, self.running.key, finish, outcome, self.coroutine)
        if finish == "error":
            self.running.failed(outcome)
        else:
            self.running.done(outcome)


def close_unbegun(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Closes a coroutine that was never started, so that Python does not warn about it."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()


async def _drive(call: Call) -> None:
    try:
        result = await call.coroutine
    except BaseException as error:
        if call.running.forked:
            if isinstance(error, GeneratorExit):  # the child drops its copy of a coroutine of the parent
                raise
            _leave.child(error)
        # Every exception belongs to the task, even SystemExit: it must not reach the loop, which goes on. Ctrl-C means
        # the program too, if this is the loop of its main thread.
        call.end("error", error)
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
    else:
        if call.running.forked:
            _leave.child(None)
        call.end("memory", result)


def run_for(
    answer: "concurrent.futures.Future[Any]",
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    loop: asyncio.AbstractEventLoop,
) -> "asyncio.Task[None]":
    """Calls `func` on this loop, for a thread that waits for `answer`. Must be called on the loop.

    `func` may return an awaitable, which is then awaited. Cancelling `answer` cancels the call, and so does closing.
    """
    task = loop.create_task(_answer(answer, func, args, kwargs))

    def cancelled(answer: "concurrent.futures.Future[Any]") -> None:
        if answer.cancelled() or isinstance(answer.exception(), ClosedClientError):
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(task.cancel)

    answer.add_done_callback(cancelled)
    return task


def answered(answer: "concurrent.futures.Future[Any]", task: "asyncio.Task[None]") -> None:
    """Settles `answer` after its call has ended, if the call did not do so."""
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is not None:
        _settle(answer, None, error)


async def _answer(
    answer: "concurrent.futures.Future[Any]", func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    process, result, error = os.getpid(), None, None
    try:
        result = func(*args, **kwargs)
        if hasattr(result, "__await__"):
            result = await result
    except BaseException as raised:
        error = raised
    if os.getpid() != process:
        _leave.child(error)
    _settle(answer, result, error)
    del error  # its traceback refers to this frame, and the frame would refer to it


def _settle(answer: "concurrent.futures.Future[Any]", result: Any, error: BaseException | None) -> None:
    # `answer` may be settled already: the caller gave up, or learnt that the client is closed.
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        if isinstance(error, asyncio.CancelledError):
            answer.set_exception(ended_in_cancellation(error))
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)
