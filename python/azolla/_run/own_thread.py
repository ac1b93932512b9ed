"""Calls of the user's functions for a coroutine that waits for them, on a thread of their own for example."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from azolla._base import leave as _leave
from azolla._base.errors import ended_in_cancellation
from azolla._base.threads import LastingThread


async def on_own_thread(function: Callable[[], Any]) -> Any:
    """Returns what the function returns, or raises what it raises."""
    loop = asyncio.get_running_loop()
    outcome = loop.create_future()
    process = os.getpid()
    waiting = True

    def settle(error: BaseException | None, result: Any) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    def tell(error: BaseException | None, result: Any = None) -> None:
        nonlocal waiting
        if os.getpid() != process:
            _leave.child(error)
        # asyncio allows no future to raise StopIteration.
        error = RuntimeError(f"{error!r}") if isinstance(error, StopIteration) else error
        waiting = False
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the waiting call with it
            loop.call_soon_threadsafe(settle, error, result)

    def call() -> None:
        if waiting:  # whatever escapes is told, and the function is not called again
            tell(None, function())

    _leave.start(LastingThread(call, "azolla-run", tell))
    return await outcome


@contextlib.contextmanager
def not_cancelled_by_it() -> Iterator[None]:
    """Within the `with` statement a coroutine awaits code that must not cancel it by an `asyncio.CancelledError` of its own."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ended_in_cancellation(error) from error
