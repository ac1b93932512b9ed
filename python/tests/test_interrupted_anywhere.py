"""Ctrl-C at any step of a call leaves no thread of azolla's waiting for a lock that the interrupted thread keeps."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from azolla import Client, WorkerPlugin
from azolla._base.threads import LastingThread
from backends import OPTIONS, Reason, threads_only
from conftest import PATIENCE


def interrupted_at(step: int, call: Callable[[], object], counts: Callable[[Any], bool] = lambda frame: True) -> bool:
    """Interrupts a call as Ctrl-C does, at this step of the Python code of frames that count.

    Returns false if the call has fewer steps.
    """
    steps = itertools.count()

    def trace(frame: Any, event: str, argument: object) -> Any:
        if counts(frame) and next(steps) == step:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


class Plugin(WorkerPlugin):
    """A plugin that is set up on the event loop."""

    async def setup(self, worker: object) -> None:
        await asyncio.sleep(0)


CALLS: dict[str, Callable[[Client, concurrent.futures.Executor], object]] = {
    "run": lambda client, executor: client.run(abs, -1),
    "run_on_scheduler": lambda client, executor: client.run_on_scheduler(abs, -1),
    "sync": lambda client, executor: client.sync(asyncio.sleep, 0),
    "register_plugin": lambda client, executor: client.register_plugin(Plugin(), name="plugin"),
    "result": lambda client, executor: executor.submit(abs, -1).result(),
    "exception": lambda client, executor: executor.submit(abs, -1).exception(),
    "cancel": lambda client, executor: executor.submit(abs, -1).cancel(),
    "map": lambda client, executor: list(executor.map(abs, [-1])),
    "wait": lambda client, executor: concurrent.futures.wait([executor.submit(abs, -1)]),
    "wait for the first": lambda client, executor: concurrent.futures.wait(
        [executor.submit(abs, -1)], return_when="FIRST_COMPLETED"
    ),
    "as_completed": lambda client, executor: list(concurrent.futures.as_completed([executor.submit(abs, -1)])),
}


#: Those that the loop of the client makes, whatever the backend.
ON_A_LOOP = {"run", "run_on_scheduler", "sync", "register_plugin"}


# A generator or a listener that is interrupted has no caller: Python reports it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[threads_only(Reason.THREADS)] if name in ON_A_LOOP else []) for name in CALLS],
)
def test_an_interrupted_call_leaves_a_client_that_works(name: str, backend: str) -> None:
    with Client(**OPTIONS[backend]) as client:
        executor = client.get_executor()
        for step in itertools.count():
            if not interrupted_at(step, lambda: CALLS[name](client, executor)):
                break
            for future in [client.submit(asyncio.sleep, 0, 1, pure=False) for _ in range(2)]:
                assert future.result(timeout=PATIENCE) == 1
            called = threading.Event()
            executor.submit(abs, -1).add_done_callback(lambda future, called=called: called.set())  # type: ignore[misc]
            assert called.wait(PATIENCE)
            failing = executor.submit(int, "seven")
            with pytest.raises(ValueError, match="seven"):
                failing.result(timeout=PATIENCE)
        assert step > 20


def test_a_thread_whose_starter_is_interrupted_begins() -> None:
    def waits(frame: Any) -> bool:
        while frame is not None and frame.f_code.co_name != "wait":
            frame = frame.f_back
        return frame is not None

    for step in itertools.count():
        begun = threading.Event()
        if not interrupted_at(step, LastingThread(begun.set, "begins").start, waits):
            break
        assert begun.wait(PATIENCE)
    assert step > 3
