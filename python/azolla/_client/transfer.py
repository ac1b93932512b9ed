"""`gather` and `scatter`: results out of the cluster, and data into it."""

import asyncio
from collections.abc import Awaitable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from azolla._azolla import Core, Future
from azolla._base.arguments import flag
from azolla._base.names import as_called
from azolla._base.time import Timeout
from azolla._run import awaiting as _await
from azolla._run.lending import turn

if TYPE_CHECKING:
    from azolla._cluster.local import LocalCluster
    from azolla._cluster.staff import Workers

K = TypeVar("K")
T = TypeVar("T")


class Transfer(Core):
    """The part of `Client` that moves values: `gather` and `scatter`."""

    cluster: "LocalCluster"

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
        """Returns the results of futures, nested as the futures are.

        It looks into lists, tuples, named tuples, sets, the values of dictionaries and the fields of dataclasses. Other
        values pass through unchanged. A task that gathers takes no slot while it waits. On the client's own loop, and
        for an asynchronous client, `gather` is awaitable.

        Args:
            futures: A future, or containers of futures. An iterator is gathered as a list.
            errors: `"raise"` raises the exception of a future that failed, as soon as one has. `"skip"` leaves failed
                futures out of lists, and puts None in their places elsewhere.
            direct: Taken as Dask takes it; results are always at hand.
            asynchronous: True gives an awaitable in any case.

        Raises:
            Exception: Whatever the task raised, with `errors="raise"`.
            FutureCancelledError: A future was cancelled, with `errors="raise"`, or released.
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
            return as_called("Client.gather", self._gather_async, futures, errors)
        return self._gather(listed(futures), errors)

    async def _gather_async(self, futures: Any, errors: str) -> Any:
        futures = listed(futures)
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        gathering = self._gather_listen(futures, errors, loop, partial(_await.wake, waiter))
        if gathering is not None:
            try:
                await _await.pause_for(waiter, futures)
            finally:
                gathering.close()
        else:
            await turn()
        return self._gathered(futures, errors)

    # The overloads differ in the type of the container, or in having none. They overlap, which cannot be avoided.
    @overload
    def scatter(
        self,
        data: Any,
        workers: "Workers" = None,
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
        workers: "Workers" = None,
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
        workers: "Workers" = None,
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
        workers: "Workers" = None,
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
        workers: "Workers" = None,
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
        workers: "Workers" = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Timeout = None,
        asynchronous: Literal[False] | None = None,
    ) -> Future[T]: ...
    def scatter(
        self,
        data: Any,
        workers: "Workers" = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Timeout = None,
        asynchronous: bool | None = None,
    ) -> Any:
        """Returns futures on data that the program has already.

        A list, tuple, named tuple, set or frozenset gives a container of futures of the same type; a dictionary gives
        one with its keys as the futures' keys; a range or an iterator gives a list of futures on its items; anything
        else is one value, and gives one future. In this way data that goes into many calls is hashed once, and for worker
        processes pickled once. Several tasks may get one object, so a task copies it before it changes it.

        Args:
            data: The data.
            workers: The names or addresses of workers. All data is at hand on every worker in any case.
            broadcast: Taken as Dask takes it; all data is at hand everywhere.
            direct: Taken as Dask takes it.
            hash: If true, equal values share a key, made of their digest, and containers are copied, as a call's arguments
                are. If false, the data itself is the result on threads. For worker processes it is pickled in any case.
            timeout: Taken as Dask takes it; nothing is waited for.
            asynchronous: True gives an awaitable; so does an asynchronous client.

        Raises:
            TypeError: A key of the dictionary cannot be a task's key.
            ClosedClientError: The client is closed.
            ValueError: There is no such worker.
            Exception: With worker processes, what the pickling of the data raises.

        >>> text = client.scatter("a long text, to be searched often")
        >>> client.gather([client.submit(str.find, text, word) for word in ("long", "often")])
        [2, 28]
        >>> client.scatter({"x": 1.5})["x"].key
        'x'
        """
        self.cluster._chosen(workers)  # raises for an unknown one
        return _await.answer(self, self._scattered(data, flag("scatter(): hash", hash, True)), asynchronous)

    def _scattered(self, data: Any, hash: bool) -> Any:
        if type(data) is dict:
            if None in data:
                raise TypeError("a dictionary's keys become the futures' keys, and None is no key")
            return {key: self._scatter(value, key, hash) for key, value in data.items()}
        if isinstance(data, range):
            data = list(data)
        if isinstance(data, tuple) and hasattr(data, "_make") and hasattr(data, "_fields"):
            return data._make(self._scatter(value, None, hash) for value in data)
        if type(data) in (list, tuple, set, frozenset):
            return type(data)(self._scatter(value, None, hash) for value in data)
        if isinstance(data, Iterator):
            return [self._scatter(value, None, hash) for value in data]
        return self._scatter(data, None, hash)


def listed(futures: Any) -> Any:
    """Returns the futures in a container that can be iterated over twice."""
    # Iterators are drawn here because no native frame may lie below a generator's.
    return list(futures) if isinstance(futures, Iterator) else futures
