"""What the tasks in worker processes ask of the program's own client. `in_process.py` is the other side.

It runs on the thread of the task's proxy, as a part of the task: a wait in it takes no slot.
"""

import pickle
from collections.abc import Callable
from typing import Any

from azolla._client.client import Client
from azolla._process.parts import dumps

#: The queues, locks and so on that processes use, by the numbers that these give them.
_Kept = dict[tuple[int, int], Any]


def call(client: Client, asked: bytes) -> tuple[bytes, Any]:
    """Does what a task asks. Returns what comes of it, as a pickle and as it is: its futures keep their tasks."""
    kept: _Kept = client.cluster._helpers.setdefault("for_processes", {})
    gone, what, *args = pickle.loads(asked)
    for number in gone:
        kept.pop(number, None)
    result = _WHAT[what](client, kept, *args)
    return dumps(result), result


def _client(client: Client, kept: _Kept, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return getattr(client, name)(*args, **kwargs)


def _make(client: Client, kept: _Kept, number: tuple[int, int], cls: type, args: tuple[Any, ...]) -> None:
    made = cls(*args)
    made._bound()
    kept[number] = made


def _core(client: Client, kept: _Kept, number: tuple[int, int], name: str, args: tuple[Any, ...]) -> Any:
    return getattr(kept[number]._bound(), name)(*args)


def _turn(client: Client, kept: _Kept, number: tuple[int, int], name: str, args: tuple[Any, ...], timeout: Any) -> Any:
    return getattr(kept[number]._bound(), name)(*args).wait(timeout)


def _about(client: Client, kept: _Kept) -> dict[str, Any]:
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
