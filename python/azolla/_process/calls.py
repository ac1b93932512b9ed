"""What executors and joblib submit in place of a function of the user's. It imports nothing, since every process imports it."""

from collections.abc import Iterable
from typing import Any


def BatchedCalls(batch: Any) -> Any:
    """Makes the calls of a batch of joblib's."""
    return batch()


class Named:
    """A function whose tasks have the name of another one."""

    def __init__(self, function: Any, name: str) -> None:
        self.__name__, self._function = name, function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


class Chunk(Named):
    """Calls a function with each of several groups of arguments."""

    def __call__(self, calls: Iterable[Any]) -> list[Any]:
        return [self._function(*args) for args in calls]


class WithKeywords(Named):
    """A function whose keyword arguments come in a dictionary. Its pure keys are named after the function."""

    def __call__(self, kwargs: dict[str, Any], /, *args: Any) -> Any:
        return self._function(*args, **kwargs)

    def __dask_tokenize__(self) -> Any:
        return "azolla.keywords", self._function


def identity(value: Any) -> Any:
    return value
