"""Waiting on event loops, and tasks that are coroutines."""

import asyncio
import concurrent.futures
import contextlib
import inspect
import os
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import Context, ContextVar
from functools import partial
from types import FrameType
from typing import Any, TypeVar

from azolla._azolla import Future, Running
from azolla._base import leave as _leave
from azolla._base.time import seconds
from azolla._run import transitions as _transitions
from azolla._run.transitions import Listeners

T = TypeVar("T")

_current: ContextVar[Running | None] = ContextVar("azolla_task", default=None)


def current_task() -> Running | None:
    """The coroutine task in whose context this runs; not in the child of a fork, where it has nobody to tell."""
    running = _current.get()
    return None if running is None or running.forked else running


@contextlib.contextmanager
def in_task(running: Running | None) -> Iterator[None]:
    """Has what is begun within belong to a task, if one is given."""
    if running is None:
        yield
        return
    token = _current.set(running)
    try:
        yield
    finally:
        _current.reset(token)


def wake(waiter: "asyncio.Future[None]") -> None:
    """Ends a wait on a loop's future, unless it has been given up."""
    if not waiter.done():
        waiter.set_result(None)


def wait_for(future: Future[Any]) -> Generator[Any, None, Any]:
    """What `await future` does, on whatever loop is running."""
    while not future.done():  # one that failed may be pending again, having been retried
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        listening = future._listen(loop, partial(wake, waiter))
        try:
            yield from waiter
        finally:
            listening.close()
    return future._now()


async def later(future: Future[Any], method: str, timeout: Any) -> Any:
    """`result`, `exception` or `traceback` of a future, where blocking would block the loop."""
    async with asyncio.timeout(None if timeout is None else seconds(timeout)):
        await ended(future)
    return {"result": future._now, "exception": future._exception, "traceback": future._traceback}[method]()


class Ready(Coroutine[Any, Any, T]):
    """What an asynchronous caller gets for something that is done already: awaiting it gives the value at once.

    Unlike a coroutine function's, it may be dropped without a warning, for nothing is left undone then.
    """

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, T]:
        return self._value
        yield

    def send(self, value: Any) -> Any:
        raise StopIteration(self._value)

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        raise typ if val is None else val

    def close(self) -> None:
        pass


def answer(client: Any, value: Any, asynchronous: bool | None = None) -> Any:
    """What a client's method returns that has nothing to wait for: the value, or where callers await, that."""
    return Ready(value) if asynchronous or (asynchronous is None and client._async_here()) else value


async def ended(future: Future[Any]) -> None:
    """Waits until a future has ended, however it does."""
    while not future.done():  # one that failed may be pending again, having been retried
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        listening = future._listen(loop, partial(wake, waiter))
        try:
            await waiter
        finally:
            listening.close()


def begin(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any],
    running: Running,
    context: Context | None,
    listeners: Listeners,
) -> "asyncio.Task[None]":
    """Runs a task's coroutine on the loop that calls this."""
    context = context.copy() if context is not None else Context()
    context.run(_current.set, running)
    task = loop.create_task(_drive(coroutine, running, listeners), context=context)
    # Cancelling the azolla task cancels the coroutine; once it has ended this does nothing.
    running.on_end(loop, task.cancel)
    return task


def coroutine_frames(loop: asyncio.AbstractEventLoop) -> list[tuple[Any, list[FrameType]]]:
    """The coroutine tasks on a loop: their keys, and the frames in which they are, the outermost first."""
    stacks = []
    for task in asyncio.all_tasks(loop):
        driver = task.get_coro()
        frame = getattr(driver, "cr_frame", None)
        if frame is None or frame.f_code is not _drive.__code__:
            continue
        running, inner, frames = frame.f_locals["running"], frame.f_locals["coroutine"], []
        while inner is not None:
            frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None)
            if frame is not None:
                frames.append(frame)
            inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)
        stacks.append((running.key, frames))
    return stacks


def close_unbegun(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Closes a coroutine that nobody will run."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()


async def _drive(coroutine: Coroutine[Any, Any, Any], running: Running, listeners: Listeners) -> None:
    try:
        result = await coroutine
    except BaseException as error:
        if running.forked:
            _leave.child(error)
        if listeners:
            _transitions.coroutine_ended(listeners, running.key, "error", error, coroutine)
        # Whatever it is, it is the task's: the loop goes on.
        running.failed(error)
    else:
        if running.forked:
            _leave.child(None)
        if listeners:
            _transitions.coroutine_ended(listeners, running.key, "memory", result, coroutine)
        running.done(result)


def run_for(
    answer: "concurrent.futures.Future[Any]",
    loop: asyncio.AbstractEventLoop,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> "asyncio.Task[None]":
    """Calls a coroutine function on the loop that calls this, for somebody on another thread."""
    task = loop.create_task(_answer(answer, func, args, kwargs))

    def cancelled(answer: "concurrent.futures.Future[Any]") -> None:
        if answer.cancelled():
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                loop.call_soon_threadsafe(task.cancel)

    answer.add_done_callback(cancelled)
    return task


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
    # Whoever asked may have given up meanwhile, or been told that the client is closed.
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        if isinstance(error, asyncio.CancelledError):
            answer.cancel()
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)
    del error  # its traceback leads back here
