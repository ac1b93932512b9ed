"""`Client`: where work is submitted."""

import asyncio
import atexit
import concurrent.futures
import contextlib
import gc
import inspect
import os
import secrets
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextvars import ContextVar
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Never, TypeVar, overload

from azolla import _await, _azolla, _html, _leave, _worker
from azolla._azolla import Core, Future, Running
from azolla._errors import ClosedClientError
from azolla._executor import Executors
from azolla._threads import CallbackThread, LoopThread
from azolla._time import Timeout, seconds

K = TypeVar("K")
R = TypeVar("R")
T = TypeVar("T")

_numbers = count(1)
#: The open clients by number. Dictionaries, because to copy one is a single step for other threads.
_clients: "dict[int, weakref.ref[Client]]" = {}
#: Those of them that may be found by `Client.current()`, the latest last.
_defaults: "dict[int, weakref.ref[Client]]" = {}
_active: "ContextVar[weakref.ref[Client] | None]" = ContextVar("azolla_client", default=None)

#: How long closing waits for threads that run something, in seconds. They end with the process.
_JOIN = 1.0


class Client(Executors):
    """Runs functions on threads, and gives futures on their results.

    Args:
        address: A cluster's address. None is reached yet: leave it out.
        n_workers: How many workers; by default 1.
        threads_per_worker: How many tasks each runs at once; by default the processors, shared among the workers.
        processes: Must be False so far: worker processes, which are Dask's default, are still to come.
        name: What the client is called.
        set_as_default: Whether `get_client` and `Client.current` find it.
        asynchronous: Whether methods that would block give awaitables. Make such a client by
            `await Client(asynchronous=True, processes=False)` or in `async with`.
        dashboard_address: Must be None so far: there is no dashboard yet.

    Raises:
        NotImplementedError: For worker processes, or an address.
        TypeError: For an argument that a client does not have, and for numbers of workers or threads that are none.
        ValueError: For less than one worker or thread.

    Leaving a `with` statement closes the client, as `close` does. The methods below of which a type checker is told that
    they return a value return an awaitable on the client's own event loop, and of an asynchronous client; with
    `asynchronous=True` they do anywhere, and the type checker knows.

    >>> from azolla import Client
    >>> with Client(processes=False, n_workers=1, threads_per_worker=2) as client:
    ...     client.submit(lambda x: x + 1, 41).result()
    42

    >>> async def main():
    ...     async with Client(processes=False, asynchronous=True) as client:
    ...         return await client.gather(client.map(abs, [-1, -2]))
    >>> import asyncio
    >>> asyncio.run(main())
    [1, 2]
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        n_workers: int | None = None,
        threads_per_worker: int | None = None,
        processes: bool | None = None,
        name: str | None = None,
        set_as_default: bool = True,
        asynchronous: bool = False,
        dashboard_address: str | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            raise TypeError(f"Client() has no argument {', '.join(repr(argument) for argument in unknown)}")
        if address is not None:
            raise NotImplementedError(
                f"Client({address!r}): clusters cannot be reached yet; leave the address out and pass processes=False"
            )
        if processes is None or processes:
            raise NotImplementedError(
                "Client() with worker processes is still to come: pass processes=False to run tasks on threads"
            )
        if _leave.ending:
            raise RuntimeError("the interpreter is coming to its end: no client can be made any more")
        if dashboard_address is not None:
            raise NotImplementedError("there is no dashboard yet: leave dashboard_address out, or pass None")
        workers = _positive("n_workers", n_workers, 1)
        threads = _positive("threads_per_worker", threads_per_worker, max(1, (os.cpu_count() or 1) // workers))
        self._number = next(_numbers)
        self.name = name or f"azolla-{self._number}"
        self.asynchronous = asynchronous
        self._workers, self._threads_per_worker = workers, threads
        self._threads: set[threading.Thread] = set()
        self._helpers: dict[str, Any] = {}
        self._callback_thread = CallbackThread(f"{self.name}-callbacks")
        self._start(workers * threads, partial(_worker.start, self._threads), weakref.ref(self), secrets.randbits(128))
        self._set_asynchronous(asynchronous)
        _clients[self._number] = weakref.ref(self)
        if set_as_default:
            _defaults[self._number] = weakref.ref(self)
        if "joblib" in sys.modules:
            import azolla.joblib  # noqa: F401 (registers the backend)

    # --- The client's life

    @property
    def status(self) -> str:
        """`"running"` or `"closed"`.

        >>> client.status
        'running'
        """
        return "closed" if self._closed else "running"

    def close(self, timeout: Timeout = None) -> Any:
        """Cancels what has not ended, and ends the client. Waits on its futures end.

        Tasks that run are waited for for a second at the most; then they are left to themselves. To close a client
        again does nothing. In a coroutine, an asynchronous client's is awaitable.

        Args:
            timeout: Taken as Dask takes it.

        >>> client.close()
        >>> client.submit(abs, -1)
        Traceback (most recent call last):
        azolla.ClosedClientError: submit: the client is closed
        """
        if self.asynchronous and _running_loop() is not None:
            return self._close_async()
        self._end(_JOIN)
        return None

    def shutdown(self) -> Any:
        """As `close`.

        >>> client.shutdown()
        >>> client.status
        'closed'
        """
        return self.close()

    async def _close_async(self) -> None:
        await asyncio.to_thread(self._end, _JOIN)

    def _end(self, patience: float) -> None:
        if self._forked:
            return
        self._forget()
        self._close()
        deadline = time.monotonic() + patience
        loop_thread: LoopThread | None = self._helpers.get("loop")
        if loop_thread is not None:
            loop_thread.stop(max(0.0, deadline - time.monotonic()))
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._callback_thread.stop(max(0.0, deadline - time.monotonic()))

    def _forget(self) -> None:
        _defaults.pop(self._number, None)
        _clients.pop(self._number, None)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end(_JOIN)

    def __await__(self) -> Any:
        return self._itself().__await__()

    async def _itself(self) -> "Client":
        return self

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close_async()

    def __del__(self) -> None:
        if not self._closed:
            self._forget()
            self._close()
            # Their threads hold nothing of the client; nobody waits for them here.
            loop_thread: LoopThread | None = self._helpers.get("loop")
            if loop_thread is not None:
                loop_thread.stop(0.0)
            self._callback_thread.stop(0.0)

    def __dask_tokenize__(self) -> tuple[str, int]:
        # So that a function of a notebook that names its client has a pure key all the same.
        return ("azolla.Client", self._number)

    def __reduce__(self) -> Any:
        raise TypeError("a Client cannot be pickled; call get_client() in the task instead")

    # --- Which client

    @classmethod
    def current(cls, allow_global: bool = True) -> "Client":
        """The client of the task in which this is called, of the enclosing `as_current`, or the latest one open.

        Args:
            allow_global: Whether the latest one open counts.

        Raises:
            ValueError: There is none.

        >>> Client.current() is client
        True
        """
        client = current_or_none(allow_global)
        if client is None:
            raise ValueError("no client is open" if allow_global else "no client is current here")
        return client

    @contextlib.contextmanager
    def as_current(self) -> Iterator["Client"]:
        """Makes this the current client within a `with` statement.

        >>> other = Client(processes=False, threads_per_worker=1, set_as_default=False)
        >>> with other.as_current():
        ...     get_client() is other
        True
        >>> get_client() is client
        True
        >>> other.close()
        """
        token = _active.set(weakref.ref(self))
        try:
            yield self
        finally:
            _active.reset(token)

    # --- Event loops

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The client's own event loop, on which coroutine tasks run. It has a thread of its own.

        Raises:
            ClosedClientError: The client is closed, and had no loop.

        >>> import asyncio
        >>> asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "slept"), client.loop).result()
        'slept'
        """
        return self._on_loop().loop

    def _on_loop(self) -> LoopThread:
        self._check_open("the event loop")
        thread: LoopThread | None = self._helpers.get("loop")
        if thread is None:
            made = LoopThread(f"{self.name}-loop", self._set_loop_thread)
            thread = self._helpers.setdefault("loop", made)
            if thread is not made:
                made.discard()
        thread.start()
        if self._closed:
            thread.stop(0.0)  # the one who closed it may not have seen it
            raise ClosedClientError("the client is closed")
        return thread

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
        """Runs a coroutine function on the client's own event loop, and waits for its result.

        On that loop itself, and for an asynchronous client, this gives the coroutine instead.

        Args:
            func: The coroutine function.
            *args: What to call it with.
            asynchronous: True gives the coroutine in any case.
            callback_timeout: Seconds, a `timedelta`, or text such as `"500ms"`, after which to give up, and to cancel
                the coroutine; None for no limit.
            **kwargs: What to call it with, by name.

        Raises:
            TimeoutError: The time was up.
            Exception: Whatever the coroutine raises.

        >>> async def total(numbers):
        ...     return sum([await future for future in client.map(abs, numbers)])
        >>> client.sync(total, [-1, 2, -3])
        6
        """
        if asynchronous or (asynchronous is None and self._async_here()):
            return func(*args, **kwargs)
        thread = self._on_loop()
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        begin = partial(_await.run_for, answer, thread.loop, func, args, kwargs)
        with _await.in_task(_azolla.thread_running()):
            thread.post(begin, partial(_refuse, answer))
        # In a task this is a wait like any other: the slot is lent meanwhile.
        lent = _azolla.secede()
        try:
            limit = None if callback_timeout is None else seconds(callback_timeout)
            return answer.result(limit)
        except BaseException:
            answer.cancel()
            raise
        finally:
            del answer  # an exception's traceback leads here
            if lent:
                _azolla.rejoin()

    def _run_coroutine(self, coroutine: Coroutine[Any, Any, Any], running: Running, context: Any) -> None:
        try:
            thread = self._on_loop()
            begin = partial(_await.begin, thread.loop, coroutine, running, context)
            thread.post(begin, partial(_close_unbegun, coroutine))
        except BaseException:
            coroutine.close()
            raise

    def _post_callback(self, function: Callable[[Future[Any]], object], future: Future[Any]) -> None:
        if not _leave.ending:
            self._callback_thread.post(function, future)

    # --- Work

    if not TYPE_CHECKING:

        def map(self, func, *iterables, key=None, **options):
            if all(type(iterable) in _PLAIN for iterable in iterables):
                return super().map(func, *iterables, key=key, **options)
            # Others may run code of the user's when they are iterated over: the engine's frames must not lie below it.
            rows, futures = zip(*iterables, strict=False), []
            if isinstance(key, list):
                return super().map(func, *_columns(iterables, list(rows)), key=key, **options)
            while portion := list(islice(rows, _PORTION)):
                first, keys = len(futures), key
                if key is not None:
                    keys = [f"{key}-{number}" for number in range(first, first + len(portion))]
                futures += super().map(func, *_columns(iterables, portion), key=keys, **options)
            return futures or super().map(func, *_columns(iterables, []), key=key, **options)

        map.__doc__ = f"{Core.map.__doc__}\n\n>>> client.gather(client.map(abs, (-1 for _ in range(3))))\n[1, 1, 1]\n"
        map.__signature__ = inspect.signature(Core.map)

    @overload
    def gather(
        self,
        futures: Any,
        errors: Literal["raise", "skip"] = "raise",
        direct: Any = None,
        *,
        asynchronous: Literal[True],
    ) -> Awaitable[Any]: ...
    @overload
    def gather(
        self,
        futures: Future[T],
        errors: Literal["raise"] = "raise",
        direct: Any = None,
        asynchronous: Literal[False] | None = None,
    ) -> T: ...
    @overload
    def gather(
        self,
        futures: list[Future[T]] | Iterator[Future[T]],
        errors: Literal["raise", "skip"] = "raise",
        direct: Any = None,
        asynchronous: Literal[False] | None = None,
    ) -> list[T]: ...
    @overload
    def gather(
        self,
        futures: tuple[Future[T], ...],
        errors: Literal["raise"] = "raise",
        direct: Any = None,
        asynchronous: Literal[False] | None = None,
    ) -> tuple[T, ...]: ...
    @overload
    def gather(
        self,
        futures: set[Future[T]],
        errors: Literal["raise"] = "raise",
        direct: Any = None,
        asynchronous: Literal[False] | None = None,
    ) -> set[T]: ...
    @overload
    def gather(
        self,
        futures: dict[K, Future[T]],
        errors: Literal["raise"] = "raise",
        direct: Any = None,
        asynchronous: Literal[False] | None = None,
    ) -> dict[K, T]: ...
    @overload
    def gather(
        self,
        futures: object,
        errors: Literal["raise", "skip"] = "raise",
        direct: Any = None,
        asynchronous: bool | None = None,
    ) -> Any: ...
    def gather(self, futures: Any, errors: str = "raise", direct: Any = None, asynchronous: bool | None = None) -> Any:
        """The results of futures, nested as the futures are.

        Lists, tuples, named tuples, sets, the values of dictionaries and the fields of dataclasses are looked into;
        what is no future is passed through. Inside a task this takes no slot. On the client's own loop, and for an
        asynchronous client, it is awaitable.

        Args:
            futures: A future, or containers of futures. An iterator is gathered as a list.
            errors: `"raise"` raises the exception of one that failed, as soon as one has. `"skip"` leaves the failed
                out of lists, and puts None for them elsewhere.
            direct: Taken as Dask takes it; results are always at hand.
            asynchronous: True gives an awaitable in any case.

        Raises:
            Exception: Whatever the task raised, with `errors="raise"`.
            FutureCancelledError: One was cancelled, with `errors="raise"`, or released.
            ValueError: `errors` is neither of the two.
            WaitCycleError: The task in which this is called would wait for itself.
            ClosedClientError: The client was closed during the wait.

        >>> one, two = client.map(abs, [-1, -2])
        >>> client.gather([one, two])
        [1, 2]
        >>> client.gather({"one": one, "both": [one, two], "text": "as it is"})
        {'one': 1, 'both': [1, 2], 'text': 'as it is'}
        >>> client.gather([one, client.submit(int, "two")], errors="skip")
        [1]
        """
        if asynchronous or (asynchronous is None and self._async_here()):
            return self._gather_async(futures, errors)
        return self._gather(_listed(futures), errors)

    async def _gather_async(self, futures: Any, errors: str) -> Any:
        futures = _listed(futures)
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        gathering = self._gather_listen(futures, errors, loop, partial(_await.wake, waiter))
        if gathering is not None:
            try:
                await waiter
            finally:
                gathering.close()
        return self._gathered(futures, errors)

    # To be told apart by the type of the container, or the lack of one: they overlap of course.
    @overload
    def scatter(
        self,
        data: Any,
        workers: None = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Timeout = None,
        *,
        asynchronous: Literal[True],
    ) -> Awaitable[Any]: ...
    @overload
    def scatter(  # type: ignore[overload-overlap]
        self,
        data: dict[K, T],
        workers: None = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Timeout = None,
        asynchronous: Literal[False] | None = None,
    ) -> dict[K, Future[T]]: ...
    @overload
    def scatter(  # type: ignore[overload-overlap]
        self,
        data: list[T] | Iterator[T],
        workers: None = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Timeout = None,
        asynchronous: Literal[False] | None = None,
    ) -> list[Future[T]]: ...
    @overload
    def scatter(  # type: ignore[overload-overlap]
        self,
        data: tuple[T, ...],
        workers: None = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Timeout = None,
        asynchronous: Literal[False] | None = None,
    ) -> tuple[Future[T], ...]: ...
    @overload
    def scatter(  # type: ignore[overload-overlap]
        self,
        data: set[T],
        workers: None = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Timeout = None,
        asynchronous: Literal[False] | None = None,
    ) -> set[Future[T]]: ...
    @overload
    def scatter(
        self,
        data: T,
        workers: None = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Timeout = None,
        asynchronous: Literal[False] | None = None,
    ) -> Future[T]: ...
    def scatter(
        self,
        data: Any,
        workers: Any = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Timeout = None,
        asynchronous: bool | None = None,
    ) -> Any:
        """Futures on data that is there already.

        A list, tuple, set or frozenset gives a container of futures of the same type; a dictionary gives one with its
        keys as the futures' keys; an iterator gives a list of futures on its items; anything else is one value, and
        gives one future. Data that goes into many calls is hashed once this way.

        Args:
            data: The data.
            workers: Must be None: all data is at hand everywhere.
            broadcast: Taken as Dask takes it; all data is at hand everywhere.
            direct: Taken as Dask takes it.
            hash: Whether equal values share a key, made of their digest.
            timeout: Taken as Dask takes it; nothing is waited for.
            asynchronous: True gives an awaitable; so does an asynchronous client.

        Raises:
            TypeError: A key of the dictionary can be no task's key.
            ClosedClientError: The client is closed.
            NotImplementedError: `workers` is given.

        >>> text = client.scatter("a long text, to be searched often")
        >>> client.gather([client.submit(str.find, text, word) for word in ("long", "often")])
        [2, 28]
        >>> client.scatter({"x": 1.5})["x"].key
        'x'
        """
        if workers is not None:
            raise NotImplementedError("workers= is not supported yet: a client has one kind of worker so far")
        futures = self._scattered(data, hash)
        if asynchronous or (asynchronous is None and self._async_here()):
            return _await.Ready(futures)
        return futures

    def _scattered(self, data: Any, hash: bool) -> Any:
        if type(data) is dict:
            if None in data:
                raise TypeError("a dictionary's keys become the futures' keys, and None is no key")
            return {key: self._scatter(value, key, hash) for key, value in data.items()}
        if type(data) in (list, tuple, set, frozenset):
            return type(data)(self._scatter(value, None, hash) for value in data)
        if isinstance(data, Iterator):
            return [self._scatter(value, None, hash) for value in data]
        return self._scatter(data, None, hash)

    def cancel(
        self,
        futures: Any,
        asynchronous: bool | None = None,
        force: bool = False,
        reason: str | None = None,
        msg: str | None = None,
    ) -> Any:
        """Cancels tasks and what depends on them.

        One that runs goes on to its end, for nobody; a coroutine is cancelled at its next `await`.

        Args:
            futures: Futures, nested as for `gather`.
            asynchronous: True gives an awaitable; so does an asynchronous client.
            force: Taken as Dask takes it: there is one client, so cancelling always holds.
            reason: Taken as Dask takes it.
            msg: Taken as Dask takes it.

        >>> futures = client.map(abs, [-1, -2])
        >>> client.cancel(futures)
        >>> [future.status for future in futures]
        ['cancelled', 'cancelled']
        """
        for future in Core._futures(_listed(futures)):
            future._cancel()
        return _await.Ready(None) if asynchronous or (asynchronous is None and self._async_here()) else None

    def retry(self, futures: Any, asynchronous: bool | None = None) -> Any:
        """Runs failed tasks again, after the failed tasks that they depended on.

        Args:
            futures: Futures, nested as for `gather`.
            asynchronous: True gives an awaitable; so does an asynchronous client.

        Raises:
            FutureCancelledError: One was released.
            ClosedClientError: The client is closed.

        >>> failed = client.map(int, ["seven"])
        >>> _ = wait(failed)
        >>> client.retry(failed)
        >>> [str(future.exception()) for future in failed]
        ["invalid literal for int() with base 10: 'seven'"]
        """
        for future in Core._futures(_listed(futures)):
            future._retry()
        return _await.Ready(None) if asynchronous or (asynchronous is None and self._async_here()) else None

    # --- What there is

    def scheduler_info(self) -> dict[str, Any]:
        """The address, and what there is of workers.

        >>> info = client.scheduler_info()
        >>> info["address"].startswith("inproc://")
        True
        >>> [worker["nthreads"] for worker in info["workers"].values()]
        [2]
        """
        return {
            "type": "Scheduler",
            "id": self.name,
            "address": self._address("scheduler"),
            "workers": {
                self._address(str(worker)): {"name": worker, "nthreads": self._threads_per_worker}
                for worker in range(self._workers)
            },
        }

    def nthreads(self) -> dict[str, int]:
        """How many tasks each worker runs at once, by the workers' addresses.

        >>> sum(client.nthreads().values())
        2
        """
        return {address: info["nthreads"] for address, info in self.scheduler_info()["workers"].items()}

    def ncores(self) -> dict[str, int]:
        """As `nthreads`.

        >>> client.ncores() == client.nthreads()
        True
        """
        return self.nthreads()

    def _address(self, of: str) -> str:
        return f"inproc://{os.getpid()}/{self._number}/{of}"

    def _worker_info(self) -> "WorkerInfo":
        running, task = _await.current_task(), _azolla.thread_task()
        key = task[0] if task is not None else running.key if running is not None else None
        number = task[1] % self._workers if task is not None else 0
        return WorkerInfo(number, self._address(str(number)), self, key)

    def __repr__(self) -> str:
        threads = self._workers * self._threads_per_worker
        address = self._address("scheduler")
        return f"<Client: {address!r} workers={self._workers} threads={threads} status={self.status!r}>"

    def _repr_html_(self) -> str:
        return _html.client(self)


class WorkerInfo(NamedTuple):
    """What `get_worker` tells of a worker."""

    name: int
    address: str
    client: Client
    key: Any

    def get_current_task(self) -> Any:
        """The key of the task that asks.

        >>> client.submit(lambda: get_worker().get_current_task(), key="who").result()
        'who'
        """
        return self.key


def current_or_none(allow_global: bool = True) -> Client | None:
    """As `Client.current`, with None where there is none."""
    # A thread's task comes first: it runs in a context that may have come from a coroutine task.
    client: Client | None = _azolla.thread_client()
    if client is not None:
        return client
    running = _await.current_task()
    if running is not None:
        return running.client
    active = _active.get()
    client = active() if active is not None else None
    if client is not None and not client._closed:
        return client
    if allow_global:
        for reference in reversed(list(_defaults.values())):
            client = reference()
            if client is not None and not client._closed:
                return client
    return None


#: What is iterated over without running any code but the interpreter's.
_PLAIN = frozenset({list, tuple, range, dict, set, frozenset, str, bytes})

#: How many tasks are submitted at once: few enough for the first to begin early.
_PORTION = 256


def _columns(iterables: tuple[Iterable[Any], ...], rows: list[tuple[Any, ...]]) -> Iterable[Any]:
    return zip(*rows, strict=True) if rows else [()] * len(iterables)


def _positive(name: str, value: int | None, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, not {value}")
    return value


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _listed(futures: Any) -> Any:
    # Iterators are drawn here: the engine's frames must not lie below a generator's.
    return list(futures) if isinstance(futures, Iterator) else futures


def _refuse(answer: "concurrent.futures.Future[Any]") -> None:
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        answer.set_exception(ClosedClientError("the client was closed during the call"))


def _close_unbegun(coroutine: Coroutine[Any, Any, Any]) -> None:
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()


def _at_exit() -> None:
    """Refuses new work, cancels the queue, ends all waits, and gives running tasks a moment."""
    _leave.ending = True
    clients = [client for client in [reference() for reference in list(_clients.values())] if client is not None]
    for client in clients:
        client._close()
    deadline = time.monotonic() + _JOIN
    for client in clients:
        client._end(max(0.0, deadline - time.monotonic()))


def _after_fork() -> None:
    """In the child of a fork the parent's clients are dead, before anything of theirs is touched."""
    _azolla.after_fork()
    _defaults.clear()
    _clients.clear()


atexit.register(_at_exit)
gc.callbacks.append(_azolla.before_collection)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
