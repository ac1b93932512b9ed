"""Samples of stacks: where tasks spend their time, by what they are seen in a hundred times a second.

Worker processes use this too, so it imports little. The code here holds no lock: a finalizer may run at any point, on any
thread, and may call into the client.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any, NamedTuple

from azolla._base import leave as _leave
from azolla._base import stacks
from azolla._base.names import function_of
from azolla._base.threads import LastingThread, LocklessEvent

#: The time between two samples in seconds, and the greatest depth of a sampled stack. Dask has the same values.
INTERVAL = 0.01
_DEEPEST = 100
#: Samples are kept in cycles of one second, for the last hour.
_CYCLE = 1.0
_CYCLES = 3600

#: A stack: pairs of code and line number, the task's own function first.
_Stack = tuple[tuple[CodeType, int], ...]
#: How often each stack was seen. The key is the number of the task's thread in the engine (None for an event loop), the
#: name of the task's function, and the stack.
_Samples = dict[tuple[int | None, str, _Stack], int]

#: A node of a tree: Dask's dictionary.
Node = dict[str, Any]


class AtWork(NamedTuple):
    """What is to be seen in a sample."""

    #: Python's identifiers of the threads that run tasks, the number of each in the engine, and the keys of the tasks.
    tasks: list[tuple[int, int, Any]]
    #: The identifiers of the threads that run event loops.
    loops: list[int | None]


class Sampler:
    """Samples stacks on a thread of its own, until it is stopped or `at_work` returns None.

    The code of the frames directly below tasks is `below`.
    """

    def __init__(self, name: str, at_work: Callable[[], AtWork | None], below: CodeType) -> None:
        self._at_work, self._below = at_work, below
        self._stopped = LocklessEvent()
        #: The latest cycles: when each began, and its samples.
        self._cycles: deque[tuple[float, _Samples]] = deque(maxlen=_CYCLES)
        self._thread = LastingThread(self._run, name)

    def start(self) -> None:
        _leave.start(self._thread)

    def stop(self, patience: float) -> None:
        """Stops the thread, and waits up to `patience` seconds for it to end."""
        self._stopped.set()
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join(patience)

    def trees(self, key: str | None, start: float | None, stop: float | None, server: bool) -> dict[int | None, Node]:
        """Returns what was seen as trees, by the numbers with the samples.

        Args:
            key: Only tasks of this function.
            start: From this time on, to the second.
            stop: Until this time.
            server: Event loops, and not tasks: one tree, whose number is None.
        """
        trees: dict[int | None, Node] = {}
        for (number, name, stack), times in self._seen(start, stop):
            if server == (number is None) and (key is None or key == name):
                _add(trees.setdefault(number, root()), stack, times)
        return trees

    def _seen(self, start: float | None, stop: float | None) -> Iterator[tuple[tuple[int | None, str, _Stack], int]]:
        for began, samples in list(self._cycles):
            if (start is None or began + _CYCLE > start) and (stop is None or began <= stop):
                yield from list(samples.items())

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL):
            if not self._look():
                return

    def _look(self) -> bool:
        # A function of its own: when it returns, its locals are gone, and nothing stays alive until the next sample.
        at_work = self._at_work()
        if at_work is None:
            return False
        seen = stacks.of_threads([*(thread for thread, _, _ in at_work.tasks), *at_work.loops])
        for thread, number, key in at_work.tasks:
            self._count(number, function_of(key), stacks.own(seen.get(thread, []), self._below))
        for loop in at_work.loops:
            self._count(None, "", stacks.own(seen.get(loop or 0, []), self._below, whole=True))
        return True

    def _count(self, number: int | None, name: str, places: list[stacks.Place]) -> None:
        if not places:
            return  # the task has just ended
        stack = tuple((place.code, place.line) for place in places[:_DEEPEST])
        now = time.time()
        if not self._cycles or now >= self._cycles[-1][0] + _CYCLE:
            self._cycles.append((now, {}))
        samples = self._cycles[-1][1]
        samples[number, name, stack] = samples.get((number, name, stack), 0) + 1


def root() -> Node:
    return _node("root", {"filename": "", "name": "", "line_number": 0, "line": ""})


def _node(identifier: str, description: dict[str, Any]) -> Node:
    return {"count": 0, "children": {}, "identifier": identifier, "description": description}


def _add(root: Node, stack: _Stack, times: int) -> None:
    node = root
    node["count"] += times
    for code, line in stack:
        identifier = f"{code.co_name};{code.co_filename};{code.co_firstlineno}"
        child = node["children"].get(identifier)
        if child is None:
            description = {"filename": code.co_filename, "name": code.co_name, "line_number": line, "line": ""}
            child = node["children"][identifier] = _node(identifier, description)
        node = child
        node["count"] += times


def merged(trees: Iterable[Node]) -> Node:
    """Returns the sum of several trees, at least one."""
    first, *others = trees
    sum_of = _node(first["identifier"], first["description"])
    for tree in (first, *others):
        sum_of["count"] += tree["count"]
        for identifier, child in tree["children"].items():
            there = sum_of["children"].get(identifier)
            sum_of["children"][identifier] = child if there is None else merged([there, child])
    return sum_of
