"""What a worker process tells of its tasks: their stacks now, and where they were seen in samples of these.

The client orders it, and the process may have no time: a task may hold the GIL for most of it. So this imports little.
"""

import ast
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any

from azolla._azolla import tasks_here
from azolla._base import where
from azolla._base.samples import AtWork, Node, Sampler, merged, root
from azolla._base.stacks import Place, of_threads, own
from azolla._process.child import _run_some

#: The code of the frame that lies directly below every task.
_TASKS = _run_some.__code__

#: A place in code: the file, the line, the function, and the name of its module.
Line = tuple[str, int, str, Any]

_starting = threading.Lock()
_samplers: list[Sampler] = []


def obey(what: str, *args: Any) -> Any:
    """Does what an order says, and returns what comes of it."""
    return _WHAT[what](*args)


def _stacks() -> list[tuple[int, list[Line]]]:
    """Returns the running tasks by their numbers in the client's engine, and the stack of each from the task's own function
    inwards.
    """
    tasks = tasks_here()
    seen = of_threads(thread for thread, _, _ in tasks)
    still = {(thread, number) for thread, number, _ in tasks_here()}
    stacks = [(number, own(seen.get(thread, []), _TASKS)) for thread, number, _ in tasks if (thread, number) in still]
    if where.cluster is not None:  # otherwise no coroutine task has run here
        coroutines = import_module("azolla._watch.stacks").coroutines(where.cluster)
        stacks += [(task._away, places) for task, places in coroutines]
    return [(number, _lines(places)) for number, places in stacks if places]


def _lines(places: Iterable[Place]) -> list[Line]:
    return [(place.code.co_filename, place.line, place.code.co_name, place.globals.get("__name__")) for place in places]


def _sample() -> None:
    """Begins to take samples, unless that has begun."""
    if not _samplers:
        with _starting:
            if not _samplers:
                sampler = Sampler("azolla-profile", _at_work, _TASKS)
                sampler.start()
                _samplers.append(sampler)


def _at_work() -> AtWork:
    loops = [] if where.cluster is None else where.cluster._loops()
    return AtWork([(thread, 0, _key(text)) for thread, _, text in tasks_here()], [loop.ident for loop in loops])


@lru_cache
def _key(text: str) -> Any:
    """Returns the key of this text: tuples are keys too, as Dask's collections have them."""
    with suppress(Exception):  # it only looks like one
        if text.startswith("("):
            return ast.literal_eval(text)
    return text


def _samples_of(key: str | None, start: float | None, stop: float | None, server: bool) -> Node:
    """Returns the samples that were taken, as `Sampler.trees` selects them."""
    _sample()  # it may have failed when it was ordered, say for want of a thread
    trees = [tree for sampler in _samplers for tree in sampler.trees(key, start, stop, server).values()]
    return merged([root(), *trees])


_WHAT: dict[str, Callable[..., Any]] = {"stacks": _stacks, "sample": _sample, "samples": _samples_of}
