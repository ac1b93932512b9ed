"""What clients, clusters and futures look like in a notebook."""

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azolla._azolla import Future
    from azolla._client import Client
    from azolla._cluster import LocalCluster


def future(future: "Future[Any]") -> str:
    """A future's status, type and key."""
    kind = future.type
    rows = {"Future": str(future.key), "status": str(future.status)}
    if kind is not None:
        rows["type"] = kind.__qualname__
    return _table(rows)


def client(client: "Client") -> str:
    """A client's address and size."""
    info = client.scheduler_info()
    rows = {
        "Client": client.name,
        "Scheduler": info["address"],
        "Workers": str(len(info["workers"])),
        "Threads": str(sum(client.nthreads().values())),
        "Status": client.status,
    }
    return _table(rows, client.dashboard_link)


def cluster(cluster: "LocalCluster") -> str:
    """A cluster's address and size."""
    workers = cluster.workers.values()
    rows = {
        "LocalCluster": cluster.name,
        "Scheduler": cluster.scheduler_address,
        "Workers": str(len(workers)),
        "Threads": str(sum(worker.nthreads for worker in workers)),
        "Status": cluster.status,
    }
    return _table(rows, cluster.dashboard_link)


def _table(rows: dict[str, str], dashboard: str | None = None) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
    if dashboard is not None:
        link = f'<a href="{escape(dashboard)}" target="_blank" rel="noopener">{escape(dashboard)}</a>'
        cells += f"<tr><th>Dashboard</th><td>{link}</td></tr>"
    return f"<table>{cells}</table>"
