"""Errors: precise, at the right place, and a task's own as it was raised."""

from __future__ import annotations

import pickle
import threading
import traceback
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import azolla
import pytest
from azolla import (
    AzollaError,
    Client,
    ClosedClientError,
    Future,
    FutureCancelledError,
    WorkerPlugin,
    get_client,
    wait,
)
from backends import Reason, threads_only
from conftest import Gate, eventually, nothing_is_kept, what_is_kept


def inc(x: int) -> int:
    return x + 1


class TwoArguments(Exception):
    """Cannot be made again from its `args`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


def fail(error: BaseException) -> None:
    raise error


# --- What a task raises


def test_the_very_exception_is_raised_each_time(client: Client) -> None:
    def gone() -> None:
        raise TwoArguments(404, "gone")

    future = client.submit(gone, pure=False)
    error = future.exception()
    for _ in range(3):
        with pytest.raises(TwoArguments) as raised:
            future.result()
        assert raised.value is error
        assert (raised.value.code, raised.value.reason) == (404, "gone")
    del raised
    assert future.exception() is error
    with pytest.raises(TwoArguments):
        client.gather([future])
    del error


def test_cause_context_and_notes_are_kept(client: Client) -> None:
    def chained() -> None:
        try:
            fail(LookupError("first"))
        except LookupError as error:
            new = ValueError("second")
            new.add_note("a note")
            raise new from error

    def contextual() -> None:
        try:
            fail(LookupError("first"))
        except LookupError:
            raise ValueError("second")  # noqa: B904

    error = client.submit(chained).exception()
    assert type(error.__cause__) is LookupError
    assert error.__notes__[0] == "a note"
    error = client.submit(contextual).exception()
    assert error.__cause__ is None
    assert type(error.__context__) is LookupError
    del error


def test_the_key_is_noted_once(client: Client) -> None:
    future = client.submit(fail, ValueError("no"), key="the-key")
    dependent = client.submit(inc, future, key="dependent")
    for one in (future, future, dependent):
        error = one.exception()
        assert error.__notes__ == ["in the azolla task the-key"]
    del error


def test_the_traceback_is_the_tasks_and_does_not_grow(client: Client) -> None:
    def deep(depth: int) -> None:
        if depth == 0:
            raise ValueError("deep")
        deep(depth - 1)

    future = client.submit(deep, 3)

    def frames() -> list[str]:
        try:
            future.result()
        except ValueError as error:
            return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        return []

    assert frames() == ["frames", "deep", "deep", "deep", "deep"]
    assert frames() == frames() == ["frames", "deep", "deep", "deep", "deep"]
    text = "".join(traceback.format_exception(future.exception()))
    assert "worker_loop.py" not in text
    assert str(Path(azolla.__file__).parent) not in text


def test_an_error_while_another_is_handled_keeps_to_itself(client: Client) -> None:
    future = client.submit(fail, ValueError("no"))
    try:
        raise KeyError("mine")
    except KeyError:
        assert future.exception().__context__ is None
        with pytest.raises(ValueError, match="no"):
            future.result()
        assert future.exception().__context__ is None


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
def test_a_base_exception_fails_the_task_and_the_slot_survives(one_slot: Client, kind: type[BaseException]) -> None:
    future = one_slot.submit(fail, kind("in a task"), pure=False)
    assert type(future.exception()) is kind
    assert future.status == "error"
    with pytest.raises(kind, match="in a task"):
        future.result()
    assert one_slot.submit(inc, 1).result() == 2
    assert one_slot.counters()["threads"] <= 3


@pytest.mark.parametrize("error", [StopIteration(1), StopAsyncIteration(), MemoryError(), RecursionError()], ids=repr)
def test_exceptions_with_a_meaning_elsewhere(client: Client, backend: str, error: BaseException) -> None:
    future = client.submit(fail, error, pure=False)
    with pytest.raises(type(error)):
        future.result()
    again = future.exception()
    assert (type(again), again.args) == (type(error), error.args)
    assert again is error or backend == "processes"
    error.__traceback__ = None
    del again


def test_an_exception_group(client: Client) -> None:
    group = ExceptionGroup("several", [ValueError("a"), KeyError("b")])
    error = client.submit(fail, group, pure=False).exception()
    assert (type(error), error.message) == (ExceptionGroup, "several")
    assert [(type(one), one.args) for one in error.exceptions] == [(ValueError, ("a",)), (KeyError, ("b",))]
    group.__traceback__ = None
    del error


def test_an_exception_that_refuses_attributes(client: Client) -> None:
    class Slotted(Exception):
        def add_note(self, note: str) -> None:
            raise RuntimeError("no notes")

        def __setattr__(self, name: str, value: object) -> None:
            raise RuntimeError("no attributes")

    assert type(client.submit(fail, Slotted("x"), pure=False).exception()) is Slotted
    assert client.submit(inc, 1).result() == 2


def test_a_childs_error_goes_through_its_parent(client: Client) -> None:
    def parent() -> Any:
        return get_client().submit(fail, ValueError("child's"), key="child").result()

    error = client.submit(parent, key="parent").exception()
    assert type(error) is ValueError
    assert error.__notes__ == ["in the azolla task child"], "one note, of the task that raised it"
    del error


@threads_only(Reason.OBJECTS)
def test_an_exception_that_many_tasks_raise_gets_one_note(client: Client) -> None:
    shared = ValueError("always the same")
    futures = client.map(fail, [shared] * 200, pure=False)
    wait(futures)
    assert len(shared.__notes__) == 1
    shared.__traceback__ = None

    def waits(futures: list[Future[Any]]) -> None:
        futures[0].result()

    async def awaits(futures: list[Future[Any]]) -> None:
        await futures[0]

    child = client.submit(fail, KeyError("own"), key="raises-it")
    error = client.submit(awaits, [child], key="lets-it-through").exception()
    assert error.__notes__ == ["in the azolla task raises-it"]
    error = client.submit(waits, [child], key="lets-it-through-too").exception()
    assert error.__notes__ == ["in the azolla task raises-it"]
    del error


def test_an_infinite_recursion(client: Client) -> None:
    def forever(n: int) -> int:
        return forever(n + 1) + 1

    assert type(client.submit(forever, 0).exception()) is RecursionError
    assert client.submit(inc, 1).result() == 2


# --- What is refused


@pytest.mark.parametrize("function", [5, None, "inc", [inc]])
def test_what_cannot_be_called(client: Client, function: Any) -> None:
    with pytest.raises(TypeError, match="takes a function first, not"):
        client.submit(function, 1)
    with pytest.raises(TypeError, match="takes a function first, not"):
        client.map(function, [1])


def test_a_long_repr_is_cut(client: Client) -> None:
    with pytest.raises(TypeError) as raised:
        client.submit("x" * 10_000)
    assert len(str(raised.value)) < 200


def test_wrong_arguments_fail_the_task(client: Client) -> None:
    assert type(client.submit(inc).exception()) is TypeError
    assert type(client.submit(inc, 1, wrong=2).exception()) is TypeError


@pytest.mark.parametrize("key", [["list"], {"a": 1}, object(), ("k", ["list"]), {1}])
def test_what_is_no_key(client: Client, key: Any) -> None:
    with pytest.raises(TypeError, match="a key is a str"):
        client.submit(inc, 1, key=key)


def test_an_input_of_another_client(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:
        theirs = other.submit(inc, 1, key="theirs")
        for wrong in (theirs, [theirs], {"a": (theirs,)}):
            with pytest.raises(ValueError, match="theirs belongs to another cluster"):
                client.submit(inc, wrong)
            with pytest.raises(ValueError, match="theirs belongs to another cluster"):
                client.map(inc, [wrong])


def test_an_input_of_a_closed_client(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:
        theirs = other.submit(inc, 1, key="theirs")
        assert theirs.result() == 2
    with pytest.raises(ClosedClientError, match="theirs"):
        client.submit(inc, theirs)


def test_a_closed_client() -> None:
    client = Client(processes=False, threads_per_worker=1)
    done = client.submit(inc, 1)
    assert done.result() == 2
    client.close()
    client.close()
    assert client.status == "closed"
    assert "closed" in repr(client)
    for call in (
        lambda: client.submit(inc, 1),
        lambda: client.map(inc, [1]),
        lambda: client.scatter(1),
        lambda: client.sync(wait, []),
        lambda: client.loop,
        lambda: done.retry(),
        lambda: Future("k", client),
    ):
        with pytest.raises(ClosedClientError, match="closed"):
            call()
    assert issubclass(ClosedClientError, AzollaError)
    # What had ended is still there.
    assert done.result() == 2
    assert client.gather([done]) == [2]
    done.cancel()
    done.release()


def test_waits_end_when_the_client_closes(gate: Gate) -> None:
    client = Client(processes=False, threads_per_worker=1, set_as_default=False)
    futures = client.map(gate.hold, range(3), pure=False)
    gate.entered()
    errors: list[type[BaseException]] = []

    def wait_for(call: Any) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(type(error))

    calls = [futures[2].result, lambda: client.gather(futures), lambda: wait(futures)]
    threads = [threading.Thread(target=wait_for, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    client.cluster._close()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 3
    gate.open()
    client.close()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"processes": False, "foo": 1}, TypeError, "'foo'"),
        ({"processes": False, "foo": 1, "bar": 2}, TypeError, "'foo', 'bar'"),
        ({"processes": "yes"}, TypeError, "processes"),
        ({"processes": False, "memory_limit": "4GB"}, NotImplementedError, "memory_limit"),
        ({"address": "tcp://127.0.0.1:8786"}, NotImplementedError, r"leave the address out: Client\(\)"),
        ({"processes": False, "n_workers": 0}, ValueError, "n_workers"),
        ({"processes": False, "n_workers": "2"}, TypeError, "n_workers"),
        ({"processes": False, "threads_per_worker": -1}, ValueError, "threads_per_worker"),
        ({"processes": False, "threads_per_worker": 1.5}, TypeError, "threads_per_worker"),
    ],
)
def test_arguments_of_a_client(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Client(**arguments)


def test_other_workers_are_allowed_only_where_workers_are_named(client: Client) -> None:
    with pytest.raises(ValueError, match="allow_other_workers"):
        client.submit(inc, 1, allow_other_workers=True)
    with pytest.raises(ValueError, match="allow_other_workers"):
        client.map(inc, [1], allow_other_workers=True)
    assert client.submit(inc, 1, workers=None, actor=False, allow_other_workers=False).result() == 2


def test_the_packages_errors_can_be_pickled() -> None:
    for error in (ClosedClientError("a"), FutureCancelledError("b")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.args) == (type(error), error.args)


class Watches(WorkerPlugin):
    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Has the calls of tasks made in another way."""


#: What a task sets it does not reset.
held: ContextVar[Future[Any]] = ContextVar("held")


def holds() -> None:
    held.set(get_client().submit(abs, -1, pure=False))


@pytest.mark.parametrize("plugins", [[], [Watches()]], ids=["plain", "watched"])
def test_an_error_that_a_function_keeps_keeps_nothing_of_later_tasks(client: Client, plugins: list[Watches]) -> None:
    kept = OSError("the disk is full")

    def fails() -> None:
        raise kept

    for plugin in plugins:
        client.register_plugin(plugin, name="watches")
    # A worker runs all tasks that set no context variable in one context.
    for task in (fails, holds, abs):
        client.submit(task, *([-1] if task is abs else []), pure=False).exception()
    eventually(lambda: nothing_is_kept(client), lambda: what_is_kept(client))
    for _ in plugins:
        client.unregister_worker_plugin("watches")
