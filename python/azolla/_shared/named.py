"""The common base of `Queue`, `Variable`, `Lock`, `MultiLock`, `Semaphore` and `Event`: a name, a client, and waits."""

import asyncio
import numbers
import uuid
import weakref
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

from azolla import _azolla
from azolla._azolla import Turn
from azolla._base.names import as_called
from azolla._base.time import Timeout, seconds
from azolla._client.client import Client
from azolla._run import awaiting as _await
from azolla._run import lending
from azolla._run.current import current_or_none

C = TypeVar("C")

#: The attributes that `Shared.__init__` sets.
SET_BY_INIT = ("name", "_own", "_client", "_core")


class Shared(Generic[C]):
    """Something that tasks and others share, found by its name."""

    def __init__(self, kind: str, name: Any, client: Client | None) -> None:
        #: The name is made up here, so nothing can find what it names after the last object of that name is gone.
        self._own = name is None or (isinstance(name, str) and not name)
        self.name = f"{kind}-{uuid.uuid4().hex}" if self._own else name
        text(self.name)  # raises for one that cannot be a name
        self._client: weakref.ref[Client] | None = None
        self._core: C | None = None
        if client is not None and not isinstance(client, Client):
            raise TypeError(f"{type(self).__name__}(): client must be a Client, not {client!r}")
        client = client or current_or_none()
        if client is not None:
            self._bind(client)

    def _make(self, client: Client) -> C:
        raise NotImplementedError

    def _bind(self, client: Client) -> C:
        self._core = client._native(self, self._make)
        # The reference is weak: an argument of a queued task must not keep that task's own client alive.
        self._client = weakref.ref(client)
        return self._core

    @property
    def client(self) -> Client | None:
        """The client; None if there is no client yet, or the client is gone.

        >>> Queue().client is client
        True
        """
        return self._client() if self._client is not None else current_or_none()

    def _bound(self) -> C:
        if self._core is not None:
            return self._core
        client = current_or_none()
        if client is None:
            raise RuntimeError(
                f"{type(self).__name__} object not properly initialized: it was made, or unpickled, where there was no client. "
                "Make a Client first"
            )
        return self._bind(client)

    def _awaits(self) -> bool:
        """Returns true if the caller must get awaitables."""
        client = self.client
        return client is not None and client._async_here()

    def _answer(self, value: Any) -> Any:
        """Returns the value of an operation that did not wait, or an awaitable of it if the caller must await."""
        return _await.Ready(value) if self._awaits() else value

    def _take(self, method: str, turn: Turn, timeout: Timeout) -> Any:
        """Waits for the turn, for this method: blocks, or returns an awaitable if the caller must await."""
        return self._called(method, later, turn, timeout) if self._awaits() else turn.wait(timeout)

    def _try(self, method: str, turn: Turn, timeout: Timeout) -> Any:
        """Does what `_take` does, but gives False instead of a TimeoutError."""
        if self._awaits():
            return self._called(method, _later_or_false, turn, timeout)
        try:
            return turn.wait(timeout)
        except TimeoutError:
            return False

    def _called(self, method: str, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return as_called(f"{type(self).__name__}.{method}", function, *args)

    async def _itself(self) -> Any:
        return self

    def __await__(self) -> Any:
        return self._itself().__await__()

    def __dask_tokenize__(self) -> Any:
        return (f"azolla.{type(self).__name__}", self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name!s}>"


class ContextManager(Shared[C]):
    """The base of what `with` and `async with` acquire and release."""

    def _acquire(self) -> Turn:
        raise NotImplementedError

    def _release(self) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        if self._awaits():
            raise RuntimeError(f"with an asynchronous client, and on its event loop, write 'async with' for {self!r}")
        self._acquire().wait()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._release()

    async def __aenter__(self) -> Any:
        await later(self._acquire(), None)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._release()


def text(name: Any) -> str:
    """Returns the text by which the engine knows a name. The text of a non-string name never equals a string name.

    Names that are equal are one, as keys of a dictionary are: 1, 1.0 and True. A list counts as the tuple of its items,
    as in Dask. A name of another kind, say an enum's member, is known by its content.

    Raises:
        TypeError: A name that is not hashable, or is nothing but itself, as `object()` is.
    """
    return str(name) if isinstance(name, str) else f"\0{_words(name)}"


def _words(name: Any) -> str:
    if isinstance(name, str | bytes):
        return repr(name)
    if isinstance(name, tuple | list):
        return f"({' '.join(_words(item) + ',' for item in name)})"
    hash(name)  # what is no key of a dictionary is no name
    if isinstance(name, frozenset):
        return f"frozenset({' '.join(sorted(_words(item) + ',' for item in name))})"
    if isinstance(name, numbers.Number):
        return _number(name)
    return f"{type(name).__name__} {_azolla.tokenize(name)}"


def _number(name: Any) -> str:
    """Returns the same text for equal numbers, of whatever types."""
    if isinstance(name, numbers.Complex) and not isinstance(name, numbers.Real):
        return _number(name.real) if name.imag == 0 else f"{_number(name.real)} + {_number(name.imag)} j"
    from fractions import Fraction  # few names are numbers, and the import takes long

    try:
        exact = Fraction(name)
    except (ValueError, OverflowError):  # an infinity, or what is no number
        return str(float(name))
    except TypeError:  # NumPy's
        return _number(name.item())
    if exact.denominator == 1:
        return str(exact.numerator)
    return str(float(exact)) if float(exact) == exact else str(exact)


def patience(blocking: bool, timeout: Timeout) -> Timeout:
    """Returns how long `acquire` waits: 0 if it must not block, else its timeout."""
    if blocking:
        return timeout
    if timeout is not None:
        raise ValueError("can't specify a timeout for a non-blocking call")
    return 0


#: The tasks whose cancel is to come at their next wait.
_cancelled_next: "weakref.WeakSet[asyncio.Task[Any]]" = weakref.WeakSet()


async def later(turn: Turn, timeout: Timeout) -> Any:
    """Waits for a turn on the running loop.

    A cancelled wait passes on whatever it was given in the last moment, and takes out what it has put in. If others have
    that already, the wait returns, and the cancel comes at the next one.
    """
    loop = asyncio.get_running_loop()
    if _cancelled_next and asyncio.current_task() in _cancelled_next:
        await asyncio.sleep(0)
    waiter = loop.create_future()
    try:
        if turn.stand(loop, partial(_await.wake, waiter)):
            await lending.turn()
        else:
            try:
                async with asyncio.timeout(None if timeout is None else seconds(timeout)):
                    await lending.pause(waiter)
            except TimeoutError:
                answer = turn.now()  # the turn may have come at the very moment of the timeout
                if answer is not None:
                    return answer[0]
                if not turn.give_up():
                    return None
                raise TimeoutError(f"{turn.what}: the time was up") from None
        answer = turn.now()
        assert answer is not None, "those who are woken have been served"
        return answer[0]
    except asyncio.CancelledError as error:
        if turn.give_up():
            raise
        _cancel_next(loop, error)
        return None
    finally:
        turn.close()


def _cancel_next(loop: asyncio.AbstractEventLoop, error: asyncio.CancelledError) -> None:
    """Has the running task hear of its cancel once more."""
    task = asyncio.current_task()
    if task is None:
        return

    def cancel() -> None:
        _cancelled_next.discard(task)
        # A block that cancels its own task, as `asyncio.timeout` does, may be over by now.
        if task.cancelling():
            task.uncancel()
            task.cancel(*error.args)

    _cancelled_next.add(task)
    loop.call_soon(cancel)


async def _later_or_false(turn: Turn, timeout: Timeout) -> Any:
    try:
        return await later(turn, timeout)
    except TimeoutError:
        return False
