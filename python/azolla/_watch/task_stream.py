"""Dask's task stream: which tasks have run when, and on which thread, from the recorded runs."""

import time
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from azolla._azolla import Core
from azolla._base import where
from azolla._base.arguments import whole
from azolla._base.files import check_writable, hiding_no_error
from azolla._base.time import seconds
from azolla._run.awaiting import answer
from azolla._run.current import current
from azolla._run.recorder import Ended, Kind, Run, kind
from azolla._run.transitions import thread_of

if TYPE_CHECKING:
    from azolla._azolla import _Client as Client
    from azolla._cluster.local import LocalCluster

#: The states of tasks that have not ended.
_UNFINISHED = ("waiting", "ready", "executing", "parked", "long-running", "coroutine")


class TaskStream(Core):
    """The part of `Client` that lists the recorded runs."""

    cluster: "LocalCluster"

    def get_task_stream(
        self,
        start: float | str | None = None,
        stop: float | str | None = None,
        count: int | None = None,
        plot: bool | str = False,
        filename: str = "task-stream.html",
        bokeh_resources: Any = None,
    ) -> Any:
        """Returns what has run since the first call of this: the last 100,000 runs, in the order of their ends.

        The first call begins the record, as with Dask, and returns nothing. The record goes on until the cluster is
        closed, and costs every task some microseconds. The context manager of the same name, `azolla.get_task_stream`,
        ends its own record.

        Args:
            start: Only runs that ended at this time or later: seconds since 1970; or text such as `"60s"`, that long
                before now.
            stop: Only runs that ended before this time.
            count: The number of runs: the last ones, or the first ones if `start` alone is given. It has no effect if
                both are given.
            plot: If true, make a figure as well, which takes Bokeh; `"save"` also writes it to `filename`.
            filename: Where to write the figure.
            bokeh_resources: The `bokeh.resources.Resources` of the file; by default, from a content delivery network.

        Returns:
            A dictionary a run: `key`, `worker` (its address), `thread`, `status` (`"OK"`, `"error"`, `"cancelled"` or
            `"rescheduled"`), `startstops` (one, whose `action` is `"compute"`, and that tells `start` and `stop`),
            `nbytes`, `type` (pickled, if it can be) and `typename` of the result or `exception_text`, `metadata` and
            `annotations`. An attempt that failed and is repeated is a run of its own. With `plot`, a pair of the runs
            and the figure.

        Raises:
            ImportError: A figure is wanted, and there is no Bokeh.

        >>> client.get_task_stream()
        []
        >>> client.submit(pow, 2, 10, key="kibi").result()
        1024
        >>> [run] = client.get_task_stream()
        >>> run["key"], run["status"], run["typename"], [each["action"] for each in run["startstops"]]
        ('kibi', 'OK', 'int', ['compute'])
        """
        begin(self, "task-stream")
        runs = list(self.cluster._recorder.rows)
        after, before = _moment(start), _moment(stop)
        runs = [run for run in runs if (after is None or run.stop >= after) and (before is None or run.stop < before)]
        count = None if count is None else whole("get_task_stream(): count", count)
        if count is not None and not (start is not None and stop is not None):
            runs = runs[:count] if start is not None else runs[max(0, len(runs) - count) :]
        return answer(self, _with_figure(rows(self.cluster, runs), plot, filename, bokeh_resources))


class get_task_stream:
    """Records what runs within a `with` statement. Works with `async with` as well.

    Args:
        client: The client whose cluster is recorded; by default the current client.
        plot: If true, make a figure as well, which takes Bokeh; `"save"` also writes it to `filename`.
        filename: Where to write the figure.

    Attributes:
        data: Afterwards, the last 100,000 runs that have ended within, as `Client.get_task_stream` returns them. Runs
            that had begun before are left out, since their start was not recorded.
        figure: Afterwards, the figure, if `plot` asks for one.

    Raises:
        NotImplementedError: This is a worker process. There `Client.get_task_stream` can be called.
        ValueError: No client is current.

    >>> with get_task_stream() as stream:
    ...     client.gather(client.map(abs, [-1, -2]))
    [1, 2]
    >>> [run["status"] for run in stream.data]
    ['OK', 'OK']
    """

    def __init__(
        self,
        client: "Client | None" = None,
        plot: bool | Literal["save"] = False,
        filename: str = "task-stream.html",
    ) -> None:
        self.data: list[dict[str, Any]] = []
        self.figure: Any = None
        self._plot, self._filename = plot, filename
        self._client = client if client is not None else current()
        self._place = 0

    def __enter__(self) -> "get_task_stream":
        _check_here("get_task_stream")
        if self._plot == "save":
            check_writable(self._filename)
        begin(self._client, self)
        self._place = self._client.cluster._recorder.next_place()
        return self

    def __exit__(self, *exc_info: object) -> None:
        recorder = self._client.cluster._recorder
        runs = [run for run in list(recorder.rows) if run.place > self._place]
        end(self._client, self)
        self.data.extend(rows(self._client.cluster, runs))
        if self._plot:
            with hiding_no_error(exc_info[1], "no figure was made"):
                _, self.figure = _with_figure(self.data, self._plot, self._filename, None)

    async def __aenter__(self) -> "get_task_stream":
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__(*exc_info)


class get_task_metadata:
    """Records the ends of tasks that are submitted within a `with` statement and end there. Works with `async with`
    too.

    Attributes:
        metadata: Afterwards, by the tasks' keys, a dictionary of `start_time` and `stop_time` (seconds since 1970), the
            `worker`'s address and the `annotations`; None for a task that did not run because an input failed.
        state: Afterwards, by the tasks' keys, `"memory"` or `"erred"`.

    Raises:
        NotImplementedError: This is a worker process.
        ValueError: No client is current.

    >>> with get_task_metadata() as tasks:
    ...     client.submit(pow, 2, 10, key="kibi").result()
    1024
    >>> tasks.state, sorted(tasks.metadata["kibi"])
    ({'kibi': 'memory'}, ['annotations', 'start_time', 'stop_time', 'worker'])
    """

    def __init__(self) -> None:
        self.metadata: dict[Any, dict[str, Any] | None] | None = None
        self.state: dict[Any, str] | None = None
        self._client: Client | None = None
        self._before: set[Any] = set()
        self._place = 0

    def __enter__(self) -> "get_task_metadata":
        _check_here("get_task_metadata")
        client = current()
        self._client = client
        self._before = {key for key, _, _ in client._tasks()}
        begin(client, self)
        self._place = client.cluster._recorder.next_place()
        return self

    def __exit__(self, *exc_info: object) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        cluster = client.cluster
        runs = [run for run in list(cluster._recorder.rows) if run.place > self._place]
        end(client, self)
        self.metadata, self.state = {}, {}
        # A task's attempts come in their order, so the last one overwrites those before it.
        for run in runs:
            if run.run.key not in self._before and run.status in ("OK", "error"):
                self.state[run.run.key] = "memory" if run.status == "OK" else "erred"
                self.metadata[run.run.key] = {
                    "start_time": run.start,
                    "stop_time": run.stop,
                    "worker": cluster._worker_of(run.run.number).address,
                    "annotations": run.run.annotations,
                }
        for key, state, _ in client._tasks():
            if state in _UNFINISHED:  # the task failed, and is to run again
                self.state.pop(key, None)
                self.metadata.pop(key, None)
            elif state == "erred" and key not in self._before:
                self.state.setdefault(key, "erred")
                self.metadata.setdefault(key, None)

    async def __aenter__(self) -> "get_task_metadata":
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__(*exc_info)


def begin(client: Any, who: object) -> None:
    """Starts the recording for `who`. Tasks that are running already are noted, with an unknown start."""
    recorder = client.cluster._recorder
    recorder.want(who)
    client.cluster._record(True)
    for key, state, number in client._tasks():
        if state in ("executing", "parked", "long-running") and number is not None:
            thread = thread_of(number, client.cluster._threads)
            if thread is not None:
                recorder.running.setdefault(thread, Run(key, number, {}, None))


def end(client: Any, who: object) -> None:
    """Ends the recording for `who`."""
    cluster = client.cluster
    cluster._recorder.want_no_more(who)
    if not cluster._recorder.wanted:
        cluster._record(False)
        if cluster._recorder.wanted:  # another thread has called `begin` meanwhile
            cluster._record(True)


def _check_here(what: str) -> None:
    if where.in_worker_process:
        raise NotImplementedError(
            f"{what} records for the program's own process, and not within a task of a worker process"
        )


def rows(cluster: "LocalCluster", runs: Iterable[Ended]) -> list[dict[str, Any]]:
    """Returns runs as rows in Dask's form."""
    return [_row(run, cluster._worker_of(run.run.number).address) for run in runs]


def _row(run: Ended, worker: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "key": run.run.key,
        "worker": worker,
        "thread": run.thread,
        "status": run.status,
        "startstops": [{"action": "compute", "start": run.start, "stop": run.stop}],
        "metadata": {},
        "annotations": run.run.annotations,
    }
    if run.type is None:
        return {**row, "exception_text": run.error}
    of = run.type if isinstance(run.type, Kind) else kind(run.type)
    return {**row, "nbytes": run.nbytes, "type": of.pickle, "typename": of.name}


def _with_figure(rows: list[dict[str, Any]], plot: bool | str, filename: str, resources: Any) -> Any:
    if not plot:
        return rows
    figures = plots()
    figure = figures.task_stream(rows)
    if plot == "save":
        figures.save(figure, filename, "azolla: task stream", resources)
    return rows, figure


def plots() -> ModuleType:
    """Returns the module that draws figures. Raises ImportError if Bokeh is not installed."""
    try:
        from azolla._watch import plots as _plots
    except ImportError as error:
        raise ImportError("plot=: figures take Bokeh, which is not installed: `pip install azolla[plot]`") from error
    return _plots


def _moment(when: float | str | None) -> float | None:
    return time.time() - seconds(when) if isinstance(when, str) else when
