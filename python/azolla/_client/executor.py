"""`Client.get_executor`: the client as an executor of `concurrent.futures`."""

import concurrent.futures
import contextlib
import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures._base import PENDING, RUNNING
from types import CoroutineType
from typing import Any, Generic, ParamSpec, TypeVar

from azolla._azolla import Core, cancel_unless_begun, has_begun
from azolla._base.arguments import shown
from azolla._base.errors import CancelledError, ClosedClientError
from azolla._base.names import function_name
from azolla._base.time import Timeout, seconds
from azolla._process.calls import Chunk, Named, WithKeywords, identity
from azolla._run.lockless import LocklessFuture

P = ParamSpec("P")
R = TypeVar("R")

#: The options of `submit` that an executor can apply to every task it submits.
_OPTIONS = frozenset({"allow_other_workers", "fifo_timeout", "priority", "pure", "resources", "retries", "workers"})


class Executors(Core):
    """The part of `Client` that makes executors."""

    cluster: Any

    def get_executor(self, **options: Any) -> "ClientExecutor":
        """Returns this client as an executor of `concurrent.futures`, for libraries that ask for one.

        Args:
            **options: Of the arguments of `submit`: `priority`, `retries`, `workers`, `resources`,
                `allow_other_workers`, `fifo_timeout`, and `pure`, which is False here unless given.

        Raises:
            TypeError: For any other argument.

        >>> with client.get_executor(priority=1) as executor:
        ...     list(executor.map(pow, [2, 3], [10, 4]))
        [1024, 81]
        """
        return ClientExecutor(self, **options)


# It derives from ThreadPoolExecutor because it stands in for one: asyncio accepts no other class as a loop's default
# executor, and `adaptive` asks no other class for its number of threads. The pool's own threads and queue stay unused.
class ClientExecutor(concurrent.futures.ThreadPoolExecutor):
    """An executor of `concurrent.futures` on a client. `Client.get_executor` makes them.

    Its futures are those of `concurrent.futures`, and its calls are tasks of the client. azolla's futures among the
    arguments stand for their results, and coroutine functions run on the client's event loop. A task that calls
    `result()` or `exception()` takes no slot while it waits. Done-callbacks must not wait for other futures. Shutting
    the executor down leaves the client open.

    In worker processes a call counts as running, and cannot be cancelled any more, from when a process has got it: a
    process gets several short calls at once. Its result is unpickled once. Neither the executor nor its futures can be
    pickled: a task makes an executor of its own, by `get_client().get_executor()`.

    All arguments of `submit` are the function's own, by name too (`key=`, `priority=`, `pure=`), as the standard library
    has it. How the tasks run is said once, to `get_executor`. Timeouts may be text, as everywhere in azolla.

    >>> executor = client.get_executor()
    >>> executor.submit(pow, 2, 10).result()
    1024
    """

    def __init__(self, client: Core, **options: Any) -> None:
        unknown = sorted(options.keys() - _OPTIONS)
        if unknown:
            raise TypeError(f"unsupported arguments to ClientExecutor: {unknown}")
        client._check_open("get_executor")
        cluster: Any = client.cluster  # type: ignore[attr-defined]
        # A cluster without workers at the moment takes calls as it takes tasks.
        super().__init__(max(1, cluster._n_workers * cluster._threads_per_worker))
        self._client, self._has_processes = client, cluster._has_processes
        self._pure = options.pop("pure", False)
        self._options = options
        self._unsettled: set[ExecutorFuture[Any]] = set()

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> "ExecutorFuture[R]":
        """Runs `fn(*args, **kwargs)` as a task of the client.

        Raises:
            RuntimeError: The executor was shut down.
            ClosedClientError: The client is closed.
            Exception: In worker processes: what the pickling of the function or of an argument raises.
        """
        answer: ExecutorFuture[R] = ProcessFuture() if self._has_processes else ExecutorFuture()
        # Added first, so that a shutdown on another thread sees it. A lock could not be had in a finalizer.
        self._unsettled.add(answer)
        if self._shutdown:
            self._unsettled.discard(answer)
            raise RuntimeError("cannot schedule new futures after shutdown")
        answer.add_done_callback(self._unsettled.discard)
        try:
            answer._task = task = self._submit(answer, fn, args, kwargs)
            task.add_done_callback(answer._settle)
        except BaseException:
            self._unsettled.discard(answer)
            raise
        return answer

    def _submit(self, answer: "ExecutorFuture[Any]", fn: Any, args: Any, kwargs: Any) -> Any:
        if not callable(fn):
            raise TypeError(f"submit() takes a function first, not {shown(fn)}")
        submit = functools.partial(self._client.submit, **self._options)
        if not self._pure and not self._has_processes:
            return submit(_Call(answer, fn), kwargs, *args, pure=False)
        # Where they would mean something to `submit`, the keywords travel in a dictionary.
        if kwargs.keys() & _own():
            task = submit(WithKeywords(fn, function_name(fn)), kwargs, *args, pure=self._pure)
        else:
            task = submit(fn, *args, pure=self._pure, **kwargs)
        if not self._pure:
            return task
        # Others may share the task. One of this call's own can be cancelled.
        if self._has_processes:
            return submit(Named(identity, function_name(fn)), task, pure=False)
        return submit(_Call(answer, identity, function_name(fn)), {}, task, pure=False)

    def map(
        self, fn: Callable[..., R], *iterables: Iterable[Any], timeout: Timeout = None, chunksize: int = 1, **more: Any
    ) -> Iterator[R]:
        """Runs `fn` on each item, and iterates over the results in the order of the items.

        Args:
            fn: The function.
            *iterables: One for each argument of `fn`.
            timeout: Seconds, a `timedelta`, or text such as `"500ms"`: how long from now on results may take.
            chunksize: In worker processes: how many calls make one task. They end and fail together. On threads it has no
                effect: each call is a task.
            **more: What the standard library's `map` takes beside these.

        Raises:
            TimeoutError: The time is up before the next result is there.
            RuntimeError: The executor was shut down.
            ValueError: `chunksize` is less than 1, and the calls run in worker processes.

        >>> list(client.get_executor().map(abs, [-1, -2], timeout="10s"))
        [1, 2]
        """
        if self._has_processes and chunksize < 1:
            raise ValueError(f"chunksize must be 1 or more, not {chunksize}")
        if self._has_processes and chunksize > 1 and not inspect.iscoroutinefunction(fn):
            call, chunks = Chunk(fn, function_name(fn)), _chunks(zip(*iterables, strict=False), chunksize)
            return _chained(super().map(call, chunks, timeout=_limit(timeout), **more))
        return super().map(fn, *iterables, timeout=_limit(timeout), chunksize=chunksize, **more)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls. The calls that were submitted still run, and the client stays open.

        Args:
            wait: If true, wait until all calls have ended.
            cancel_futures: If true, cancel the calls that have not begun.

        Raises:
            RuntimeError: This was called in one of the executor's own calls with `wait`: it would wait for itself. The
                executor takes no more calls.

        >>> executor = client.get_executor()
        >>> executor.shutdown()
        >>> executor.submit(abs, -1)
        Traceback (most recent call last):
        RuntimeError: cannot schedule new futures after shutdown
        """
        self._shutdown = True
        unsettled = list(self._unsettled)
        if cancel_futures:
            for answer in unsettled:
                answer.cancel()
        if wait and any(answer._runs_here() for answer in unsettled):
            raise RuntimeError("shutdown() was called in a call of this executor: wait=True would wait for that call")
        if wait and unsettled:
            concurrent.futures.wait(unsettled)

    def __reduce__(self) -> Any:
        raise TypeError("an executor cannot be pickled: a task makes its own, by get_client().get_executor()")


class ExecutorFuture(LocklessFuture[R], Generic[R]):
    """A future of `concurrent.futures` that stands for a task of a client."""

    #: The azolla future of the task, by which the task is cancelled. None once the task has ended.
    _task: Any = None
    #: The thread that makes the call, or that runs the loop of its coroutine. None at other times.
    _thread: int | None = None

    def cancel(self) -> bool:
        """Cancels the call, unless it runs or has ended, as any future of `concurrent.futures` does."""
        if not super().cancel():
            return False
        if self._task is not None:
            self._task._cancel()
        return True

    def result(self, timeout: Timeout = None) -> R:
        """Waits for the result, and returns it. In a task this takes no slot."""
        return super().result(_limit(timeout))

    def exception(self, timeout: Timeout = None) -> BaseException | None:
        """Waits for the call, and returns the exception that it has raised; None if it has succeeded. In a task this
        takes no slot.
        """
        return super().exception(_limit(timeout))

    def _awaited(self) -> list[Any]:
        task = self._task
        return [] if task is None else [task]

    def _runs_here(self) -> bool:
        return self._thread == threading.get_ident() and not self.done()

    def _finish(self, result: Any = None, error: BaseException | None = None) -> None:
        # The future is settled already if the client was closed meanwhile. The outcome is then dropped.
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            if error is not None:
                self.set_exception(error)
            else:
                self.set_result(result)

    def _settle(self, task: Any) -> None:
        """Settles this future after its task has ended. The task may have ended before it made the call."""
        self._task = None
        if self.done():
            self._tell()  # Ctrl-C may have interrupted the thread that cancelled it
            return
        try:
            result = task._now()
        except CancelledError as error:
            if not self.cancel():
                self._finish(error=error)
        except BaseException as error:
            self._finish(error=error)
        else:
            self._take(result)
        finally:
            del self, task  # the error's traceback refers to this frame

    def _take(self, result: Any) -> None:
        """Takes the result of a task that has ended without a word from the call."""
        self._finish(error=ClosedClientError("the client was closed during the call"))


class ProcessFuture(ExecutorFuture[R], Generic[R]):
    """An executor's future that stands for a task in a worker process. The task knows whether the call has begun."""

    def cancel(self) -> bool:
        """Cancels the call, unless a process has got it or it has ended."""
        task = self._task
        if task is None or self.cancelled() or cancel_unless_begun(task) or task.cancelled():
            return super().cancel()
        return False

    def _now(self) -> str:
        now, task = super()._now(), self._task
        return RUNNING if now == PENDING and task is not None and has_begun(task) else now

    def _take(self, result: Any) -> None:
        self._finish(result)


class _Call:
    """The function of the task: it makes the user's call and settles the executor's future."""

    def __init__(self, answer: ExecutorFuture[Any], function: Any, name: str | None = None) -> None:
        self.__name__ = name or function_name(function)
        self._answer, self._function = answer, function

    def __call__(self, kwargs: dict[str, Any], /, *args: Any) -> Any:
        if not self._answer.set_running_or_notify_cancel():
            return None
        self._answer._thread = threading.get_ident()
        try:
            result = self._function(*args, **kwargs)
        finally:
            self._answer._thread = None
            del args, kwargs  # an exception's traceback would keep them alive
        if isinstance(result, CoroutineType):
            return self._drive(result)
        self._answer._finish(result)
        return None

    # An exception is not reported here: the task may be retried. `_settle` reports it once the task has ended.
    async def _drive(self, coroutine: Any) -> None:
        self._answer._thread = threading.get_ident()
        try:
            result = await coroutine
        finally:
            self._answer._thread = None
        self._answer._finish(result)


def _chunks(calls: Iterator[Any], size: int) -> Iterator[Any]:
    while chunk := tuple(itertools.islice(calls, size)):
        yield chunk


def _chained(results: Iterator[list[R]]) -> Iterator[R]:
    # A generator keeps no reference to a result that it has given.
    for chunk in results:
        chunk.reverse()
        while chunk:
            yield chunk.pop()


def _limit(timeout: Timeout) -> float | None:
    return None if timeout is None else seconds(timeout)


@functools.cache
def _own() -> frozenset[str]:
    """Returns what `submit` takes for itself by name."""
    parameters = inspect.signature(Core.submit).parameters.values()
    return frozenset(parameter.name for parameter in parameters if parameter.kind != parameter.VAR_KEYWORD)
