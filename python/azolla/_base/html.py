"""The HTML by which a notebook shows clients, clusters and futures."""

from html import escape
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from azolla._azolla import Future


class _Client(Protocol):
    """The part of a client that is shown."""

    name: str

    @property
    def status(self) -> str: ...
    @property
    def dashboard_link(self) -> str | None: ...
    def scheduler_info(self) -> dict[str, Any]: ...


class _Cluster(Protocol):
    """The part of a cluster that is shown."""

    name: str
    _memory: int

    @property
    def status(self) -> str: ...
    @property
    def dashboard_link(self) -> str | None: ...
    @property
    def scheduler_address(self) -> str: ...
    @property
    def workers(self) -> dict[int, Any]: ...


def future(future: "Future[Any]") -> str:
    """Returns a table of a future's status, type and key."""
    key, exception, kind = future._words()
    rows = {"Future": key, "status": str(future.status)}
    if exception is not None:
        rows["exception"] = exception
    if kind is not None:
        rows["type"] = kind
    return _table(rows)


def client(client: _Client) -> str:
    """Returns a table of a client's address and size."""
    info = client.scheduler_info()
    rows = {
        "Client": client.name,
        "Scheduler": info["address"],
        "Workers": str(len(info["workers"])),
        "Threads": str(info["total_threads"]),
        "Memory": size(info["total_memory"]),
        "Status": client.status,
    }
    return _table(rows, client.dashboard_link)


def cluster(cluster: _Cluster) -> str:
    """Returns a table of a cluster's address and size."""
    workers = cluster.workers.values()
    rows = {
        "LocalCluster": cluster.name,
        "Scheduler": cluster.scheduler_address,
        "Workers": str(len(workers)),
        "Threads": str(sum(worker.nthreads for worker in workers)),
        "Memory": size(cluster._memory),
        "Status": cluster.status,
    }
    return _table(rows, cluster.dashboard_link)


def size(number: int) -> str:
    """Returns a number of bytes as text for people.

    >>> from azolla._base.html import size
    >>> size(1023), size(25_000_000_000)
    ('1023 B', '23.28 GiB')
    """
    for unit, one in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= one:
            return f"{number / one:.2f} {unit}"
    return f"{number} B"


def without_token(link: str | None) -> str | None:
    """Returns a dashboard's link as it is shown where it may be kept. Without its token it is good for looking alone."""
    return None if link is None else link.partition("?")[0]


#: Notebooks style tables themselves; this overrides it.
_LEFT = ' style="text-align:left"'


def _table(rows: dict[str, str], dashboard: str | None = None) -> str:
    cells = "".join(
        f"<tr><th{_LEFT}>{escape(name)}</th><td{_LEFT}>{escape(value)}</td></tr>" for name, value in rows.items()
    )
    dashboard = without_token(dashboard)
    if dashboard is not None:
        link = f'<a href="{escape(dashboard)}" target="_blank" rel="noopener">{escape(dashboard)}</a>'
        cells += f"<tr><th{_LEFT}>Dashboard</th><td{_LEFT}>{link}</td></tr>"
    return f"<table>{cells}</table>"
