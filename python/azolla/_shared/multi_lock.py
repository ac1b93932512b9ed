"""`MultiLock`: several locks at once, or some of several."""

import uuid
from collections.abc import Iterable
from typing import Any

from azolla._azolla import MultiLockCore, Turn
from azolla._base.arguments import fits, positive, several
from azolla._base.never import says_if_never_started
from azolla._base.time import Timeout
from azolla._client.client import Client
from azolla._shared.named import SET_BY_INIT, ContextManager, patience, text


@says_if_never_started("lock", *SET_BY_INIT, "names")
class MultiLock(ContextManager[MultiLockCore]):
    """Several locks, taken all at once. So two threads that want several locks cannot end up waiting for each other, in
    whatever order they name them.

    The names are apart from those of `Lock`. A wait in a task takes no slot, and no wait overtakes an earlier one for
    the same locks. With an asynchronous client, and on a client's own loop, `acquire` and `release` return awaitables;
    `async with` works on any loop.

    Args:
        names: The locks' names.
        client: By default the current client.

    >>> from azolla import MultiLock
    >>> def move(source, target):
    ...     with MultiLock([source, target]):
    ...         return f"{source} to {target}"
    >>> client.gather([client.submit(move, "a", "b"), client.submit(move, "b", "a")])
    ['a to b', 'b to a']
    """

    def __init__(self, names: Iterable[Any] | None = None, client: Client | None = None) -> None:
        if isinstance(names, str):
            raise TypeError(f"MultiLock takes a list of names, not {names!r}")
        self.names = [] if names is None else several("MultiLock(): names", names, "names")
        #: Tells this object from others of its names.
        self.id = uuid.uuid4().hex
        super().__init__("multi-lock", None, client)

    def _make(self, client: Client) -> MultiLockCore:
        return MultiLockCore(client, [text(name) for name in self.names])

    def _acquire(self) -> Turn:
        return self._bound().acquire()

    def _release(self) -> Any:
        return self._bound().release()

    def acquire(self, blocking: bool = True, timeout: Timeout = None, num_locks: int | None = None) -> Any:
        """Takes all the locks, or some of them.

        Args:
            blocking: False does not wait.
            timeout: Seconds, a `timedelta`, or text such as `"500ms"`, after which to give up; None for no limit.
            num_locks: How many of the locks suffice; None for all.

        Returns:
            True; False if the locks were not free in time, and then none is taken.

        Raises:
            ValueError: A timeout is given with `blocking=False`, or there are fewer locks.
            ClosedClientError: The client is closed.

        >>> one, two = MultiLock(["a", "b"]), MultiLock(["b", "c"])
        >>> one.acquire(), two.acquire(blocking=False), two.acquire(num_locks=1)
        (True, False, True)
        """
        limit = patience(blocking, timeout)
        if num_locks is not None:
            fits("num_locks", positive("num_locks", num_locks))
        return self._try("acquire", self._bound().acquire(num_locks), limit)

    def release(self) -> Any:
        """Frees the locks that this object has taken.

        Raises:
            ValueError: It has taken no lock.

        >>> MultiLock(["a"]).release()
        Traceback (most recent call last):
        ValueError: Lock is not yet acquired
        """
        return self._answer(self._release())

    def locked(self) -> bool:
        """Returns True if this object has taken a lock.

        >>> with MultiLock(["a"]) as lock:
        ...     lock.locked()
        True
        """
        return self._bound().locked()

    def __dask_tokenize__(self) -> Any:
        return ("azolla.MultiLock", self.names)

    def __repr__(self) -> str:
        return f"<MultiLock: {self.names}>"

    def __reduce__(self) -> Any:
        return MultiLock, (self.names,)
