"""Actors: objects that stay where they are, and whose methods are called one at a time."""

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Never

from azolla import _azolla
from azolla._azolla import Future, Method, SemaphoreCore
from azolla._base.names import as_called
from azolla._client.client import Client
from azolla._run import awaiting as _await
from azolla._run.current import current_or_none
from azolla._shared import named as _sharing


class Actor:
    """Stands for an object on a cluster, and calls the object's methods there.

    `client.submit(cls, ..., actor=True)` makes one: the future's result is an `Actor`, for an object that stays where
    it is. A call of one of its methods returns an `ActorFuture` at once. The calls of an actor run one at a time and in
    their order, from wherever they are made. Each call is a task, which takes a slot while it runs and lends it while
    it waits. A call has the priority of the actor's task or of the task that makes it, whichever is higher, and goes
    before newer work of that priority. Futures among the arguments are passed as they are.

    Other attributes can be read through the actor, which gives their values at that moment; for an asynchronous client
    they are awaitable. Only the object's own methods can set them.

    An `async def` method begins in its turn. While it awaits, other calls run. It goes on when no other call runs.

    The object lives as long as an `Actor`, a future on it, or a call of it lives. When it is gone, because it was
    cancelled or the client is closed, using it raises `ActorLostError`. An error in a method is an error of that call
    alone.

    On a cluster of worker processes the object is in the one that had the fewest when it was submitted. The calls run
    there, and what they are given and return travels as that of all tasks. If the process dies, the object is lost: calls
    that have not ended raise `ActorLostError`, and so do later ones.

    Args:
        cls: The object's class.
        address: Taken as Dask takes it; it is of no use here.
        key: The key of the task that has made the object.
        worker: Taken as Dask takes it.

    >>> class Counter:
    ...     n = 0
    ...     def increment(self, by=1):
    ...         self.n += by
    ...         return self.n
    >>> counter = client.submit(Counter, actor=True).result()
    >>> counter.increment()
    <ActorFuture: ...>
    >>> counter.increment(by=10).result()
    11
    >>> counter.n
    11

    Tasks call it too:

    >>> _ = client.gather(client.map(lambda _, counter: counter.increment().result(), range(5), counter=counter))
    >>> counter.n
    16
    """

    _cls: type
    _future: Future[Any]

    def __init__(self, cls: type, address: object, key: Any, worker: object = None) -> None:
        self.__dict__.update(_cls=cls, _future=Future(key))

    @property
    def key(self) -> Any:
        """The key of the task that has made the object.

        >>> client.submit(list, actor=True, key="words").result().key
        'words'
        """
        return self._future.key

    @property
    def client(self) -> Client | None:
        """The client that submits the calls.

        >>> client.submit(list, actor=True).result().client is client
        True
        """
        return self._future.client

    # Python calls this only for attributes that it does not find. A method is then stored on the object, where Python
    # finds it the next time.
    def __getattr__(self, name: str) -> Any:
        cls, future = self._cls, self._future
        try:
            of_class = getattr(cls, name)
        except AttributeError:
            if name.startswith("__"):  # Python asks for a protocol, which the proxy does not have
                raise AttributeError(f"the actor {future.key} has no {name}") from None
            of_class = None
        if callable(of_class):
            _azolla.check_actor(future)
            method = self.__dict__[name] = _method(cls, future, name, of_class)
            return method
        client = future.client
        if client is not None and client.cluster._has_processes:
            return self._far(client, name)
        if future.done() or client is None:
            return _await.answer(client, self._attribute(name)) if client is not None else self._attribute(name)
        if client._async_here():
            return as_called(f"{cls.__name__}.{name}", self._later, name)
        _azolla.wait([future])
        return self._attribute(name)

    def _attribute(self, name: str) -> Any:
        return self._found(name, getattr(_azolla.actor_state(self._future), name))

    def _found(self, name: str, value: Any) -> Any:
        return _method(self._cls, self._future, name, value) if callable(value) else value

    async def _later(self, name: str) -> Any:
        await _await.ended(self._future)
        return self._attribute(name)

    def _far(self, client: Client, name: str) -> Any:
        """Reads an attribute of an object in a worker process: in that process itself, or by a task."""
        state = _azolla.actor_state(self._future)
        if state is not None:
            return self._found(name, getattr(state, name))
        label = f"{self._cls.__name__}.{name}"
        reads = _azolla.read_actor(self._future, name, label)
        if client._async_here():
            return as_called(label, self._answered, name, reads)
        return self._read(name, *reads.result())

    async def _answered(self, name: str, reads: Any) -> Any:
        return self._read(name, *await reads)

    def _read(self, name: str, is_callable: bool, value: Any) -> Any:
        return _method(self._cls, self._future, name, None) if is_callable else value

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"cannot set {name!r} of the actor {self.key}: its own methods do")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"cannot delete {name!r} of the actor {self.key}: its own methods do")

    def __dir__(self) -> list[str]:
        own = {name for name in dir(type(self)) if name in ("client", "key") or name.startswith("__")}
        return sorted(own | {name for name in dir(self._cls) if not name.startswith("_")})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Actor) and (self.key, self.client) == (other.key, other.client)

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> Any:
        # The future notes that the pickle names its task, so that the task is kept on the way.
        _, (key,) = self._future.__reduce__()
        return Actor, (self._cls, None, key)

    def __dask_tokenize__(self) -> Any:
        # An actor's state changes, so no call with an actor equals another: each digest is unique.
        return self._future.__dask_tokenize__()

    def __repr__(self) -> str:
        return f"<Actor: {self._cls.__name__}, key={self.key}>"


def proxy(cls: type, future: Future[Any]) -> Actor:
    """Returns the `Actor` that stands for a future's result. `future` is a further future on the same task."""
    actor = Actor.__new__(Actor)
    actor.__dict__.update(_cls=cls, _future=future)
    return actor


def _method(cls: type, future: Future[Any], name: str, wrapped: Any) -> Method:
    return Method(future, name, f"{cls.__name__}.{name}", wrapped)


def caller() -> Callable[..., Any]:
    """Returns the function by which worker threads make the calls of one actor."""
    return _Turns().call


class _Turns:
    """Makes the calls of one actor run one at a time, coroutines included.

    The engine hands the calls to workers one after the other. A call that returns a coroutine leaves its worker, and
    continues on the event loop. While such coroutines exist, the running call holds a lease. A call on a worker holds
    it from beginning to end; a coroutine holds it from one `await` to the next. For its first stretch a coroutine takes
    over the lease of its own call.
    """

    __slots__ = ("coroutines", "lease")

    def __init__(self) -> None:
        #: The coroutines that have not ended, by number.
        self.coroutines: dict[int, None] = {}
        self.lease: SemaphoreCore | None = None

    def call(self, state: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        held = _Lease(self) if self.coroutines else None
        if held is not None:
            held.wait()
        try:
            result = getattr(state, name)(*args, **kwargs)
            if type(result) is not types.CoroutineType:
                return result
            if held is None:
                # The wait returns at once: no coroutine exists to hold the lease, and none can begin before this call
                # is over.
                held = _Lease(self)
                held.wait()
            stretches = _alone(_Coroutine(self, result, held))
            held = None
            return stretches
        finally:
            if held is not None:
                held.release()


class _Lease:
    """The right of one call to run. It is given back by `release`, or when the object is dropped."""

    __slots__ = ("_core", "_held")

    def __init__(self, turns: _Turns) -> None:
        if turns.lease is None:
            client = current_or_none()
            assert client is not None, "this is a task"
            turns.lease = SemaphoreCore(client, f"actor-{id(turns)}", 1)
        self._core, self._held = turns.lease, False

    def wait(self) -> None:
        self._core.acquire().wait()
        self._held = True

    async def later(self) -> None:
        await _sharing.later(self._core.acquire(), None)
        self._held = True

    def release(self) -> None:
        if self._held:
            self._held = False
            self._core.release()

    __del__ = release


class _Coroutine:
    """A call's coroutine with its lease, until the coroutine ends."""

    __slots__ = ("coroutine", "lease", "turns")

    def __init__(self, turns: _Turns, coroutine: Coroutine[Any, Any, Any], lease: _Lease) -> None:
        self.turns, self.coroutine, self.lease = turns, coroutine, lease
        turns.coroutines[id(self)] = None

    def end(self) -> None:
        self.turns.coroutines.pop(id(self), None)
        self.lease.release()

    def __del__(self) -> None:
        # The task may have been cancelled before the coroutine began.
        _await.close_unbegun(self.coroutine)
        self.end()


async def _alone(call: _Coroutine) -> Any:
    try:
        return await _stretches(call.coroutine, call.lease)
    finally:
        call.end()


@types.coroutine
def _stretches(coroutine: Coroutine[Any, Any, Any], lease: _Lease) -> Generator[Any, Any, Any]:
    """Runs a coroutine. It releases the lease at each `await`, and takes it again before the coroutine continues."""
    go_on: Callable[[Any], Any] = coroutine.send
    value: Any = None
    while True:
        try:
            awaited = go_on(value)
        except StopIteration as end:
            return end.value
        finally:
            lease.release()
        try:
            go_on, value = coroutine.send, (yield awaited)
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:
            go_on, value = coroutine.throw, error
        while True:
            try:
                yield from lease.later().__await__()
                break
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                # The coroutine gets this exception (a cancellation, say) as soon as it holds the lease again.
                go_on, value = coroutine.throw, error
