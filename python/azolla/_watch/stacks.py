"""The stacks of threads and of coroutine tasks, as places in code.

A frame keeps all its locals alive, and the frame of a function that looks at all stacks is among those that it sees: kept
in a local, it would make a cycle, and what other threads' tasks held would wait for the garbage collector. So no frame
leaves this file, and each function here has let go of its frames when it returns.
"""

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from azolla._base import leave as _leave
from azolla._run import worker_loop as _worker
from azolla._run.awaiting import Call, _drive

#: The code of the frame that lies directly below every task on a worker's thread.
_TASKS = _worker._run_some.__code__

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
#: The code of the frame in which azolla starts a thread. All that it calls is azolla's, or Python's for azolla.
_STARTS = _leave.start.__code__


class Place(NamedTuple):
    """Where a frame is."""

    code: CodeType
    line: int
    #: The globals of its module.
    globals: dict[str, Any]
    #: Tells this frame from others that live at the same time.
    frame: int


def place(frame: FrameType) -> Place:
    return Place(frame.f_code, frame.f_lineno or 0, frame.f_globals, id(frame))


def of_threads(threads: Iterable[int | None]) -> dict[int, list[Place]]:
    """Returns the stacks of those of these threads that run, by their numbers. A stack begins with its outermost frame."""
    frames = sys._current_frames()
    frame: FrameType | None = None
    try:
        stacks = {}
        for thread in threads:
            frame = frames.pop(thread or 0, None)
            if frame is not None:
                places = []
                while frame is not None:
                    places.append(place(frame))
                    frame = frame.f_back
                places.reverse()
                stacks[thread or 0] = places
        return stacks
    finally:
        frames.clear()
        frame = None


def own(stack: list[Place], whole: bool = False) -> list[Place]:
    """Returns the user's part of a task's stack.

    azolla's own frames are left out, and those in which `threading` starts a thread for azolla. So are the frames below the
    task, unless `whole` asks for the whole thread.
    """
    inside = next((at for at, place in enumerate(stack) if place.code is _TASKS), None)
    if inside is None and not whole:
        return []
    tasks = stack[inside or 0 :]
    starts = next((at for at, place in enumerate(tasks) if place.code is _STARTS), None)
    return [place for place in tasks[:starts] if not place.code.co_filename.startswith(_PACKAGE)]


def coroutine_places(loop: asyncio.AbstractEventLoop, cluster: object) -> list[tuple[Any, list[Place]]]:
    """Returns the key and the stack of each coroutine task of a cluster on a loop."""
    stacks = []
    for task in asyncio.all_tasks(loop):
        call = _call_of(task)
        if call is not None and getattr(call.running.client, "cluster", None) is cluster:
            stacks.append((call.running.key, _places(call.coroutine)))
    return stacks


def _call_of(task: "asyncio.Task[Any]") -> Call | None:
    frame = getattr(task.get_coro(), "cr_frame", None)
    if frame is None or frame.f_code is not _drive.__code__:
        return None
    call: Call = frame.f_locals["call"]
    return call


def _places(inner: Any) -> list[Place]:
    places = []
    while inner is not None:
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None)
        if frame is not None:
            places.append(place(frame))
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)
    return places
