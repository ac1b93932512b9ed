"""The functions that need no client as an argument: those for use inside tasks, and those on futures."""

import asyncio
from collections.abc import Generator, Iterable
from typing import Any, Generic, Literal, NamedTuple, TypeVar, overload

from azolla import _azolla
from azolla._azolla import Future
from azolla._base.arguments import flag
from azolla._base.errors import ClosedClientError
from azolla._base.futures import check_none_cancelled, futures_in, own_futures
from azolla._base.names import as_called
from azolla._base.time import Timeout, seconds
from azolla._client.client import Client
from azolla._cluster import workers as _workers
from azolla._cluster.workers import Worker
from azolla._run import awaiting as _await
from azolla._run.current import current_or_none
from azolla._run.lending import turn

T = TypeVar("T")


def get_client(address: str | None = None, timeout: Timeout = None, resolve_address: bool = True) -> Client:
    """Returns the client that runs the task in which this is called; outside tasks, the current client.

    Args:
        address: The address of a client's scheduler in this process.
        timeout: Taken as Dask takes it; nothing is waited for.
        resolve_address: Taken as Dask takes it.

    Raises:
        ValueError: There is none.

    >>> def grow(n):
    ...     return sum(get_client().gather(get_client().map(abs, range(-n, 0))))
    >>> client.submit(grow, 4).result()
    10
    """
    client = current_or_none()
    if client is None:
        raise ValueError("no client: this is not called in a task, and no Client is open")
    if address is not None and client.scheduler_info()["address"] != address:
        raise ValueError(f"no client of this process has the address {address!r}")
    return client


def default_client(c: Client | None = None) -> Client:
    """Returns the current client, as `Client.current` does.

    Args:
        c: A client that is returned instead.

    Raises:
        ValueError: No client is open.

    >>> default_client() is client
    True
    """
    client = c if c is not None else current_or_none()
    if client is None:
        raise ValueError("No clients found: make a Client first")
    return client


def get_worker() -> Worker:
    """Returns the worker that runs the task in which this is called, or for which `Client.run` or a plugin is called.

    Raises:
        ValueError: This is called elsewhere.

    >>> client.submit(lambda: get_worker().name, pure=False).result()
    0
    """
    worker = _workers.current()
    if worker is None:
        raise ValueError("get_worker() was called outside a task")
    return worker


def secede() -> None:
    """Lets the task in which this is called run on without a slot, so that another task begins in its place.

    A task that only waits need not do this: waiting takes no slot. A second call does nothing.

    Raises:
        ValueError: This is not called in a task.

    >>> def listen():
    ...     secede()  # for as long as it takes
    ...     return "heard"
    >>> client.submit(listen).result()
    'heard'
    """
    if _azolla.secede() is None and _await.current_task() is None:
        raise ValueError("secede() was called outside a task")


def rejoin() -> None:
    """Waits for a slot for a task that has seceded. It comes before tasks that have not begun.

    Raises:
        ValueError: This is not called in a task.
        ClosedClientError: The client was closed meanwhile.

    >>> def listen_then_work(n):
    ...     secede()
    ...     rejoin()  # the work takes a slot again
    ...     return n + 1
    >>> client.submit(listen_then_work, 1).result()
    2
    """
    if not _azolla.rejoin() and _await.current_task() is None:
        raise ValueError("rejoin() was called outside a task")


class DoneAndNotDoneFutures(NamedTuple, Generic[T]):
    """What `wait` returns. It can be awaited too, as `wait` is with an asynchronous client: that gives itself."""

    done: set[Future[T]]
    not_done: set[Future[T]]

    def __await__(self) -> "Generator[Any, None, DoneAndNotDoneFutures[T]]":
        yield from ()
        return self


@overload
def wait(
    fs: Future[T] | Iterable[Future[T]],
    timeout: Timeout = None,
    return_when: Literal["ALL_COMPLETED", "FIRST_COMPLETED"] = "ALL_COMPLETED",
    *,
    grown: bool = False,
) -> DoneAndNotDoneFutures[T]: ...
@overload
def wait(
    fs: object, timeout: Timeout = None, return_when: str = "ALL_COMPLETED", *, grown: bool = False
) -> DoneAndNotDoneFutures[Any]: ...
def wait(fs: Any, timeout: Timeout = None, return_when: str = "ALL_COMPLETED", *, grown: bool = False) -> Any:
    """Waits until all futures have ended, or one has (`return_when="FIRST_COMPLETED"`).

    A future that failed counts as ended. With an asynchronous client, and on a client's own loop, this is to be
    awaited.

    Args:
        fs: Futures, nested as for `gather`.
        timeout: Seconds (or a `timedelta`, or a text such as `"500ms"`) after which to give up; None for no limit.
        return_when: `"ALL_COMPLETED"` or `"FIRST_COMPLETED"`.
        grown: If true, a future counts as ended when all that has grown from its task has ended too: what the task has
            submitted, what those tasks have, and so on. What becomes of these is no error. A submit that finds its key
            makes no task, so nothing has grown by it.

    Returns:
        The sets of futures that have ended and that have not.

    Raises:
        TimeoutError: The time was up.
        FuturesCancelledError: Some of those that have ended were cancelled.
        WaitCycleError: The task in which this is called would wait for itself.
        ClosedClientError: The client was closed during the wait. With `grown`: the client is closed.
        NotImplementedError: `return_when` is neither of the two.
        TypeError: The futures are not given as one container.

    >>> futures = client.map(abs, [-1, -2, -3])
    >>> done, not_done = wait(futures)
    >>> len(done), len(not_done)
    (3, 0)
    """
    if isinstance(timeout, Future):
        raise TypeError("timeout= is a length of time. wait() expects a list of values: wait([x, y]), not wait(x, y)")
    if return_when not in ("ALL_COMPLETED", "FIRST_COMPLETED"):
        raise NotImplementedError(f"return_when must be 'ALL_COMPLETED' or 'FIRST_COMPLETED', not {return_when!r}")
    futures = futures_of(fs)
    first = return_when == "FIRST_COMPLETED"
    gates = {future: _watch_growth(future) for future in futures} if flag("wait(): grown", grown, False) else {}
    clients = {future.client for future in futures} or {current_or_none()}
    if any(client is not None and client._async_here() for client in clients):
        return as_called("wait", _wait_async, futures, timeout, first, gates)
    _azolla.wait([gates.get(future, future) for future in futures], timeout, first)
    return _sorted(futures, gates)


def wait_grown(future: Future[Any], timeout: Timeout) -> Any:
    """Implements `Future.wait_grown`."""
    gate, client = _watch_growth(future), future.client
    if client is not None and client._async_here():
        return as_called("Future.wait_grown", _grown_async, future, gate, timeout)
    _azolla.wait([gate], timeout, False)
    return _check_passed({future: gate})


async def _grown_async(future: Future[Any], gate: Future[Any], timeout: Timeout) -> None:
    limit = None if timeout is None else seconds(timeout)
    if not gate.done():
        waits = asyncio.ensure_future(_await.ended(gate))
        try:
            await asyncio.wait([waits], timeout=limit)
            if not waits.done():
                raise _azolla.timed_out([gate])
        finally:
            waits.cancel()
    _check_passed({future: gate})


def _check_passed(gates: dict[Future[Any], Future[Any]]) -> None:
    """Raises if some gates were cancelled, which only the end of their client does."""
    over = [future.key for future, gate in gates.items() if gate is not future and gate.cancelled()]
    if over:
        raise ClosedClientError(
            f"{', '.join(over)}: the client is closed, so nothing tells whether all that has grown has ended"
        )


def _watch_growth(future: Future[Any]) -> Future[Any]:
    client = future.client
    return future if client is None else client._in_group("watch_growth", future)


async def _wait_async(
    futures: list[Future[Any]], timeout: Any, first: bool, gates: dict[Future[Any], Future[Any]]
) -> DoneAndNotDoneFutures[Any]:
    limit = None if timeout is None else seconds(timeout)
    pending = [gate for gate in (gates.get(future, future) for future in futures) if not gate.done()]
    if not pending or (first and len(pending) < len(futures)):
        await turn()
        return _sorted(futures, gates)
    waits = [asyncio.ensure_future(_await.ended(future)) for future in pending]
    try:
        when = asyncio.FIRST_COMPLETED if first else asyncio.ALL_COMPLETED
        _, late = await asyncio.wait(waits, timeout=limit, return_when=when)
        if len(late) == len(waits) or (late and not first):
            raise _azolla.timed_out(futures)
    finally:
        for one in waits:
            one.cancel()
    return _sorted(futures, gates)


def _sorted(futures: list[Future[Any]], gates: dict[Future[Any], Future[Any]]) -> DoneAndNotDoneFutures[Any]:
    done = {future for future in futures if gates.get(future, future).done()}
    check_none_cancelled(done)
    _check_passed(gates)
    return DoneAndNotDoneFutures(done, set(futures) - done)


def fire_and_forget(obj: Any) -> None:
    """Makes tasks run to their ends even if no future on them is left. Their results are not kept.

    If one fails, the logger `"azolla"` says so, with the task's key, its call and the exception.

    Args:
        obj: A future, or futures nested as for `gather`.

    Raises:
        FutureCancelledError: One of the futures was released.

    >>> from queue import Queue
    >>> letters = Queue()
    >>> fire_and_forget(client.submit(letters.put, "sent", pure=False))
    >>> letters.get(timeout=10)
    'sent'
    """
    for future in futures_of(obj):
        client = future.client
        if client is not None:
            client._keep(future)


def futures_of(o: Any, client: Client | None = None) -> list[Future[Any]]:
    """Returns the futures in `o`, which is nested as for `gather`.

    Args:
        o: A future, a Dask collection, or containers of them.
        client: If given, only the futures of this client.

    Raises:
        FuturesCancelledError: With `client`, some of the futures were cancelled or released.

    >>> one, two = client.map(abs, [-1, -2])
    >>> futures_of({"numbers": [one, 2, (two,)]}) == [one, two]
    True
    """
    return futures_in(o) if client is None else own_futures(o, client)
