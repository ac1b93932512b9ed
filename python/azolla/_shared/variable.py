"""`Variable`: one value that all tasks and threads can see and set."""

from typing import Any

from azolla._azolla import VariableCore
from azolla._base.never import says_if_never_started
from azolla._base.time import Timeout
from azolla._client.client import Client
from azolla._shared.named import SET_BY_INIT, Shared, text


@says_if_never_started("variable", *SET_BY_INIT)
class Variable(Shared[VariableCore]):
    """One value that all can see and set.

    While the value is a future, its result is kept, and each `get` returns a new future on the same task. Of any other
    value containers are copied, by `set` and by each `get`. A wait in a task takes no slot. With an asynchronous client,
    and on a client's own loop, the methods return awaitables.

    Args:
        name: Variables of one name are the same variable, for all clients of a cluster. By default the variable has a
            name of its own.
        client: By default the current client.

    >>> from azolla import Variable
    >>> best = Variable("best")
    >>> future = client.submit(lambda: Variable("best").get() + 1)  # waits until it is set
    >>> best.set(41)
    >>> future.result()
    42
    """

    def __init__(self, name: Any = None, client: Client | None = None) -> None:
        super().__init__("variable", name, client)

    def _make(self, client: Client) -> VariableCore:
        return VariableCore(client, text(self.name), self._own)

    def set(self, value: Any, timeout: Timeout = "30 s") -> Any:
        """Sets the value.

        Args:
            value: A future, or anything else.
            timeout: Taken as Dask takes it; nothing is waited for.

        Raises:
            ClosedClientError: The client is closed.
            FutureCancelledError: The value is a future that was cancelled or released.

        >>> Variable("answer").set(client.submit(abs, -42))
        >>> Variable("answer").get().result()
        42
        """
        self._bound().set(value)
        return self._answer(None)

    def get(self, timeout: Timeout = None) -> Any:
        """Waits until the variable is set, and returns its value.

        Args:
            timeout: Seconds, a `timedelta`, or text such as `"500ms"`, after which to give up; None for no limit.

        Raises:
            TimeoutError: The time was up, and the variable was not set.
            ClosedClientError: The client is closed.

        >>> Variable().get(timeout=0.01)
        Traceback (most recent call last):
        TimeoutError: ...
        """
        return self._take("get", self._bound().get(), timeout)

    def delete(self) -> Any:
        """Takes the value away, for every object of its name, as if the variable had never been set.

        >>> variable = Variable()
        >>> variable.set(1)
        >>> variable.delete()
        """
        self._bound().delete()
        return self._answer(None)

    def __reduce__(self) -> Any:
        return Variable, (self.name,)
