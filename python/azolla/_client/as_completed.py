"""`as_completed`: futures in the order in which they end."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from typing import Any, Generic, Literal, TypeVar, cast, overload

from azolla._azolla import Endings, Future
from azolla._base.errors import FutureCancelledError
from azolla._base.time import Timeout
from azolla._run.awaiting import wake
from azolla._run.lending import pause, turn

T = TypeVar("T")
Item = TypeVar("Item")


class _Completions(Endings, Generic[T, Item]):
    """`as_completed` over futures on `T`, by what iterating gives: `Future[T]`, or pairs with results."""

    with_results: bool
    raise_errors: bool

    def add(self, future: Future[T]) -> None:
        """Adds a future.

        Raises:
            TypeError: It is no future.

        >>> endings = as_completed()
        >>> endings.add(client.submit(abs, -1))
        >>> next(endings).result()
        1
        """
        self._add(future)

    def update(self, futures: Iterable[Future[T]]) -> None:
        """Adds several futures.

        Raises:
            TypeError: One of them is no future.

        >>> endings = as_completed()
        >>> endings.update(client.map(abs, [-1, -2]))
        >>> sorted(future.result() for future in endings)
        [1, 2]
        """
        for future in futures:
            self._add(future)

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        return self._shown(self._next())

    def next(self) -> Item:
        """Waits for the next future that ends, and returns it.

        Raises:
            StopIteration: No future is still to come.
            TimeoutError: The time was up.
            WaitCycleError: The task in which this is called would wait for itself.
            ClosedClientError: The client was closed during the wait.

        >>> as_completed([client.submit(abs, -1)]).next().result()
        1
        """
        return next(self)

    def next_batch(self, block: bool = True) -> list[Item]:
        """Returns all futures that have ended by now.

        With results, only the first future's exception is ever raised, so that the batch is not lost. A failed future
        after it comes with the triple `(type, exception, traceback)`.

        Args:
            block: If true, wait for one if none has ended; otherwise the list may be empty.

        Raises:
            StopIteration, TimeoutError, WaitCycleError, ClosedClientError: As for `next`, if `block`.

        >>> futures = client.map(abs, [-1, -2])
        >>> _ = wait(futures)
        >>> len(as_completed(futures).next_batch())
        2
        """
        return self._with_others([next(self)] if block else [])

    def _with_others(self, batch: list[Item]) -> list[Item]:
        """Adds to the batch all that have ended by now."""
        while (future := self._try_next()) is not None:
            batch.append(self._shown(future, raise_errors=False))
        return batch

    def batches(self) -> "Batches[Item]":
        """Iterates over batches. Each holds all futures that have ended when the batch is asked for, and at least one.

        It works with `for` and with `async for`.

        Raises:
            TimeoutError, WaitCycleError, ClosedClientError: As for `next`.

        >>> endings = as_completed(client.map(abs, [-1, -2, -3]))
        >>> sum(len(batch) for batch in endings.batches())
        3
        """
        return Batches(self)

    @property
    def futures(self) -> dict[Future[T], int]:
        """The futures that have not ended, each with how often it was added.

        Raises:
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> done = client.submit(abs, -1)
        >>> _ = wait(done)
        >>> as_completed([done]).futures
        {}
        """
        return dict(Counter(future for future in self._to_come() if not future.done()))

    def __repr__(self) -> str:
        waiting, done = self._waiting_and_done()
        return f"<as_completed: waiting={waiting} done={done}>"

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        loop = asyncio.get_running_loop()
        if self.has_ready():
            await turn()
        try:
            async with asyncio.timeout(self._seconds_left):
                while True:
                    # Another coroutine that iterates over this object may have taken the last future.
                    if self.is_empty():
                        raise StopAsyncIteration
                    waiter = loop.create_future()
                    future = self._next_or_listen(loop, partial(wake, waiter))
                    if future is not None:
                        break
                    await pause(waiter)
        except TimeoutError:
            raise self._timed_out() from None
        return self._shown(future)

    def _shown(self, future: Future[T], raise_errors: bool = True) -> Item:
        if not self.with_results:
            return cast(Item, future)
        return cast(Item, self._with_result(future, self.raise_errors and raise_errors))

    def _with_result(self, future: Future[T], raise_errors: bool) -> tuple[Future[T], Any]:
        error = future._exception()
        if error is None:
            try:
                return future, future._now()
            except FutureCancelledError as cancelled:
                return future, cancelled.with_traceback(None)
        if raise_errors:
            try:
                raise error
            finally:
                del error  # breaks the cycle of the exception, its traceback and this frame
        return future, (type(error), error, future._traceback())


class Batches(Generic[Item]):
    """What `as_completed.batches` iterates over: lists of futures, or of pairs with results."""

    def __init__(self, completions: "_Completions[Any, Item]") -> None:
        self._completions = completions

    def __iter__(self) -> Iterator[list[Item]]:
        return self

    def __next__(self) -> list[Item]:
        return self._completions.next_batch(block=True)

    def __aiter__(self) -> AsyncIterator[list[Item]]:
        return self

    async def __anext__(self) -> list[Item]:
        return self._completions._with_others([await anext(self._completions)])


class as_completed(_Completions[T, Future[T]]):  # a class, but called like Dask's
    """Iterates over futures as they end, including those that fail or are cancelled.

    A program can add more futures meanwhile with `add` and `update`; this is what evolving workflows do. The same
    objects come out that went in, and one that was added several times comes out as often. It works with `for` and with
    `async for`. After its end it can go on when more futures are added. Several threads may share one iterator: each
    completion goes to one of them.

    Args:
        futures: The futures to begin with.
        loop: Accepted as Dask accepts it; any loop may iterate.
        with_results: Give pairs `(future, result)`.
        raise_errors: With `with_results`, raise a failed future's exception; otherwise its result is the triple
            `(type, exception, traceback)`. For a cancelled future that is a `FutureCancelledError`, which is never
            raised.
        timeout: Seconds, a `timedelta`, or text such as `"500ms"`: that long from now, waiting for the next raises
            `TimeoutError`. None for no limit.

    Raises:
        TypeError: One of them is no future.
        RuntimeError: A plain `for` on the running loop of an asynchronous client, which would stand still.

    >>> from azolla import Client, as_completed
    >>> with Client(n_workers=1, threads_per_worker=2) as client:
    ...     seen = []
    ...     endings = as_completed([client.submit(int, "8")])
    ...     for future in endings:
    ...         seen.append(future.result())
    ...         if seen[-1] > 1:
    ...             endings.add(client.submit(int.__floordiv__, seen[-1], 2))
    >>> seen
    [8, 4, 2, 1]

    >>> with Client(n_workers=1, threads_per_worker=2) as client:
    ...     [result for future, result in as_completed(client.map(abs, [-1]), with_results=True)]
    [1]
    """

    @overload
    def __new__(
        cls,
        futures: Iterable[Future[T]] | None = None,
        loop: object = None,
        with_results: Literal[False] = False,
        raise_errors: bool = True,
        *,
        timeout: Timeout = None,
    ) -> "as_completed[T]": ...
    # With results an `as_completed` yields pairs. Its type parameters can say so only through `__new__`.
    @overload
    def __new__(  # type: ignore[misc]
        cls,
        futures: Iterable[Future[T]] | None = None,
        loop: object = None,
        *,
        with_results: Literal[True],
        raise_errors: Literal[True] = True,
        timeout: Timeout = None,
    ) -> "_Completions[T, tuple[Future[T], T]]": ...
    @overload
    def __new__(  # type: ignore[misc]
        cls,
        futures: Iterable[Future[T]] | None = None,
        loop: object = None,
        *,
        with_results: bool,
        raise_errors: bool = True,
        timeout: Timeout = None,
    ) -> "_Completions[T, Any]": ...
    def __new__(
        cls,
        futures: Iterable[Future[T]] | None = None,
        loop: object = None,
        with_results: bool = False,
        raise_errors: bool = True,
        *,
        timeout: Timeout = None,
    ) -> Any:
        self = super().__new__(cls, timeout)
        self.with_results = with_results
        self.raise_errors = raise_errors
        if futures is not None:
            self.update(futures)
        return self
