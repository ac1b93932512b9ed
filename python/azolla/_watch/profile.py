"""A statistical profile of where tasks spend their time, like Dask's, from samples of the workers' stacks."""

import linecache
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from azolla._azolla import Core, Parcel
from azolla._base.arguments import check_number
from azolla._base.names import as_called
from azolla._base.samples import INTERVAL, AtWork, Node, Sampler, merged, root
from azolla._cluster.answers import answers
from azolla._cluster.orders import Ordered
from azolla._run.awaiting import answer
from azolla._run.recorder import Recorder
from azolla._watch.stacks import TASKS
from azolla._watch.task_stream import begin, plots

if TYPE_CHECKING:
    from azolla._cluster.local import LocalCluster
    from azolla._cluster.staff import Workers
    from azolla._cluster.workers import Worker


class Profiled(Core):
    """The part of `Client` that profiles tasks."""

    cluster: "LocalCluster"
    sync: Any

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
        event loop on which they run. Each worker process keeps its own profile, which goes with it. One that does not
        answer, since a native function keeps the GIL, is left out.

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
        for named, moment in (("start", start), ("stop", stop)):
            if moment is not None:
                check_number(f"profile(): {named}", moment)
        chosen, figure = self.cluster._chosen(workers), (plot, filename)
        if self.cluster._has_processes:
            self._check_open("profile")
            of_processes = partial(self._of_processes, chosen, (key, start, stop, server), merge_workers, figure)
            return self.sync(partial(as_called, "Client.profile", of_processes))
        seen = _profiler_of(self).trees(key, start, stop, server)
        trees = {worker.address: [root()] for worker in chosen}
        for number, tree in seen.items():
            worker = chosen[0] if number is None else self.cluster._worker_of(number)
            if worker.address in trees:
                trees[worker.address].append(tree)
        return answer(self, _shown({address: merged(of) for address, of in trees.items()}, merge_workers, figure))

    async def _of_processes(
        self, chosen: "list[Worker]", samples: tuple[Any, ...], merge_workers: bool, figure: tuple[Any, Any]
    ) -> Any:
        begun = object()
        if self.cluster._helpers.setdefault("samples", begun) is begun:
            try:
                # Each process that starts later gets this too. There is nothing to wait for.
                everywhere = list(self.cluster.workers.values())
                Ordered(self.cluster, Parcel(self.cluster, ("sample",)), everywhere, stays=True)
            except BaseException:
                self.cluster._helpers.pop("samples", None)  # the next call tries again
                raise
        trees = {worker.address: root() for worker in chosen}
        trees.update(await answers(self.cluster, chosen, "samples", *samples))
        return _shown(trees, merge_workers, figure)


def _shown(trees: dict[str, Node], merge_workers: bool, figure: tuple[bool | str, str | None]) -> Any:
    """Returns the profile of workers as the caller wants it: `figure` is what was given as `plot` and `filename`."""
    for tree in trees.values():
        _add_lines(tree)
    state = merged([root(), *trees.values()]) if merge_workers else trees
    plot, filename = figure
    if not plot and not filename:
        return state
    figures = plots()
    drawn = figures.flames(merged([root(), *trees.values()]), INTERVAL)
    if filename or plot == "save":
        figures.save(drawn, filename or "azolla-profile.html", "azolla: profile", None)
    return state, drawn


def _profiler_of(client: Any) -> Sampler:
    cluster = client.cluster
    profiler: Sampler | None = cluster._helpers.get("profiler")
    if profiler is None:
        client._check_open("profile")
        at_work = partial(_at_work, weakref.ref(cluster), cluster._recorder)
        made = Sampler(f"{cluster.name}-profile", at_work, TASKS)
        profiler = cluster._helpers.setdefault("profiler", made)
        if profiler is made:
            try:
                begin(client, "profile")
                made.start()
            except BaseException:
                cluster._helpers.pop("profiler", None)  # the next call tries again
                raise
    return profiler


def _at_work(reference: "weakref.ref[LocalCluster]", recorder: Recorder) -> AtWork | None:
    cluster = reference()
    if cluster is None or cluster._closed:
        return None
    tasks = [(thread, run.number, run.key) for thread, run in list(recorder.running.items())]
    return AtWork(tasks, [loop.ident for loop in cluster._loops()])


def _add_lines(node: Node) -> None:
    """Adds the lines of code to a tree. Those of a notebook are in this process alone."""
    description = node["description"]
    description["line"] = linecache.getline(description["filename"], description["line_number"]).strip()
    for child in node["children"].values():
        _add_lines(child)
