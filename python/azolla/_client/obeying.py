"""What a worker process does beside its tasks, when its client says so (`azolla._cluster.orders`)."""

import contextvars
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from typing import Any

from azolla._base import where
from azolla._base.threads import report
from azolla._client.in_process import client
from azolla._cluster import workers as _workers
from azolla._cluster.beside import listen, with_worker
from azolla._cluster.uploads import forget, importable, place_of
from azolla._cluster.workers import Worker
from azolla._process import child as _child
from azolla._process import leaving
from azolla._run import transitions as _transitions

#: The uploaded files, by their names.
_uploads: dict[str, Path] = {}

#: Held by the order that makes a module importable.
_uploading = threading.Lock()


def obey(what: str, *args: Any) -> Any:
    """Does what an order says, and returns what comes of it."""
    return _WHAT[what](*args)


def _here() -> Worker:
    return client().cluster._workers[where.worker]


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a function for this worker; a coroutine function on the loop of this process."""
    worker = _here()
    kwargs = with_worker(function, kwargs, worker)
    if inspect.iscoroutinefunction(function):

        async def awaited() -> Any:
            _workers.here.set(worker)
            return await function(*args, **kwargs)

        return client().sync(awaited)
    context = contextvars.copy_context()
    context.run(_workers.here.set, worker)
    return context.run(function, *args, **kwargs)


def _set_up(name: str, plugin: Any) -> None:
    worker = _here()
    worker.plugins[name] = plugin
    listen(client().cluster._listeners, name, plugin)
    _tell()
    try:
        if hasattr(plugin, "setup"):
            _call(plugin.setup, (worker,), {})
    except BaseException:
        _forget(name)
        raise


def _forget(name: str) -> Any:
    """Takes a plugin away."""
    client().cluster._listeners.pop(name, None)
    _tell()
    return _here().plugins.pop(name, None)


def _tear_down(name: str) -> None:
    plugin = _forget(name)
    if hasattr(plugin, "teardown"):
        _call(plugin.teardown, (_here(),), {})


def tear_all_down() -> None:
    """Tears down the plugins of this process."""
    for name in list(_here().plugins):
        try:
            _tear_down(name)
        except BaseException as error:
            report(error)


def _end() -> None:
    """Ends this process, as the client ends it."""
    leaving.obey("leave")
    os.kill(os.getpid(), signal.SIGKILL)


def _upload(file: Path, load: bool) -> None:
    with _uploading:
        importable(file, load)
        before, _uploads[file.name] = _uploads.get(file.name), file
        if before is not None and before != file and (place := place_of(before)) in sys.path:
            sys.path.remove(place)


def _withdraw(file: Path) -> None:
    """Undoes an upload, of which another process has made nothing."""
    with _uploading:
        if _uploads.get(file.name) == file:
            del _uploads[file.name]
            forget(file)


def _tell() -> None:
    """Has the threads for tasks tell plugins of transitions, if there are any that want it."""
    _child.tells = _told if client().cluster._listeners else None


def _told(context: Context, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Makes the call of a task, and tells plugins when it begins and ends."""
    listeners = client().cluster._listeners
    _transitions.begun(listeners, context)
    try:
        result = context.run(function, *args, **kwargs)
    except BaseException as error:
        _transitions.raised(listeners, error)
        raise
    finally:
        # An error that the user's code keeps leads to this frame.
        del context, function, args, kwargs
    _transitions.returned(listeners, result)
    return result


_WHAT: dict[str, Callable[..., Any]] = {
    "run": _call,
    "set_up": _set_up,
    "forget": _forget,
    "tear_down": _tear_down,
    "end": _end,
    "upload": _upload,
    "withdraw": _withdraw,
}
