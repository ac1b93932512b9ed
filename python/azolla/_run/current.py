"""Finds the current client: the one entered here, else the running task's, else the latest default client.

A client is entered by `with`, `async with` and `as_current`, in the context where that is done. A task runs in a copy of
the context that submitted it; what was entered there does not count in the task, which has a client of its own.
"""

import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

from azolla import _azolla
from azolla._run import awaiting as _await

if TYPE_CHECKING:
    from azolla._azolla import _Client as Client

#: The default clients, by number, the latest last: `Client.current()` falls back on them. It is a dictionary because
#: copying one is a single step, which no other thread can interrupt. What is there is called, and gives the client, or None
#: once it is gone.
defaults: "dict[int, Callable[[], Client | None]]" = {}

#: The clients entered in this context, the latest last, each with the task in which it was entered.
entered: "ContextVar[tuple[tuple[weakref.ref[Client], object], ...]]" = ContextVar("azolla_clients", default=())


def enter(client: "Client") -> None:
    """Makes a client the current one in this context, until `leave`."""
    entered.set((*entered.get(), (weakref.ref(client), task_here())))


def leave(client: "Client") -> None:
    """Ends the latest `enter` of this client. What was current before is so again."""
    # The context may be another than that of `enter`: a framework may set up and tear down in two contexts.
    stack = entered.get()
    for place in reversed(range(len(stack))):
        if stack[place][0]() is client:
            entered.set(stack[:place] + stack[place + 1 :])
            return


def task_here() -> object:
    """Returns what tells the task here from others; None outside tasks."""
    running = _await.current_task() or _azolla.thread_running()
    return None if running is None else (running.cluster, running.key)


def current(allow_global: bool = True) -> "Client":
    """Implements `Client.current`."""
    client = current_or_none(allow_global)
    if client is None:
        raise ValueError("no client is open" if allow_global else "no client is current here")
    return client


def current_or_none(allow_global: bool = True) -> "Client | None":
    """Does what `Client.current` does, but returns None if no client is current."""
    client: Client | None
    stack = entered.get()
    if stack:
        task = task_here()
        for reference, entered_in in reversed(stack):
            client = reference() if task is None or task == entered_in else None
            if client is not None and not client._closed:
                return client
    running = _await.current_task()
    client = running.client if running is not None else _azolla.thread_client()
    if client is not None:
        return client
    if allow_global:
        for default in reversed(list(defaults.values())):
            client = default()
            if client is not None and not client._closed:
                return client
    return None
