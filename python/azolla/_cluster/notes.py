"""Metadata and events: notes that a cluster's clients and tasks leave for each other.

The code here holds no lock. Names are the user's objects, whose `__hash__` and `__eq__` may do anything, and a finalizer may
run at any point. Single-step operations on dictionaries and queues do instead.
"""

import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from azolla._azolla import Core
from azolla._base.arguments import check_function
from azolla._run.awaiting import answer
from azolla._run.helper_threads import CallbackThread

_MISSING: Any = object()

#: How many events of one topic are kept: as many as Dask keeps by default.
_EVENTS = 100_000


class Heard(Protocol):
    """What gets the events of topics for a worker process."""

    def hear(self, topic: Any, event: tuple[float, Any]) -> None:
        """Has the process hear of an event."""


class Notes:
    """The metadata and events that a cluster keeps."""

    def __init__(self) -> None:
        self.metadata: dict[Any, Any] = {}
        self.events: dict[str, deque[tuple[float, Any]]] = {}
        #: The worker processes whose tasks have subscribed to a topic. What hears for one goes with the process.
        self._processes: dict[tuple[Any, int], weakref.ref[Heard]] = {}

    def log(self, topics: Iterable[str], msg: Any) -> tuple[float, Any]:
        event = (time.time(), msg)
        for topic in topics:
            self.events.setdefault(topic, deque(maxlen=_EVENTS)).append(event)
            if self._processes:
                self._tell(topic, event)
        return event

    def _tell(self, topic: Any, event: tuple[float, Any]) -> None:
        for (subscribed, number), reference in self._processes.copy().items():
            process = reference()
            if process is None:
                self._processes.pop((subscribed, number), None)
            elif subscribed == topic:
                process.hear(topic, event)

    def subscribe(self, process: Heard, topic: Any) -> None:
        """Has a worker process hear of the events of a topic from now on, while `process` is there."""
        self._processes[topic, id(process)] = weakref.ref(process)

    def unsubscribe(self, process: Heard, topic: Any) -> None:
        """Ends that."""
        self._processes.pop((topic, id(process)), None)


class _Cluster(Protocol):
    """The part of a cluster that this module uses."""

    _notes: Notes

    def _log_event(self, topic: str | list[str] | tuple[str, ...], msg: Any) -> None: ...


class Metadata(Core):
    """The part of `Client` that reads and writes metadata and events, and subscribes to topics."""

    cluster: _Cluster
    _handlers: dict[str, Callable[[Any], object]]
    _callback_thread: CallbackThread

    # --- Metadata

    def set_metadata(self, key: Any, value: Any) -> Any:
        """Keeps a value for all clients of the cluster.

        Args:
            key: The value's name; or a list of names, each for a dictionary within the one before. A value on the way
                that is no dictionary is replaced by one.
            value: Any value. It is kept as it is now: containers are copied, as a call's arguments are.

        >>> client.set_metadata(["run", "owner"], "Ada")
        >>> client.get_metadata("run")
        {'owner': 'Ada'}
        """
        *path, last = _path(key)
        value = self._kept(value)
        at = self.cluster._notes.metadata
        for name in path:
            within = at.setdefault(name, {})
            if not isinstance(within, dict):
                within = at[name] = {}
            at = within
        at[last] = value
        return answer(self, None)

    def get_metadata(self, keys: Any, default: Any = _MISSING) -> Any:
        """Returns a value that `set_metadata` has kept.

        Args:
            keys: A name, or a list of names as for `set_metadata`.
            default: What to return if there is no such value.

        Raises:
            KeyError: There is no such value, and no default.

        >>> client.get_metadata(["run", "end"], default="not yet")
        'not yet'
        """
        at: Any = self.cluster._notes.metadata
        for name in _path(keys):
            at = at.get(name, _MISSING) if isinstance(at, dict) else _MISSING
            if at is _MISSING:
                if default is _MISSING:
                    raise KeyError(name)
                return answer(self, default)
        return answer(self, self._given(at))

    # --- Events

    def log_event(self, topic: str | list[str] | tuple[str, ...], msg: Any) -> Any:
        """Logs an event, and calls the handlers that have subscribed to its topic.

        Args:
            topic: The topic, or several.
            msg: The event itself: any object. It is kept as it is now: containers are copied.

        Raises:
            ClosedClientError: The client is closed.

        >>> client.log_event("progress", "half done")
        >>> [event for _, event in client.get_events("progress")]
        ['half done']
        """
        self._check_open("log_event")
        self.cluster._log_event(topic, self._kept(msg))
        return answer(self, None)

    def get_events(self, topic: str | None = None) -> Any:
        """Returns the last 100,000 events of a topic, as pairs of the time (seconds since 1970) and the message.

        Args:
            topic: The topic. By default the events of all topics are returned, in a dictionary.

        >>> client.get_events("never mentioned")
        ()
        """
        events = self.cluster._notes.events
        if topic is None:
            return answer(self, {topic: self._given(tuple(logged.copy())) for topic, logged in events.copy().items()})
        return answer(self, self._given(tuple(events[topic].copy())) if topic in events else ())

    def subscribe_topic(self, topic: str, handler: Callable[[Any], object]) -> None:
        """Calls `handler((time, msg))` for each event of a topic from now on.

        Handlers run one after the other on the thread that runs the client's done-callbacks; a coroutine function runs
        on the cluster's event loop. A second handler of the client for the same topic takes the place of the first.

        >>> from queue import Queue
        >>> heard = Queue()
        >>> client.subscribe_topic("news", heard.put)
        >>> client.log_event("news", "it grows")
        >>> heard.get(timeout=10)[1]
        'it grows'
        >>> client.unsubscribe_topic("news")
        """
        self._callback_thread.start()
        self._handlers[topic] = check_function("subscribe_topic(): handler", handler)

    def unsubscribe_topic(self, topic: str) -> None:
        """Ends a subscription that `subscribe_topic` has begun.

        Raises:
            ValueError: The client has no handler for the topic.

        >>> client.subscribe_topic("news", print)
        >>> client.unsubscribe_topic("news")
        """
        if self._handlers.pop(topic, None) is None:
            raise ValueError(f"No event handler known for topic {topic}.")


def listen(client: Any, topic: str, event: tuple[float, Any]) -> None:
    """Hands an event to the client's handler for the topic, if it has one."""
    handler = client._handlers.get(topic)
    if handler is not None:
        client._post_callback(partial(_handle, client, handler), event)


def _handle(client: Any, handler: Callable[[Any], object], event: Any) -> None:
    result = handler(client._given(event))
    if hasattr(result, "__await__"):

        async def waited() -> None:
            await result

        client.sync(waited)


def _path(key: Any) -> list[Any]:
    path = list(key) if isinstance(key, (list, tuple)) else [key]
    if not path:
        raise ValueError("a name is needed, or a list of some")
    return path
