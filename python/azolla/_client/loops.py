"""`Loops`: where a client's calls give awaitables, and on which event loop its coroutines run."""

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Literal, TypeVar, overload

from azolla import _azolla
from azolla._azolla import Core
from azolla._base.arguments import check_function
from azolla._base.errors import ClosedClientError
from azolla._base.names import function_name
from azolla._base.time import Timeout, seconds
from azolla._cluster.local import LocalCluster
from azolla._run import awaiting as _await
from azolla._run.callers_loop import CallersLoop
from azolla._run.lending import slot_lent
from azolla._run.lockless import LocklessFuture

R = TypeVar("R")


class Loops(Core):
    """The part of `Client` that deals with event loops."""

    cluster: LocalCluster
    _asynchronous: bool
    #: The loop that awaited this client, if the client is asynchronous.
    _callers_loop: CallersLoop | None = None

    @property
    def asynchronous(self) -> bool:
        """Whether the methods that would block give awaitables where this is read.

        An asynchronous client's do on any thread that runs an event loop. In a plain task, in a done-callback and in
        `asyncio.to_thread` no loop runs, and they block. On the cluster's own event loop every client's give awaitables.

        >>> client.asynchronous
        False
        """
        return self._async_here()

    def _bind_loop(self) -> None:
        """Makes the running loop the one on which the coroutine tasks of an asynchronous client run."""
        loop = asyncio._get_running_loop() if self._asynchronous else None
        if loop is not None and (self._callers_loop is None or self._callers_loop.loop is not loop):
            self._callers_loop = CallersLoop(loop)
            self.cluster._has_callers = True

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The client's event loop, on which its coroutine tasks run where workers are threads. In worker processes they run
        on one loop in each.

        Of an asynchronous client it is the loop that awaited the client, as long as that loop is not closed. Any other
        client shares the cluster's own loop, which has a thread of its own.

        Raises:
            ClosedClientError: The client is closed, and had no loop.

        >>> import asyncio
        >>> asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "slept"), client.loop).result()
        'slept'
        """
        callers = self._callers_loop
        return callers.loop if callers is not None and not callers.loop.is_closed() else self.cluster._on_loop().loop

    @overload
    def sync(
        self,
        func: Callable[..., Coroutine[Any, Any, R]],
        *args: Any,
        asynchronous: Literal[True],
        callback_timeout: Timeout = None,
        **kwargs: Any,
    ) -> Awaitable[R]: ...
    @overload
    def sync(
        self,
        func: Callable[..., Coroutine[Any, Any, R]],
        *args: Any,
        asynchronous: bool | None = None,
        callback_timeout: Timeout = None,
        **kwargs: Any,
    ) -> R: ...
    def sync(
        self,
        func: Callable[..., Coroutine[Any, Any, Any]],
        *args: Any,
        asynchronous: bool | None = None,
        callback_timeout: Timeout = None,
        **kwargs: Any,
    ) -> Any:
        """Runs a coroutine function on the client's event loop, and waits for its result.

        On the cluster's own loop, and for an asynchronous client on any loop, this returns the coroutine instead.

        Args:
            func: The coroutine function.
            *args: What to call it with.
            asynchronous: True gives the coroutine in any case.
            callback_timeout: Seconds, a `timedelta`, or text such as `"500ms"`, after which to give up, and to cancel
                the coroutine; None for no limit.
            **kwargs: What to call it with, by name.

        Raises:
            TimeoutError: The time was up.
            ClosedClientError: The client was closed before the coroutine had ended.
            Exception: Whatever the coroutine raises.

        >>> async def total(numbers):
        ...     return sum([await future for future in client.map(abs, numbers)])
        >>> client.sync(total, [-1, 2, -3])
        6
        """
        check_function("sync(): func", func)
        if asynchronous or (asynchronous is None and self._async_here()):
            return func(*args, **kwargs)
        answer: LocklessFuture[Any] = LocklessFuture()
        begin = partial(_await.run_for, answer, func, args, kwargs)
        self._begin(begin, partial(_refuse, answer), partial(_await.answered, answer))
        with slot_lent():  # in a task this is a wait like any other
            try:
                limit = None if callback_timeout is None else seconds(callback_timeout)
                return answer.result(limit)
            except BaseException as error:
                late = isinstance(error, TimeoutError) and not answer.done()  # it is not the coroutine's own
                answer.cancel()
                if late:
                    raise TimeoutError(f"sync(): the time was up before {function_name(func)} had ended") from None
                if isinstance(error.__cause__, asyncio.CancelledError) and self._closed:
                    raise _closed_meanwhile() from None
                raise
            finally:
                del answer  # it holds an exception whose traceback refers to this frame

    def _begin(
        self,
        begin: Callable[[asyncio.AbstractEventLoop], "asyncio.Task[Any]"],
        give_up: Callable[[], object],
        ended: Callable[["asyncio.Task[Any]"], object],
    ) -> None:
        """Has the client's loop call `begin`. The caller's loop may stand still, and then the cluster's own takes over."""
        callers, task = self._callers_loop, _azolla.thread_running()
        if callers is not None and callers.loop.is_running():
            self._check_open("sync")
            with _await.in_task(task, callers.loop):
                if callers.post(begin, give_up, ended, is_task=False):
                    return
        thread = self.cluster._on_loop()
        with _await.in_task(task, thread.loop):
            thread.post(begin, give_up, ended)


def _refuse(answer: "concurrent.futures.Future[Any]") -> None:
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        answer.set_exception(_closed_meanwhile())


def _closed_meanwhile() -> ClosedClientError:
    return ClosedClientError("the client was closed during the call")
