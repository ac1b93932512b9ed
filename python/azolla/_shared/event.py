"""`Event`: a flag to wait for."""

from typing import Any

from azolla._azolla import EventCore
from azolla._base.never import says_if_never_started
from azolla._base.time import Timeout
from azolla._client.client import Client
from azolla._shared.named import SET_BY_INIT, Shared, text


@says_if_never_started("event", *SET_BY_INIT)
class Event(Shared[EventCore]):
    """A flag to wait for. It is not set at first.

    A wait in a task takes no slot. With an asynchronous client, and on a client's own loop, the methods return
    awaitables.

    Args:
        name: Events of one name are the same event, for all clients of a cluster. By default the event has a name of
            its own.
        client: By default the current client.

    >>> from azolla import Event
    >>> future = client.submit(lambda: Event("start").wait())
    >>> Event("start").set()
    >>> future.result()
    True
    """

    def __init__(self, name: Any = None, client: Client | None = None) -> None:
        super().__init__("event", name, client)

    def _make(self, client: Client) -> EventCore:
        return EventCore(client, text(self.name), self._own)

    def wait(self, timeout: Timeout = None) -> Any:
        """Waits until the event is set. All waits end then, even if the event is cleared at once.

        Args:
            timeout: Seconds, a `timedelta`, or text such as `"500ms"`, after which to give up; None for no limit.

        Returns:
            True; False if the time was up.

        Raises:
            ClosedClientError: The client is closed.

        >>> Event().wait(timeout=0.01)
        False
        """
        return self._try("wait", self._bound().wait(), timeout)

    def set(self) -> Any:
        """Sets the event: all waits end.

        Raises:
            ClosedClientError: The client is closed.

        >>> event = Event()
        >>> event.set()
        >>> event.wait()
        True
        """
        self._bound().set()
        return self._answer(None)

    def clear(self) -> Any:
        """Clears the event: a wait that begins from now on blocks.

        Raises:
            ClosedClientError: The client is closed.

        >>> event = Event()
        >>> event.set()
        >>> event.clear()
        >>> event.is_set()
        False
        """
        self._bound().clear()
        return self._answer(None)

    def is_set(self) -> Any:
        """Returns True if the event is set.

        Raises:
            ClosedClientError: The client is closed.

        >>> Event().is_set()
        False
        """
        return self._answer(self._bound().is_set())

    def __reduce__(self) -> Any:
        return Event, (self.name,)
