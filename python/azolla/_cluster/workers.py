"""`Worker`: the object by which tasks and plugins see the worker that they are on."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from azolla import _azolla
from azolla._run import awaiting as _await

if TYPE_CHECKING:
    from azolla._azolla import _Client as Client

#: The worker for which the running call of `Client.run`, or of a plugin's method, is made.
here: "ContextVar[Worker | None]" = ContextVar("azolla_worker", default=None)


class _Cluster(Protocol):
    """The part of a cluster that a worker uses."""

    def _address(self, of: str) -> str: ...
    def _client_for_tasks(self) -> "Client": ...
    def _log_event(self, topic: str | list[str], msg: Any) -> None: ...


class Worker:
    """A worker of a cluster. Tasks and plugins may set any attributes on it.

    >>> worker = client.cluster.workers[0]
    >>> worker.name, worker.nthreads, worker.resources
    (0, 2, {})
    """

    def __init__(self, cluster: _Cluster, name: int, nthreads: int, resources: dict[str, float]) -> None:
        self._cluster = cluster
        #: Counted from 0 in each cluster.
        self.name = name
        #: Within this process, `inproc://…`.
        self.address = cluster._address(str(name))
        #: How many tasks it runs at once.
        self.nthreads = nthreads
        #: What it has for its tasks to take, by the names of resources.
        self.resources = resources
        #: The plugins by their names.
        self.plugins: dict[str, Any] = {}
        #: What an argument `workers` may call it.
        self._names = frozenset((name, str(name), self.address))

    @property
    def client(self) -> "Client":
        """The client whose task asks; outside tasks, one of the cluster's clients."""
        running = _await.current_task()
        client: Client | None = running.client if running is not None else _azolla.thread_client()
        return client if client is not None else self._cluster._client_for_tasks()

    def get_current_task(self) -> Any:
        """Returns the key of the task that asks.

        Raises:
            ValueError: This is not called in a task.

        >>> client.submit(lambda: get_worker().get_current_task(), key="who").result()
        'who'
        """
        running = _await.current_task()
        if running is not None:
            return running.key
        task = _azolla.thread_task()
        if task is None:
            raise ValueError("get_current_task() was called outside a task")
        return task[0]

    def log_event(self, topic: str | list[str], msg: Any) -> None:
        """Logs an event, as `Client.log_event` does.

        >>> client.submit(lambda: get_worker().log_event("found", 3), pure=False).result()
        >>> [event for _, event in client.get_events("found")]
        [3]
        """
        self._cluster._log_event(topic, self.client._kept(msg))

    def __repr__(self) -> str:
        return f"<Worker {self.name} {self.address!r} threads={self.nthreads}>"


def current() -> "Worker | None":
    """Returns the worker of the calling task, else the one for which `Client.run` or a plugin is called, else None."""
    client: Client | None
    running = _await.current_task()
    if running is not None:
        client = running.client
        return client.cluster._workers[running.worker] if client is not None else None
    task = _azolla.thread_task()
    if task is None:
        return here.get()
    client = _azolla.thread_client()
    return client.cluster._worker_of(task[1]) if client is not None else None
