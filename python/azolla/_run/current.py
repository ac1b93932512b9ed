"""Which client is current: the one of the task that runs here, or one that somebody has made so."""

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING

from azolla import _azolla
from azolla._run import awaiting as _await

if TYPE_CHECKING:
    from azolla._azolla import _Client as Client

#: The open clients that may be found by `Client.current()`, by number, the latest last. A dictionary, because to copy
#: one is a single step for other threads.
defaults: "dict[int, weakref.ref[Client]]" = {}
active: "ContextVar[weakref.ref[Client] | None]" = ContextVar("azolla_client", default=None)


def current(allow_global: bool = True) -> "Client":
    """As `Client.current`."""
    client = current_or_none(allow_global)
    if client is None:
        raise ValueError("no client is open" if allow_global else "no client is current here")
    return client


def current_or_none(allow_global: bool = True) -> "Client | None":
    """As `Client.current`, with None where there is none."""
    # A thread's task comes first: it runs in a context that may have come from a coroutine task.
    client: Client | None = _azolla.thread_client()
    if client is not None:
        return client
    running = _await.current_task()
    if running is not None:
        return running.client
    reference = active.get()
    client = reference() if reference is not None else None
    if client is not None and not client._closed:
        return client
    if allow_global:
        for reference in reversed(list(defaults.values())):
            client = reference()
            if client is not None and not client._closed:
                return client
    return None
