"""`Client.task`: tasks with options, and calls whose arguments may have any name."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from azolla import _azolla
from azolla._azolla import Future
from azolla._base.arguments import flag
from azolla._client.rows import mapped

if TYPE_CHECKING:
    from azolla._client.client import Client

R = TypeVar("R")


class TaskBuilder:
    """Tasks with these options. `Client.task` makes one and says more; it can be used again and again.

    >>> urgent = client.task(priority=10, retries=2)
    >>> urgent.submit(pow, 2, 10).result()
    1024
    """

    def __init__(self, client: "Client", options: dict[str, Any], keep: bool) -> None:
        self._client, self._options, self._keep = client, options, keep

    @overload
    def submit(self, func: Callable[..., Coroutine[Any, Any, R]], /, *args: Any, **kwargs: Any) -> Future[R]: ...
    @overload
    def submit(self, func: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]: ...
    def submit(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs `func(*args, **kwargs)` as a task, and returns a future on its result, as `Client.submit` does.

        All arguments by name are the function's own.

        >>> client.task(key="seven").submit(dict, key=7, priority=1).result()
        {'key': 7, 'priority': 1}
        """
        return self._kept([_azolla.submit_as(self._client, self._options, (func, *args), kwargs)])[0]

    @overload
    def map(
        self, func: Callable[..., Coroutine[Any, Any, R]], /, *iterables: Iterable[Any], **kwargs: Any
    ) -> list[Future[R]]: ...
    @overload
    def map(self, func: Callable[..., R], /, *iterables: Iterable[Any], **kwargs: Any) -> list[Future[R]]: ...
    def map(self, func: Callable[..., Any], /, *iterables: Iterable[Any], **kwargs: Any) -> list[Future[Any]]:
        """Submits a task for each item, or for each row of items, and returns futures in that order, as `Client.map` does.

        A `key` that is a text is what the keys begin with; a list has a key for each task.

        >>> client.gather(client.task(priority=1).map(pow, [2, 3], [10, 2]))
        [1024, 9]
        """

        def submit(columns: tuple[Any, ...], key: Any) -> list[Future[Any]]:
            return _azolla.map_as(self._client, {**self._options, "key": key}, func, columns, kwargs)

        return self._kept(mapped(submit, iterables, self._options.get("key"), None))

    def _kept(self, futures: list[Future[Any]]) -> list[Future[Any]]:
        if self._keep:
            for future in futures:
                self._client._keep(future)
        return futures

    def __repr__(self) -> str:
        options = {**self._options, **({"keep": True} if self._keep else {})}
        return f"<tasks with {', '.join(f'{name}={value!r}' for name, value in options.items()) or 'no options'}>"


class Tasks:
    """The part of `Client` that makes builders of tasks."""

    def task(
        self,
        *,
        key: Any = None,
        workers: Any = None,
        resources: Mapping[str, float] | None = None,
        retries: int | None = None,
        priority: float | None = None,
        allow_other_workers: bool | None = None,
        actor: bool | None = None,
        pure: bool | None = None,
        keep: bool = False,
    ) -> TaskBuilder:
        """Returns a builder, which submits tasks with these options. It can be used again and again.

        `submit` takes Dask's options among the arguments of the call, so that a function cannot get arguments of these names
        there. Here the options are apart.

        Args:
            key: As for `submit`, and for `map` as there.
            workers: As for `submit`.
            resources: As for `submit`.
            retries: As for `submit`.
            priority: As for `submit`.
            allow_other_workers: As for `submit`.
            actor: As for `submit`.
            pure: As for `submit`.
            keep: If true, the tasks run to their ends even if no future on them is left, as with `fire_and_forget`.

        Raises:
            TypeError: `priority` is no number.
            ValueError: `priority` is NaN, or `retries` no whole number.
            ClosedClientError: The client is closed.

        >>> client.task(priority=10).submit(sum, [1, 2]).result()
        3
        """
        self._check_open("task")  # type: ignore[attr-defined]
        given = {
            "key": key,
            "workers": workers,
            "resources": resources,
            "retries": retries,
            "priority": priority,
            "allow_other_workers": allow_other_workers,
            "actor": actor,
            "pure": pure,
        }
        options = {name: value for name, value in given.items() if value is not None}
        _azolla.check_options(options)
        return TaskBuilder(self, options, flag("task(): keep", keep, False))  # type: ignore[arg-type]
