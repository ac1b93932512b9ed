"""What fits out workers, plugins and uploaded modules: in turn for each name, and to its end when nobody waits for it any more."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_lock = threading.Lock()

#: What goes on though the wait for it may have been broken off.
_going: "set[asyncio.Task[Any]]" = set()


class Cluster(Protocol):
    """The part of a cluster that is used here."""

    _helpers: dict[str, Any]


async def in_turn(cluster: Cluster, name: tuple[str, str], act: Callable[[], Awaitable[T]]) -> T:
    """Does something when all has ended that was begun before for this name, on whatever loop. A wait for it that is broken off,
    by Ctrl-C say, leaves it to go on: otherwise it would be done in some processes only.
    """
    over: Future[None] = Future()
    with _lock:
        turns: dict[tuple[str, str], Future[None]] = cluster._helpers.setdefault("turns", {})
        before, turns[name] = turns.get(name), over

    async def acts() -> T:
        try:
            if before is not None:
                await asyncio.shield(asyncio.wrap_future(before))
            return await act()
        finally:
            with _lock:
                if turns.get(name) is over:
                    del turns[name]
            over.set_result(None)

    task = asyncio.ensure_future(acts())
    _going.add(task)
    task.add_done_callback(_going.discard)
    return await asyncio.shield(task)
