"""A client for each test, looked over afterwards, and tasks that wait to be told."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import processes
import pytest
from azolla import Client

#: How long a test waits for what must come. Nothing here takes a fraction of it.
PATIENCE = 120.0

#: How long one of the programs that take a minute may take.
SLOW = 900.0

_passed = pytest.StashKey[bool]()
_slow = pytest.StashKey[dict[str, "Future[processes.Ended]"]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begins the programs that take a minute, most of it asleep: they run beside all other tests."""
    commands = [
        item.callspec.params["slow_program"]
        for item in session.items
        if isinstance(item, pytest.Function) and "slow_program" in item.fixturenames
    ]
    session.config.stash[_slow] = slow = {}
    if commands and not session.config.option.collectonly:
        pool = ThreadPoolExecutor(len(commands))
        slow.update({command: pool.submit(processes.run, *command.split(), limit=SLOW) for command in commands})


def pytest_sessionfinish(session: pytest.Session) -> None:
    processes.end_all()


@pytest.fixture(scope="session")
def slow_programs(request: pytest.FixtureRequest) -> dict[str, Future[processes.Ended]]:
    """The programs that are running since before the first test, by what they are called with."""
    return request.config.stash[_slow]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call":
        item.stash[_passed] = report.passed
    return report


def eventually(holds: Callable[[], object]) -> None:
    """Fails unless `holds()` becomes true: for what another thread is about to report."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.001)


def nothing_is_kept(client: Client) -> bool:
    """Whether the client has let go of every task, as it must when no future is left."""
    gc.collect()
    counters = client.counters()
    return counters["live"] == 0 and counters["kept"] == 0


class Gate:
    """Tasks that call `hold` are held until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._entered = threading.Semaphore(0)

    def hold(self, value: Any = None) -> Any:
        self._entered.release()
        assert self._open.wait(PATIENCE)
        return value

    def entered(self, tasks: int = 1) -> None:
        """Waits until so many more tasks are held."""
        for _ in range(tasks):
            assert self._entered.acquire(timeout=PATIENCE)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def _client(request: pytest.FixtureRequest, threads: int) -> Iterator[Client]:
    with Client(processes=False, n_workers=1, threads_per_worker=threads) as client:
        yield client
        client._check()
        # A test that failed is held by its traceback, and with it the futures.
        if request.node.stash.get(_passed, False):
            eventually(lambda: nothing_is_kept(client))
            client._check()


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Two slots."""
    yield from _client(request, 2)


@pytest.fixture
def one_slot(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client with one slot, on which the order of tasks can be seen."""
    yield from _client(request, 1)
