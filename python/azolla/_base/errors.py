"""The package's own exceptions."""

from concurrent.futures import CancelledError

__all__ = [
    "ActorLostError",
    "AzollaError",
    "Cancelled",
    "CancelledByCloseError",
    "CancelledError",
    "ClosedClientError",
    "EngineError",
    "FutureCancelledError",
    "FuturesCancelledError",
    "KilledWorker",
    "Reschedule",
    "WaitCycleError",
]


class AzollaError(Exception):
    """The base of azolla's own errors. Cancellations derive from `CancelledError` instead, as in Dask."""


class ClosedClientError(AzollaError, RuntimeError):
    """The client or its cluster is closed. It takes no work, and waits on it have ended."""


class EngineError(AzollaError, RuntimeError):
    """The engine itself has broken down. This is a bug in azolla."""


class WaitCycleError(AzollaError, RuntimeError):
    """A task was about to wait for something that waits for this task. The message names the tasks' keys."""


class ActorLostError(AzollaError, RuntimeError):
    """The actor is gone: it was cancelled, the client is closed, or its worker process has ended. The message names its key,
    and says why.

    >>> from azolla import ActorLostError
    >>> future = client.submit(list, actor=True, key="words")
    >>> words = future.result()
    >>> future.cancel()
    >>> words.append("late")
    Traceback (most recent call last):
    azolla.ActorLostError: the actor words is gone: it was cancelled
    """


class KilledWorker(AzollaError):
    """A task was given up because the workers that ran it died, one after the other.

    Only worker processes cause it, since a thread does not die without the program.
    """


class Reschedule(AzollaError):
    """A task raises this to be put back among the ready tasks, and to run again. That uses up none of its retries.

    >>> from azolla import Reschedule
    >>> tries = []
    >>> def at_the_third_try():
    ...     tries.append(1)
    ...     if len(tries) < 3:
    ...         raise Reschedule
    ...     return len(tries)
    >>> client.submit(at_the_third_try).result()
    3
    """


class Cancelled(BaseException):
    """The task that is running here was cancelled: every wait in it raises this, and so does `check_cancelled`.

    It is no `Exception`, so that `except Exception` lets it through. Bring in order what must be, and let it go on; a task that
    has caught it runs on, for nobody. Waits within `shield()` do not raise it.

    >>> from azolla import Cancelled
    >>> def waits():
    ...     try:
    ...         sleep(3600)
    ...     except Cancelled as error:
    ...         Event("told").set()
    ...         raise
    >>> from azolla import Event, sleep
    >>> task = client.submit(waits)
    >>> task.cancel()
    """

    # What another thread raises has no arguments.
    def __str__(self) -> str:
        return super().__str__() or "the task was cancelled, and interrupted"


class FutureCancelledError(CancelledError):
    """The future was cancelled or released, or a future that it depended on was."""

    #: What the program gave as `reason=` and `msg=` when it cancelled.
    reason: str = "unknown"
    msg: str | None = None


class FuturesCancelledError(CancelledError):
    """Some of the awaited futures were cancelled. The message names their keys."""


class CancelledByCloseError(FutureCancelledError, FuturesCancelledError, ClosedClientError):
    """The future was cancelled, and its client is closed. The message says how the client came to be closed.

    >>> import asyncio
    >>> late = client.submit(asyncio.sleep, 3600)
    >>> client.close()
    >>> late.result()
    Traceback (most recent call last):
    azolla.CancelledByCloseError: ...: the task was cancelled, and the client is closed
    """


def ended_in_cancellation(error: BaseException) -> RuntimeError:
    """Returns the failure of code that ended in `asyncio.CancelledError` or `Cancelled`, though azolla did not cancel it.

    That error itself would cancel the coroutine that awaits the result: `asyncio.TaskGroup`, for one, then drops it. And it
    would say of the task that waits for the result that this was cancelled.
    """
    if isinstance(error, Cancelled):
        why = "this code ended in azolla.Cancelled, though azolla did not cancel it: it raised the error itself"
    else:
        why = (
            "this code ended in asyncio.CancelledError, though azolla did not cancel it: it raised the error itself, or its "
            "event loop was closed (asyncio.run first cancels what still runs)"
        )
    failure = RuntimeError(why)
    failure.__cause__ = error
    return failure.with_traceback(error.__traceback__)
