"""Exceptions that come up in azolla's own frames; `test_escapes.py` runs each program in a process of its own.

Whatever escapes, it fails the task at hand at most: every thread goes on, and later work is done.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import types
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from azolla import Client, Future, wait

#: How long what must come may take, in seconds.
LIMIT = 60.0
SCENARIOS: dict[str, Callable[[], None]] = {}

#: What is sent to threads: these are treated in different ways on their way out.
SENT = (ValueError, SystemExit, KeyboardInterrupt)


def scenario(program: Callable[[], None]) -> Callable[[], None]:
    SCENARIOS[program.__name__] = program
    return program


def local(threads: int = 1) -> Client:
    return Client(processes=False, n_workers=1, threads_per_worker=threads)


def send(thread: threading.Thread | None, exception: type[BaseException]) -> None:
    """Has the exception come up in a thread, at the next point of its Python code."""
    assert thread is not None and thread.ident is not None
    sent = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(exception))
    assert sent == 1


def named(name: str) -> threading.Thread:
    return next(thread for thread in threading.enumerate() if thread.name.endswith(name))


async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


def called_back(client: Client) -> None:
    called = threading.Event()
    client.submit(int, pure=False).add_done_callback(lambda future: called.set())
    assert called.wait(LIMIT)


def all_goes_on(client: Client) -> None:
    """Tasks, coroutines, callbacks and calls beside the tasks all end."""
    assert client.submit(sum, client.map(abs, range(-9, 0), pure=False), pure=False).result(LIMIT) == 45
    assert client.submit(double, 4, pure=False).result(LIMIT) == 8
    assert client.sync(double, 5, callback_timeout=LIMIT) == 10
    called_back(client)
    assert list(client.run(lambda: 3).values()) == [3]


def fails(future: Future[Any]) -> None:
    wait([future], timeout=LIMIT)
    assert future.status == "error", future


@scenario
def sent_to_idle_workers_it_costs_no_task() -> None:
    with local(2) as client:
        for exception in SENT:
            for thread in list(client.cluster._threads):
                send(thread, exception)
            assert client.gather(client.map(abs, range(20), pure=False)) == list(range(20))
        all_goes_on(client)


@scenario
def sent_again_and_again_it_fails_few_tasks_and_hangs_none() -> None:
    with local(2) as client:
        futures: list[Future[int]] = []
        for _ in range(300):
            futures += client.map(abs, range(100), pure=False)
            for thread in list(client.cluster._threads):
                if thread.ident is not None:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
                    )
        wait(futures, timeout=LIMIT)
        errors = [future.exception() for future in futures if future.status == "error"]
        assert all(isinstance(error, SystemExit) for error in errors)
        assert len(errors) < len(futures) / 2
        all_goes_on(client)


@scenario
def sent_to_a_running_task_it_fails_the_task() -> None:
    with local() as client:
        begun, forever = threading.Event(), threading.Event()

        def spin() -> None:
            begun.set()
            while not forever.is_set():
                pass

        future = client.submit(spin)
        assert begun.wait(LIMIT)
        send(named("azolla-0"), SystemExit)
        assert isinstance(future.exception(LIMIT), SystemExit)
        all_goes_on(client)


@scenario
def sent_to_the_helper_threads_it_ends_none() -> None:
    with local() as client:
        all_goes_on(client)
        link = client.dashboard_link
        assert link is not None
        for exception in SENT:
            for name in ("-loop", "-callbacks", "-dashboard"):
                send(named(name), exception)
            # The callback that wakes the thread is not lost.
            called = threading.Event()
            client.submit(int, pure=False).add_done_callback(lambda future, called=called: called.set())  # type: ignore[misc]
            assert called.wait(LIMIT)
            all_goes_on(client)
            for _ in range(3):
                urllib.request.urlopen(link, timeout=LIMIT).read()


@scenario
def a_callback_may_stop_the_loop_or_exit() -> None:
    with local() as client:
        for leave in (client.loop.stop, sys.exit, lambda: SENT[2]()):
            client.loop.call_soon_threadsafe(leave)
            all_goes_on(client)


@contextmanager
def traced(trace: Callable[..., Any]) -> Iterator[None]:
    """Threads that start meanwhile are traced."""
    threading.settrace(trace)
    try:
        yield
    finally:
        threading.settrace(None)  # type: ignore[arg-type]


@scenario
def a_trace_function_raises_in_azollas_frames() -> None:
    def trace(frame: types.FrameType, event: str, argument: object) -> Any:
        if "azolla" in frame.f_code.co_filename:
            raise RuntimeError("traced")
        return trace

    with traced(trace), local() as client:
        all_goes_on(client)


@scenario
def a_trace_function_raises_everywhere() -> None:
    def trace(frame: types.FrameType, event: str, argument: object) -> Any:
        raise RuntimeError("traced")

    with traced(trace), local() as client:
        all_goes_on(client)


def trace_callers(trace: Callable[..., Any]) -> None:
    """Traces the frames above the caller's, as a debugger does that steps out of a function."""
    frame = sys._getframe(1).f_back
    while frame is not None:
        frame.f_trace = trace
        frame = frame.f_back
    sys.settrace(lambda *_: None)


@scenario
def a_debugger_steps_out_of_a_task_and_quits() -> None:
    def quits(frame: types.FrameType, event: str, argument: object) -> Any:
        raise RuntimeError("quit")

    def task() -> int:
        trace_callers(quits)
        return 1

    async def coroutine() -> int:
        trace_callers(quits)
        return 1

    with local() as client:
        fails(client.submit(task))
        all_goes_on(client)
        wait([client.submit(coroutine)], timeout=LIMIT)
        all_goes_on(client)


@scenario
def a_task_leaves_a_trace_or_profile_function_behind() -> None:
    def raises(*_: object) -> Any:
        raise RuntimeError("left behind")

    def raises_when_native_code_returns(frame: types.FrameType, event: str, argument: object) -> None:
        if event == "c_return" and getattr(argument, "__name__", "") in ("done", "rest", "next"):
            raise RuntimeError("left behind")

    async def coroutine() -> None:
        sys.settrace(raises)
        await asyncio.sleep(0)

    with local() as client:
        for leave in (lambda: sys.settrace(raises), lambda: sys.setprofile(raises_when_native_code_returns), coroutine):
            wait([client.submit(leave, pure=False)], timeout=LIMIT)
            # What is left behind may hit the next task on that thread.
            wait([client.submit(int, pure=False)], timeout=LIMIT)
            wait([client.submit(double, 1, pure=False)], timeout=LIMIT)
            all_goes_on(client)


@scenario
def coroutines_that_others_cancel_before_they_begin_still_end() -> None:
    async def cancels() -> None:
        future = client.submit(double, 1, pure=False)
        while not (others := asyncio.all_tasks() - {asyncio.current_task()}):  # type: ignore[arg-type]
            await asyncio.sleep(0)
        for other in others:
            other.cancel()
        kept.append(future)

    kept: list[Future[Any]] = []
    with local() as client:
        client.sync(cancels, callback_timeout=LIMIT)
        wait(kept, timeout=LIMIT)
        all_goes_on(client)


@scenario
def what_exceptions_and_functions_do_of_their_own_stays_in_their_tasks() -> None:
    class OwnClass(Exception):
        @property
        def __class__(self) -> Any:
            raise RuntimeError("__class__")

    class OwnNotes(Exception):
        @property
        def __notes__(self) -> Any:  # type: ignore[override]
            raise SystemExit

        def add_note(self, note: str) -> None:
            raise KeyboardInterrupt

    class OwnAttributes(Exception):
        def __getattribute__(self, name: str) -> Any:
            raise KeyboardInterrupt

    class OwnGlobals(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise SystemExit

        __getitem__ = __missing__ = get  # type: ignore[assignment]

    def fail(error: type[BaseException]) -> None:
        raise error

    async def fail_later(error: type[BaseException]) -> None:
        raise error

    with local() as client:
        for function in (fail, fail_later):
            for error in (OwnClass, OwnNotes, OwnAttributes):
                fails(client.submit(function, error, pure=False))
                fails(client.submit(function, error, pure=False, retries=2))
                all_goes_on(client)
        divides = types.FunctionType((lambda: 1 / 0).__code__, OwnGlobals())
        fails(client.submit(divides, key="globals"))
        all_goes_on(client)


@scenario
def a_plugin_that_exits_costs_no_task() -> None:
    told: list[str] = []

    class Exits:
        def transition(self, key: Any, start: str, finish: str) -> None:
            told.append(finish)
            raise SystemExit

    with local() as client:
        client.register_plugin(Exits(), name="exits")  # type: ignore[arg-type]
        assert client.submit(abs, -1, pure=False).result(60) == 1
        all_goes_on(client)
    assert {"executing", "memory"} <= set(told), told


if __name__ == "__main__":
    SCENARIOS[sys.argv[1]]()
