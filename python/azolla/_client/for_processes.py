"""What the tasks in worker processes ask of the program's own client. `in_process.py` is the other side.

It runs on the thread of the task's proxy, as a part of the task: a wait in it takes no slot.
"""

import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from azolla._azolla import QueueCore
from azolla._base.errors import ClosedClientError
from azolla._client.client import Client
from azolla._process.parts import dumps

#: The queues, locks and so on that processes use, by the numbers that these give them.
_Kept = dict[tuple[int, int], Any]


def call(client: Client, asked: bytes, taken: list[Any]) -> tuple[bytes, Any]:
    """Does what a task asks. Returns what comes of it, as a pickle and as it is: its futures keep their tasks.

    Args:
        client: The client of the task.
        asked: A pickle of what it asks.
        taken: What the task has taken of what is shared.
    """
    kept: _Kept = client.cluster._helpers.setdefault("for_processes", {})
    gone, what, *args = pickle.loads(asked)
    for number in gone:
        kept.pop(number, None)
    result = _WHAT[what](client, kept, taken, *args)
    return dumps(result), result


def _client(
    client: Client, kept: _Kept, taken: list[Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return getattr(client, name)(*args, **kwargs)


def _make(
    client: Client, kept: _Kept, taken: list[Any], number: tuple[int, int], cls: type, args: tuple[Any, ...]
) -> None:
    made = cls(*args)
    made._bound()
    kept[number] = made


def _core(
    client: Client, kept: _Kept, taken: list[Any], number: tuple[int, int], name: str, args: tuple[Any, ...]
) -> Any:
    core = kept[number]._bound()
    result = getattr(core, name)(*args)
    if name == "release":
        own = next((place for place, (of, _) in enumerate(taken) if of is core), None)
        if own is not None:  # another task may have taken it
            del taken[own]
    elif name == "take_all":
        taken.extend((core, [value]) for value in result)
    return result


def _turn(
    client: Client,
    kept: _Kept,
    taken: list[Any],
    number: tuple[int, int],
    name: str,
    args: tuple[Any, ...],
    timeout: Any,
) -> Any:
    core = kept[number]._bound()
    result = getattr(core, name)(*args).wait(timeout)
    if name == "acquire":
        taken.append((core, None))
    elif isinstance(core, QueueCore) and name != "put":
        taken.extend((core, [value]) for value in ([result] if name == "get" else result))
    return result


def give_back(taken: list[tuple[Any, list[Any] | None]]) -> None:
    """Gives back what a task had taken whose process has died: it will run again, and take that again."""
    for core, values in reversed(taken):
        with suppress(ClosedClientError, RuntimeError):  # the semaphore or the client is closed by now
            if values is None:
                core.release()
            else:
                _put(core, values[0])


def _put(core: Any, value: Any) -> None:
    try:
        core.put(value).wait(0)
    except TimeoutError:  # others have filled the queue meanwhile: there is room when they take something out
        threading.Thread(target=core.put(value).wait, name="azolla-give-back", daemon=True).start()


def _about(client: Client, kept: _Kept, taken: list[Any]) -> dict[str, Any]:
    """Returns what a process needs to know of its cluster."""
    cluster = client.cluster
    return {
        "number": cluster._number,
        "name": cluster.name,
        "veil": cluster._veil,
        "n_workers": cluster._n_workers,
        "threads_per_worker": cluster._threads_per_worker,
        "started": cluster._started,
        "memory": cluster._memory,
        "resources": [worker.resources for worker in cluster._workers.values()],
        "address": cluster._address("")[:-1],
        "scheduler_address": cluster.scheduler_address,
        "dashboard_link": cluster.dashboard_link,
        "client_name": client.name,
        "client_id": client.id,
    }


_WHAT: dict[str, Callable[..., Any]] = {"client": _client, "make": _make, "core": _core, "turn": _turn, "about": _about}
