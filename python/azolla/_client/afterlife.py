"""What a `Client` leaves behind when nothing refers to it any more, for its futures.

The futures hold an `Afterlife` natively. When the last of them goes, the `Ending` in it ends the client. Until then the
cluster runs, callbacks are called, and a new client stands in wherever a program asks for the one that is gone.
"""

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from azolla._base import leave as _leave
from azolla._client import dask_scheduler
from azolla._run.current import defaults

if TYPE_CHECKING:
    from azolla._client.client import Client


class Ending:
    """Ends a client when it goes itself: the cluster, if the client had made it, and the thread for callbacks."""

    def __init__(self, client: "Client") -> None:
        self.cluster, self.callbacks = client.cluster, client._callback_thread
        self._number, self._owns = client._number, client._own

    def __del__(self) -> None:
        defaults.pop(self._number, None)
        dask_scheduler.leave(self._number)
        if not self.cluster._forked:
            if self._owns and not self.cluster._closed:
                self.cluster._set_gone()
                self.cluster._close()
            # The thread holds no reference to the client and ends by itself. A finalizer must not wait for it.
            self.callbacks.stop(0.0)


class Afterlife:
    """Stands for a client that is gone, as long as its futures live."""

    def __init__(self, ending: Ending, asynchronous: bool, also_keeps: object = None) -> None:
        self._ending, self._asynchronous, self._also_keeps = ending, asynchronous, also_keeps
        self._stand_in: Client | None = None

    def stand_in(self) -> "Client | None":
        """Returns a client in place of the one that is gone; None if the cluster is closed. It keeps the cluster open too."""
        cluster = self._ending.cluster
        if self._stand_in is None or self._stand_in._closed:
            if cluster._closed:
                return None
            client = cluster._client_class(cluster, set_as_default=False, asynchronous=self._asynchronous)
            client._keeps = self._ending
            client._leave_behind(None, Afterlife(self._ending, self._asynchronous))
            self._stand_in = client
        return self._stand_in

    @property
    def _callback_thread(self) -> Any:
        return self._ending.callbacks

    def _post_callback(self, function: Callable[[Any], object], future: Any) -> None:
        if not _leave.ending:
            self._ending.callbacks.post(function, future)


def leave(client: "Client") -> None:
    """Has a client that goes live as long as its futures."""
    client.cluster._clients.pop(client._number, None)
    ending, asynchronous = Ending(client), client._asynchronous
    afterlife = Afterlife(ending, asynchronous, client._keeps)
    client._leave_behind(afterlife, Afterlife(ending, asynchronous, client._keeps))
    if client._set_as_default:
        this = weakref.ref(afterlife)
        defaults[client._number] = lambda: None if (afterlife := this()) is None else afterlife.stand_in()
