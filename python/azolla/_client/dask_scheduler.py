"""The current client as Dask's scheduler: what `x.compute()`, `x.persist()` and `dask.compute(x)` run on.

Dask asks its setting `scheduler` what to run on. While a default client is open, and within `as_current`, that is `get`
below, which finds the current client anew at each call. So one setting serves nested clients and tasks alike. When the last
of those clients goes, the setting is again what it was.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from azolla._base.imports import once_imported
from azolla._run.current import current_or_none

if TYPE_CHECKING:
    from azolla._azolla import _Client as Client

#: The clients and contexts for which Dask runs its collections here. Each change is a single step, which neither another
#: thread nor a finalizer can interrupt.
_users: dict[object, None] = {}

#: What the setting was before; None if there was none.
_before: Any = None


def use(user: object) -> None:
    """Makes the current client Dask's scheduler, for this user, from now on or from when Dask is imported."""
    _users[user] = None
    once_imported("dask", _set)


def leave(user: object) -> None:
    """Ends what `use` began for this user."""
    _users.pop(user, None)
    dask: Any = sys.modules.get("dask")
    # The settings are changed without Dask's lock: this may run in a finalizer, on a thread that holds the lock.
    if not _users and dask is not None and dask.config.config.get("scheduler") is get:
        if _before is None:
            dask.config.config.pop("scheduler", None)
        else:
            dask.config.config["scheduler"] = _before


def _set() -> None:
    global _before
    settings: dict[str, Any] = import_module("dask").config.config
    if _users and settings.get("scheduler") is not get:
        _before = settings.get("scheduler")
        settings["scheduler"] = get


def get(dsk: Any, keys: Any, **kwargs: Any) -> Any:
    """Runs a graph on the current client, as Dask has its schedulers run it. Without a client, Dask's threads run it."""
    client = current_or_none()
    if client is None:
        return import_module("dask.threaded").get(dsk, keys, **kwargs)
    if client._async_here():
        return _without(client)(dsk, keys, **kwargs)
    return client.get(dsk, keys, **kwargs)


def persist(collections: Any, optimize_graph: bool = True, **kwargs: Any) -> Any:
    """Persists collections on the current client. `dask.persist` looks for this beside `get`."""
    client = current_or_none()
    if client is None:
        scheduler = import_module("dask.threaded").get
        collections = import_module("dask").persist(*collections, optimize_graph=optimize_graph, scheduler=scheduler)
        return list(collections)
    return client.persist(collections, optimize_graph=optimize_graph, **kwargs)


get.persist = persist  # type: ignore[attr-defined]


def _without(client: "Client") -> Any:
    """Returns the scheduler that Dask's setting names for where an asynchronous client cannot block."""
    dask: Any = import_module("dask")
    instead = dask.config.get("admin.async-client-fallback", None)
    if instead is None:
        raise RuntimeError(
            "Attempting to use an asynchronous Client in a synchronous context of `dask.compute`: it would block the event "
            "loop. Write `await client.compute(x)` instead"
        )
    return dask.base.get_scheduler(scheduler=instead)
