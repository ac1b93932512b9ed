"""`Client`: where work is submitted.

Dask's client is one class of some hundred methods, and azolla's must have them all. This file holds the client's life,
and which client is current. The rest comes from bases, one for each capability. A base keeps no state and overrides
nothing of another base but `Core`, so a reader can take each alone:

- `Work` submits many calls, and cancels and retries tasks. What is native of the client submits one.
- `Loops` knows where its calls give awaitables, and on which event loop its coroutines run.
- `Transfer` gathers results and scatters data.
- `Collections` runs Dask's collections, and `Executors` makes `concurrent.futures` executors.
- `Groups` makes groups, whose work ends and is cancelled together.
- `Sharing` holds what all clients of a cluster have in common.
- `Tasks` makes builders of tasks, whose options are apart from the arguments.
- `Watching` tells what the cluster does and has done.

They are bases rather than objects of their own because a user calls all of it on the client. An object behind each
would need every signature and docstring twice.
"""

import asyncio
import contextlib
import logging
import os
import uuid
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Never, TypeVar, cast

from azolla._base import html as _html
from azolla._base import leave as _leave
from azolla._base.arguments import flag, whole
from azolla._base.names import as_called, named_by_itself
from azolla._base.never import says_if_never_started
from azolla._base.time import Timeout
from azolla._client import afterlife, dask_scheduler
from azolla._client.collections import Collections
from azolla._client.executor import Executors
from azolla._client.group import Groups
from azolla._client.joining import joined
from azolla._client.loops import Loops
from azolla._client.task import Tasks
from azolla._client.transfer import Transfer
from azolla._client.work import Work
from azolla._cluster.arguments import refuse
from azolla._cluster.local import JOIN, LocalCluster
from azolla._cluster.sharing import Sharing
from azolla._run.current import current, defaults, enter, leave
from azolla._run.helper_threads import CallbackThread
from azolla._watch.watching import Watching

if TYPE_CHECKING:
    from azolla._client.awaited import AsyncClient

C = TypeVar("C")

logger = logging.getLogger("azolla")

_numbers = count(1)


@says_if_never_started(
    *("client", "cluster", "name", "id", "direct_to_workers"),
    *("_asynchronous", "_set_as_default", "_own", "_number", "_handlers", "_callback_thread"),
)
@named_by_itself
class Client(Loops, Transfer, Collections, Executors, Groups, Sharing, Tasks, Watching, Work):
    """Runs functions on the workers of a cluster, and gives futures on their results.

    Args:
        address: A `LocalCluster` to join, or the address of one in this process; several clients may join it. By
            default the client makes a cluster of its own, with the arguments that are `LocalCluster`'s, and closes it.
        n_workers: How many workers; by default as many processes as there are processors (with more than four, fewer of
            more threads each), or 1 worker on threads.
        threads_per_worker: How many tasks each runs at once; by default the processors, shared among the workers.
        resources: What each worker has for its tasks to take, as amounts by names of your choice, say `{"GPU": 2}`; or
            a list of such, one for each worker.
        processes: If true, as by default, tasks run in worker processes; otherwise on threads of this process.
        name: What the client is called.
        set_as_default: If true, `get_client`, `Client.current` and Dask find this client: before any other within `with`
            or `async with`, and elsewhere as long as it is the latest one open.
        asynchronous: If true, methods that would block return awaitables wherever an event loop runs on the calling
            thread; elsewhere (in plain tasks, done-callbacks and `asyncio.to_thread`) they block. Make such a client by
            `await Client(asynchronous=True)` or in `async with`.
        dashboard_address: The dashboard's address: `":8787"` for this machine alone, `"0.0.0.0:8787"` for others too.
            If the port is taken, the dashboard takes one of the next; port 0 is any free port. None for no dashboard.
        dashboard_private: If true, the dashboard answers those alone who have `dashboard_link`, with its token.
        timeout: Taken as Dask takes it: a cluster of this process is there, or is not.
        memory_limit: How much memory of its own each worker process may take, as `LocalCluster` says.

    Raises:
        NotImplementedError: For an address in another process, a limit of memory without worker processes, and what has no
            meaning on one machine.
        OSError: No open cluster of this process has the address.
        TypeError: For an argument that a client does not have, and for a number of workers or threads that is no
            number.
        ValueError: For less than one worker or thread, for a limit of memory that is none, and for a cluster's arguments
            beside an address.
        ClosedClientError: The cluster given is closed.

    Leaving a `with` statement closes the client, as `close` does. The types say that the methods below return values.
    On the cluster's own event loop, and with an asynchronous client on any loop, they return awaitables. With the argument
    `asynchronous=True` they return awaitables anywhere, and the types say so.

    >>> from azolla import Client
    >>> with Client() as client:
    ...     client.submit(lambda x: x + 1, 41).result()
    42

    >>> async def main():
    ...     async with Client(asynchronous=True) as client:
    ...         return await client.gather(client.map(abs, [-1, -2]))
    >>> import asyncio
    >>> asyncio.run(main())
    [1, 2]
    """

    def __init__(
        self,
        address: str | LocalCluster | None = None,
        *,
        n_workers: int | None = None,
        threads_per_worker: int | None = None,
        processes: bool | None = None,
        resources: Mapping[str, float] | list[Mapping[str, float]] | None = None,
        name: str | None = None,
        set_as_default: bool = True,
        asynchronous: bool = False,
        dashboard_address: str | int | None = ":8787",
        dashboard_private: bool = False,
        timeout: Timeout = None,
        memory_limit: float | str | None = "auto",
        **unknown: Never,
    ) -> None:
        given = {
            "n_workers": n_workers,
            "threads_per_worker": threads_per_worker,
            "processes": processes,
            "resources": resources,
            "dashboard_address": dashboard_address,
            "dashboard_private": dashboard_private,
            "memory_limit": memory_limit,
        }
        refuse(Client, unknown)
        self._asynchronous = asynchronous = flag("Client(): asynchronous", asynchronous, False)
        self._set_as_default = flag("Client(): set_as_default", set_as_default, True)
        self._own = address is None
        if address is None:
            self.cluster = LocalCluster(name, asynchronous=asynchronous, **given)  # type: ignore[arg-type]
        else:
            self.cluster = joined(address, given)
        self._number = next(_numbers)
        self.name = name or (self.cluster.name if self._own else f"{self.cluster.name}-{self._number}")
        #: Tells the client from all others.
        self.id = f"{type(self).__name__}-{f'{name}-' if name else ''}{uuid.uuid4()}"
        #: Results are at hand, unless the program says otherwise: nothing depends on it.
        self.direct_to_workers = unknown.get("direct_to_workers") is not False
        self._handlers: dict[str, Callable[[Any], object]] = {}
        self._callback_thread = CallbackThread(f"{self.name}-callbacks")
        self._join(self.cluster, weakref.ref(self), not self._own)
        self._set_asynchronous(asynchronous)
        self.cluster._clients[self._number] = weakref.ref(self)
        self._bind_loop()
        if self._set_as_default:
            defaults[self._number] = weakref.ref(self)
            dask_scheduler.use(self._number)

    #: The cluster whose workers run the tasks.
    cluster: LocalCluster
    #: What lives as long as this client: one that stands in for another keeps what ends that one.
    _keeps: object = None

    # --- The client's life

    @property
    def status(self) -> str:
        """`"running"` or `"closed"`.

        >>> client.status
        'running'
        """
        return "closed" if self._closed else "running"

    def close(self, timeout: Timeout = None) -> Any:
        """Lets go of all that the client's futures hold, and ends the client. Waits on its futures end.

        A client with a cluster of its own closes the cluster: tasks that have not ended are cancelled, and their waits
        end, within `shield()` too. On threads it waits a second at the most for tasks that run, and then leaves them to
        themselves. Worker processes end with what runs there, mostly within milliseconds (`LocalCluster.close` says more).
        So wait for what must come to its end before. A client that has joined a cluster leaves it running. There only the
        tasks are cancelled on which no other client has a future. Closing a client again does nothing. In a coroutine,
        `close` of an asynchronous client is awaitable.

        Args:
            timeout: Taken as Dask takes it.

        >>> client.close()
        >>> client.submit(abs, -1)
        Traceback (most recent call last):
        azolla.ClosedClientError: submit: the client is closed
        """
        if self._asynchronous and asyncio._get_running_loop() is not None:
            return as_called("Client.close", self._close_async)
        self._end(JOIN)
        return None

    def shutdown(self) -> Any:
        """Closes the client and its cluster, and with it the cluster's other clients.

        Raises:
            NotImplementedError: A task in a worker process calls it.

        >>> client.shutdown()
        >>> client.status
        'closed'
        """
        if self._asynchronous and asyncio._get_running_loop() is not None:
            return as_called("Client.shutdown", asyncio.to_thread, self._shut_down)
        self._shut_down()
        return None

    def _shut_down(self) -> None:
        self._end(JOIN)
        self.cluster._end(JOIN)

    async def _close_async(self) -> None:
        await asyncio.to_thread(self._end, JOIN)

    def _end(self, patience: float) -> None:
        if self._forked:
            return
        if self._own:
            self.cluster._end(patience)
        else:
            self._forget()
            # The futures of a client that has left read cancelled: callbacks that are due come first.
            self._callback_thread.catch_up(patience)
            self._leave()
            self._callback_thread.stop(patience)

    def _forget(self) -> None:
        defaults.pop(self._number, None)
        dask_scheduler.leave(self._number)
        self.cluster._clients.pop(self._number, None)

    def __enter__(self) -> "Client":
        if self._set_as_default:
            enter(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        leave(self)
        self._end(JOIN)

    def __await__(self) -> "Generator[Any, None, AsyncClient]":
        return self._itself().__await__()

    async def _itself(self) -> "AsyncClient":
        self._bind_loop()
        if not self._asynchronous:
            logger.warning(
                "this client blocks the event loop: for one whose methods are awaited, pass asynchronous=True"
            )
        return cast("AsyncClient", self)

    async def __aenter__(self) -> "AsyncClient":
        await self._itself()
        return cast("AsyncClient", self.__enter__())

    async def __aexit__(self, *exc_info: object) -> None:
        leave(self)
        await self._close_async()

    def __del__(self) -> None:
        if not self._closed:
            afterlife.leave(self)

    def __dask_tokenize__(self) -> tuple[str, int]:
        # A notebook's function often refers to its client as a global. With this digest its tasks still get pure keys.
        return ("azolla.Client", self._number)

    def __reduce__(self) -> Any:
        raise TypeError("a Client cannot be pickled; call get_client() in the task instead")

    # --- Which client

    @classmethod
    def current(cls, allow_global: bool = True) -> "Client":
        """Returns the client entered here by `with`, `async with` or `as_current`, or the task's own, or the latest open.

        Each context has its own: a thread or a coroutine does not see what another has entered. A task does not see what
        was entered where it was submitted.

        Args:
            allow_global: If true, the latest open client counts too.

        Raises:
            ValueError: There is none.

        >>> Client.current() is client
        True
        """
        return current(allow_global)

    @contextlib.contextmanager
    def as_current(self) -> Iterator["Client"]:
        """Makes this the current client within a `with` statement. There Dask's collections compute on it too.

        >>> other = Client(processes=False, threads_per_worker=1, set_as_default=False)
        >>> with other.as_current():
        ...     get_client() is other
        True
        >>> get_client() is client
        True
        >>> other.close()
        """
        user = object()
        enter(self)
        dask_scheduler.use(user)
        try:
            yield self
        finally:
            dask_scheduler.leave(user)
            leave(self)

    def _post_callback(self, function: Callable[[Any], object], future: Any) -> None:
        if not _leave.ending:
            self._callback_thread.post(function, future)

    # --- The cluster

    def _native(self, shared: object, make: "Callable[[Client], C]") -> C:
        """Returns the native half of a queue, lock and so on."""
        return make(self)

    def scheduler_info(self, n_workers: int = -1) -> dict[str, Any]:
        """Returns the cluster's address and its workers.

        Args:
            n_workers: How many workers to list, from the first on; by default all.

        >>> info = client.scheduler_info()
        >>> info["address"].startswith("inproc://")
        True
        >>> [worker["nthreads"] for worker in info["workers"].values()]
        [2]
        """
        info = self.cluster.scheduler_info
        if whole("scheduler_info(): n_workers", n_workers) >= 0:
            info["workers"] = dict(islice(info["workers"].items(), n_workers))
        return info

    @property
    def dashboard_link(self) -> str | None:
        """The address at which a browser shows the client's cluster; None without a dashboard.

        The link carries a token, so everyone who has the link may cancel tasks.

        >>> client.dashboard_link.startswith("http://127.0.0.1:")
        True
        """
        return self.cluster.dashboard_link

    def write_trace(self, filename: str | os.PathLike[str]) -> None:
        """Writes a trace for Perfetto or chrome://tracing, as `LocalCluster.write_trace` does.

        Raises:
            RuntimeError: The cluster has no dashboard.
            OSError: The file cannot be written.

        >>> client.write_trace("trace.json")
        """
        self.cluster.write_trace(filename)

    def __repr__(self) -> str:
        cluster = self.cluster
        threads = cluster._n_workers * cluster._threads_per_worker
        return (
            f"<Client: {cluster.scheduler_address!r} workers={cluster._n_workers} threads={threads} "
            f"memory={_html.size(cluster._memory)} status={self.status!r} "
            f"dashboard={_html.without_token(self.dashboard_link)!r}>"
        )

    def _repr_html_(self) -> str:
        return _html.client(self)


# `LocalCluster.get_client` needs this class, and its module cannot import this one.
LocalCluster._client_class = Client

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=defaults.clear)
