"""Programs at the limits of their process; `test_limits.py` runs each in a process of its own."""

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: How long what must come may take, in seconds.
LIMIT = 60.0
SCENARIOS: dict[str, Callable[[], None]] = {}


def scenario(program: Callable[[], None]) -> Callable[[], None]:
    SCENARIOS[program.__name__] = program
    return program


def until_memory_ends(more: Callable[[Any], object]) -> None:
    """Calls `more(client)` until memory ends, keeping what it returns, while the only worker is held up."""
    from azolla import Client

    gate = threading.Event()
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        client.submit(lambda: 0).result()
        held = client.submit(gate.wait, pure=False)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20), resource.RLIM_INFINITY))
        kept = []
        try:
            while True:
                kept.append(more(client))
        except MemoryError:
            kept.clear()
        else:
            raise AssertionError("memory has no end")
        gate.set()
        assert held.result(LIMIT)
        assert client.submit(lambda: 5, pure=False).result(LIMIT) == 5
        assert sum(client.gather(client.map(abs, range(100), pure=False))) == 4950


@scenario
def submit_raises_memory_error() -> None:
    until_memory_ends(lambda client: client.submit(int, pure=False))


@scenario
def map_raises_memory_error() -> None:
    until_memory_ends(lambda client: client.map(int, range(1_000_000), pure=False))


@scenario
def scatter_raises_memory_error() -> None:
    until_memory_ends(lambda client: client.scatter([[] for _ in range(100)], hash=False))


@scenario
def pure_keys_raise_memory_error() -> None:
    numbers = iter(range(1 << 30))
    until_memory_ends(lambda client: client.submit(abs, next(numbers)))


@scenario
def dependents_raise_memory_error() -> None:
    first = []

    def more(client: Any) -> Any:
        if not first:
            first.append(client.submit(int, pure=False))
        return client.submit(abs, first[0], pure=False)

    try:
        until_memory_ends(more)
    finally:
        first.clear()


@scenario
def threads_that_are_none_of_the_systems_are_refused() -> None:
    """As under gevent and eventlet, a thread is run by the thread that starts it."""

    def start(thread: Any) -> None:
        thread._started.set()
        thread.run()

    from azolla import Client

    with Client(processes=False, n_workers=1, threads_per_worker=1) as client:
        real, threading.Thread.start = threading.Thread.start, start  # type: ignore[method-assign]
        try:
            for call in (lambda: client.loop, lambda: Client(processes=False), lambda: client.profile()):
                try:
                    call()
                except RuntimeError as error:
                    assert "gevent" in str(error)
                else:
                    raise AssertionError("it was not refused")
        finally:
            threading.Thread.start = real  # type: ignore[method-assign]
        assert client.submit(abs, -1).result(LIMIT) == 1


@scenario
def sub_interpreters_are_refused_at_import() -> None:
    interpreters = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    program = """
try:
    import azolla
except ImportError:
    pass
else:
    raise AssertionError("it was imported")
"""
    for _ in range(2):
        interpreter = interpreters.create(*(["legacy"] if sys.version_info >= (3, 13) else []))
        assert interpreters.run_string(interpreter, program) is None
        interpreters.destroy(interpreter)
        import azolla

        with azolla.Client(processes=False, n_workers=1, threads_per_worker=1) as client:
            assert client.submit(abs, -1).result(LIMIT) == 1


if __name__ == "__main__":
    SCENARIOS[sys.argv[1]]()
