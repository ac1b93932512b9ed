"""The parts of `Client` that act on every worker, beside its tasks: calls, plugins, uploaded modules and restarts."""

import asyncio
import contextvars
import importlib
import inspect
import os
import sys
import uuid
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from azolla._azolla import Core
from azolla._base import leave as _leave
from azolla._base.arguments import check_function
from azolla._base.names import as_called
from azolla._base.threads import LastingThread
from azolla._base.time import Timeout, seconds
from azolla._cluster import workers as _workers
from azolla._cluster.processes import on_threads
from azolla._cluster.staff import Workers
from azolla._cluster.workers import Worker
from azolla._run.awaiting import answer
from azolla._run.own_thread import not_cancelled_by_it, on_own_thread
from azolla._run.transitions import Listeners, PluginListener


class WorkerPlugin:
    """The base of plugins for workers. A plugin may leave any method as it is.

    >>> class Counts(WorkerPlugin):
    ...     name = "counts"
    ...     def setup(self, worker):
    ...         worker.count = 10
    >>> _ = client.register_plugin(Counts())
    >>> client.submit(lambda: get_worker().count, pure=False).result()
    10
    >>> _ = client.unregister_worker_plugin("counts")
    """

    def setup(self, worker: Worker) -> Any:
        """Called on each worker when the plugin is registered. It may be a coroutine function."""

    def teardown(self, worker: Worker) -> Any:
        """Called on each worker when the plugin is taken away or the cluster closes."""

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Called on a task's own thread when the task begins (`"ready"` to `"executing"`) and when it has ended
        (`"executing"` to `"memory"` or `"error"`). The end of a coroutine task is reported on the event loop.

        An exception that it raises is shown, and changes nothing.

        Args:
            key: The task's key.
            start: The task's state before.
            finish: The task's state now.
            **kwargs: Room for more.
        """


class _Cluster(Protocol):
    """The part of a cluster that this module uses."""

    name: str
    _datasets: dict[Any, Any]
    _plugins: dict[str, Any]
    _listeners: Listeners
    _has_processes: bool

    @property
    def workers(self) -> dict[int, Worker]: ...
    def _chosen(self, workers: Any) -> list[Worker]: ...


class Everywhere(Core):
    """The part of `Client` that acts on every worker."""

    cluster: _Cluster
    loop: Any
    sync: Any

    # --- Functions

    def run(
        self,
        /,
        function: Callable[..., Any],
        *args: Any,
        workers: Workers = None,
        wait: bool = True,
        nanny: bool = False,
        on_error: str = "raise",
        **kwargs: Any,
    ) -> Any:
        """Calls a function once for each worker, beside its tasks, each call on a thread of its own.

        Args:
            function: What to call. If it has a parameter `dask_worker`, that is the worker. A coroutine function runs
                on the cluster's event loop.
            *args: What to call it with.
            workers: The workers' addresses or names; by default all.
            wait: If true, wait for the results; otherwise return None.
            nanny: Must be False: no process looks after a worker alone.
            on_error: `"raise"` raises the first error, `"return"` gives errors as results, `"ignore"` leaves them out.
            **kwargs: What to call it with, by name.

        Returns:
            The results by the workers' addresses.

        Raises:
            ValueError: There is no such worker, or `on_error` is none of the three texts.
            NotImplementedError: `nanny` is given.

        >>> list(client.run(lambda dask_worker: dask_worker.nthreads).values())
        [2]
        """
        if nanny:
            raise NotImplementedError(
                "nanny=: no process looks after a worker alone, in which the function could be called"
            )
        if on_error not in ("raise", "return", "ignore"):
            raise ValueError(f"on_error must be 'raise', 'return' or 'ignore', not {on_error!r}")
        check_function("run(): function", function)
        self._check_open("run")
        on_threads(self.cluster, "run")
        args, kwargs = Core._copied(args), Core._copied(kwargs)
        call = partial(
            as_called, "Client.run", _everywhere, function, args, kwargs, self.cluster._chosen(workers), on_error
        )
        if wait:
            return self.sync(call)
        asyncio.run_coroutine_threadsafe(call(), self.loop)
        return answer(self, None)

    def run_on_scheduler(self, /, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function on a thread of its own: the scheduler is in this process, and has no other thread.

        Raises:
            NotImplementedError: The function has a parameter `dask_scheduler`: the scheduler is no Python object.

        >>> client.run_on_scheduler(abs, -1)
        1
        """
        if _takes(check_function("run_on_scheduler(): function", function), "dask_scheduler"):
            raise NotImplementedError("dask_scheduler: the scheduler is native, and no object that could be passed")
        self._check_open("run_on_scheduler")
        args, kwargs = Core._copied(args), Core._copied(kwargs)
        return self.sync(partial(as_called, "Client.run_on_scheduler", _call, None, function, args, kwargs))

    # --- Plugins

    def register_plugin(self, plugin: Any, name: str | None = None, idempotent: bool | None = None) -> Any:
        """Sets a plugin up on every worker.

        Args:
            plugin: A `WorkerPlugin`, or any object that has its methods.
            name: The plugin's name; by default its own `name`, or something unique. A plugin that has the name already
                is taken away.
            idempotent: If true, a plugin that has the name already stays instead; by default the plugin's own
                `idempotent`.

        Raises:
            NotImplementedError: It is a plugin for a scheduler or a nanny.
            TypeError: It has none of a plugin's methods.
            Exception: The exception that its `setup` raises.

        >>> class Greets(WorkerPlugin):
        ...     def setup(self, worker):
        ...         worker.greeting = "hello"
        >>> list(client.register_plugin(Greets(), name="greets").values())
        [{'status': 'OK'}]
        >>> _ = client.unregister_worker_plugin("greets")
        """
        bases = {base.__name__ for base in type(plugin).__mro__}
        if bases & {"SchedulerPlugin", "NannyPlugin"}:
            raise NotImplementedError("plugins are set up on workers: the scheduler is native, and there is no nanny")
        if isinstance(plugin, type) or not any(
            hasattr(plugin, method) for method in ("setup", "teardown", "transition")
        ):
            raise TypeError(f"a plugin is an object with setup() or teardown(), such as a WorkerPlugin, not {plugin!r}")
        if name is None:
            name = getattr(plugin, "name", None) or f"{type(plugin).__name__}-{uuid.uuid4()}"
        stays = getattr(plugin, "idempotent", False) if idempotent is None else idempotent
        self._check_open("register_plugin")
        on_threads(self.cluster, "register_plugin")
        return self.sync(partial(as_called, "Client.register_plugin", self._register, plugin, name, stays))

    async def _register(self, plugin: Any, name: str, stays: bool) -> dict[str, Any]:
        before = self.cluster._plugins.get(name)
        done = {worker.address: {"status": "OK"} for worker in self.cluster.workers.values()}
        if before is not None and stays:
            return done
        if before is not None:
            await self._unregister(name)
        self.cluster._plugins[name] = plugin
        transition = getattr(plugin, "transition", None)
        # The base class's `transition` does nothing, so calling it for each task would only cost time.
        if transition is not None and getattr(transition, "__func__", None) is not WorkerPlugin.transition:
            self.cluster._listeners[name] = PluginListener(transition)
        try:
            for worker in self.cluster.workers.values():
                worker.plugins[name] = plugin
                if hasattr(plugin, "setup"):
                    await _call(worker, plugin.setup, (worker,), {})
        except BaseException:
            self._forget_plugin(name)
            raise
        return done

    def unregister_worker_plugin(self, name: str, nanny: bool | None = None) -> Any:
        """Takes a plugin away from every worker.

        Raises:
            ValueError: There is no plugin of that name.
            Exception: The exception that its `teardown` raises.

        >>> _ = client.register_plugin(WorkerPlugin(), name="mine")
        >>> list(client.unregister_worker_plugin("mine").values())
        [{'status': 'OK'}]
        """
        if name not in self.cluster._plugins:
            raise ValueError(f"The worker plugin {name} does not exist")
        self._check_open("unregister_worker_plugin")
        return self.sync(partial(as_called, "Client.unregister_worker_plugin", self._unregister, name))

    async def _unregister(self, name: str) -> dict[str, Any]:
        plugin = self._forget_plugin(name)
        for worker in self.cluster.workers.values():
            if hasattr(plugin, "teardown"):
                await _call(worker, plugin.teardown, (worker,), {})
        return {worker.address: {"status": "OK"} for worker in self.cluster.workers.values()}

    def _forget_plugin(self, name: str) -> Any:
        for worker in self.cluster.workers.values():
            worker.plugins.pop(name, None)
        self.cluster._listeners.pop(name, None)
        return self.cluster._plugins.pop(name, None)

    # --- Modules and restarts

    def upload_file(self, filename: str | os.PathLike[str], load: bool = True) -> Any:
        """Makes a module importable for tasks. They run in this process, so this puts the module's folder on
        `sys.path`.

        Args:
            filename: A `.py`, `.zip` or `.egg` file. A file of another kind stays where it is: tasks can open it there.
            load: If true, import it, again if it was imported before.

        Raises:
            FileNotFoundError: There is no such file.

        >>> import pathlib, tempfile
        >>> module = pathlib.Path(tempfile.mkdtemp()) / "greetings.py"
        >>> _ = module.write_text("text = 'hello'")
        >>> client.upload_file(module)
        >>> client.submit(lambda: __import__("greetings").text).result()
        'hello'
        """
        on_threads(self.cluster, "upload_file")
        path = Path(filename).resolve(strict=True)
        if path.suffix not in (".py", ".zip", ".egg"):
            return answer(self, None)
        place = str(path.parent if path.suffix == ".py" else path)
        if place not in sys.path:
            sys.path.insert(0, place)
        importlib.invalidate_caches()
        if load:
            for name in [path.stem] if path.suffix == ".py" else _modules(path):
                module = sys.modules.get(name)
                importlib.reload(module) if module is not None else importlib.import_module(name)
        return answer(self, None)

    def restart(self, timeout: Timeout = None, wait_for_workers: bool = True) -> Any:
        """Cancels all tasks of the cluster, forgets what its clients have published and noted, and sets plugins up
        again.

        Tasks that run go on to their ends, and their results are dropped: threads cannot be stopped.

        Args:
            timeout: Taken as Dask takes it.
            wait_for_workers: Taken as Dask takes it: the workers are there.

        Raises:
            ClosedClientError: The client is closed.

        >>> future = client.submit(pow, 2, 10)
        >>> client.restart()
        >>> future.status
        'cancelled'
        """
        self._check_open("restart")
        on_threads(self.cluster, "restart")
        return self.sync(partial(as_called, "Client.restart", self._restart))

    async def _restart(self) -> None:
        self._cancel_all()
        self.cluster._datasets.clear()
        for name, plugin in list(self.cluster._plugins.items()):
            await self._unregister(name)
            await self._register(plugin, name, False)

    def wait_for_workers(self, n_workers: int, timeout: Timeout = None) -> Any:
        """Checks that there are this many workers. All workers are there from the beginning, and stay.

        Args:
            n_workers: How many.
            timeout: Seconds, a `timedelta` or text after which to give up.

        Raises:
            ValueError: `n_workers` is not positive; or there are fewer, and without a `timeout` this would never end.
            TimeoutError: There are fewer when the time is up.

        >>> client.wait_for_workers(1)
        """
        if not isinstance(n_workers, int) or n_workers <= 0:
            raise ValueError(f"n_workers must be a positive whole number, not {n_workers!r}")
        there = len(self.cluster.workers)
        if there >= n_workers:
            return answer(self, None)
        if timeout is None:
            raise ValueError(f"there are {there} workers, and there will never be {n_workers}")
        return self.sync(partial(as_called, "Client.wait_for_workers", _too_few, there, n_workers, seconds(timeout)))


async def _too_few(there: int, wanted: int, timeout: float) -> None:
    await asyncio.sleep(timeout)
    raise TimeoutError(f"Only {there}/{wanted} workers arrived")


async def _everywhere(
    function: Callable[..., Any], args: Any, kwargs: Any, workers: list[Worker], on_error: str
) -> dict[str, Any]:
    calls = [_call(worker, function, args, kwargs) for worker in workers]
    results = dict(
        zip(
            [worker.address for worker in workers],
            await asyncio.gather(*calls, return_exceptions=True),
            strict=True,
        )
    )
    if on_error == "return":
        return results
    failed = {address: error for address, error in results.items() if isinstance(error, BaseException)}
    if failed and on_error == "raise":
        raise next(iter(failed.values()))
    return {address: result for address, result in results.items() if address not in failed}


async def _call(worker: Worker | None, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Calls a function for a worker: on a new thread, or, for a coroutine function, on this loop."""
    if worker is not None and _takes(function, "dask_worker"):
        kwargs = kwargs | {"dask_worker": worker}
    context = contextvars.copy_context()
    context.run(_workers.here.set, worker)
    with not_cancelled_by_it():
        if inspect.iscoroutinefunction(function):
            return await asyncio.get_running_loop().create_task(function(*args, **kwargs), context=context)
        return await on_own_thread(partial(context.run, function, *args, **kwargs))


def _takes(function: Callable[..., Any], name: str) -> bool:
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return False


def _modules(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        names = [Path(name) for name in archive.namelist()]
    modules = {name.stem for name in names if len(name.parts) == 1 and name.suffix == ".py"}
    packages = {name.parts[0] for name in names if len(name.parts) == 2 and name.name == "__init__.py"}
    return sorted((modules | packages) - {"setup", "__main__"})


def tear_down(cluster: _Cluster, patience: float) -> None:
    """Calls the plugins' `teardown` for a cluster that closes, and waits up to `patience` seconds for them to return.

    When the interpreter ends, the plugins are only forgotten: no thread could be started to call them.
    """
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
