"""What the tasks in worker processes ask of the program's own client. `in_process.py` is the other side.

It runs on the thread of the task's proxy, as a part of the task: a wait in it takes no slot.
"""

import pickle
import sys
import uuid
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from azolla import _azolla
from azolla._azolla import Future, QueueCore, Turn, thread_task
from azolla._base.errors import ClosedClientError
from azolla._client.client import Client
from azolla._process.parts import dumps

#: The queues, locks and so on that a process uses, by the numbers that it gives them.
_Kept = dict[int, Any]


class Taken:
    """What a task has taken out of queues, until it ends.

    Locks and leases go with the objects that have them, which go with their process. They are noted, as is what was put
    in, only until the process has the answer.

    Args:
        answer: This is what comes of one question, and the process has no answer yet.
    """

    #: How many things out of queues are remembered, and how many bytes of them: the latest, since a task may run as long as
    #: its program. Those that it has got last are remembered in any case.
    MOST, BYTES = 1000, 16 * 2**20

    def __init__(self, answer: bool = False) -> None:
        self._answer = answer
        #: The turns that have given something out of a queue, how much, and its size in bytes.
        self._turns: deque[tuple[Turn, int, int]] = deque()
        self._things = self._size = 0
        #: The turn that has given something out of a queue just now, and how much.
        self._new: tuple[Turn, int] | None = None
        #: The turn that has given or done something else, until the process has the answer.
        self._other: Turn | None = None

    def by_turn(self, turn: Turn, core: Any, name: str, result: Any) -> None:
        if isinstance(core, QueueCore) and name != "put":
            self.out_of(turn, 1 if name == "get" else len(result))
        elif self._answer:
            self._other = turn

    def out_of(self, turn: Turn, things: int) -> None:
        if things:
            self._new = turn, things

    def note(self, size: int) -> None:
        """Remembers what was taken out just now, which has so many bytes together."""
        if self._new is None:
            return
        (turn, things), self._new = self._new, None
        self._turns.append((turn, things, size))
        self._things += things
        self._size += size
        self._bound()

    def add(self, other: "Taken") -> None:
        """Adds what was taken with one question, whose answer the process has."""
        self._turns += other._turns
        self._things += other._things
        self._size += other._size
        self._bound()

    def _bound(self) -> None:
        """Forgets what is too much, but not what came last."""
        while len(self._turns) > 1 and (self._things > self.MOST or self._size > self.BYTES):
            _, things, size = self._turns.popleft()
            self._things -= things
            self._size -= size

    def give_back(self) -> bool:
        """Gives it back to where it was: the task's process has died, and it will run again and take it again. Or nobody wants
        the answer. Returns False if what was put in is not there any more.
        """
        for turn, _, _ in self._turns:
            turn.give_up()
        return self._other is None or self._other.give_up()


def call(client: Client, asked: bytes, kept: _Kept, taken: Taken, key: Any) -> tuple[bytes, Any]:
    """Does what a task asks. Returns what comes of it, as a pickle and as it is: its futures keep their tasks.

    Args:
        client: The client of the task.
        asked: A pickle of what it asks.
        kept: The queues, locks and so on that its process uses.
        taken: What the task has taken out of queues.
        key: The key of the coroutine task that asks; None if this is the thread of a task, or of none.
    """
    what, *args = pickle.loads(asked)
    if what == "open_group":
        result = _open_group(client, key, *args)
    else:
        result = key if what == "key" and key is not None else _WHAT[what](client, kept, taken, *args)
    return _packed(result, taken)


def _packed(result: Any, taken: Taken) -> tuple[bytes, Any]:
    packed = dumps(result)
    taken.note(len(packed))
    return packed, result


def _client(client: Client, kept: _Kept, taken: Taken, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return getattr(client, name)(*args, **kwargs)


def _make(client: Client, kept: _Kept, taken: Taken, number: int, cls: type, args: tuple[Any, ...]) -> None:
    made = cls(*args)
    made._bound()
    kept[number] = made


def _core(client: Client, kept: _Kept, taken: Taken, number: int, name: str, args: tuple[Any, ...]) -> Any:
    return getattr(kept[number]._bound(), name)(*args)


def _turn(
    client: Client, kept: _Kept, taken: Taken, number: int, name: str, args: tuple[Any, ...], timeout: Any
) -> Any:
    core = kept[number]._bound()
    turn = getattr(core, name)(*args)
    result = turn.wait(timeout)
    taken.by_turn(turn, core, name, result)
    return result


def _print(client: Client, kept: _Kept, taken: Taken, stream: str, text: str, flush: bool) -> None:
    file = getattr(sys, stream)
    if file is not None:
        print(text, end="", file=file, flush=flush)


class Events:
    """Hands the events of topics to a process, which takes them out of a queue."""

    def __init__(self, client: Client) -> None:
        self._core = QueueCore(client, f"events-{uuid.uuid4().hex}", 0, True)

    def _bound(self) -> QueueCore:
        return self._core

    def hear(self, topic: Any, event: tuple[float, Any]) -> None:
        with suppress(ClosedClientError):
            self._core.put((topic, event)).wait(0)


def _events(client: Client, kept: _Kept, taken: Taken, number: int) -> None:
    kept[number] = Events(client)


def _subscribe(client: Client, kept: _Kept, taken: Taken, number: int, topic: Any) -> None:
    client.cluster._notes.subscribe(kept[number], topic)


def _unsubscribe(client: Client, kept: _Kept, taken: Taken, number: int, topic: Any) -> None:
    client.cluster._notes.unsubscribe(kept[number], topic)


#: Which warnings have come from modules that this process has not imported, by the modules' names.
_registries: dict[str, dict[Any, Any]] = {}


def _warn(
    client: Client, kept: _Kept, taken: Taken, message: Any, category: Any, file: str, line: int, module: str
) -> None:
    here = sys.modules.get(module)
    names = _registries.setdefault(module, {}) if here is None else vars(here)
    warnings.warn_explicit(message, category, file, line, module, names.setdefault("__warningregistry__", {}))


def stand(asked: bytes, kept: _Kept) -> tuple[Turn, Any, str]:
    """Begins a wait that a coroutine in a worker process awaits. Returns its turn, of what, and the name of the method."""
    _, number, name, args = pickle.loads(asked)
    core = kept[number]._bound()
    return getattr(core, name)(*args), core, name


def given(standing: tuple[Turn, Any, str], taken: Taken) -> tuple[bytes, Any] | None:
    """Returns what such a wait has given, as `call` does; None if it is not over."""
    turn, core, name = standing
    answer = turn.now()
    if answer is None:
        return None
    taken.by_turn(turn, core, name, answer[0])
    return _packed(answer[0], taken)


def _words(client: Client, kept: _Kept, taken: Taken, number: int, name: str, args: tuple[Any, ...]) -> str:
    """Returns what such a wait is for, in messages."""
    turn = getattr(kept[number]._bound(), name)(*args)
    turn.close()
    what: str = turn.what
    return what


def _about(client: Client, kept: _Kept, taken: Taken) -> dict[str, Any]:
    """Returns what a process needs to know of its cluster."""
    cluster = client.cluster
    # A process that goes asks too, as long as tasks run there.
    known = {**{name: it.worker for name, it in cluster._leaving.copy().items()}, **cluster._workers}
    return {
        "number": cluster._number,
        "name": cluster.name,
        "veil": cluster._veil,
        "threads_per_worker": cluster._threads_per_worker,
        "started": cluster._started,
        "memory": cluster._memory,
        "workers": {worker.name: worker.resources for worker in known.values()},
        "address": cluster._address("")[:-1],
        "scheduler_address": cluster.scheduler_address,
        "dashboard_link": cluster.dashboard_link,
    }


def _attribute(client: Client, kept: _Kept, taken: Taken, name: str) -> Any:
    return getattr(client, name)


def _key(client: Client, kept: _Kept, taken: Taken) -> Any:
    task = thread_task()
    return None if task is None else task[0]


def _open_group(client: Client, key: Any, name: str, cancels: bool, around: "Future[None] | None") -> Any:
    # The task on this thread is that of a plain function, not that of a coroutine.
    if around is None and key is not None:
        around = Future(key, client)
    return _azolla.open_group(client, name, cancels, around)


def _group(client: Client, kept: _Kept, taken: Taken, what: str, *args: Any) -> Any:
    return getattr(_azolla, what)(*args)


_WHAT: dict[str, Callable[..., Any]] = {
    "client": _client,
    "group": _group,
    "make": _make,
    "core": _core,
    "turn": _turn,
    "what": _words,
    "about": _about,
    "attribute": _attribute,
    "key": _key,
    "print": _print,
    "warn": _warn,
    "events": _events,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
}
