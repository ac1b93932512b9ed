"""Finds the current client: the running task's, else the one set by `as_current`, else the latest default client."""

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING

from azolla import _azolla
from azolla._run import awaiting as _await

if TYPE_CHECKING:
    from azolla._azolla import _Client as Client

#: The default clients, by number, the latest last: `Client.current()` falls back on them. It is a dictionary because
#: copying one is a single step, which no other thread can interrupt.
defaults: "dict[int, weakref.ref[Client]]" = {}
active: "ContextVar[weakref.ref[Client] | None]" = ContextVar("azolla_client", default=None)


def current(allow_global: bool = True) -> "Client":
    """Implements `Client.current`."""
    client = current_or_none(allow_global)
    if client is None:
        raise ValueError("no client is open" if allow_global else "no client is current here")
    return client


def current_or_none(allow_global: bool = True) -> "Client | None":
    """Does what `Client.current` does, but returns None if no client is current."""
    # The thread's task comes before the context's: a coroutine task may have submitted it, and handed its context down.
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
