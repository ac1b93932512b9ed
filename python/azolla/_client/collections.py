"""Dask's collections on a client: `get`, `compute` and `persist`.

The tasks of a Dask graph are submitted in the order that `dask.order` gives. Among tasks of equal priority the engine
begins the one submitted first, so that order keeps memory low here as it does in Dask. The user's own priorities
outrank it.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from azolla._azolla import Core, Future
from azolla._base.annotations import get_annotations
from azolla._base.errors import FutureCancelledError
from azolla._base.futures import future_in_graph

#: The arguments of `submit` that `dask.annotate` can set for each task of a graph.
_ANNOTATIONS = ("allow_other_workers", "priority", "resources", "retries", "workers")

#: Types of what stands in a graph and is neither a container nor a future.
_PLAIN = (str, int, float, bool, bytes, type(None))


class Collections(Core):
    """The part of `Client` that is a scheduler of Dask's collections."""

    def get(
        self,
        dsk: Any,
        keys: Any,
        workers: Any = None,
        allow_other_workers: bool | None = None,
        resources: Any = None,
        sync: bool = True,
        asynchronous: bool | None = None,
        direct: Any = None,
        retries: int | None = None,
        priority: float | None = None,
        fifo_timeout: Any = None,
        actors: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Runs a Dask graph. Dask's collections take this method as their scheduler.

        While a client is open, arrays, dataframes, delayed calls and xarray compute on the current client by
        themselves; `x.compute(scheduler=client)` names another. It needs `dask` (`pip install azolla[dask]`).

        Args:
            dsk: A graph: a dictionary, a `HighLevelGraph`, or an expression that has one.
            keys: A key, or lists of keys.
            workers, allow_other_workers, resources, retries, priority, actors: As for `submit`, for every task.
                `dask.annotate` gives them for some tasks only. `actors` may also be a collection, or a list of
                collections and keys, whose tasks alone are actors.
            sync: If true, wait for the results; otherwise return futures.
            asynchronous: True gives an awaitable; so does an asynchronous client.
            direct, fifo_timeout, **kwargs: Taken as Dask takes them.

        Returns:
            The results, or the futures, in place of the keys.

        Raises:
            KeyError: A key is not in the graph, and no task has it.
            FutureCancelledError: The graph needs a future that is gone.
            ImportError: There is no Dask.
            Exception: The exception that a task has raised.

        >>> client.get({"x": 1, "y": (lambda x: x + 1, "x")}, ["x", "y"])
        [1, 2]
        """
        options = {
            "workers": workers,
            "allow_other_workers": allow_other_workers,
            "resources": resources,
            "retries": retries,
            "priority": priority,
            "actors": actors,
        }
        futures = self._submit_graph(dsk, keys, options)
        return self.gather(futures, asynchronous=asynchronous) if sync else futures  # type: ignore[attr-defined]

    def compute(
        self,
        collections: Any,
        sync: bool = False,
        optimize_graph: bool = True,
        workers: Any = None,
        allow_other_workers: bool = False,
        resources: Any = None,
        retries: int = 0,
        priority: float | None = None,
        fifo_timeout: Any = None,
        actors: Any = None,
        traverse: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Returns futures on the results of Dask collections.

        Args:
            collections: A collection, or a list of them; an item that is no collection comes back as it is.
            sync: If true, wait, and return the results.
            optimize_graph: If true, Dask optimises the graph first.
            workers, allow_other_workers, resources, retries, priority, actors: As for `get`.
            traverse: If true, look for collections in containers among the collections.
            fifo_timeout, **kwargs: Taken as Dask takes them.

        Raises:
            ClosedClientError: The client is closed.

        >>> import dask
        >>> client.compute(dask.delayed(sum)([1, dask.delayed(abs)(-2)])).result()
        3
        """
        dask: Any = import_module("dask")

        one = not isinstance(collections, list | tuple | set | frozenset)
        items = [collections] if one else list(collections)
        if traverse:
            items = [dask.delayed(item) if _is_container(item) else item for item in items]
        scheduler = self._futures_scheduler(
            workers=workers,
            allow_other_workers=allow_other_workers,
            resources=resources,
            retries=retries or None,
            priority=priority,
            actors=actors,
        )
        done = dask.compute(*items, traverse=False, optimize_graph=optimize_graph, scheduler=scheduler)
        futures = done[0] if one else list(done)
        return self.gather(futures) if sync else futures  # type: ignore[attr-defined]

    def persist(
        self,
        collections: Any,
        optimize_graph: bool = True,
        workers: Any = None,
        allow_other_workers: bool | None = None,
        resources: Any = None,
        retries: int | None = None,
        priority: float | None = None,
        fifo_timeout: Any = None,
        actors: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Returns Dask collections of the same kind, whose parts are futures that are being computed.

        Args:
            collections: A collection, or a list of them.
            optimize_graph: If true, Dask optimises the graph first.
            workers, allow_other_workers, resources, retries, priority, actors: As for `get`.
            fifo_timeout, **kwargs: Taken as Dask takes them.

        Raises:
            ClosedClientError: The client is closed.

        >>> import dask.array
        >>> ones = client.persist(dask.array.ones(10, chunks=5))
        >>> int(ones.sum().compute())
        10
        """
        dask: Any = import_module("dask")

        one = not isinstance(collections, list | tuple | set | frozenset)
        items = [collections] if one else list(collections)
        scheduler = self._futures_scheduler(
            workers=workers,
            allow_other_workers=allow_other_workers,
            resources=resources,
            retries=retries,
            priority=priority,
            actors=actors,
        )
        persisted = dask.persist(*items, traverse=False, optimize_graph=optimize_graph, scheduler=scheduler)
        return persisted[0] if one else list(persisted)

    def _futures_scheduler(self, **options: Any) -> Callable[..., Any]:
        # Dask optimises, calls this as it calls any scheduler, and puts what it gets where results go.
        def scheduler(dsk: Any, keys: Any, **more: Any) -> Any:
            return self.get(dsk, keys, sync=False, **options)

        return scheduler

    def _submit_graph(self, dsk: Any, keys: Any, options: dict[str, Any]) -> Any:
        from dask.order import order

        if not isinstance(keys, list):  # a tuple is one key
            return self._submit_graph(dsk, [keys], options)[0]
        wanted = set(_flat(keys))
        nodes, annotations = _graph(dsk, wanted)
        tasks = _Tasks(self, dsk, nodes, wanted, annotations, options)
        inside = {key: node.dependencies & nodes.keys() for key, node in nodes.items()}
        numbers = order(nodes, dependencies=inside)
        for key in sorted(nodes, key=numbers.__getitem__):
            tasks.add(key)
        return tasks.futures_of(keys)


class _Tasks:
    """Submits a graph to a client, node by node, and keeps the value or the future of each key added so far."""

    def __init__(
        self,
        client: Core,
        dsk: Any,
        nodes: Any,
        wanted: set[Any],
        annotations: dict[Any, Any],
        options: dict[str, Any],
    ) -> None:
        self._client, self._dsk, self._nodes, self._wanted = client, dsk, nodes, wanted
        self._annotations = annotations
        self._options = {name: value for name, value in options.items() if value is not None}
        #: The keys of the tasks that are actors, unless all are, or none.
        self._actors: frozenset[Any] | None = None
        if not isinstance(self._options.get("actors", False), bool):
            self._actors = frozenset(_keys_of(self._options.pop("actors")))
        #: The annotations of the calling context that are functions of the key.
        self._by_key = {
            name: value for name, value in get_annotations().items() if callable(value) and name in _ANNOTATIONS
        }
        #: Data in the graph, by key. It becomes no task: the calls that need it carry it.
        self._values: dict[Any, Any] = {}
        self._futures: dict[Any, Future[Any]] = {}

    def add(self, key: Any) -> None:
        from dask._task_spec import Alias, DataNode
        from dask.utils import key_split

        node = self._nodes[key]
        if isinstance(node, DataNode) and isinstance(node.value, Future):
            self._futures[key] = node.value
        elif isinstance(node, DataNode) and not Core._futures(node.value):
            value = Core._copied(node.value)
            if key in self._wanted:
                self._futures[key] = self._client._scatter(value, key, False)
            else:
                self._values[key] = value
        elif isinstance(node, Alias) and node.target not in self._values:
            self._futures[key] = self._future(node.target)
        else:
            values = {name: self._values[name] for name in node.dependencies if name in self._values}
            inputs = {name: self._future(name) for name in node.dependencies if name not in values}
            own = {name: by[key] for name, by in self._annotations.items() if key in by and name in _ANNOTATIONS}
            around = {name: value(key) for name, value in self._by_key.items()}
            if self._actors is not None and key in self._actors:
                own["actor"] = True
            call = _Call(node, values, key_split(key))
            self._futures[key] = self._client.submit(
                call, inputs, _literals(node), key=key, **(around | self._options | own)
            )

    def _future(self, key: Any) -> Future[Any]:
        if key not in self._futures:
            # The graph lacks this key: it names a task that was persisted or submitted earlier.
            future: Future[Any] | None = Future(key, self._client)  # type: ignore[arg-type]
            if future is not None and future.status == "lost":
                # The collection's own future knows what has become of the task, and why.
                future = future_in_graph(self._dsk, key)
            if future is None:
                if key in self._wanted:
                    raise KeyError(key)
                raise FutureCancelledError(
                    f"{key}: a graph needs this future, and the client has no such task any more"
                )
            self._futures[key] = future
        return self._futures[key]

    def futures_of(self, keys: list[Any], made: dict[int, list[Any]] | None = None) -> list[Any]:
        """Returns the futures in the places of the keys. A list that comes twice does so there too."""
        made = {} if made is None else made
        if id(keys) not in made:
            futures = made[id(keys)] = []
            futures += [self.futures_of(key, made) if isinstance(key, list) else self._future(key) for key in keys]
        return made[id(keys)]


class _Call:
    """The function of a graph's task: it evaluates the node with the task's inputs."""

    def __init__(self, node: Any, values: dict[Any, Any], name: str) -> None:
        self.__name__ = name
        self._node, self._values = node, values

    def __call__(self, inputs: dict[Any, Any], literals: list[Any]) -> Any:
        node = _filled(self._node, iter(literals)) if literals else self._node
        return node({**self._values, **inputs})


# What stands in a node's arguments as it is goes through `submit` as an argument: there containers are copied, and
# futures replaced by their results. (Dask's graphs recognise only futures of Dask's own kind.)


def _literals(node: Any) -> list[Any]:
    """Returns what stands in a node's arguments, and those of the nodes in it, and may be a container or a future."""
    from dask._task_spec import DataNode, GraphNode

    if isinstance(node, DataNode):
        return _literals(node.value)
    if isinstance(node, GraphNode) or _is_graph(node):
        return [literal for part in _parts(node) for literal in _literals(part)]
    return [] if type(node) in _PLAIN else [node]


def _filled(node: Any, literals: Iterator[Any]) -> Any:
    """Returns the node with these literals in the places of its own."""
    from dask._task_spec import DataNode, GraphNode, Task

    if isinstance(node, DataNode):
        return DataNode(node.key, _filled(node.value, literals))
    if isinstance(node, Task):
        parts = [_filled(part, literals) for part in _parts(node)]
        node, count = copy.copy(node), len(node.args)
        node.args, node.kwargs = tuple(parts[:count]), dict(zip(node.kwargs, parts[count:], strict=True))
        return node
    if _is_graph(node):
        return {key: _filled(inner, literals) for key, inner in node.items()}
    return node if isinstance(node, GraphNode) or type(node) in _PLAIN else next(literals)


def _is_graph(value: Any) -> bool:
    """Returns true for what Dask makes one node's argument of when it fuses several: a graph of them."""
    from dask._task_spec import GraphNode

    return type(value) is dict and any(isinstance(part, GraphNode) for part in value.values())


def _parts(node: Any) -> Any:
    from dask._task_spec import Task

    if isinstance(node, Task):
        return (*node.args, *node.kwargs.values())
    return node.values() if type(node) is dict else ()


def _graph(dsk: Any, wanted: set[Any]) -> tuple[Any, dict[Any, Any]]:
    """Returns the nodes needed for `wanted`, and their `dask.annotate` values: by annotation name, then by key."""
    from dask._task_spec import convert_legacy_graph, cull
    from dask.utils import ensure_dict

    annotations: dict[Any, Any] = {}
    if hasattr(dsk, "__dask_annotations__"):
        annotations = dsk.__dask_annotations__()
    elif hasattr(dsk, "layers"):
        for layer in dsk.layers.values():
            for name, value in (layer.annotations or {}).items():
                said = {key: value(key) if callable(value) else value for key in layer}
                annotations.setdefault(name, {}).update(said)
    graph = dsk if isinstance(dsk, Mapping) else dsk.__dask_graph__()
    return cull(convert_legacy_graph(ensure_dict(graph)), wanted), annotations


def _keys_of(actors: Any) -> Iterator[Any]:
    """Iterates over the keys that `actors=` names: it is a collection or a key, or a tuple or list of these."""
    for one in actors if isinstance(actors, tuple | list | set) else (actors,):
        if hasattr(type(one), "__dask_keys__"):
            yield from _flat(one.__dask_keys__())
        else:
            yield one


def _is_container(item: Any) -> bool:
    return isinstance(item, list | set | tuple | dict | Iterator)


def _flat(keys: list[Any]) -> Iterator[Any]:
    """Iterates over the keys in nested lists, each of which it visits once."""
    met, lists = {id(keys)}, [keys]
    while lists:
        for key in lists.pop():
            if not isinstance(key, list):
                yield key
            elif id(key) not in met:
                met.add(id(key))
                lists.append(key)
