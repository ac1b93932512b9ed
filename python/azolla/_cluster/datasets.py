"""Datasets: values, and futures, that a cluster's clients publish under names."""

from collections.abc import Iterator, MutableMapping
from typing import Any, Protocol

from azolla._azolla import Core
from azolla._run.awaiting import answer

_MISSING: Any = object()


class _Cluster(Protocol):
    """The part of a cluster that this module uses."""

    _datasets: dict[Any, Any]

    def _own_client(self) -> Core: ...


class Datasets(Core):
    """The part of `Client` that publishes datasets. The cluster holds a dataset until it is unpublished."""

    cluster: _Cluster

    def publish_dataset(self, *args: Any, name: Any = None, override: bool = False, **kwargs: Any) -> Any:
        """Publishes values under names, for all clients of the cluster. Futures in the values stay alive.

        Args:
            *args: The value, with `name`; or a dictionary of values by their names.
            name: The name.
            override: If true, a name that is taken goes to the new value.
            **kwargs: Values by their names.

        Raises:
            KeyError: A name is taken, without `override`.
            ValueError: A value without a name.

        >>> client.publish_dataset(client.submit(pow, 2, 10), name="kibi")
        >>> client.get_dataset("kibi").result()
        1024
        >>> client.unpublish_dataset("kibi")
        """
        if name is None and len(args) == 1 and isinstance(args[0], dict):
            values = args[0] | kwargs
        elif name is None and args:
            raise ValueError("publish_dataset() takes a value and its name, or a dictionary of values by their names")
        elif len(args) > 1:
            raise ValueError("publish_dataset() takes one value with a name; give several as a dictionary")
        elif args:
            values = {name: args[0]} | kwargs
        else:
            values = kwargs
        self._check_open("publish_dataset")
        datasets = self.cluster._datasets
        taken = [name for name in values if name in datasets]
        if taken and not override:
            raise KeyError(f"Dataset {taken[0]} already exists")
        keeper = self.cluster._own_client()
        for name, value in values.items():
            held = keeper._adopt(value)
            if override:
                datasets[name] = held
            elif datasets.setdefault(name, held) is not held:  # another thread has published under the name meanwhile
                raise KeyError(f"Dataset {name} already exists")
        return answer(self, None)

    def unpublish_dataset(self, name: Any) -> Any:
        """Takes a dataset back. What only the dataset held may be dropped. A name that is not published is no error.

        >>> client.publish_dataset(answer=42)
        >>> client.unpublish_dataset("answer")
        >>> client.list_datasets()
        []
        """
        self.cluster._datasets.pop(name, None)
        return answer(self, None)

    def list_datasets(self) -> Any:
        """Returns the names of the published datasets.

        >>> client.list_datasets()
        []
        """
        return answer(self, list(self.cluster._datasets))

    def get_dataset(self, name: Any, default: Any = _MISSING) -> Any:
        """Returns the dataset that is published under a name, with futures of this client.

        Args:
            name: The name.
            default: What to return if nothing is published under the name.

        Raises:
            KeyError: Nothing is published under the name, and there is no default.

        >>> client.get_dataset("nothing", default=0)
        0
        """
        value = self.cluster._datasets.get(name, _MISSING)
        if value is not _MISSING:
            value = self._adopt(value)
        elif default is _MISSING:
            raise KeyError(f"Dataset {name!r} not found")
        else:
            value = default
        return answer(self, value)

    @property
    def datasets(self) -> "Published":
        """The published datasets, as a mapping.

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
        published = self._client.cluster._datasets
        if name not in published:
            raise KeyError(f"Dataset {name!r} not found")
        return self._client._adopt(published[name])

    def __setitem__(self, name: Any, value: Any) -> None:
        self._client.publish_dataset({name: value})

    def __delitem__(self, name: Any) -> None:
        del self._client.cluster._datasets[name]

    def __iter__(self) -> Iterator[Any]:
        return iter(tuple(self._client.cluster._datasets))

    def __len__(self) -> int:
        return len(self._client.cluster._datasets)

    def __contains__(self, name: object) -> bool:
        return name in self._client.cluster._datasets

    def __repr__(self) -> str:
        return f"<Datasets: {', '.join(map(str, self)) or 'none'}>"
