"""The dashboard of a cluster: its server's thread, traces and reports.

The native server runs on a Python thread, which hands the exceptions of failed tasks to another one (`words.py`): to put
them into words may run the user's code.
"""

import os
import threading
import warnings
from functools import partial
from typing import Any, cast

from azolla._azolla import ClusterCore, Dashboard
from azolla._base import leave as _leave
from azolla._base.arguments import shown
from azolla._base.files import check_writable, hiding_no_error
from azolla._base.threads import LastingThread
from azolla._cluster.words import Words
from azolla._run.current import current


class Dashboarded:
    """The part of `LocalCluster` that opens, runs and closes its dashboard."""

    name: str
    _dashboard: Dashboard | None = None
    _dashboard_thread: threading.Thread | None = None

    @property
    def dashboard_link(self) -> str | None:
        """The address at which a browser shows the cluster; None without a dashboard.

        The link carries a token, so everyone who has the link may cancel tasks. What shows a client or a cluster, `repr`
        and a notebook, shows the link without the token.

        >>> client.cluster.dashboard_link.startswith("http://127.0.0.1:")
        True
        """
        dashboard = self._dashboard
        return None if dashboard is None else dashboard.link or None

    def write_trace(self, filename: str | os.PathLike[str]) -> None:
        """Writes which task held which slot at what time, as far as that was recorded, for Perfetto or
        chrome://tracing.

        The dashboard records while one of its pages is open, and within `performance_report`. It keeps the latest
        20,000 runs. Of a function that takes less than some 20 µs it records one call in 64.

        Args:
            filename: Where to write. The file is JSON, in the Trace Event Format.

        Raises:
            OSError: The file cannot be written.
            ClosedClientError: The cluster is closed, and had no dashboard.

        >>> import json, pathlib
        >>> client.cluster.write_trace("trace.json")
        >>> sorted(json.loads(pathlib.Path("trace.json").read_text()))
        ['displayTimeUnit', 'traceEvents']
        """
        trace = self._the_dashboard("write_trace").trace()
        with open(filename, "w", encoding="utf-8") as file:
            file.write(trace)

    def _the_dashboard(self, what: str) -> Dashboard:
        """Returns the dashboard. A cluster without one gets one that has no page, which only records."""
        if self._dashboard is not None:
            return self._dashboard
        core = cast(ClusterCore, self)
        core._check_open(what)
        dashboard = self._run_dashboard(Dashboard(core, None, self.name, False))
        if core._closed:  # meanwhile, on another thread
            dashboard.close()
        return dashboard

    def _open_dashboard(self, address: str | int | None, private: bool) -> None:
        if address is None or _leave.ending:
            return
        if isinstance(address, int) and address > 65_535:
            raise ValueError(f"a dashboard's address is host:port, :port or a port, not {shown(address)}")
        try:
            dashboard = Dashboard(cast(ClusterCore, self), str(address), self.name, private)
        except OSError as error:
            warnings.warn(f"the client has no dashboard: {error}", RuntimeWarning, stacklevel=4)
            return
        self._run_dashboard(dashboard)

    def _run_dashboard(self, dashboard: Dashboard) -> Dashboard:
        """Runs this dashboard as the cluster's, unless another thread has just opened one. Returns the cluster's."""
        there: Dashboard = self.__dict__.setdefault("_dashboard", dashboard)
        if there is not dashboard:
            dashboard.close()
            return there
        words = Words(dashboard, self.name)
        thread = LastingThread(partial(_serve, dashboard, words), f"{self.name}-dashboard")
        try:
            _leave.start(thread)
        except BaseException:
            del self._dashboard
            dashboard.close()
            raise
        self._dashboard_thread = thread
        return dashboard

    def _close_dashboard(self) -> None:
        if self._dashboard is not None:
            self._dashboard.close()

    def _join_dashboard(self, patience: float) -> None:
        thread = self._dashboard_thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(patience)


class performance_report:
    """Records what runs within a `with` statement, and writes a report on it: one page that needs nothing else.

    Works with `async with` as well.

    Args:
        filename: Where to write the page.
        stacklevel: Taken as Dask takes it.
        mode: Taken as Dask takes it: the page always holds all that it needs.
        storage_options: Taken as Dask takes it.

    A client without a dashboard records as well.

    Raises:
        ValueError: No client is current.
        OSError: The file cannot be written. That is known before the statement's body runs.

    >>> import pathlib
    >>> with performance_report("report.html"):
    ...     client.gather(client.map(abs, [-1, -2]))
    [1, 2]
    >>> pathlib.Path("report.html").read_text().startswith("<!doctype html>")
    True
    """

    def __init__(
        self,
        filename: str | os.PathLike[str] = "azolla-report.html",
        stacklevel: int = 1,
        mode: str | None = None,
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        self._filename = filename
        self._dashboard: Dashboard | None = None

    def __enter__(self) -> None:
        dashboard = current().cluster._the_dashboard("performance_report")
        check_writable(self._filename)
        dashboard.start_recording()
        self._dashboard = dashboard

    def __exit__(self, *exc_info: object) -> None:
        dashboard, self._dashboard = self._dashboard, None
        if dashboard is None:
            return
        try:
            report = dashboard.report()
        finally:
            dashboard.stop_recording()
        with hiding_no_error(exc_info[1], "the report was not written"):
            with open(self._filename, "w", encoding="utf-8") as file:
                file.write(report)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__(*exc_info)


def _serve(dashboard: Dashboard, words: Words) -> None:
    while _serve_for_a_while(dashboard, words):
        pass
    words.stop()


def _serve_for_a_while(dashboard: Dashboard, words: Words) -> bool:
    # A function of its own: when it returns, its locals are gone, and no exception stays alive while the server waits.
    failed = dashboard.run()
    if failed is None:
        return False
    words.add(failed)
    return True
