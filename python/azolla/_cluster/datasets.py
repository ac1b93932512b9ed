"""Datasets: values, and futures, that a cluster's clients publish under names."""

import io
import pickle
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, Protocol

from azolla._azolla import Core, Future
from azolla._base.futures import holds_collection
from azolla._run.awaiting import answer

_MISSING: Any = object()


class _Cluster(Protocol):
    """The part of a cluster that this module uses."""

    _datasets: dict[Any, Any]

    def _own_client(self) -> Core: ...


class Datasets(Core):
    """The part of `Client` that publishes datasets. The cluster holds a dataset until it is unpublished."""

    cluster: _Cluster

    def publish_dataset(self, /, *args: Any, name: Any = None, override: bool = False, **kwargs: Any) -> Any:
        """Publishes values under names, for all clients of the cluster. Futures in the values stay alive.

        Args:
            *args: With `name`, the value, or several, which are published as one tuple; or a mapping of values by
                their names.
            name: The name.
            override: If true, a name that is taken goes to the new value.
            **kwargs: Values by their names.

        Raises:
            KeyError: A name is taken, without `override`.
            TypeError: A name that is not hashable.
            ValueError: A value without a name, a name without a value, or the same name twice.

        >>> client.publish_dataset(client.submit(pow, 2, 10), name="kibi")
        >>> client.get_dataset("kibi").result()
        1024
        >>> client.unpublish_dataset("kibi")
        """
        values = _named(args, name, kwargs)
        self._check_open("publish_dataset")
        datasets = self.cluster._datasets
        taken = [name for name in values if name in datasets]
        if taken and not override:
            raise KeyError(f"Dataset {taken[0]} already exists")
        keeper = self.cluster._own_client()
        for name, value in values.items():
            held = _Pickled(value, keeper) if holds_collection(value) else keeper._adopt(value)
            if override:
                datasets[name] = held
            elif datasets.setdefault(name, held) is not held:  # another thread has published under the name meanwhile
                raise KeyError(f"Dataset {name} already exists")
        return answer(self, None)

    def unpublish_dataset(self, name: Any) -> Any:
        """Takes datasets back. What only they held may be dropped. A name that is not published is no error.

        Args:
            name: The name, or a list of names.

        >>> client.publish_dataset(answer=42)
        >>> client.unpublish_dataset("answer")
        >>> client.list_datasets()
        []
        """
        for one in _listed(name):
            self.cluster._datasets.pop(one, None)
        return answer(self, None)

    def list_datasets(self) -> Any:
        """Returns the names of the published datasets, in the order of their texts.

        >>> client.list_datasets()
        []
        """
        return answer(self, sorted(self.cluster._datasets, key=str))

    def get_dataset(self, name: Any, default: Any = _MISSING) -> Any:
        """Returns the dataset that is published under a name, with futures of this client.

        Args:
            name: The name; or a list of names, for a list of datasets.
            default: What to return if nothing is published under the name.

        Raises:
            KeyError: Nothing is published under the name, and there is no default.

        >>> client.get_dataset("nothing", default=0)
        0
        """
        values = []
        for one in _listed(name):
            value = self.cluster._datasets.get(one, _MISSING)
            if isinstance(value, _Pickled):
                value = value.load(self)
            elif value is not _MISSING:
                value = self._adopt(value)
            elif default is _MISSING:
                raise KeyError(f"Dataset {one!r} not found")
            else:
                value = default
            values.append(value)
        return answer(self, values if isinstance(name, list) else values[0])

    @property
    def datasets(self) -> "Published":
        """The published datasets, as a mapping.

        Where methods give awaitables, an item is one too, and the names come by `async for`.

        Raises:
            NotImplementedError: A task in a worker process reads it. It uses `get_dataset` and the like.

        >>> client.datasets["answer"] = 42
        >>> dict(client.datasets)
        {'answer': 42}
        >>> del client.datasets["answer"]
        """
        return Published(self)


class Published(MutableMapping[Any, Any]):
    """The datasets of a cluster. An item is published when it is set; a name that is taken raises `KeyError`."""

    def __init__(self, client: Datasets) -> None:
        self._client = client

    def __getitem__(self, name: Any) -> Any:
        return self._client.get_dataset(name)

    def __setitem__(self, name: Any, value: Any) -> None:
        self._check_blocking("datasets[name] = value", "await publish_dataset(value, name=name)")
        self._client.publish_dataset(value, name=name)

    def __delitem__(self, name: Any) -> None:
        self._check_blocking("del datasets[name]", "await unpublish_dataset(name)")
        del self._client.cluster._datasets[name]

    def __iter__(self) -> Iterator[Any]:
        self._check_blocking("for name in datasets", "async for name in datasets")
        return iter(self._names())

    def __aiter__(self) -> AsyncIterator[Any]:
        if not self._client._async_here():
            raise TypeError("Can't use 'async for' when client is synchronous; please use 'for' instead")
        return self._one_by_one()

    async def _one_by_one(self) -> AsyncIterator[Any]:
        for name in self._names():
            yield name

    def __len__(self) -> int:
        self._check_blocking("len(datasets)", "len(await list_datasets())")
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        self._check_blocking("name in datasets", "name in await list_datasets()")
        return name in self._client.cluster._datasets

    def __repr__(self) -> str:
        return f"<Datasets: {', '.join(map(str, self._names())) or 'none'}>"

    def _names(self) -> list[Any]:
        return sorted(self._client.cluster._datasets, key=str)

    def _check_blocking(self, what: str, instead: str) -> None:
        if self._client._async_here():
            raise TypeError(f"Can't use '{what}' when client is asynchronous; please use '{instead}' instead")


class _Pickled:
    """A published value that holds Dask collections. Their graphs name futures of the publishing client.

    A collection is immutable, so it is kept pickled, as Dask keeps it. The futures stay outside the pickle: the keeper
    holds futures on the same tasks, and each client that asks gets the collection with futures of its own.
    """

    def __init__(self, value: Any, keeper: Core) -> None:
        cloudpickle: Any = import_module("cloudpickle")  # Dask brings it
        futures: list[Future[Any]] = []

        def persistent_id(_: Any, obj: Any) -> int | None:
            if not isinstance(obj, Future):
                return None
            futures.append(obj)
            return len(futures) - 1

        data = io.BytesIO()
        type("Pickler", (cloudpickle.Pickler,), {"persistent_id": persistent_id})(data).dump(value)
        self._data = data.getvalue()
        self._futures: list[Future[Any]] = keeper._adopt(futures)

    def load(self, client: Core) -> Any:
        """Returns the value with futures of `client`."""
        unpickler = _Unpickler(io.BytesIO(self._data))
        unpickler.futures = client._adopt(self._futures)
        return unpickler.load()


class _Unpickler(pickle.Unpickler):
    """Puts futures in the places where `_Pickled` has left them out."""

    futures: list[Future[Any]]

    def persistent_load(self, pid: int) -> Future[Any]:
        return self.futures[pid]


def _named(args: tuple[Any, ...], name: Any, kwargs: dict[str, Any]) -> dict[Any, Any]:
    """Returns the values to publish, by name."""
    if name is not None:
        if not args:
            raise ValueError("publish_dataset(value, name=...): with a name there must be a value to publish under it")
        values = [(name, args[0] if len(args) == 1 else args)]
    elif not args:
        values = []
    elif len(args) == 1 and isinstance(args[0], Mapping):
        values = list(args[0].items())
    else:
        raise ValueError("publish_dataset() takes a value and its name, or a mapping of values by their names")
    values += kwargs.items()
    named = dict(values)
    if len(named) < len(values):
        raise ValueError("publish_dataset(): the same name is given twice")
    return named


def _listed(name: Any) -> list[Any]:
    return name if isinstance(name, list) else [name]
