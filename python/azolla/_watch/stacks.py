"""The stacks of coroutine tasks. What `_base/stacks.py` says of frames is true here too."""

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

from azolla._azolla import Running
from azolla._base.stacks import Place, is_azollas, of_threads, own, place
from azolla._run import worker_loop as _worker
from azolla._run.awaiting import Call, _drive

#: The code of the frame that lies directly below every task on a worker's thread.
TASKS = _worker._run_some.__code__


class _Cluster(Protocol):
    """The part of a cluster that this module uses."""

    def _loops(self) -> Any: ...


def coroutines(cluster: _Cluster) -> Iterator[tuple[Running, list[Place]]]:
    """Yields the coroutine tasks of a cluster, and the stack of each."""
    for loop in cluster._loops():
        # One coroutine may be running just now, inside ordinary functions. The thread's stack shows those too.
        thread = loop.ident or 0
        at_work = own(of_threads([thread]).get(thread, []), TASKS, whole=True)
        numbers = [place.frame for place in at_work]
        for task, places in _on_loop(loop.loop, cluster):
            if places:
                outermost = places[0].frame
                yield task, at_work[numbers.index(outermost) :] if outermost in numbers else places


def _on_loop(loop: asyncio.AbstractEventLoop, cluster: object) -> list[tuple[Running, list[Place]]]:
    """Returns the coroutine tasks of a cluster on a loop, and the stack of each."""
    stacks = []
    for task in asyncio.all_tasks(loop):
        call = _call_of(task)
        if call is not None and getattr(call.running.client, "cluster", None) is cluster:
            stacks.append((call.running, _places(call.coroutine)))
    return stacks


def _call_of(task: "asyncio.Task[Any]") -> Call | None:
    frame = getattr(task.get_coro(), "cr_frame", None)
    if frame is None or frame.f_code is not _drive.__code__:
        return None
    call: Call = frame.f_locals["call"]
    return call


def _places(inner: Any) -> list[Place]:
    """Returns the user's part of the stack of a coroutine."""
    places = []
    while inner is not None:
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None)
        if frame is not None and not is_azollas(frame.f_code):
            places.append(place(frame))
        elif (
            frame is not None and frame.f_code.co_name == "_alone"
        ):  # it drives the call of an actor: `_shared/actor.py`
            inner = frame.f_locals["call"].coroutine
            continue
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)
    return places
