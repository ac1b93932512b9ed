"""The current client as Dask's scheduler: what `x.compute()`, `x.persist()` and `dask.compute(x)` run on.

Dask asks its setting `scheduler` what to run on. While a default client is open, and within `as_current`, that is the one
`CurrentClient` below, which finds the current client anew each time. So one setting serves nested clients and tasks alike.
When the last of those clients goes, the setting is again what it was.
"""

import sys
from importlib import import_module
from typing import Any

from azolla._azolla import Future
from azolla._base.futures import futures_in
from azolla._base.imports import once_imported
from azolla._run.awaiting import ended
from azolla._run.current import current_or_none
from azolla._run.lending import turn

#: The clients and contexts for which Dask runs its collections here. Each change is a single step, which neither another
#: thread nor a finalizer can interrupt.
_users: dict[object, None] = {}

#: What the setting was before; None if there was none.
_before: Any = None


class CurrentClient:
    """Stands for the current client in Dask's settings. Dask takes the `get` of an object whose class has this name."""

    @property
    def asynchronous(self) -> bool:
        """Whether the client's `get` gives an awaitable here. Dask then refuses, or falls back on what its settings name."""
        client = current_or_none()
        return client is not None and client._async_here()

    @property
    def get(self) -> Any:
        """The client's `get`; without a client, that of Dask's threads."""
        client: Any = current_or_none()
        return import_module("dask.threaded").get if client is None else client.get

    def __reduce__(self) -> str:
        return "_setting"  # a copy of Dask's settings holds the same object


_setting = CurrentClient()


def use(user: object) -> None:
    """Makes the current client Dask's scheduler, for this user, from now on or from when Dask is imported."""
    _users[user] = None
    once_imported("dask", _set)


def leave(user: object) -> None:
    """Ends what `use` began for this user."""
    _users.pop(user, None)
    dask: Any = sys.modules.get("dask")
    # The settings are changed without Dask's lock: this may run in a finalizer, on a thread that holds the lock.
    if not _users and dask is not None and dask.config.config.get("scheduler") is _setting:
        if _before is None:
            dask.config.config.pop("scheduler", None)
        else:
            dask.config.config["scheduler"] = _before


def _set() -> None:
    global _before
    dask: Any = import_module("dask")
    settings: dict[str, Any] = dask.config.config
    if _users and settings.get("scheduler") is not _setting:
        _before = settings.get("scheduler")
        settings["scheduler"] = _setting
    _have_collections_awaited(dask.base.DaskMethodsMixin)


def _have_collections_awaited(mixin: Any) -> None:
    """Makes `await x` wait for a persisted collection here too. Dask looks for the futures of its own clients alone."""
    dasks_own = mixin.__await__
    if dasks_own.__module__ == __name__:
        return

    def __await__(self: Any) -> Any:
        futures = futures_in(self)
        return _when_ended(self, futures).__await__() if futures else dasks_own(self)

    mixin.__await__ = __await__


async def _when_ended(collection: Any, futures: list[Future[Any]]) -> Any:
    await turn()
    for future in futures:
        await ended(future)
    return collection
