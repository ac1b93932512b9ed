"""How many calls are submitted, and how tasks are cancelled and retried."""

import inspect
from typing import TYPE_CHECKING, Any

from azolla._azolla import Core
from azolla._base.arguments import flag
from azolla._base.futures import given_futures, own_futures
from azolla._client.rows import mapped
from azolla._run import awaiting as _await

if TYPE_CHECKING:
    from azolla._cluster.local import LocalCluster


class Work(Core):
    """The part of `Client` that submits many calls, and cancels and retries tasks."""

    cluster: "LocalCluster"

    if not TYPE_CHECKING:

        def map(self, /, func, *iterables, key=None, batch_size=None, **options):
            submit = super().map
            return mapped(lambda columns, key: submit(func, *columns, key=key, **options), iterables, key, batch_size)

        map.__doc__ = f"{Core.map.__doc__}\n\n>>> client.gather(client.map(abs, (-1 for _ in range(3))))\n[1, 1, 1]\n"
        map.__signature__ = inspect.signature(Core.map)

    def cancel(
        self,
        futures: Any,
        asynchronous: bool | None = None,
        force: bool = False,
        reason: str | None = None,
        msg: str | None = None,
        *,
        subtree: bool = False,
        interrupt: bool = False,
    ) -> Any:
        """Cancels tasks and what depends on them.

        A result that is there is let go of. The result of a task that runs is dropped, and every wait in it raises `Cancelled`
        from now on; a coroutine is cancelled at its next `await`. A function that neither waits nor asks (`cancelled()`) goes
        on to its end. If other clients of the cluster have futures on a task, or on what needs it, the task goes on for them, and only
        this client's futures on it read cancelled. Futures of other clusters stay as they are.

        Args:
            futures: Futures, nested as for `gather`.
            asynchronous: True gives an awaitable; so does an asynchronous client.
            force: True cancels the tasks for all clients.
            reason: Why, in a few words. The errors of what is cancelled say it.
            msg: More words for these errors.
            subtree: True also cancels what has grown from the tasks: what they have submitted, what that has submitted, and so
                on, with what `fire_and_forget` keeps and what they submit from now on. A task of these goes on if somebody
                else wants it: its key was submitted elsewhere too, or a task elsewhere depends on it.
            interrupt: True also raises `Cancelled` once in the plain functions that run, wherever they are, unless a wait has
                raised it before. Where they are in a call that does not come back to Python (`time.sleep`, say), that comes
                when the call returns. In worker processes a task that goes on after 5 s has its process replaced. docs/cancelling.md
                says what it cannot do.

        Raises:
            TypeError: This is no future and no container, say a key; or `reason` or `msg` is no text.
            ValueError: `interrupt` for a call of an actor, whose state would be left half changed. Nothing is cancelled.
            RuntimeError: This is the child of a fork, and the client stayed in the parent.

        >>> client.cancel(future := client.submit(abs, -1))
        >>> future.status
        'cancelled'
        """
        force, subtree = flag("cancel(): force", force, False), flag("cancel(): subtree", subtree, False)
        interrupt = flag("cancel(): interrupt", interrupt, False)
        self._cancel(given_futures(futures, "cancel()"), (force, subtree, interrupt), reason, msg)
        return _await.answer(self, None, asynchronous)

    def retry(self, futures: Any, asynchronous: bool | None = None) -> Any:
        """Runs failed tasks again, after the failed tasks that they depended on.

        Args:
            futures: Futures, nested as for `gather`.
            asynchronous: True gives an awaitable; so does an asynchronous client.

        Raises:
            TypeError: This is no future and no container, say a key.
            FutureCancelledError: One of the futures was released.
            ClosedClientError: The client is closed.

        >>> failed = client.submit(int, "seven")
        >>> client.retry(wait(failed).done)
        >>> failed.exception()
        ValueError("invalid literal for int() with base 10: 'seven'")
        """
        for future in given_futures(futures, "retry()"):
            if future.client is None or future.client.cluster is self.cluster:
                future._retry()
        return _await.answer(self, None, asynchronous)

    def futures_of(self, futures: Any) -> list[Any]:
        """As the function `futures_of` with `client=` this one.

        >>> one, two = client.map(abs, [-1, -2])
        >>> client.futures_of({"numbers": [one, two]}) == [one, two]
        True
        """
        return own_futures(futures, self)
