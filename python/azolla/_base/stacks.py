"""The stacks of threads, as places in code.

A frame keeps all its locals alive, and the frame of a function that looks at all stacks is among those that it sees: kept
in a local, it would make a cycle, and what other threads' tasks held would wait for the garbage collector. So no frame
leaves this file, and each function here has let go of its frames when it returns.
"""

import os
import sys
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any, NamedTuple

from azolla._base import leave as _leave

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
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


def own(stack: list[Place], below: CodeType, whole: bool = False) -> list[Place]:
    """Returns the user's part of a task's stack. The code of the frame directly below the task is `below`.

    azolla's own frames are left out, and those in which `threading` starts a thread for azolla. So are the frames below the
    task, unless `whole` asks for the whole thread.
    """
    inside = next((at for at, place in enumerate(stack) if place.code is below), None)
    if inside is None and not whole:
        return []
    tasks = stack[inside or 0 :]
    starts = next((at for at, place in enumerate(tasks) if place.code is _STARTS), None)
    return [place for place in tasks[:starts] if not is_azollas(place.code)]


def is_azollas(code: CodeType) -> bool:
    """Returns whether code is azolla's own."""
    return code.co_filename.startswith(_PACKAGE)
