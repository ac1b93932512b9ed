"""The parts of `Client` that act on every worker, beside its tasks: calls, plugins, uploaded modules and restarts."""

import asyncio
import errno
import os
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from azolla._azolla import Core
from azolla._base.arguments import check_function
from azolla._base.errors import KilledWorker
from azolla._base.names import as_called
from azolla._base.time import Timeout, seconds
from azolla._cluster import orders as _orders
from azolla._cluster.beside import Means, OnEach, OnThreads, on_own, takes
from azolla._cluster.orders import InProcesses
from azolla._cluster.presence import Cluster as _Staff
from azolla._cluster.presence import Present
from azolla._cluster.staff import Workers
from azolla._cluster.turns import in_turn
from azolla._cluster.uploads import MODULES
from azolla._cluster.workers import Worker
from azolla._run.awaiting import answer
from azolla._run.transitions import Listeners

_THREADS: Means = OnThreads()
_PROCESSES: Means = InProcesses()


class WorkerPlugin:
    """The base of plugins for workers. A plugin may leave any method as it is.

    Each worker process has a copy of its own, and so has one that takes the place of another.

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

    transition._does_nothing = True  # type: ignore[attr-defined]


class _Cluster(_Staff, Protocol):
    """The part of a cluster that this module uses."""

    name: str
    _datasets: dict[Any, Any]
    _plugins: dict[str, Any]
    _listeners: Listeners
    _gear: dict[tuple[str, str], Any]
    _helpers: dict[str, Any]
    #: The workers that go, by their names.
    _leaving: dict[int, Any]

    @property
    def workers(self) -> dict[int, Worker]: ...
    def _worker(self, name: str | int) -> Worker: ...


class Everywhere(Present):
    """The part of `Client` that acts on every worker."""

    cluster: _Cluster
    loop: Any
    sync: Any

    @property
    def _means(self) -> Means:
        return _PROCESSES if self.cluster._has_processes else _THREADS

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
        """Calls a function once for each worker, beside its tasks, each call on a thread of its own. A worker that is a
        process calls it there: the function, its arguments and the results travel as pickles.

        Args:
            function: What to call. If it has a parameter `dask_worker`, that is the worker. A coroutine function runs
                on the event loop of the cluster, or of the worker process.
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
            ConnectionError: A worker process has ended before it had answered.

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
        on_each = self._means.call(self.cluster, function, Core._copied(args), Core._copied(kwargs))
        call = partial(as_called, "Client.run", _everywhere, on_each, self.cluster._chosen(workers), on_error)
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
        if takes(check_function("run_on_scheduler(): function", function), "dask_scheduler"):
            raise NotImplementedError("dask_scheduler: the scheduler is native, and no object that could be passed")
        self._check_open("run_on_scheduler")
        args, kwargs = Core._copied(args), Core._copied(kwargs)
        return self.sync(partial(as_called, "Client.run_on_scheduler", on_own, function, args, kwargs))

    # --- Plugins

    def register_plugin(self, plugin: Any, name: str | None = None, idempotent: bool | None = None) -> Any:
        """Sets a plugin up on every worker.

        Args:
            plugin: A `WorkerPlugin`, or any object that has its methods.
            name: The plugin's name; by default its own `name`, or something unique. A plugin that has the name already
                is taken away. If the new one's `setup` fails, the old one is set up again.
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
        on_each = self._means.set_up(self.cluster, name, plugin)
        registers = partial(self._register, plugin, name, stays, on_each)
        return self._in_turn("register_plugin", ("plugin", name), registers)

    async def _register(self, plugin: Any, name: str, stays: bool, on_each: OnEach) -> dict[str, Any]:
        before = self.cluster._plugins.get(name)
        workers = list(self.cluster.workers.values())
        done = {worker.address: {"status": "OK"} for worker in workers}
        if before is not None and stays:
            return done
        if before is not None:
            await self._unregister(name)
        try:
            await on_each(workers)
        except BaseException:
            if before is not None:
                await self._register(before, name, False, self._means.set_up(self.cluster, name, before))
            raise
        self.cluster._plugins[name] = plugin
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
        return self._in_turn("unregister_worker_plugin", ("plugin", name), partial(self._unregister, name))

    async def _unregister(self, name: str) -> dict[str, Any]:
        plugin = self.cluster._plugins.pop(name, None)
        workers = list(self.cluster.workers.values())
        for outcome in await self._means.take_away(self.cluster, name, plugin)(workers):
            # A process that could not be started has no plugin.
            if isinstance(outcome, BaseException) and not isinstance(outcome, KilledWorker):
                raise outcome
        return {worker.address: {"status": "OK"} for worker in workers}

    def _in_turn(self, method: str, name: tuple[str, str], fits_out: Callable[[], Awaitable[Any]]) -> Any:
        return self.sync(partial(as_called, f"Client.{method}", in_turn, self.cluster, name, fits_out))

    # --- Modules and restarts

    def upload_file(self, filename: str | os.PathLike[str], load: bool = True) -> Any:
        """Makes a module importable for tasks. Where they run in this process, this puts the module's folder on `sys.path`.
        Each worker process, also one that starts later, finds the module as it is now. If its import fails anywhere, the
        module that was uploaded before stays everywhere.

        Args:
            filename: A `.py`, `.zip` or `.egg` file. A file of another kind stays where it is: tasks can open it there.
            load: If true, import it, again if it was imported before.

        Raises:
            FileNotFoundError: There is no such file.
            IsADirectoryError: It is a folder.
            Exception: Whatever its import raises.

        >>> import pathlib, tempfile
        >>> module = pathlib.Path(tempfile.mkdtemp()) / "greetings.py"
        >>> _ = module.write_text("text = 'hello'")
        >>> client.upload_file(module)
        >>> client.submit(lambda: __import__("greetings").text).result()
        'hello'
        """
        path = Path(filename).resolve()
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(filename))
        if path.is_dir():
            why = "upload_file() takes a file: put a package into a .zip or .egg file"
            raise IsADirectoryError(errno.EISDIR, why, os.fspath(filename))
        self._check_open("upload_file")
        on_each = self._means.upload(self.cluster, path, load) if path.suffix in MODULES else None
        if on_each is None:
            return answer(self, None)
        return self._in_turn("upload_file", ("file", path.name), partial(self._upload, on_each))

    async def _upload(self, on_each: OnEach) -> None:
        await on_each(list(self.cluster.workers.values()))

    def restart(self, timeout: Timeout = None, wait_for_workers: bool = True) -> Any:
        """Cancels all tasks of the cluster, forgets what its clients have published and noted, and sets plugins up
        again. Worker processes end, and others take their places, also of those that could not be started.

        On threads, tasks that run go on to their ends, and their results are dropped: threads cannot be stopped.

        Args:
            timeout: Seconds, a `timedelta` or text after which to give up waiting for worker processes.
            wait_for_workers: If true, wait until the new processes are there; otherwise until the old ones have ended.

        Raises:
            ClosedClientError: The client is closed.
            TimeoutError: The time was up.
            NotImplementedError: A task in a worker process calls it.

        >>> future = client.submit(pow, 2, 10)
        >>> client.restart()
        >>> future.status
        'cancelled'
        """
        self._check_open("restart")
        limit = None if timeout is None else seconds(timeout)
        return self.sync(partial(as_called, "Client.restart", self._restart, limit, wait_for_workers))

    async def _restart(self, timeout: float | None, wait_for_workers: bool) -> None:
        self._cancel_all()
        self.cluster._datasets.clear()
        if self.cluster._has_processes:
            workers = list(self.cluster.workers.values())
            leaving = [it.worker for it in self.cluster._leaving.copy().values()]
            await _orders.restarted(self.cluster, workers, timeout, wait_for_workers, leaving)
            return
        for name, plugin in list(self.cluster._plugins.items()):
            await self._unregister(name)
            await self._register(plugin, name, False, self._means.set_up(self.cluster, name, plugin))

    def restart_workers(self, workers: Workers, timeout: Timeout = None, raise_for_error: bool = True) -> Any:
        """Has other processes take the places of these workers' processes. The tasks that run there run again. A process that
        could not be started is tried again.

        Args:
            workers: The workers' addresses or names.
            timeout: Seconds, a `timedelta` or text after which to give up waiting.
            raise_for_error: If true, raise TimeoutError when the time is up; otherwise the answer says so.

        Returns:
            `"OK"` or `"timed out"` for each of the workers, as it was named.

        Raises:
            NotImplementedError: The workers are threads, which cannot be stopped.
            ValueError: There is no such worker.
            TimeoutError: The time was up.

        >>> with Client(n_workers=2, dashboard_address=None) as processes:
        ...     processes.restart_workers([0])
        {0: 'OK'}
        """
        self._check_open("restart_workers")
        if not self.cluster._has_processes:
            raise NotImplementedError("restart_workers(): these workers are threads, which cannot be stopped")
        chosen = {name: self.cluster._worker(name) for name in self.cluster._named(workers)}
        limit = None if timeout is None else seconds(timeout)
        call = partial(as_called, "Client.restart_workers", self._restart_workers, chosen, limit, raise_for_error)
        return self.sync(call)

    async def _restart_workers(self, chosen: dict[Any, Worker], timeout: float | None, raises: bool) -> dict[Any, str]:
        workers = list(dict.fromkeys(chosen.values()))
        try:
            await _orders.restarted(self.cluster, workers, timeout, True)
        except TimeoutError:
            if raises:
                raise
            return dict.fromkeys(chosen, "timed out")
        return dict.fromkeys(chosen, "OK")


async def _everywhere(on_each: OnEach, workers: list[Worker], on_error: str) -> dict[str, Any]:
    outcomes = await on_each(workers)
    results = dict(zip([worker.address for worker in workers], outcomes, strict=True))
    if on_error == "return":
        return results
    failed = {address: error for address, error in results.items() if isinstance(error, BaseException)}
    if failed and on_error == "raise":
        raise next(iter(failed.values()))
    return {address: result for address, result in results.items() if address not in failed}


def tear_down(cluster: Any, patience: float) -> None:
    """Ends what is on the workers of a cluster that closes, as `Means.tear_down` says."""
    (_PROCESSES if cluster._has_processes else _THREADS).tear_down(cluster, patience)
