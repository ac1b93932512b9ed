"""The client of a task in a worker process: what its futures and functions refer to there.

The engine is in the process of the program's own client. What this client submits, that engine runs. What it asks of
all that its cluster keeps (datasets, metadata, events, queues), that process answers (`for_processes.py`).
"""

import asyncio
import math
import os
import pickle
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import partial, wraps
from itertools import count
from typing import Any, NoReturn

from azolla import _azolla
from azolla._base import where
from azolla._base.errors import ClosedClientError
from azolla._base.threads import report
from azolla._base.time import Timeout
from azolla._client.client import Client
from azolla._cluster.local import LocalCluster
from azolla._cluster.notes import Notes, listen
from azolla._cluster.staff import Workers
from azolla._cluster.workers import Worker
from azolla._process.parts import dumps
from azolla._run.awaiting import answer, wake
from azolla._run.groups import gate_here
from azolla._run.helper_threads import CallbackThread
from azolla._run.recorder import Recorder

#: The methods that the program's own client answers.
ELSEWHERE = (
    *("publish_dataset", "unpublish_dataset", "list_datasets", "get_dataset", "set_metadata", "get_metadata"),
    *("log_event", "get_events", "who_has", "has_what", "processing", "nbytes", "nthreads", "ncores", "scheduler_info"),
    *("story", "counters", "get_versions", "get_worker_logs", "get_scheduler_logs", "get_task_stream", "rebalance"),
    *("replicate", "wait_for_workers", "write_trace", "run", "run_on_scheduler", "register_plugin"),
    *("unregister_worker_plugin", "call_stack", "profile"),
    *("forward_logging", "unforward_logging"),
)

#: Those that give no awaitable on an event loop either.
PLAIN = {"scheduler_info", "counters", "write_trace"}

#: The methods that a task in a worker process cannot call, and why.
NOWHERE = {
    "shutdown": "it would cancel this task too, and end its process",
    "restart": "it would cancel this task too, and end its process",
    "retire_workers": "the process of this task might have to go",
}

_making = threading.Lock()
_clients: "list[ProcessClient]" = []
_cores = count(1)

#: The methods of cores that return a `Turn`.
_TURNS = {"put", "get", "get_many", "take_all", "wait", "acquire"}


def client() -> "ProcessClient":
    """Returns the client of this process, which the first task makes that asks for it."""
    if not _clients:
        with _making:
            if not _clients:
                _clients.append(ProcessClient())
    return _clients[0]


def ask(what: str, *args: Any) -> Any:
    """Has the program's own process do something, and returns what comes of it."""
    return _azolla.ask(_words(what, *args))


def _words(what: str, *args: Any) -> bytes:
    return dumps((what, *args))


class ProcessCluster(LocalCluster):
    """The cluster in one of its worker processes."""

    def __init__(self) -> None:
        about = ask("about")
        self._about: dict[str, Any] = about
        self._asynchronous, self._has_processes = False, True
        self._number, self.name = about["number"], about["name"]
        self._threads_per_worker, self._memory_limit = about["threads_per_worker"], 0
        self._started, self._memory = about["started"], about["memory"]
        self._threads, self._helpers, self._large = set(), {}, {}
        self._log_thread, self._deadline = CallbackThread(f"{self.name}-log"), math.inf
        self._clients, self._unrunnable = {}, set()
        self._datasets, self._notes, self._plugins, self._gear, self._listeners = {}, Notes(), {}, {}, {}
        self._recorder = Recorder(self._listeners)
        self._workers, self._former, self._leaving, self._adaptive = {}, {}, {}, None
        self._learn(about["workers"])
        self._start_away(weakref.ref(self), about["veil"])
        where.cluster = self

    def _learn(self, workers: dict[int, dict[str, float]]) -> None:
        """These are the workers now, and what each has for its tasks to take. One that this process knows stays the object that it
        is.
        """
        before, threads = self._workers, self._threads_per_worker
        self._workers = {
            name: before.get(name) or ProcessWorker(self, name, threads, has) for name, has in workers.items()
        }

    @property
    def workers(self) -> dict[int, Worker]:
        self._learn(ask("about")["workers"])
        return dict(self._workers)

    def scale(self, n: int = 0, memory: str | None = None, cores: int | None = None) -> Any:
        _cannot_scale()

    def adapt(self, *args: Any, **kwargs: Any) -> Any:
        _cannot_scale()

    def _worker_of(self, thread: int) -> Worker:
        return self._workers[where.worker]

    def _address(self, of: str) -> str:
        return f"{self._about['address']}/{of}"

    @property
    def scheduler_address(self) -> str:
        return str(self._about["scheduler_address"])

    @property
    def dashboard_link(self) -> str | None:
        link: str | None = self._about["dashboard_link"]
        return link

    def _log_event(self, topic: Any, msg: Any) -> None:
        client().log_event(topic, msg)

    def _end(self, patience: float) -> None:
        """Does nothing: the program's own process ends the cluster."""


def _cannot_scale() -> NoReturn:
    raise NotImplementedError("a task in a worker process cannot scale its cluster: its own process might have to go")


class ProcessWorker(Worker):
    """A worker: the one that this process is, or another."""

    def get_current_task(self) -> Any:
        key = super().get_current_task()
        # This process knows the text of it. Any other key it asks for, but for one that is nested too deep.
        with suppress(pickle.PicklingError):
            key = ask("key")
        return key


class _Asked:
    """An attribute that is that of the client which has submitted the task at hand."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, client: "ProcessClient", cls: type) -> Any:
        return ask("attribute", self._name)

    def __set__(self, client: "ProcessClient", value: object) -> None:
        """Does nothing: a new client gets a stand-in for each attribute."""


class ProcessClient(Client):
    """The client of all tasks in this process."""

    name: Any = _Asked("name")
    id: Any = _Asked("id")

    def __init__(self) -> None:
        self.cluster = cluster = ProcessCluster()
        self._asynchronous = self._set_as_default = self._own = False
        self._number = 0
        self.direct_to_workers = True
        self._handlers, self._callback_thread = {}, CallbackThread(f"{cluster.name}-callbacks")
        self._topics = Topics(self)
        self._join(cluster, weakref.ref(self), False)
        cluster._clients[0] = weakref.ref(self)

    def _end(self, patience: float) -> None:
        """Does nothing: a task cannot close the program's own client."""

    def __del__(self) -> None:
        """Does nothing: the process ends with its client."""

    @property
    def datasets(self) -> Any:
        raise NotImplementedError("datasets: in a worker process use get_dataset, publish_dataset and list_datasets")

    def subscribe_topic(self, topic: str, handler: Callable[[Any], object]) -> None:
        super().subscribe_topic(topic, handler)
        self._topics.add(topic)

    def unsubscribe_topic(self, topic: str) -> None:
        super().unsubscribe_topic(topic)
        self._topics.remove(topic)

    def upload_file(self, filename: str | os.PathLike[str], load: bool = True) -> Any:
        return answer(self, ask("client", "upload_file", (os.path.abspath(filename), load), {}))

    def restart_workers(self, workers: Workers, timeout: Timeout = None, raise_for_error: bool = True) -> Any:
        if self.cluster._workers[where.worker]._names.intersection(self.cluster._named(workers)):
            raise NotImplementedError(
                "restart_workers(): it would end the process of this task: name other workers, or call it in the program"
            )
        return answer(self, ask("client", "restart_workers", (workers, timeout, raise_for_error), {}))

    def _open_group(self, name: str, cancels: bool) -> Any:
        around = gate_here()
        return ask("open_group", name, cancels, around)

    def _in_group(self, what: str, future: Any, *args: Any) -> Any:
        return ask("group", what, future, *args)

    def _native(self, shared: object, make: Callable[[Any], Any]) -> Any:
        # Its class and the arguments that its pickle has make another one there.
        return Core("make", *shared.__reduce__())


def _elsewhere(name: str) -> Any:
    @wraps(getattr(Client, name))
    def asks(self: ProcessClient, *args: Any, **kwargs: Any) -> Any:
        value = ask("client", name, args, kwargs)
        return value if name in PLAIN else answer(self, value)

    return asks


def _nowhere(name: str, why: str) -> Any:
    @wraps(getattr(Client, name))
    def refuses(self: ProcessClient, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{name}(): {why}: call it in the program")

    return refuses


for _name in ELSEWHERE:
    setattr(ProcessClient, _name, _elsewhere(_name))
for _name, _why in NOWHERE.items():
    setattr(ProcessClient, _name, _nowhere(_name, _why))


class Topics:
    """The topics to which tasks of this process have subscribed. Their events come out of a queue in the program's process."""

    def __init__(self, client: ProcessClient) -> None:
        self._client = client
        #: The queue, which the first subscription makes.
        self._events: list[Core] = []

    def add(self, topic: Any) -> None:
        if not self._events:
            with _making:
                if not self._events:
                    events = Core("events")
                    self._hear(events)
                    self._events.append(events)
        ask("subscribe", self._events[0]._number, topic)

    def remove(self, topic: Any) -> None:
        ask("unsubscribe", self._events[0]._number, topic)

    def _hear(self, events: "Core") -> None:
        """Has the loop of this process take the events out."""

        def begin(loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
            # No task that subscribes is the one that hears.
            return loop.create_task(_listen(self._client, events), context=Context())

        self._client.cluster._on_loop().post(begin, int, lambda task: None)


async def _listen(client: ProcessClient, events: "Core") -> None:
    loop = asyncio.get_running_loop()
    while True:
        waiter, turn = loop.create_future(), Turn(events, "get", ())
        turn.stand(loop, partial(wake, waiter))
        await waiter
        try:
            there = turn.now()
        except ClosedClientError:
            return
        except Exception as error:  # what was logged cannot be pickled, or not be read here
            report(error)
        else:
            assert there is not None, "the loop is woken when an event is there"
            topic, event = there[0]
            listen(client, topic, event)


class Core:
    """Stands for the native half of a queue, lock and so on, which is in the program's own process."""

    def __init__(self, what: str, *args: Any) -> None:
        self._number = next(_cores)
        ask(what, self._number, *args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return partial(self._call, name)

    def _call(self, name: str, *args: Any) -> Any:
        return Turn(self, name, args) if name in _TURNS else ask("core", self._number, name, args)

    def __del__(self) -> None:
        _azolla.forget(self._number)


class Turn:
    """A wait for what is in the program's own process."""

    def __init__(self, core: Core, name: str, args: tuple[Any, ...]) -> None:
        self._core, self._asks = core, (core._number, name, args)
        self._asked: _azolla.Asked | None = None

    def wait(self, timeout: Timeout = None) -> Any:
        return ask("turn", *self._asks, timeout)

    @property
    def what(self) -> Any:
        return ask("what", *self._asks)

    def stand(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> bool:
        self._asked = _azolla.Asked(_words("turn", *self._asks), loop, callback)
        return False

    def now(self) -> tuple[Any] | None:
        assert self._asked is not None, "it stands"
        return self._asked.now()

    def give_up(self) -> bool:
        if self._asked is None:
            return True
        if self._asks[1] == "put":
            return self._asked.give_up()
        self.close()  # what it was given goes to others in any case
        return True

    def close(self) -> None:
        if self._asked is not None:
            self._asked.close()
