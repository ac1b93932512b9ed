"""`Semaphore`: a limited number of leases. `Lock`: one."""

import uuid
import warnings
from typing import Any

from azolla._azolla import SemaphoreCore, Turn
from azolla._base.arguments import fits, shown, whole
from azolla._base.never import says_if_never_started
from azolla._base.time import Timeout
from azolla._client.client import Client
from azolla._shared.named import SET_BY_INIT, ContextManager, patience, text


@says_if_never_started("lock or semaphore", *SET_BY_INIT, "max_leases")
class Semaphore(ContextManager[SemaphoreCore]):
    """A limited number of leases, for example on the connections of a database.

    A lease belongs to the object that has acquired it. The object gives it back when it is dropped, and the lease never
    runs out before. A wait in a task takes no slot, and waits are served in their order. With an asynchronous client,
    and on a client's own loop, the methods return awaitables; `async with` works on any loop.

    Args:
        max_leases: How many leases there are.
        name: Semaphores of one name share their leases, for all clients of a cluster. By default the semaphore has a
            name of its own.
        scheduler_rpc: Taken as Dask takes it.
        loop: Taken as Dask takes it.
        client: By default the current client.

    Raises:
        ValueError: The semaphore of that name has another number of leases.

    >>> from azolla import Semaphore
    >>> connections = Semaphore(max_leases=2, name="database")
    >>> def read(row):
    ...     with connections:  # never more than two at once
    ...         return row * 2
    >>> client.gather(client.map(read, range(4)))
    [0, 2, 4, 6]
    """

    def __init__(
        self,
        max_leases: int = 1,
        name: Any = None,
        scheduler_rpc: object = None,
        loop: object = None,
        client: Client | None = None,
    ) -> None:
        if whole("max_leases", max_leases) < 0:
            raise ValueError(f"max_leases must be 0 or more, not {shown(max_leases)}")
        self.max_leases = fits("max_leases", max_leases)
        #: Tells this object from others of its name.
        self.id = uuid.uuid4().hex
        super().__init__(self._KIND, name, client)

    _KIND = "semaphore"

    def _make(self, client: Client) -> SemaphoreCore:
        return SemaphoreCore(client, text(self.name), self.max_leases)

    def _acquire(self) -> Turn:
        return self._bound().acquire()

    def _release(self) -> Any:
        return self._bound().release()

    def register(self) -> Any:
        """Taken as Dask takes it: a semaphore is there from the beginning.

        >>> Semaphore().register()
        """
        self._bound()
        return self._answer(None)

    def acquire(self, timeout: Timeout = None) -> Any:
        """Takes a lease, once there is one.

        Args:
            timeout: Seconds, a `timedelta`, or text such as `"500ms"`, after which to give up; None for no limit.

        Returns:
            True; False if the time was up.

        Raises:
            ClosedClientError: The client is closed.
            RuntimeError: The semaphore is closed.

        >>> semaphore = Semaphore(max_leases=1)
        >>> semaphore.acquire(), semaphore.acquire(timeout=0.01)
        (True, False)
        """
        return self._try("acquire", self._acquire(), timeout)

    def release(self) -> Any:
        """Gives a lease back.

        Returns:
            True.

        Raises:
            RuntimeError: This object holds no lease.

        >>> semaphore = Semaphore()
        >>> semaphore.acquire(), semaphore.release()
        (True, True)
        >>> semaphore.release()
        Traceback (most recent call last):
        RuntimeError: Released too often: ...
        """
        return self._answer(self._release())

    def get_value(self) -> Any:
        """Returns how many leases are taken, on all semaphores of this name together.

        >>> semaphore = Semaphore(max_leases=2)
        >>> with semaphore:
        ...     semaphore.get_value()
        1
        """
        return self._answer(self._bound().value())

    def close(self) -> Any:
        """Ends the semaphore, for every object of its name. Waits for a lease raise `RuntimeError`, and the name is
        free for another semaphore.

        >>> semaphore = Semaphore()
        >>> semaphore.close()
        >>> semaphore.acquire()
        Traceback (most recent call last):
        RuntimeError: Semaphore ... not known or already closed.
        """
        taken = self._bound().close()
        if taken:
            message = f"Closing {type(self).__name__.lower()} {self.name!s} but there remain unreleased leases: {taken}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        return self._answer(None)

    def __reduce__(self) -> Any:
        return Semaphore, (self.max_leases, self.name)


class Lock(Semaphore):
    """A lock: one holder at a time.

    It works as a `Semaphore` with one lease; a lock and a semaphore of the same name are the same thing.

    Args:
        name: Locks of one name are the same lock, for all clients of a cluster. By default the lock has a name of its
            own.
        client: By default the current client.
        scheduler_rpc: Taken as Dask takes it.
        loop: Taken as Dask takes it.

    >>> from azolla import Lock
    >>> lock, tally = Lock("tally"), {"n": 0}
    >>> def count(_):
    ...     with lock:
    ...         tally["n"] += 1
    >>> _ = client.gather(client.map(count, range(10)))
    >>> tally
    {'n': 10}
    """

    _KIND = "lock"

    def __init__(
        self,
        name: Any = None,
        client: Client | None = None,
        scheduler_rpc: object = None,
        loop: object = None,
    ) -> None:
        super().__init__(1, name, scheduler_rpc, loop, client)

    def acquire(self, blocking: bool = True, timeout: Timeout = None) -> Any:  # type: ignore[override]
        """Takes the lock, once it is free. A task that holds it must not wait for a child that takes it: both would wait
        for ever.

        Args:
            blocking: False does not wait.
            timeout: Seconds, a `timedelta`, or text such as `"500ms"`, after which to give up; None for no limit.

        Returns:
            True; False if the lock was not free in time.

        Raises:
            ValueError: A timeout is given with `blocking=False`.
            ClosedClientError: The client is closed.

        >>> lock = Lock()
        >>> lock.acquire(), lock.acquire(blocking=False)
        (True, False)
        """
        return super().acquire(patience(blocking, timeout))

    def locked(self) -> Any:
        """Returns True if the lock is held.

        >>> lock = Lock()
        >>> with lock:
        ...     lock.locked()
        True
        """
        return self._answer(self._bound().value() > 0)

    def __reduce__(self) -> Any:
        return Lock, (self.name,)
