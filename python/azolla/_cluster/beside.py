"""`OnThreads`: what is done on every worker beside its tasks, where the workers are threads of this process.

`orders.py` is the same for worker processes.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from azolla._base import leave as _leave
from azolla._base.threads import LastingThread
from azolla._cluster import workers as _workers
from azolla._cluster.uploads import importable
from azolla._cluster.workers import Worker
from azolla._run.own_thread import not_cancelled_by_it, on_own_thread
from azolla._run.transitions import Listeners, PluginListener

#: Does something on each of these workers. Returns what came of it, results and exceptions, in their order.
OnEach: TypeAlias = Callable[[list[Worker]], Awaitable[list[Any]]]


class Cluster(Protocol):
    """The part of a cluster that is used here."""

    name: str
    _plugins: dict[str, Any]
    _listeners: Listeners

    @property
    def workers(self) -> dict[int, Worker]: ...


class Means(Protocol):
    """How something is done on every worker."""

    def call(self, cluster: Any, function: Callable[..., Any], args: Any, kwargs: Any) -> OnEach:
        """Returns what calls a function on workers."""

    def set_up(self, cluster: Any, name: str, plugin: Any) -> OnEach:
        """Returns what sets a plugin up, on workers to come too. If that fails on any, all forget it."""

    def take_away(self, cluster: Any, name: str, plugin: Any) -> OnEach:
        """Takes a plugin from the workers to come, and returns what tears it down."""

    def upload(self, cluster: Any, file: Path, load: bool) -> OnEach | None:
        """Makes a module importable. Returns what does so on workers, if that is still to be done."""

    def tear_down(self, cluster: Any, patience: float) -> None:
        """Ends what is on the workers of a cluster that closes, and waits up to `patience` seconds for that.

        On threads this calls the plugins' `teardown`. When the interpreter ends, the plugins are only forgotten: no thread
        could be started to call them. Worker processes leave (`azolla._process.leaving`).
        """


class OnThreads:
    """Does what `Means` says, on the threads of this process."""

    def call(self, cluster: Cluster, function: Callable[..., Any], args: Any, kwargs: Any) -> OnEach:
        async def on_each(workers: list[Worker]) -> list[Any]:
            calls = [_call(worker, function, args, kwargs) for worker in workers]
            return await asyncio.gather(*calls, return_exceptions=True)

        return on_each

    def set_up(self, cluster: Cluster, name: str, plugin: Any) -> OnEach:
        async def on_each(workers: list[Worker]) -> list[Any]:
            listen(cluster._listeners, name, plugin)
            try:
                for worker in workers:
                    worker.plugins[name] = plugin
                    if hasattr(plugin, "setup"):
                        await _call(worker, plugin.setup, (worker,), {})
            except BaseException:
                _forget(cluster, name)
                raise
            return []

        return on_each

    def take_away(self, cluster: Cluster, name: str, plugin: Any) -> OnEach:
        _forget(cluster, name)

        async def on_each(workers: list[Worker]) -> list[Any]:
            for worker in workers:
                if hasattr(plugin, "teardown"):
                    await _call(worker, plugin.teardown, (worker,), {})
            return []

        return on_each

    def upload(self, cluster: Cluster, file: Path, load: bool) -> OnEach | None:
        importable(file, load)
        return None

    def tear_down(self, cluster: Cluster, patience: float) -> None:
        plugins = [cluster._plugins.pop(name) for name in list(cluster._plugins)]
        calls = [
            partial(plugin.teardown, worker)
            for plugin in plugins
            if hasattr(plugin, "teardown")
            for worker in cluster.workers.values()
        ]
        if not calls or _leave.ending:
            return

        remaining = iter(calls)

        def all_of_them() -> None:
            for call in remaining:
                result = call()
                if inspect.iscoroutine(result):
                    asyncio.run(result)

        thread = LastingThread(all_of_them, f"{cluster.name}-teardown")
        _leave.start(thread)
        thread.join(patience)


def _forget(cluster: Cluster, name: str) -> None:
    cluster._listeners.pop(name, None)
    for worker in cluster.workers.values():
        worker.plugins.pop(name, None)


async def on_own(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Calls a function for no worker."""
    return await _call(None, function, args, kwargs)


async def _call(worker: Worker | None, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Calls a function for a worker: on a new thread, or, for a coroutine function, on this loop."""
    kwargs = with_worker(function, kwargs, worker)
    context = contextvars.copy_context()
    context.run(_workers.here.set, worker)
    with not_cancelled_by_it():
        if inspect.iscoroutinefunction(function):
            return await asyncio.get_running_loop().create_task(function(*args, **kwargs), context=context)
        return await on_own_thread(partial(context.run, function, *args, **kwargs))


def with_worker(function: Callable[..., Any], kwargs: dict[str, Any], worker: Worker | None) -> dict[str, Any]:
    """Returns the arguments with the worker, if the function has a parameter `dask_worker`."""
    return kwargs | {"dask_worker": worker} if worker is not None and takes(function, "dask_worker") else kwargs


def takes(function: Callable[..., Any], name: str) -> bool:
    """Returns whether a function has a parameter of this name."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return False


def listen(listeners: Listeners, name: str, plugin: Any) -> None:
    """Has a plugin told of transitions, if it has a method for that."""
    transition = getattr(plugin, "transition", None)
    # The base class's `transition` does nothing, so calling it for each task would only cost time.
    if transition is not None and not getattr(getattr(transition, "__func__", None), "_does_nothing", False):
        listeners[name] = PluginListener(transition)
