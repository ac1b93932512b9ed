"""Finds the futures inside the values that users pass: in containers, in Dask's collections, and in both nested."""

import dataclasses
import reprlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from azolla._azolla import Core, Endings, Future, why_cancelled
from azolla._base.errors import CancelledByCloseError, CancelledError, FuturesCancelledError

#: The containers that are looked into, with what gives their items.
_CONTAINERS: Any = ((dict, dict.values), ((list, tuple, set, frozenset), iter))


def futures_in(o: Any) -> list[Future[Any]]:
    """Returns the futures in `o`, each once. It is nested as for `gather`; Dask collections count wherever they stand."""
    if isinstance(o, Endings):  # to iterate over it would wait
        o = o._to_come()
    looked_into = isinstance(o, list | tuple | set | frozenset | dict | str | bytes) or hasattr(
        type(o), "__dask_graph__"
    )
    if isinstance(o, Iterable) and not looked_into:
        o = list(o)
    futures = Core._futures(o)
    if "dask" in sys.modules:  # no collection can exist before Dask is loaded
        for collection in _collections_in(o):
            futures += _of_collection(collection)
    return list(dict.fromkeys(futures))


def own_futures(o: Any, client: Any) -> list[Future[Any]]:
    """Returns those of the futures in `o` that are this client's. If some were cancelled, it raises."""
    futures = [future for future in futures_in(o) if future.client is client]
    check_none_cancelled(futures)
    return futures


def check_none_cancelled(futures: Iterable[Future[Any]]) -> None:
    """Raises if some of the futures were cancelled. The error names each once, and says whose client is closed."""
    cancelled = [future for future in futures if future.cancelled()]
    if not cancelled:
        return
    closed: dict[str, set[str]] = {}
    for future in cancelled:
        why = ""
        try:
            future._now()
        except CancelledByCloseError as error:
            why = f": {str(error).removeprefix(f'{future.key}: ')}"
        except CancelledError:
            pass
        closed.setdefault(why, set()).add(cancelled_words(future))
    kind = CancelledByCloseError if any(closed) else FuturesCancelledError
    raise kind("cancelled: " + "; ".join(", ".join(sorted(keys)) + why for why, keys in sorted(closed.items())))


def given_futures(o: Any, method: str) -> list[Future[Any]]:
    """Returns the futures in what a program gave to a method. It raises if that can hold none, as a key or a number."""
    futures = futures_in(o)
    if not futures and (isinstance(o, str | bytes) or not isinstance(o, Iterable | Future)):
        dataclass = dataclasses.is_dataclass(o) and not isinstance(o, type)
        if not dataclass and not hasattr(type(o), "__dask_graph__"):
            given = f"{type(o).__name__} {reprlib.repr(o)}" if isinstance(o, str | bytes | int) else type(o).__name__
            raise TypeError(
                f"{method} takes futures, or a container of them, not {given}. Future(key) finds a key's task"
            )
    return futures


def cancelled_words(future: Future[Any]) -> str:
    """Returns the key of a cancelled future, and the reason that the program gave for cancelling it, if any."""
    why = why_cancelled(future)
    told = [one for one in why or () if one]
    return f"{future.key} ({': '.join(told)})" if told else str(future.key)


def holds_collection(o: Any) -> bool:
    """Returns true if a value is a Dask collection, or holds one."""
    return "dask" in sys.modules and any(True for _ in _collections_in(o))


def future_in_graph(dsk: Any, key: Any) -> Future[Any] | None:
    """Returns the future of this key that stands in a Dask graph, or in one of those of which an expression is made.

    Dask leaves only the key of a future in the graphs that it makes of these.
    """
    left = [dsk]
    while left:
        part = left.pop()
        if hasattr(part, "layers"):  # a HighLevelGraph
            left += part.layers.values()
        elif isinstance(getattr(part, "mapping", None), dict):  # a layer of one
            left.append(part.mapping)
        elif isinstance(getattr(part, "operands", None), list):  # an expression
            left += part.operands
        elif isinstance(part, dict):
            for future in (future for node in part.values() for future in _held_futures(node)):
                if future.key == key:
                    return future
    return None


def _held_futures(node: Any) -> list[Future[Any]]:
    """Returns the futures among the arguments of a graph's node, including those in nested nodes and containers."""
    from dask._task_spec import DataNode, Task

    if isinstance(node, Future):
        return [node]
    if isinstance(node, Task):
        parts: Any = (*node.args, *node.kwargs.values())
    elif isinstance(node, DataNode):
        parts = (node.value,)
    elif type(node) is dict:
        parts = node.values()
    elif type(node) in (list, tuple, set, frozenset):
        parts = node
    else:
        return []
    return [future for part in parts for future in _held_futures(part)]


def _of_collection(collection: Any) -> Iterator[Future[Any]]:
    from dask._task_spec import Alias

    graph = collection.__dask_graph__()
    for value in dict(graph).values():
        if isinstance(value, Alias) and value.target not in graph:
            yield Future(value.target)
        else:
            yield from _held_futures(value)


def _collections_in(o: Any) -> Iterator[Any]:
    """Iterates over the Dask collections in a value. Visits each container once."""
    from dask.base import is_dask_collection

    #: For each class, what gives the items of its instances; `is_dask_collection` for collections, None for the rest.
    kinds: dict[type, Any] = {Future: None}
    seen, left = set(), [o]
    while left:
        value = left.pop()
        kind = type(value)
        if kind not in kinds:
            kinds[kind] = is_dask_collection if hasattr(kind, "__dask_graph__") else _items_of(kind)
        items = kinds[kind]
        if items is None or id(value) in seen:
            continue
        seen.add(id(value))
        if items is not is_dask_collection:
            left.extend(items(value))
        elif is_dask_collection(value):
            yield value


def _items_of(kind: type) -> Any:
    for classes, items in _CONTAINERS:
        if issubclass(kind, classes):
            return items
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        return lambda value: [getattr(value, name) for name in names if hasattr(value, name)]
    return None
