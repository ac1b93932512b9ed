"""Finds the futures inside the values that users pass."""

import sys
from collections.abc import Iterable
from typing import Any

from azolla._azolla import Core, Future


def futures_in(o: Any) -> list[Future[Any]]:
    """Returns the futures in `o`, which is nested as for `gather`, or is a Dask collection."""
    futures = collection_futures(o)
    if futures is None:
        if isinstance(o, Iterable) and not isinstance(o, (list, tuple, set, frozenset, dict, str, bytes)):
            o = list(o)
        futures = Core._futures(o)
    return futures


def collection_futures(obj: Any) -> list[Future[Any]] | None:
    """Returns the futures in a Dask collection, or None if `o` is no Dask collection."""
    if "dask" not in sys.modules:  # no collection can exist before Dask is loaded
        return None
    from dask._task_spec import Alias
    from dask.base import is_dask_collection

    if not is_dask_collection(obj):
        return None
    futures = []
    graph = obj.__dask_graph__()
    for value in graph.values():
        if isinstance(value, Alias) and value.target not in graph:
            value = Future(value.target)
        if isinstance(value, Future):
            futures.append(value)
    return futures
