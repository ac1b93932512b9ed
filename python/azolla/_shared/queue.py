"""`Queue`: values on their way from the tasks that put them in to the tasks that take them out."""

from typing import Any

from azolla._azolla import QueueCore
from azolla._base.arguments import fits, shown, whole
from azolla._base.never import says_if_never_started
from azolla._base.time import Timeout
from azolla._client.client import Client
from azolla._run.lending import turn
from azolla._shared.named import SET_BY_INIT, Shared, text


@says_if_never_started("queue", *SET_BY_INIT, "maxsize")
class Queue(Shared[QueueCore]):
    """Values on their way, first in, first out. Any number of tasks and threads may put values in and take them out.

    A future in the queue keeps its result alive; it comes out as a new future on the same task. Any other object comes
    out as it went in: its containers are copied then, as a call's arguments are. A wait in a task takes no slot, and
    waits are served in their order. With an asynchronous client, and on a client's own loop, the methods return
    awaitables.

    Args:
        name: Queues of one name are the same queue, for all clients of a cluster. By default the queue has a name of
            its own, and what is in it goes with the last `Queue` of that name.
        client: By default the current client.
        maxsize: While the queue holds this many values, `put` waits; 0 is no limit. The first `Queue` of a name sets
            it.

    >>> from azolla import Queue
    >>> queue = Queue("found")
    >>> future = client.submit(lambda: [Queue("found").put(n) for n in range(3)])
    >>> queue.get(), queue.get(batch=2)
    (0, [1, 2])
    """

    def __init__(self, name: Any = None, client: Client | None = None, maxsize: int = 0) -> None:
        self.maxsize = fits("maxsize", whole("maxsize", maxsize))
        super().__init__("queue", name, client)

    def _make(self, client: Client) -> QueueCore:
        return QueueCore(client, text(self.name), max(0, self.maxsize), self._own)

    def put(self, value: Any, timeout: Timeout = None) -> Any:
        """Puts a value in, once there is room.

        Args:
            value: A future, or anything else.
            timeout: Seconds, a `timedelta`, or text such as `"500ms"`, after which to give up; None for no limit.

        Raises:
            TimeoutError: The time was up. The value is not in the queue.
            FutureCancelledError: The value is a future that was cancelled or released.
            ClosedClientError: The client is closed.

        >>> full = Queue(maxsize=1)
        >>> full.put(1)
        >>> full.put(2, timeout="10ms")
        Traceback (most recent call last):
        TimeoutError: ...
        """
        return self._take("put", self._bound().put(value), timeout)

    def get(self, timeout: Timeout = None, batch: bool | int = False) -> Any:
        """Takes the oldest value out, once there is one.

        Args:
            timeout: As for `put`.
            batch: True takes out all values that are there now, in a list, and does not wait. A number takes out that
                many, once there are that many.

        Raises:
            TimeoutError: The time was up. The values that a batch had taken are in the queue again.
            ClosedClientError: The client is closed.
            ValueError: The batch is a negative number.

        >>> queue = Queue()
        >>> queue.put(client.submit(abs, -1))
        >>> queue.get().result()
        1
        >>> queue.get(batch=True)
        []
        """
        core = self._bound()
        if batch is True:
            # The values are taken when the caller awaits, and after it has let others run: a cancelled caller loses none.
            return self._called("get", _take_all, core) if self._awaits() else core.take_all().wait()
        if batch is False or batch is None:
            return self._take("get", core.get(), timeout)
        if not isinstance(batch, int):
            raise TypeError(f"batch is True, False or a whole number, not {shown(batch)}")
        if batch < 0:
            raise ValueError(f"batch is {shown(batch)}: less than no values cannot be got")
        return self._take("get", core.get_many(fits("batch", batch)), timeout)

    def qsize(self) -> Any:
        """Returns how many values are in the queue.

        >>> queue = Queue()
        >>> queue.put("one")
        >>> queue.qsize()
        1
        """
        return self._answer(self._bound().qsize())

    def close(self) -> None:
        """Drops the values in the queue, unless there is another `Queue` of its name.

        >>> queue = Queue()
        >>> queue.put("one")
        >>> queue.close()
        >>> queue.qsize()
        0
        """
        self._bound().close()

    def __reduce__(self) -> Any:
        return Queue, (self.name, None, self.maxsize)


async def _take_all(core: QueueCore) -> Any:
    await turn()
    return core.take_all().wait()
