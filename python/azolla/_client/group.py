"""Groups: what is submitted in the block of one, and all that grows from there, ends and is cancelled together."""

from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from azolla import _azolla
from azolla._azolla import Future
from azolla._base.arguments import flag
from azolla._base.errors import ClosedClientError
from azolla._run import awaiting as _await
from azolla._run.groups import Entered, enter, leave

if TYPE_CHECKING:
    from azolla._client.client import Client


class Group:
    """All that is submitted in its `with` or `async with` block, and all that grows from there.

    `Client.group` makes one and says more.

    >>> def visit(depth):
    ...     for _ in range(depth):
    ...         get_client().submit(visit, depth - 1, pure=False)  # the group keeps it
    >>> with client.group() as group:
    ...     root = client.submit(visit, 4)
    >>> group.counts()
    {'live': 0, 'finished': 65, 'failed': 0, 'cancelled': 0}
    """

    def __init__(self, client: "Client", name: str, on_error: Literal["cancel", "collect"]) -> None:
        #: What the group is called.
        self.name = name
        self._client, self._on_error = client, on_error
        self._gate: Future[None] | None = None
        self._is_entered = self._is_cancelled = False
        self._entered: tuple[Entered, Token[Entered | None]] | None = None
        #: The last counts, once it has ended.
        self._counts: tuple[int, int, int, int] | None = None
        self._failed: list[Future[Any]] = []

    def _open(self) -> "Group":
        if self._is_entered:
            raise RuntimeError(f"the group {self.name!r} was entered already")
        self._gate = gate = self._client._open_group(self.name, self._on_error == "cancel")
        self._is_entered, self._entered = True, enter(gate)
        # A cancel on another thread says so first, and then looks for the gate.
        if self._is_cancelled:
            self.cancel()
        return self

    def _close(self, error: BaseException | None) -> Future[None]:
        if self._gate is None or self._entered is None:
            raise RuntimeError(f"the group {self.name!r} is not entered, so it cannot be left")
        leave(*self._entered)
        if error is not None:
            self.cancel()
        self._client._in_group("close_group", self._gate)
        return self._gate

    def _end(self, error: BaseException | None) -> None:
        """All has ended, or the wait was given up."""
        assert self._gate is not None and self._entered is not None
        self._entered = None
        gate, self._failed = self._gate, self._client._in_group("failed_in_group", self._gate, True)
        self._counts = self._client._in_group("group_counts", gate)
        self._gate = None
        if error is not None:
            return
        if gate.cancelled():
            raise ClosedClientError(f"the group {self.name!r}: the client is closed")
        # In a worker process only `done` asks how a task stands.
        known = [failed for failed in self._failed if failed.done()]
        errors = [error for failed in known if (error := failed._exception()) is not None]
        if errors and self._on_error == "cancel":
            raise BaseExceptionGroup(f"{len(errors)} of the tasks of the group {self.name!r} failed", errors)

    def __enter__(self) -> "Group":
        return self._open()

    def __exit__(
        self, _class: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        gate = self._close(error)
        try:
            _azolla.wait([gate])
            if error is None:
                _azolla.check_cancelled()
        except BaseException as interrupted:
            self.cancel()
            # What is cancelled comes to its end, unless this is interrupted again.
            _azolla.shield_task(True)
            try:
                _azolla.wait([gate])
            finally:
                _azolla.shield_task(False)
                self._end(interrupted)
            raise
        self._end(error)

    async def __aenter__(self) -> "Group":
        return self._open()

    async def __aexit__(
        self, _class: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        gate = self._close(error)
        try:
            await _await.ended(gate)
        except BaseException as interrupted:
            self.cancel()
            try:
                await _await.ended(gate)
            finally:
                self._end(interrupted)
            raise
        self._end(error)

    def cancel(self, *, interrupt: bool = False) -> None:
        """Cancels all tasks of the group that have not ended, and what is submitted in it later.

        Before the group is entered it cancels all that will be submitted in the block. A task goes on if somebody outside wants
        it: its key was submitted again from outside, or a task outside depends on it. What runs is told as by `Client.cancel`,
        and interrupted with `interrupt`.

        >>> with client.group() as group:
        ...     futures = client.map(abs, range(1000))
        ...     group.cancel()
        >>> group.counts()["live"]
        0
        """
        interrupt = flag("cancel(): interrupt", interrupt, False)
        self._is_cancelled = True
        gate = self._gate
        if gate is not None:
            self._client._in_group("cancel_grown", gate, interrupt)

    def counts(self) -> dict[str, int]:
        """Returns how many tasks of the group are `"live"`, that is not ended, `"finished"`, `"failed"` and `"cancelled"`.

        Tasks of groups within this one count too.

        >>> with client.group() as group:
        ...     futures = client.map(abs, range(10))
        >>> group.counts()["finished"]
        10
        """
        gate, counts = self._gate, self._counts or (0, 0, 0, 0)
        if gate is not None:
            counts = self._client._in_group("group_counts", gate)
        return dict(zip(("live", "finished", "failed", "cancelled"), counts, strict=True))

    @property
    def failed(self) -> list[Future[Any]]:
        """Futures on the tasks whose failures count, in their order.

        These are the failures that `Client.group` raises with `on_error="cancel"`. `counts` counts every failed task. So a task
        that has grown is not here as long as somebody has a future on it, nor once somebody has asked for its outcome.

        >>> with client.group(on_error="collect") as group:
        ...     futures = client.map(int, ["1", "two", "3"])
        >>> [type(future.exception()) for future in group.failed]
        [<class 'ValueError'>]
        """
        gate = self._gate
        if gate is None:
            return list(self._failed)
        failed: list[Future[Any]] = self._client._in_group("failed_in_group", gate, False)
        return failed

    def __reduce__(self) -> Any:
        by_a_task = "a task ends it by raising an error, and " if self._on_error == "cancel" else ""
        raise TypeError(f"the Group {self.name!r} cannot be pickled: {by_a_task}the program ends it by its cancel()")

    def __repr__(self) -> str:
        state = "not entered" if not self._is_entered else f"{self.counts()['live']} live" if self._gate else "ended"
        return f"<Group {self.name!r}: {state}>"


class Groups:
    """The part of `Client` that makes groups."""

    def group(self, name: str = "group", *, on_error: Literal["cancel", "collect"] = "cancel") -> Group:
        """Returns a group, to be entered by `with` or `async with`.

        What is submitted in the block belongs to the group, and so does all that grows from there: what its tasks submit, what
        those submit, and so on. Leaving the block waits until all of it has ended; in a task that takes no slot. Futures
        need not be kept: a task of a group runs to its end without one. A task whose key was there already before the group
        does not belong to it.

        A group belongs to the thread or the coroutine that has entered it: what another thread submits meanwhile does not
        belong to it. Groups nest. One that a task opens is a branch of what grows from the task.

        Args:
            name: What the group is called in errors.
            on_error: `"cancel"`: the first failure cancels the rest. `"collect"`: everything runs, and `group.failed` has
                futures on the tasks whose failures count, as said below.

        Raises:
            ExceptionGroup: By leaving the block, with `on_error="cancel"`: the errors of the tasks that failed. Of tasks
                submitted in the block itself each failure counts. Of those that have grown from there each that nobody can
                have seen: no future on the task is left, nobody has asked for its outcome, and no task has inherited it.
            WaitCycleError: By leaving the block, in a task that belongs to the group.
            ClosedClientError: The client is closed.
            ValueError: `on_error` is neither of the two.
            TypeError: `name` is no text.

        An exception in the block, also Ctrl-C, cancels the group.

        >>> with client.group("squares"):
        ...     squares = client.map(lambda x: x * x, range(3))
        >>> [square.result() for square in squares]
        [0, 1, 4]
        """
        self._check_open("group")  # type: ignore[attr-defined]
        if not isinstance(name, str):
            raise TypeError(f"group(): name must be a text, not {name!r}")
        if on_error not in ("cancel", "collect"):
            raise ValueError(f"group(): on_error must be 'cancel' or 'collect', not {on_error!r}")
        return Group(self, name, on_error)  # type: ignore[arg-type]

    def _open_group(self, name: str, cancels: bool) -> Future[None]:
        return _azolla.open_group(self, name, cancels)  # type: ignore[arg-type]

    def _in_group(self, what: str, future: Future[Any], *args: Any) -> Any:
        return getattr(_azolla, what)(future, *args)
