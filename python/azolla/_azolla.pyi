"""The package's extension module: what is native of clients, futures and `as_completed`.

The examples use a `client = Client(processes=False, threads_per_worker=2)`.
"""

import asyncio
import builtins
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from contextvars import Context
from datetime import timedelta
from types import GenericAlias, TracebackType
from typing import Any, Generic, Literal, Protocol, Self, TypeAlias, final, overload, type_check_only
from weakref import ref

from typing_extensions import TypeVar, disjoint_base

from azolla._client.client import Client
from azolla._cluster.local import LocalCluster
from azolla._cluster.staff import Workers as _Workers

__all__ = [
    "ActorFuture",
    "Asked",
    "ClusterCore",
    "Core",
    "Dashboard",
    "Endings",
    "EventCore",
    "Future",
    "Input",
    "Method",
    "MultiLockCore",
    "Observations",
    "Order",
    "Ordered",
    "Parcel",
    "QueueCore",
    "Running",
    "SemaphoreCore",
    "StoredOnce",
    "TaskThread",
    "Turn",
    "VariableCore",
    "Worker",
    "actor_caller",
    "actor_state",
    "after_fork",
    "arrived_actor",
    "ask",
    "awaits",
    "before_collection",
    "before_fork",
    "cancel_grown",
    "cancel_unless_begun",
    "check_actor",
    "check_cancelled",
    "check_options",
    "close_group",
    "coroutines_run_here",
    "detach",
    "end_loan",
    "failed_in_group",
    "forget",
    "give_order",
    "group_counts",
    "group_entered",
    "group_left",
    "has_begun",
    "in_plain_task",
    "input_value",
    "is_cancelled",
    "keep_actor",
    "keep_caller",
    "kept_actor",
    "kept_caller",
    "keys_of",
    "leave",
    "lend",
    "map_as",
    "open_files",
    "open_group",
    "read_actor",
    "rejoin",
    "secede",
    "secret",
    "serve_process",
    "share_secret",
    "shield_task",
    "sleep_in_task",
    "submit_as",
    "task_at_hand",
    "tasks_here",
    "thread_client",
    "thread_running",
    "thread_task",
    "time_left",
    "timed_out",
    "tokenize",
    "wait",
    "watch_growth",
    "why_cancelled",
]

_T_co = TypeVar("_T_co", covariant=True)
# What a generic function such as `operator.getitem` returns cannot be told from the function alone: anything.
_R = TypeVar("_R", default=Any)

# For the modules below `Client`'s: they hand on the clients that they are given, and cannot import the class.
_Client: TypeAlias = Client

_Key: TypeAlias = str | bytes | float | tuple[_Key, ...]
_Timeout: TypeAlias = float | str | timedelta | None
# A context's `run`, the function with its arguments, and those by name.
_Task: TypeAlias = tuple[_Run, tuple[Any, ...], dict[str, Any] | None]
_Status: TypeAlias = Literal["pending", "finished", "error", "cancelled", "lost"]

@type_check_only
class _Run(Protocol):
    @property
    def __self__(self) -> Context: ...
    def __call__(self, *call: Any, **kwargs: Any) -> Any: ...

@disjoint_base
class Future(Generic[_T_co]):
    """The result that a task will have.

    Futures come from `Client.submit`, `Client.map` and `Client.scatter`. Given as arguments to other tasks they stand
    for their results. The result is kept as long as a future on it lives, or a task that needs it.

    Two futures on one task are different objects, neither equal nor of equal hash. Pickled, a future is its key;
    unpickled, it belongs to the current client.

    Where blocking would block an event loop (on the client's own loop, and with `Client(asynchronous=True)`), `result`,
    `exception` and `traceback` return awaitables. The stubs tell type checkers of the blocking kind alone;
    `await future` is the same everywhere.

    Args:
        key: The key of a task.
        client: The client that has the task; by default the current one.

    >>> future = client.submit(pow, 2, 10)
    >>> future.result()
    1024
    >>> client.submit(sum, [future, future]).result()
    2048
    """

    def __new__(cls, key: _Key, client: Client | None = None) -> Future[Any]: ...
    @property
    def key(self) -> Any:
        """The key of the task: its name in the client.

        It is the `key=` of the submission, if there was one. Otherwise it is text: the function's name, then the digest
        of a pure call, or something unique for an impure one.

        >>> client.submit(pow, 2, 10, key="kibi").key
        'kibi'
        >>> client.submit(pow, 2, 20).key.startswith("pow-")
        True
        """

    @property
    def client(self) -> Client | None:
        """The client that has the task, or one that stands in for it if the program has dropped it. None once that client
        is closed and gone, or where the future was unpickled without a client.

        >>> client.submit(pow, 2, 10).client is client
        True
        """

    @property
    def status(self) -> _Status | None:
        """How the task stands: `"pending"`, `"finished"`, `"error"`, `"cancelled"` or `"lost"`.

        A task that waits or runs is pending. A future that was released reads cancelled, and a future made from a key
        that no task has reads lost. The status is None where the future was unpickled without a client.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> future = client.submit(int, "seven")
        >>> future.exception()
        ValueError("invalid literal for int() with base 10: 'seven'")
        >>> future.status
        'error'
        """

    @property
    def type(self) -> builtins.type[_T_co] | None:
        """The class of the result; None while there is no result. In worker processes this reads the result's pickle. It is None
        for a result that cannot be pickled, or unpickled.

        >>> future = client.submit(pow, 2, 10)
        >>> future.result()
        1024
        >>> future.type
        <class 'int'>
        """

    def done(self) -> bool:
        """Returns True once the task has ended, in whatever way: a future that failed or was cancelled is done too.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> future = client.submit(pow, 2, 10)
        >>> _ = wait(future)
        >>> future.done()
        True
        """

    def cancelled(self) -> bool:
        """Returns True if the task was cancelled, or this future was released.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> future = client.submit(pow, 2, 10)
        >>> future.release()
        >>> future.cancelled()
        True
        """

    def result(self, timeout: _Timeout = None) -> _T_co:
        """Waits for the task, and returns its result or raises the exception that the task raised.

        Of a task in a worker process each call unpickles the result anew; on threads all callers get the same object.

        The exception is the one that the task raised, with its traceback, its cause and its notes, and a note that
        names the task. A task whose input failed has that input's exception. One in a worker process may also fail
        because the process died (`KilledWorker`), or because its result cannot be pickled.

        A task that calls this takes no slot while it waits. Ctrl-C ends the wait and leaves the task alone.

        Args:
            timeout: Seconds, a `timedelta`, or text such as `"500ms"`, after which to give up; None for no limit.

        Raises:
            TimeoutError: The time was up. The task goes on.
            FutureCancelledError: The task was cancelled, or this future released.
            WaitCycleError: The task in which this is called would wait for itself.
            ClosedClientError: The client was closed during the wait.

        >>> client.submit(pow, 2, 10).result(timeout="5 s")
        1024
        >>> client.submit(int, "seven").result()
        Traceback (most recent call last):
        ValueError: invalid literal for int() with base 10: 'seven'
        in the azolla task int-...
        """

    def wait_grown(self, timeout: _Timeout = None) -> Any:
        """Blocks until the task has ended, and all that has grown from it: what it has submitted, what those tasks have, and
        so on.

        What becomes of these tasks is no error. A submit that finds its key makes no task, so nothing has grown by it. With an
        asynchronous client this is to be awaited.

        Args:
            timeout: Seconds (or a `timedelta`, or a text such as `"500ms"`) after which to give up; None for no limit.

        Raises:
            TimeoutError: The time was up.
            WaitCycleError: The task in which this is called would wait for itself.
            ClosedClientError: The client is closed.

        >>> def visit(depth):
        ...     for _ in range(depth):
        ...         fire_and_forget(get_client().submit(visit, depth - 1, pure=False))
        >>> root = client.submit(visit, 4)
        >>> root.wait_grown()
        >>> client.counters()["live"]
        0
        """

    def exception(self, timeout: _Timeout = None) -> BaseException | None:
        """Waits for the task, and returns the exception that it raised; None if it succeeded, was cancelled, or was
        released.

        Args:
            timeout: As for `result`.

        Raises:
            TimeoutError: The time was up.
            WaitCycleError: The task in which this is called would wait for itself.
            ClosedClientError: The client was closed during the wait.

        >>> client.submit(int, "x").exception()
        ValueError("invalid literal for int() with base 10: 'x'")
        """

    def traceback(self, timeout: _Timeout = None) -> TracebackType | None:
        """Waits for the task, and returns the traceback of the exception that it raised; None if it succeeded.

        It begins with the task's own function. An exception from native code has none.

        Args:
            timeout: As for `result`.

        Raises:
            TimeoutError, WaitCycleError, ClosedClientError: As for `exception`.

        >>> def risky():
        ...     raise OSError("the disk is full")
        >>> client.submit(risky).traceback().tb_frame.f_code.co_name
        'risky'
        """

    def cancel(
        self,
        reason: str | None = None,
        msg: str | None = None,
        force: bool = False,
        *,
        subtree: bool = False,
        interrupt: bool = False,
    ) -> Any:
        """Cancels the task and what depends on it.

        The result of a task that runs is dropped, and every wait in it raises `Cancelled` from now on; a coroutine is cancelled
        at its next `await`. A function that neither waits nor asks (`cancelled()`) goes on to its end. A task that has ended is cancelled too, and its result goes; what depended on it and has ended keeps its own. If
        other clients of the cluster have futures on the task, it goes on for them, and only this client's futures on
        it read cancelled.

        Args:
            reason: Why, in a few words. The error of the cancelled future says it, and of what depends on the task too.
            msg: More words for these errors.
            force: True cancels the task for all clients.
            subtree: True also cancels what has grown from the task; `Client.cancel` says more.
            interrupt: True also raises `Cancelled` once in the function that runs, wherever it is; `Client.cancel` says more.

        Raises:
            TypeError: `reason` or `msg` is no text.
            ValueError: `interrupt` for a call of an actor.
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> future = client.submit(pow, 2, 10, key="kibi")
        >>> future.cancel(reason="nobody needs it")
        >>> future.status
        'cancelled'
        >>> future.result()
        Traceback (most recent call last):
        azolla.FutureCancelledError: kibi cancelled for reason: nobody needs it.
        """

    def retry(self) -> Any:
        """Runs a failed task again, after the failed tasks that it depended on.

        Raises:
            FutureCancelledError: This future was released.
            ClosedClientError: The client is closed.

        >>> answers = [ZeroDivisionError(), 42]
        >>> def unsteady():
        ...     answer = answers.pop(0)
        ...     if isinstance(answer, Exception):
        ...         raise answer
        ...     return answer
        >>> future = client.submit(unsteady)
        >>> _ = wait(future)
        >>> future.status
        'error'
        >>> future.retry()
        >>> future.result()
        42
        """

    def release(self) -> None:
        """Lets go of the task, as dropping the future does; from then on the future reads cancelled.

        When no future and no other task needs the task any more, it does not run, and its result is not kept.

        >>> future = client.submit(pow, 2, 10)
        >>> future.release()
        >>> future.result()
        Traceback (most recent call last):
        azolla.FutureCancelledError: ...: this future was released
        """

    def add_done_callback(self, fn: Callable[[Future[_T_co]], object]) -> None:
        """Calls `fn(future)` once the task has ended, in whatever way; at once if it has ended.

        Callbacks run one after the other on a thread of the client. When a callback raises, `sys.unraisablehook` shows
        the exception, and nothing else happens.

        Args:
            fn: What to call.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.
            ValueError: The future was unpickled where there was no client.
            TypeError: This is a callback of `asyncio.wait`, which takes futures of its own loop alone. Use
                `await azolla.wait([...])`, or `asyncio.ensure_future(future)` for each.

        >>> from queue import Queue
        >>> seen = Queue()
        >>> client.submit(pow, 2, 10).add_done_callback(lambda future: seen.put(future.result()))
        >>> seen.get(timeout=10)
        1024
        """

    def __await__(self) -> Generator[Any, None, _T_co]:
        """Awaits the task on the running event loop, whichever it is. Gives what `result` gives: the result, or the
        task's exception raised.

        >>> import asyncio
        >>> async def main():
        ...     return await client.submit(pow, 2, 10)
        >>> asyncio.run(main())
        1024
        """

    def __reduce__(self) -> tuple[builtins.type[Future[Any]], tuple[Any]]: ...
    def __dask_tokenize__(self) -> tuple[str, Any]: ...
    __dask_future__: bool
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    def _repr_html_(self) -> str: ...
    def _listen(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> _Closeable: ...
    def _now(self) -> _T_co: ...
    def _cancel(self) -> None: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: Any) -> Self: ...
    def _retry(self) -> None: ...
    def _exception(self) -> BaseException | None: ...
    def _words(self) -> tuple[str, str | None, str | None]: ...
    def _traceback(self) -> TracebackType | None: ...

@final
class ActorFuture(Future[_T_co]):
    """The result that a call of an actor's method will have. It is a `Future` like any other, with two differences: the
    call is made even if no future on it is left, and it is never made again.

    >>> class Counter:
    ...     n = 0
    ...     def increment(self):
    ...         self.n += 1
    ...         return self.n
    >>> counter = client.submit(Counter, actor=True).result()
    >>> future = counter.increment()
    >>> future.result()
    1
    >>> client.submit(lambda n: n * 10, future).result()
    10
    """

    def __new__(cls, key: _Key, client: Client | None = None) -> ActorFuture[Any]: ...

@final
class Method:
    """A method of an actor."""

    def __new__(cls, actor: Future[Any], name: str, label: str, wrapped: Any) -> Self: ...
    @property
    def __name__(self) -> str: ...
    @property
    def __wrapped__(self) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> ActorFuture[Any]: ...

def actor_state(future: Future[Any]) -> Any:
    """Returns the state of the actor that this future is on, so that its attributes can be read; None if it is in another
    process.

    Raises:
        ActorLostError: The actor is gone.
        ValueError: It is still to be made, in this process.
    """

def arrived_actor(cls: type, key: Any) -> Any:
    """Returns the `Actor` for an actor of this class and key, in a worker process."""

def check_actor(future: Future[Any]) -> None:
    """Does nothing if the actor that this future is on exists, or is still to be made.

    Raises:
        ActorLostError: The actor is gone.
    """

def read_actor(future: Future[Any], name: str, label: str) -> ActorFuture[tuple[bool, Any]]:
    """Submits a task that reads an attribute of an actor in a worker process. Its result is whether the attribute can be
    called, and otherwise the attribute's value.

    Args:
        future: A future on the actor.
        name: The attribute.
        label: What the task's key begins with.

    Raises:
        ActorLostError: The actor is gone.
    """

@disjoint_base
class ClusterCore:
    """The engine's half of `LocalCluster`."""

    def __new__(cls, *_args: object, **_kwargs: object) -> Self: ...
    def _start(
        self,
        workers: list[tuple[int, dict[str, float]]],
        start_thread: Callable[[Worker], object],
        process: tuple[list[str], list[tuple[str, str]], str, int | None, str] | None,
        this: ref[LocalCluster],
        number: int,
    ) -> None: ...
    def _start_away(self, this: ref[LocalCluster], number: int) -> None: ...
    def _worker_number(self, thread: int) -> int | None: ...
    def _close_engine(self) -> None: ...
    def _close(self) -> None: ...
    def _record(self, on: bool) -> None: ...
    def _figures(self) -> tuple[list[tuple[int, int | None, int, int, int]], int]: ...
    def _add(self, threads: int, resources: dict[str, float]) -> int: ...
    def _places(self) -> int: ...
    def _retire(self, worker: int) -> None: ...
    def _ready(self, workers: list[int]) -> list[bool]: ...
    def _failed(self, workers: list[int]) -> list[bool]: ...
    def _at_work(self, workers: list[int]) -> list[int]: ...
    def _staying(self, workers: list[int]) -> list[int]: ...
    def _is_idle(self, worker: int) -> bool: ...
    def _work(self, unknown: float) -> tuple[int, float]: ...
    def _start_again(self, worker: int) -> None: ...
    def _take_off(self, gear: int) -> None: ...
    def _set_gone(self) -> None: ...
    @property
    def _closed(self) -> bool: ...
    @property
    def _forked(self) -> bool: ...
    def _check_open(self, what: str) -> None: ...
    def _set_loop_thread(self) -> None: ...

@disjoint_base
class Core:
    """The engine's half of `Client`."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    @overload
    def submit(
        self,
        func: Callable[..., Coroutine[Any, Any, _R]],
        *args: Any,
        key: _Key | None = None,
        workers: _Workers = None,
        resources: Mapping[str, float] | None = None,
        retries: int | None = None,
        priority: float | None = None,
        fifo_timeout: Any = None,
        allow_other_workers: bool | None = None,
        actor: Literal[False] | None = None,
        actors: Literal[False] | None = None,
        pure: bool | None = True,
        **kwargs: Any,
    ) -> Future[_R]:
        """Runs `func(*args, **kwargs)` as a task, and returns a future on its result.

        Futures among the arguments, also in lists, tuples, named tuples, sets, the values of dictionaries and the
        fields of dataclasses, are replaced by their results; the task begins when all results are there. A coroutine
        function (`async def`) runs on an event loop, and takes no slot: in worker processes on one in each, on threads
        on the client's.

        The call is as it was at the submit. For worker processes it is pickled, and each run gets it anew. On threads
        containers are copied, once more for each run, and what is in them otherwise is shared. Containers are lists,
        tuples, dictionaries, sets, deques, what is derived from these, and objects of dataclasses. An array or a
        `bytearray` is shared there. Of `func` itself the arguments of a `functools.partial` are copied, and, in a pure
        call, the container that a bound method belongs to. What comes from a future may be one object for several
        tasks, so a task copies it before it changes it.

        The task may submit tasks of its own, through `get_client`, and wait for them: waiting takes no slot. On threads
        it sees the context variables of the caller.

        Args:
            func: What to call.
            *args: What to call it with.
            key: The task's key: text, bytes, a number, or a tuple of such. If the client has a task of that key, the
                future is on that task, whatever it calls and whatever its priority. By default it is made as `pure` says.
            workers: The workers that may run the task, by their names or addresses: one, or several.
            resources: How much the task takes, by name, of the resources that its worker has (`Client(resources=...)`).
                It takes them when it begins, and gives them back when it ends. A task that waits keeps them. A task
                that secedes gives them up, and waits for them when it rejoins.
            retries: How many times the task runs again if it fails; by default 0.
            priority: Tasks of higher priority go first. By default a task has the priority of the task that submits it,
                and 0 if no task submits it.
            fifo_timeout: Taken as Dask takes it.
            allow_other_workers: If true, `workers` is only a wish: other workers run the task while none of these has a
                thread and the resources to spare.
            actor: If true, the result is a state that stays where it is. The future then gives an `Actor`, whose
                methods are called there, one at a time. `pure` means nothing then.
            actors: As `actor`.
            pure: True, the default, says that equal calls give equal results. Equal calls then have equal keys, and are
                one task while a future on it lives. Pass False for a function that has effects, or chance in it: then
                each call is a task of its own. So is each call of which a part cannot be hashed.
            **kwargs: What to call it with, by name.

        Raises:
            TypeError: `func` cannot be called, `key` is of no type that a key may have, or `priority` is no number.
            ValueError: `priority` is NaN, `retries` no whole number, or a future among the arguments is another
                client's.
            FutureCancelledError: A future among the arguments was released. (One that was cancelled cancels the task.)
            ClosedClientError: The client is closed.
            Exception: With worker processes, what the pickling of the function or of an argument raises.

        A task that no worker can ever run, since there is none of its `workers` or none that has enough, stays pending
        until it is cancelled, as with Dask. azolla reports it once, as a warning of the logger `"azolla"` and as an
        event of the topic `"no-worker"`.

        >>> client.submit(pow, 2, 10).result()
        1024
        >>> words = client.submit(str.split, "tasks that grow")
        >>> client.submit(len, words, priority=10, key="how many").result()
        3
        >>> async def fetch(page):
        ...     return f"contents of {page}"
        >>> client.submit(fetch, "index.html").result()
        'contents of index.html'
        """

    @overload
    def submit(
        self,
        func: Callable[..., _R],
        *args: Any,
        key: _Key | None = None,
        workers: _Workers = None,
        resources: Mapping[str, float] | None = None,
        retries: int | None = None,
        priority: float | None = None,
        fifo_timeout: Any = None,
        allow_other_workers: bool | None = None,
        actor: Literal[False] | None = None,
        actors: Literal[False] | None = None,
        pure: bool | None = True,
        **kwargs: Any,
    ) -> Future[_R]: ...
    # The result of an actor is a proxy, whose methods give futures.
    @overload
    def submit(
        self,
        func: Callable[..., Any],
        *args: Any,
        key: _Key | None = None,
        workers: _Workers = None,
        resources: Mapping[str, float] | None = None,
        retries: int | None = None,
        priority: float | None = None,
        fifo_timeout: Any = None,
        allow_other_workers: bool | None = None,
        actor: bool | None = None,
        actors: bool | None = None,
        pure: bool | None = True,
        **kwargs: Any,
    ) -> Future[Any]: ...
    @overload
    def map(
        self,
        func: Callable[..., Coroutine[Any, Any, _R]],
        *iterables: Iterable[Any],
        key: str | list[Any] | None = None,
        workers: _Workers = None,
        retries: int | None = None,
        resources: Mapping[str, float] | None = None,
        priority: float | None = None,
        allow_other_workers: bool | None = None,
        fifo_timeout: Any = None,
        actor: Literal[False] | None = None,
        actors: Literal[False] | None = None,
        pure: bool | None = True,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[Future[_R]]:
        """Submits a task for each item, and returns their futures in the order of the items.

        With several iterables, each call of the function gets one item of each. There are as many calls as the shortest
        iterable has items. The items may be futures, or hold some.

        Args:
            func: What to call.
            *iterables: Lists, iterators and the like, one for each argument of `func`.
            key: Text with which the tasks' keys begin, in place of the function's name; or a list of their keys.
            workers, retries, resources, priority, allow_other_workers, fifo_timeout, actor, actors, pure: As for
                `submit`, for each task.
            batch_size: How many are drawn from the iterables, and submitted, at once; by default 256.
            **kwargs: What to call it with by name, each time. Futures among these are replaced by their results.

        Raises:
            TypeError, ValueError, FutureCancelledError, ClosedClientError, Exception: As for `submit`.
            TypeError: There is no iterable, or one of them cannot be iterated over.
            ValueError: The list of keys is shorter or longer than the number of calls.

        >>> client.gather(client.map(pow, [2, 3, 5], [1, 2, 3]))
        [2, 9, 125]
        >>> [future.key for future in client.map(str.upper, "ab", key=["first", "second"])]
        ['first', 'second']
        """

    @overload
    def map(
        self,
        func: Callable[..., _R],
        *iterables: Iterable[Any],
        key: str | list[Any] | None = None,
        workers: _Workers = None,
        retries: int | None = None,
        resources: Mapping[str, float] | None = None,
        priority: float | None = None,
        allow_other_workers: bool | None = None,
        fifo_timeout: Any = None,
        actor: Literal[False] | None = None,
        actors: Literal[False] | None = None,
        pure: bool | None = True,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[Future[_R]]: ...
    @overload
    def map(
        self,
        func: Callable[..., Any],
        *iterables: Iterable[Any],
        key: str | list[Any] | None = None,
        workers: _Workers = None,
        retries: int | None = None,
        resources: Mapping[str, float] | None = None,
        priority: float | None = None,
        allow_other_workers: bool | None = None,
        fifo_timeout: Any = None,
        actor: bool | None = None,
        actors: bool | None = None,
        pure: bool | None = True,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[Future[Any]]: ...
    def counters(self) -> dict[str, int]:
        """Returns how many tasks there are and were, and how many threads.

        Returns:
            Of the tasks: `submitted` ever; `settled`, which have ended in whatever way, and of these `failed` and
            `cancelled`; `live`, which have not ended, and `peak_live`, the most of them at once; `kept`, the live ones and
            those whose result a future or another task needs. Of the live ones: `ready` to run, and `unrunnable`,
            which no worker can ever run. `running` is how many hold a slot, and `parked` how many wait without one: both
            count those too that were cancelled while they ran, and are not live, until their functions have returned. Of
            the threads: `threads` that run tasks.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> futures = client.map(abs, range(-10, 0))
        >>> client.gather(futures[:2])
        [10, 9]
        >>> client.counters()["submitted"]
        10
        """

    @property
    def _closed(self) -> bool: ...
    @property
    def _forked(self) -> bool: ...
    def _join(self, cluster: ClusterCore, this: ref[Client], guest: bool) -> None: ...
    def _leave(self) -> None: ...
    def _leave_behind(self, afterlife: object, in_tasks: object) -> None: ...
    def _check_open(self, what: str) -> None: ...
    def _set_asynchronous(self, asynchronous: bool) -> None: ...
    def _async_here(self) -> bool: ...
    def _gather(self, futures: Any, errors: str) -> Any: ...
    def _gather_listen(
        self, futures: Any, errors: str, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]
    ) -> _Closeable | None: ...
    def _gathered(self, futures: Any, errors: str) -> Any: ...
    def _scatter(self, value: Any, key: Any = None, hash: bool = True) -> Future[Any]: ...
    def _keep(self, future: Future[Any]) -> None: ...
    def _adopt(self, value: Any) -> Any: ...
    def _cancel(
        self, futures: list[Future[Any]], reach: tuple[bool, bool, bool], reason: str | None, msg: str | None
    ) -> None: ...
    def _kept(self, value: Any) -> Any: ...
    def _given(self, value: Any) -> Any: ...
    def _cancel_all(self) -> None: ...
    def _tasks(self) -> list[tuple[Any, str, int | None]]: ...
    def _results(self) -> list[tuple[Any, Any, int | None]]: ...
    def _story(
        self, keys: list[Any]
    ) -> tuple[float, list[tuple[int, tuple[float, int, str, int | None], Any]], list[tuple[int, int, str]]]: ...
    def _check(self) -> None: ...
    def _observe(self, capacity: int) -> Observations: ...
    @staticmethod
    def _copied(value: Any) -> Any: ...
    @staticmethod
    def _futures(value: Any) -> list[Future[Any]]: ...

@disjoint_base
class Endings:
    """The engine's half of `as_completed`."""

    def __new__(cls, timeout: _Timeout = None) -> Self: ...
    def _waiting_and_done(self) -> tuple[int, int]: ...
    def count(self) -> int:
        """How many futures are still to come.

        >>> endings = as_completed(client.map(abs, [-1, -2]))
        >>> endings.count()
        2
        """

    def has_ready(self) -> bool:
        """Returns True if the next future would come at once.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> endings = as_completed(client.map(abs, [-1, -2]))
        >>> [_, _] = endings
        >>> endings.has_ready()
        False
        """

    def is_empty(self) -> bool:
        """Returns True if no future is still to come.

        >>> as_completed([]).is_empty()
        True
        """

    def clear(self) -> None:
        """Forgets all futures that are still to come.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> endings = as_completed(client.map(abs, [-1, -2]))
        >>> endings.clear()
        >>> list(endings)
        []
        """

    @property
    def _seconds_left(self) -> float | None: ...
    def _add(self, future: Future[Any]) -> None: ...
    def _next(self) -> Future[Any]: ...
    def _timed_out(self) -> TimeoutError: ...
    def _to_come(self) -> list[Future[Any]]: ...
    def _try_next(self) -> Future[Any] | None: ...
    def _next_or_listen(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]
    ) -> Future[Any] | None: ...

@final
class Worker:
    """The worker of one thread. It hands out calls, and takes results."""

    @property
    def number(self) -> int:
        """The worker's number, counted from 0 in each cluster."""

    @property
    def forked(self) -> bool:
        """True in the child of a fork that a task has made."""

    def begin(self) -> bool:
        """Makes this the worker of the calling thread. Returns False if the thread must end: it comes too late, or its
        worker has left.
        """

    def end(self) -> None:
        """Makes the worker leave the engine."""

    def rest(self) -> bool:
        """Waits until there may be a call to make. Returns False if the thread must end."""

    def next(self) -> _Task | None:
        """Returns the next call to make if there is one now. If there is none, the loop must `rest`."""

    def done(self, result: Any) -> _Task | None:
        """Ends the call with this result. In the child of a fork the call was the whole program, so this raises
        SystemExit.

        Returns the next call to make if there is one now. If there is none, the loop lets go of everything of this
        task, and rests.
        """

    def failed(self, error: BaseException) -> bool:
        """Ends the call with this exception. Returns False if no call is at hand. In the child of a fork it raises the
        exception again.
        """

@final
class Input:
    """Stands for the input of this number in the arguments of a task that runs in a worker process.

    Unpickled there, it is the input.
    """

    def __new__(cls, number: int) -> Self: ...
    @property
    def number(self) -> int:
        """The number of the input, counted from 0 in each task."""

@final
class StoredOnce:
    """Within its `with` statement, what is submitted to worker processes has each buffer of at least so many bytes stored
    once: what a buffer holds the first time, all calls get."""

    def __new__(cls, least: int) -> Self: ...
    def __enter__(self) -> None: ...
    def __exit__(self, _class: object, _error: object, _traceback: object, /) -> None: ...
    def clear(self) -> None:
        """Lets go of the buffers."""

@final
class TaskThread:
    """A thread of a worker process that runs tasks. It hands out their calls, and takes their results."""

    @property
    def number(self) -> int:
        """The number that the client has given it."""

    @property
    def forked(self) -> bool:
        """True in the child of a fork that a task has made."""

    def rest(self) -> bool:
        """Tells the client how the last tasks have ended, and waits for more. Returns False if the thread must end."""

    def next(
        self,
    ) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any] | None, dict[str, Any] | None] | None:
        """Returns the next call to make: a function, its arguments, those by name, and the annotations of its task. If
        there is none at hand, the loop must `rest`.
        """

    def done(self, result: Any) -> None:
        """Ends the call with this result. In the child of a fork the call was the whole program, so this raises
        SystemExit.
        """

    def failed(self, error: BaseException) -> bool:
        """Ends the call with this exception. Returns False if no call is at hand. In the child of a fork it raises the
        exception again.
        """

@final
class Running:
    """A coroutine task, which runs on an event loop."""

    @property
    def cluster(self) -> int:
        """The random number of the task's cluster."""

    @property
    def client(self) -> Client:
        """The client that submitted the task."""

    @property
    def key(self) -> Any:
        """The task's key."""

    @property
    def worker(self) -> int:
        """The number of the worker that the task is on."""

    @property
    def forked(self) -> bool:
        """True in the child of a fork that the task has made."""

    def done(self, result: Any) -> None:
        """Ends the task with this result."""

    def failed(self, error: BaseException) -> None:
        """Ends the task with this exception, or queues it again for a retry."""

    def awaits(self, futures: Any) -> None:
        """Tells the engine that the task cannot go on before all these futures have ended. An empty list says that it goes
        on.

        Raises:
            WaitCycleError: It would wait for itself.
        """

    def on_end(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        """Calls `loop.call_soon_threadsafe(callback)` when the task ends or is cancelled."""

@final
class Observations:
    """Holds what has been observed until the program takes it."""

    @property
    def dropped(self) -> int:
        """How many observations did not fit."""

    def take(self) -> list[tuple[float, int, str, int | None]]:
        """Returns all that has been observed since the last call, in rows: the seconds since the client began, a number
        that stands for the task, what happened, and the worker's number if it happened on one.
        """

@type_check_only
class _Closeable:
    def close(self) -> None: ...

def task_at_hand() -> tuple[int, Any] | None:
    """Returns the number of the task that runs on this thread of a worker process, and its key."""

def tasks_here() -> list[tuple[int, int, str]]:
    """Returns what the threads of this worker process are at work on: the identifier of each thread, the number of its task in
    the client's engine, and the text of the task's key."""

def keep_actor(number: int, state: Any) -> None:
    """Keeps the state of an actor in this process, until the client does not need it any more."""

def keep_caller(number: int, caller: Callable[..., Any]) -> None:
    """Keeps what makes the calls of the actor of this number."""

def kept_caller(number: int) -> Callable[..., Any] | None:
    """Returns that; None until the actor has had a coroutine."""

def actor_caller() -> Callable[..., Any]:
    """Returns a new function that makes the calls of one actor, so that they and its coroutines take turns."""

def kept_actor(number: int) -> Any:
    """Returns the state of the actor of this number, if it is in this process."""

def leave() -> None:
    """Says that this worker process leaves: from now on no end of a task counts here, and no task begins. The client has its
    tasks run again, unless it is closed."""

def open_files() -> list[Any]:
    """Returns all files of this process that are there as objects, closed ones too."""

def input_value(number: int) -> Any:
    """Returns an input of the task whose arguments this thread unpickles. An `Input` is pickled as a call of this.

    Raises:
        RuntimeError: No such arguments are being unpickled.
    """

def serve_process(number: int, client: int, start: Callable[[TaskThread], object]) -> None:
    """Makes this process a worker process of the client behind its standard input, as whose arena this has `number`.

    Calls `start` with each thread that the client orders. Kills the process when that of `client`, the process's number,
    ends, and when it can serve the client no more.
    """

def before_collection(phase: str, _info: object) -> None:
    """Takes the frames off the exceptions that only their tasks hold. One of `gc.callbacks`."""

def before_fork() -> None:
    """Called before every fork: the child will have what is mapped now."""

def after_fork() -> None:
    """Called in the child of every fork: the parent's clients are dead there."""

def time_left(cluster: ClusterCore) -> tuple[int, tuple[float, float] | None]:
    """Returns how many tasks of a cluster have not ended, and the least and the most seconds that they may take; None
    if that is unknown.
    """

def secede() -> bool | None:
    """Lets the task on this thread run on without a slot. Returns True if it had one, and None outside tasks."""

def rejoin() -> bool:
    """Waits for a slot for the task on this thread. Returns False outside tasks."""

def lend(futures: Any, loan: int | None = None) -> int | None:
    """Lends the slot of the task on this thread, for one more that waits, or for one that takes part in this loan. The task
    keeps its resources. Where the slot is not lent yet, the engine is told that the task waits for all of these futures; an
    empty list stands for something else.

    Returns the number of the loan; None outside tasks, and in a task that has seceded.

    Raises:
        WaitCycleError: It would wait for itself, or for what needs the resources that it keeps.
    """

def end_loan(loan: int) -> None:
    """One that took part in this loan waits no more. After the last one, waits for a slot."""

def awaits(futures: Any) -> None:
    """Tells the engine that the task on this thread, which has seceded, cannot go on before all these futures have ended.
    An empty list says that it goes on.

    Raises:
        WaitCycleError: It would wait for itself.
    """

def is_cancelled() -> bool:
    """Returns True if a plain task runs here and was cancelled, or its client closed."""

def check_cancelled() -> None:
    """Raises what a wait here would raise since the plain task was cancelled, if it was and is under no shield."""

def sleep_in_task(seconds: _Timeout) -> bool:
    """Sleeps in the plain task here without its slot, until the task is cancelled at the latest. Returns False at once if
    no task runs here.

    Raises:
        Cancelled: The task was cancelled.
    """

def shield_task(begins: bool) -> None:
    """Begins or ends a shield of the plain task here: waits under it go on though the task is cancelled."""

def in_plain_task() -> bool:
    """Returns true on the thread of a plain task."""

def secret() -> bytes:
    """Returns what this process's digests of keys depend on."""

def share_secret(secret: bytes) -> bool:
    """Makes another process's secret that of this one. Returns False if this process has used one of its own already."""

def forget(number: int) -> None:
    """Notes that this worker process has the queue, the lock or the like of this number no more. The client is told soon."""

def ask(what: bytes) -> Any:
    """Has the client of a worker process call something, by a pickle that says what. Returns the result."""

def detach(coroutine: Coroutine[Any, Any, Any], worker: int, context: Context | None) -> None:
    """Has the task on this thread of a worker process go on as this coroutine, without a slot. The thread may begin another
    one.

    Args:
        coroutine: What the task's function has returned.
        worker: The number of the worker that this process is.
        context: What it runs in a copy of; None for an empty context.
    """

@final
class Asked:
    """Something that the client of a worker process was asked, for an event loop."""

    def __new__(cls, what: bytes, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> Self:
        """Asks for a call, by a pickle that says which. Calls `loop.call_soon_threadsafe(callback)` when the answer is there."""

    def now(self) -> tuple[Any] | None:
        """Returns the answer in a tuple, or None if it is not there yet. Raises what the call has raised."""

    def give_up(self) -> bool:
        """Does what `close` does, and waits until it is done. Returns False if it is too late for that, as `Turn.give_up`
        does.
        """

    def close(self) -> None:
        """Gives the answer up if it was not taken. What the call takes out of a queue, say, goes back then."""

@final
class Order:
    """Something that this worker process is to do beside its tasks."""

    @property
    def forked(self) -> bool:
        """True in the child of a fork that the order's thread has made."""

    def what(self) -> Any:
        """Returns what is to be done. The second call returns None."""

    def done(self, result: Any) -> None:
        """Answers with this result, if nothing was answered yet."""

    def failed(self, error: BaseException) -> None:
        """Answers with this exception, if nothing was answered yet."""

@final
class Parcel:
    """What worker processes are to do beside their tasks, as a pickle."""

    def __new__(cls, cluster: ClusterCore, what: tuple[Any, ...]) -> Self:
        """Pickles it. Raises what the pickling raises."""

@final
class Ordered:
    """An order that was given to a worker process."""

    def now(self) -> tuple[Any] | None:
        """Returns what has come of it in a tuple, once, or None if that is not there yet. Raises what it has raised, and
        ConnectionError if the process has ended meanwhile.
        """

def give_order(
    cluster: ClusterCore,
    what: Parcel | None,
    workers: list[int],
    stays: bool,
    loop: asyncio.AbstractEventLoop,
    callback: Callable[[], object],
    leave: float | None = None,
) -> tuple[list[Ordered], int | None]:
    """Gives an order to worker processes. Calls `loop.call_soon_threadsafe(callback)` when one of them has answered. An order
    without `what` is answered when the process is there and fitted out, before its first task begins.

    With `leave` it is the last order that a process gets, and has it end. The process begins no task any more, does not count
    as there, and is killed after so many seconds. What is ordered later waits for the process that takes its place.

    Returns the order to each. If it `stays`, every process that starts later gets it first of all, until
    `ClusterCore._take_off` is called with the number that is returned.
    """

def keys_of(client: Core, tasks: list[int]) -> list[Any]:
    """Returns the keys of tasks, by the tasks' numbers in the engine; None for a task that is not kept any more."""

def coroutines_run_here() -> None:
    """Notes that coroutine tasks run on this thread, on an event loop of the program."""

def thread_client() -> Client | None:
    """Returns the client whose task runs on this thread; None outside tasks."""

def thread_running() -> Running | None:
    """Returns the task on this thread, in the form in which an event loop knows the tasks that run on it; None outside
    tasks.
    """

def wait(futures: Iterable[Future[Any]], timeout: _Timeout = None, first: bool = False) -> None:
    """Blocks until all of these futures have ended, or the first of them."""

def check_options(options: dict[str, Any]) -> None:
    """Raises an error if one of these options of a task can have no such value."""

def submit_as(
    client: Core, options: dict[str, Any], whole: tuple[Any, ...], kwargs: dict[str, Any] | None
) -> Future[Any]:
    """Submits a call, `whole` being the function and its arguments, with these options."""

def map_as(
    client: Core,
    options: dict[str, Any],
    func: Callable[..., Any],
    iterables: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
) -> list[Future[Any]]:
    """Submits a call for each row of these iterables, with these options."""

def open_group(client: Core, name: str, cancels: bool, around: Future[Any] | None = None) -> Future[None]:
    """Opens a group, and returns a future that ends when all that belongs to it has ended.

    Args:
        client: The client whose work it is.
        name: What it is called.
        cancels: If true, the first failure cancels the rest.
        around: The group that it is in. By default that is the one here, or it is in what grows from the task here.
    """

def close_group(gate: Future[None]) -> None:
    """Nothing more is submitted in this group itself."""

def failed_in_group(gate: Future[None], ends: bool) -> list[Future[Any]]:
    """Returns futures on the tasks that have failed in this group. With `ends` the engine forgets the group."""

def cancel_grown(future: Future[Any], interrupt: bool) -> None:
    """Cancels what has grown from this task, or in this group, as far as nobody outside wants it. What runs of that is
    interrupted if that is asked.
    """

def group_counts(gate: Future[None]) -> tuple[int, int, int, int]:
    """Returns how many tasks of this group have not ended, and how many have finished, failed and were cancelled."""

def watch_growth(future: Future[Any]) -> Future[None]:
    """Returns a future that ends when this task has ended, and all that has grown from it."""

def group_entered() -> None:
    """The block of one more group is entered."""

def group_left() -> None:
    """The block of a group is left."""

def timed_out(futures: list[Future[Any]]) -> TimeoutError:
    """Returns the error of a wait for these futures when its time is up."""

def why_cancelled(future: Future[Any]) -> tuple[str | None, str | None] | None:
    """Returns the reason and the message that a program gave when it cancelled this future; None if it gave none."""

def thread_task() -> tuple[Any, int] | None:
    """Returns the key of the task on this thread, and the number of the worker that runs it; None outside tasks."""

def has_begun(future: Future[Any]) -> bool:
    """Returns True if the task runs. One that a worker process has got counts as running."""

def cancel_unless_begun(future: Future[Any]) -> bool:
    """Cancels the task unless it has begun or ended. Returns True if this has cancelled it: then it never begins."""

def tokenize(*args: Any, **kwargs: Any) -> str:
    """Returns the digest of the arguments: 32 hexadecimal digits, the same for equal arguments in any process.

    The keys of pure tasks end in such a digest. It covers numbers, text, containers, functions (by their code and what
    it names), NumPy's arrays, objects that have `__dask_tokenize__`, and objects that can be pickled. Values of
    different types differ.

    Args:
        *args: What to hash.
        **kwargs: What to hash, by name.

    Raises:
        TypeError: Something in there cannot be hashed.

    >>> from azolla import tokenize
    >>> tokenize(1, [2, "three"]) == tokenize(1, [2, "three"])
    True
    >>> tokenize(1) == tokenize(True)
    False
    """

@final
class Dashboard:
    """A dashboard's server. It runs on a thread of its own. Without an address it has no page, and records alone."""

    def __new__(cls, cluster: ClusterCore, address: str | None, name: str, private: bool) -> Dashboard: ...
    @property
    def link(self) -> str:
        """The address of the page, with the token; empty without a page."""

    def run(self) -> list[tuple[int, BaseException | str | bytes | memoryview]] | None:
        """Serves for a while, then returns the tasks that have failed, so that the caller turns their errors into text.
        Returns None once the server is closed.
        """

    def add_error(self, task: int, text: str) -> None:
        """Sets the text of the error that a task has failed with."""

    def close(self) -> None:
        """Ends the server at once. The thread that runs it ends soon after."""

    def start_recording(self) -> None:
        """Records what runs until `stop_recording`."""

    def stop_recording(self) -> None:
        """Ends one recording."""

    def trace(self) -> str:
        """Returns what was recorded, as JSON that Perfetto opens."""

    def report(self) -> str:
        """Returns what was recorded, as a page."""

@final
class Turn:
    """A wait for something shared. Closing or dropping it gives the wait up."""

    @property
    def what(self) -> str:
        """What is waited for, as errors name it."""

    def wait(self, timeout: _Timeout = None) -> Any:
        """Blocks until the wait has its result, and returns the result."""

    def now(self) -> tuple[Any] | None:
        """Returns a tuple of the result, if the wait has it at once; else None."""

    def stand(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> bool:
        """Stands in line, and calls `loop.call_soon_threadsafe(callback)` once `now` has an answer. Returns True if it
        has one already.
        """

    def give_up(self) -> bool:
        """Gives the wait up, or what it has given. That goes to the next wait in line, and what was put in is taken out.
        Returns False if it is too late for that, since others have taken that out: the wait has ended, and its result is
        None.
        """

    def close(self) -> None:
        """Gives the wait up if it is not over. What it was given in the last moment goes to the next wait in line."""

@final
class QueueCore:
    """The native half of `Queue`."""

    def __new__(cls, client: Core, name: str, maxsize: int, own: bool) -> Self: ...
    def put(self, value: object) -> Turn:
        """Returns a wait to put this value in."""

    def get(self) -> Turn:
        """Returns a wait for the next item."""

    def get_many(self, number: int) -> Turn:
        """Returns a wait for a list of `number` items."""

    def take_all(self) -> Turn:
        """Takes out all items. Returns a wait that is over, for a list of them."""

    def qsize(self) -> int:
        """Returns the number of items."""

    def close(self) -> None:
        """Empties the queue if this is the only handle on it."""

@final
class VariableCore:
    """The native half of `Variable`."""

    def __new__(cls, client: Core, name: str, own: bool) -> Self: ...
    def set(self, value: object) -> None:
        """Sets the value."""

    def get(self) -> Turn:
        """Returns a wait for the value."""

    def delete(self) -> None:
        """Takes the value away, as if the variable had never been set."""

@final
class EventCore:
    """The native half of `Event`."""

    def __new__(cls, client: Core, name: str, own: bool) -> Self: ...
    def wait(self) -> Turn:
        """Returns a wait for the event to be set. The wait gives True."""

    def set(self) -> None:
        """Sets the event."""

    def clear(self) -> None:
        """Clears the event."""

    def is_set(self) -> bool:
        """Returns True if the event is set."""

@final
class SemaphoreCore:
    """The native half of `Semaphore` and `Lock`. When it is dropped, it gives back the leases that it has acquired."""

    def __new__(cls, client: Core, name: str, max_leases: int) -> Self: ...
    def acquire(self) -> Turn:
        """Returns a wait for a lease. The wait gives True."""

    def release(self) -> bool:
        """Gives back the oldest lease of this handle."""

    def value(self) -> int:
        """Returns how many leases are taken, on all handles together."""

    def close(self) -> int:
        """Ends all waits, and frees the name. Returns how many leases were taken."""

@final
class MultiLockCore:
    """The native half of `MultiLock`. When it is dropped, it frees what it has locked."""

    def __new__(cls, client: Core, names: list[str]) -> Self: ...
    def acquire(self, number: int | None = None) -> Turn:
        """Returns a wait for `number` of the locks, by default for all of them. The wait gives True."""

    def release(self) -> None:
        """Frees what this has locked."""

    def locked(self) -> bool:
        """Returns True if this has locked something."""
