"""`AsyncClient`: an asynchronous client as type checkers know it on an event loop, where its methods give awaitables.

At run time there is one class, `Client`. Awaiting a client, or entering it by `async with`, gives type checkers this name
for it. The methods that they are told nothing of (`Any`) need no second signature.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from azolla._client.client import Client

K = TypeVar("K")
T = TypeVar("T")

if TYPE_CHECKING:
    from azolla._azolla import Future
    from azolla._base.time import Timeout

    class AsyncClient(Client):
        """A client made with `asynchronous=True`, on an event loop."""

        @overload  # type: ignore[override]
        def gather(
            self,
            futures: Future[T],
            errors: Literal["raise"] = "raise",
            direct: Any = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[T]: ...
        @overload
        def gather(
            self,
            futures: list[Future[T]] | Iterator[Future[T]],
            errors: Literal["raise", "skip"] = "raise",
            direct: Any = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[list[T]]: ...
        @overload
        def gather(
            self,
            futures: tuple[Future[T], ...],
            errors: Literal["raise"] = "raise",
            direct: Any = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[tuple[T, ...]]: ...
        @overload
        def gather(
            self,
            futures: set[Future[T]],
            errors: Literal["raise"] = "raise",
            direct: Any = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[set[T]]: ...
        @overload
        def gather(
            self,
            futures: dict[K, Future[T]],
            errors: Literal["raise"] = "raise",
            direct: Any = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[dict[K, T]]: ...
        @overload
        def gather(
            self,
            futures: object,
            errors: Literal["raise", "skip"] = "raise",
            direct: Any = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[Any]: ...
        def gather(self, futures: Any, errors: str = "raise", direct: Any = None, asynchronous: Any = None) -> Any: ...
        @overload  # type: ignore[override]
        def scatter(  # type: ignore[overload-overlap]
            self,
            data: dict[K, T],
            workers: Any = None,
            broadcast: bool = False,
            direct: Any = None,
            hash: bool = True,
            timeout: Timeout = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[dict[K, Future[T]]]: ...
        @overload
        def scatter(  # type: ignore[overload-overlap]
            self,
            data: list[T] | Iterator[T],
            workers: Any = None,
            broadcast: bool = False,
            direct: Any = None,
            hash: bool = True,
            timeout: Timeout = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[list[Future[T]]]: ...
        @overload
        def scatter(  # type: ignore[overload-overlap]
            self,
            data: tuple[T, ...],
            workers: Any = None,
            broadcast: bool = False,
            direct: Any = None,
            hash: bool = True,
            timeout: Timeout = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[tuple[Future[T], ...]]: ...
        @overload
        def scatter(  # type: ignore[overload-overlap]
            self,
            data: set[T],
            workers: Any = None,
            broadcast: bool = False,
            direct: Any = None,
            hash: bool = True,
            timeout: Timeout = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[set[Future[T]]]: ...
        @overload
        def scatter(
            self,
            data: T,
            workers: Any = None,
            broadcast: bool = False,
            direct: Any = None,
            hash: bool = True,
            timeout: Timeout = None,
            asynchronous: bool | None = None,
        ) -> Awaitable[Future[T]]: ...
        def scatter(
            self,
            data: Any,
            workers: Any = None,
            broadcast: bool = False,
            direct: Any = None,
            hash: bool = True,
            timeout: Timeout = None,
            asynchronous: bool | None = None,
        ) -> Any: ...
        def sync(  # type: ignore[override]
            self,
            func: Callable[..., Coroutine[Any, Any, T]],
            *args: Any,
            asynchronous: bool | None = None,
            callback_timeout: Timeout = None,
            **kwargs: Any,
        ) -> Awaitable[T]: ...
        def __enter__(self) -> "AsyncClient": ...
else:
    AsyncClient = Client
