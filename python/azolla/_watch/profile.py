"""A statistical profile of where tasks spend their time, like Dask's, from samples of the workers' stacks.

The code here holds no lock: a finalizer may run at any point, on any thread, and may call into the client.
"""

import linecache
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from types import CodeType
from typing import TYPE_CHECKING, Any

from azolla._azolla import Core
from azolla._base import leave as _leave
from azolla._base.arguments import check_number
from azolla._base.threads import LastingThread
from azolla._cluster.processes import on_threads
from azolla._run.awaiting import answer
from azolla._run.recorder import Recorder
from azolla._watch import stacks
from azolla._watch.introspection import function_of
from azolla._watch.task_stream import begin, plots

if TYPE_CHECKING:
    from azolla._cluster.local import LocalCluster
    from azolla._cluster.staff import Workers

#: The time between two samples in seconds, and the greatest depth of a sampled stack. Dask has the same values.
_INTERVAL = 0.01
_DEEPEST = 100
#: Samples are kept in cycles of one second, for the last hour.
_CYCLE = 1.0
_CYCLES = 3600

#: A stack: pairs of code and line number, the task's own function first.
_Stack = tuple[tuple[CodeType, int], ...]
#: How often each stack was seen. The key is the thread's number (None for the event loop), the name of the task's
#: function, and the stack.
_Samples = dict[tuple[int | None, str, _Stack], int]

#: A node of the tree: Dask's dictionary.
Node = dict[str, Any]


class Profiled(Core):
    """The part of `Client` that profiles tasks."""

    cluster: "LocalCluster"

    def profile(
        self,
        key: str | None = None,
        start: float | None = None,
        stop: float | None = None,
        workers: "Workers" = None,
        merge_workers: bool = True,
        plot: bool | str = False,
        filename: str | None = None,
        server: bool = False,
        scheduler: bool = False,
    ) -> Any:
        """Returns where tasks have spent their time since the first call of this, from samples of their stacks.

        The first call begins the profile, and returns an empty one. The profile goes on until the cluster is closed: a
        thread looks 100 times a second at the threads that run tasks. It keeps the last hour. A stack counts with a
        hundred frames at the most, and without azolla's own. Coroutine tasks have no thread: `server=True` shows the
        event loop on which they run.

        Args:
            key: Only tasks of this function, given as the text with which their keys begin.
            start: Only samples from this time on, to the second: seconds since 1970.
            stop: Only samples until this time.
            workers: The workers' addresses or names; by default all.
            merge_workers: If true, add up the workers; otherwise there is a profile for each worker, by its address.
            plot: If true, make a figure as well, which takes Bokeh; `"save"` also writes it.
            filename: Where to write the figure. If given, a figure is made.
            server: If true, show the cluster's event loop instead of its tasks' threads.
            scheduler: Must be False: the scheduler is native, and has no Python stack.

        Returns:
            A nested dictionary: `count` is the number of samples, `identifier` and `description` name the function (its
            `name`, `filename`, and a `line_number` where it was seen and the `line` there), and `children` holds the
            functions that it called, by their identifiers. With a figure, a pair of the dictionary and the figure.

        Raises:
            NotImplementedError: The scheduler's profile is asked for.
            ValueError: There is no such worker.
            ImportError: A figure is wanted, and there is no Bokeh.

        >>> client.profile()["count"]
        0
        >>> def busy():
        ...     while client.profile(key="busy")["count"] < 3:
        ...         pass
        >>> client.submit(busy).result()
        >>> [node["description"]["name"] for node in client.profile(key="busy")["children"].values()]
        ['busy']
        """
        if scheduler:
            raise NotImplementedError("profile(scheduler=True): the scheduler is native, and has no Python stack")
        on_threads(self.cluster, "profile")
        for named, moment in (("start", start), ("stop", stop)):
            if moment is not None:
                check_number(f"profile(): {named}", moment)
        chosen = self.cluster._chosen(workers)
        addresses = [worker.address for worker in chosen]
        profiler = _profiler_of(self)
        trees = {address: _root() for address in addresses}
        for (number, name, stack), times in profiler.seen(start, stop):
            address = self.cluster._worker_of(number).address if number is not None else addresses[0]
            if address in trees and server == (number is None) and (key is None or key == name):
                _add(trees[address], stack, times)
        state = merged(list(trees.values())) if merge_workers else trees
        if not plot and not filename:
            return answer(self, state)
        figures = plots()
        figure = figures.flames(merged(list(trees.values())), _INTERVAL)
        if filename or plot == "save":
            figures.save(figure, filename or "azolla-profile.html", "azolla: profile", None)
        return answer(self, (state, figure))


class Profiler:
    """Samples stacks on a thread of its own, until it is stopped or its cluster is closed or dropped."""

    def __init__(self, cluster: "LocalCluster") -> None:
        self._recorder: Recorder = cluster._recorder
        self._cluster = weakref.ref(cluster)
        self._stopped = threading.Event()
        #: The latest cycles: when each began, and its samples.
        self._cycles: deque[tuple[float, _Samples]] = deque(maxlen=_CYCLES)
        self._thread = LastingThread(self._run, f"{cluster.name}-profile")

    def start(self) -> None:
        _leave.start(self._thread)

    def stop(self, patience: float) -> None:
        """Stops the thread, and waits up to `patience` seconds for it to end."""
        self._stopped.set()
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join(patience)

    def seen(self, start: float | None, stop: float | None) -> Iterable[tuple[tuple[int | None, str, _Stack], int]]:
        """Iterates over the samples of the cycles between these times."""
        for began, samples in list(self._cycles):
            if (start is None or began + _CYCLE > start) and (stop is None or began <= stop):
                yield from list(samples.items())

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            if not self._look():
                return

    def _look(self) -> bool:
        # A function of its own: when it returns, its locals are gone, and no frame stays alive until the next sample.
        cluster = self._cluster()
        if cluster is None or cluster._closed:
            return False
        running = list(self._recorder.running.items())
        loops = cluster._loops()
        del cluster
        seen = stacks.of_threads([*(where for where, _ in running), *(loop.ident for loop in loops)])
        for where, run in running:
            self._count(run.number, function_of(run.key), stacks.own(seen.get(where, [])))
        for loop in loops:
            self._count(None, "", stacks.own(seen.get(loop.ident or 0, []), whole=True))
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


def _profiler_of(client: Any) -> Profiler:
    cluster = client.cluster
    profiler: Profiler | None = cluster._helpers.get("profiler")
    if profiler is None:
        client._check_open("profile")
        made = Profiler(cluster)
        profiler = cluster._helpers.setdefault("profiler", made)
        if profiler is made:
            try:
                begin(client, "profile")
                made.start()
            except BaseException:
                cluster._helpers.pop("profiler", None)  # the next call tries again
                raise
    return profiler


# --- Trees


def _root() -> Node:
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
            text = linecache.getline(code.co_filename, line).strip()
            description = {"filename": code.co_filename, "name": code.co_name, "line_number": line, "line": text}
            child = node["children"][identifier] = _node(identifier, description)
        node = child
        node["count"] += times


def merged(trees: list[Node]) -> Node:
    """Returns the sum of several trees."""
    sum_of = _node(trees[0]["identifier"], trees[0]["description"])
    for tree in trees:
        sum_of["count"] += tree["count"]
        for identifier, child in tree["children"].items():
            there = sum_of["children"].get(identifier)
            sum_of["children"][identifier] = child if there is None else merged([there, child])
    return sum_of
