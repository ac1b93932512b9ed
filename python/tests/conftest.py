"""A client for each test, on threads and in worker processes, looked over afterwards."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import processes
import pytest
from azolla import Client, LocalCluster
from backends import BACKENDS, OPTIONS, runs_on
from gates import PATIENCE, Gate, Journal

#: How long one of the programs that take a minute may take.
SLOW = 900.0

_passed = pytest.StashKey[bool]()
_slow = pytest.StashKey[dict[str, "Future[processes.Ended]"]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begins the programs that take a minute, most of it asleep: they run beside all other tests."""
    # A shell that starts the tests in the background has them ignore Ctrl-C, and so would the programs that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Each test has the garbage collected. What was imported would take most of the time of that, and stays in any case.
    gc.collect()
    gc.freeze()
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


def eventually(holds: Callable[[], object], found: Callable[[], object] = lambda: "it never came to hold") -> None:
    """Fails unless `holds()` becomes true: for what another thread is about to report. `found` says what is there instead."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, found()
        time.sleep(0.001)


def nothing_is_kept(client: Client) -> bool:
    """Whether the client has let go of every task, as it must when no future is left."""
    gc.collect()
    counters = client.counters()
    return counters["live"] == 0 and counters["kept"] == 0


def what_is_kept(client: Client) -> str:
    """Says which tasks the client keeps, and whether it lets go of them once the garbage is collected again."""
    kept, tasks = client.counters(), client._tasks()[:10]
    collect_in_workers(client)
    return f"{kept}, of them {tasks}; with the garbage collected once more {client.counters()}"


def collect_in_workers(client: Client) -> None:
    """Has worker processes collect garbage: futures may be in rings there, and an idle process collects nothing."""
    if client.cluster._has_processes:
        for worker in client.cluster._workers.values():
            client.submit(gc.collect, workers=[worker.address], pure=False).result(PATIENCE)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def journal() -> Journal:
    return Journal()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", BACKENDS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if _has_its_backend(item)]


def _has_its_backend(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    backend = callspec and callspec.params.get("backend")
    return backend is None or runs_on(backend, [mark.args[0] for mark in item.iter_markers("threads_only")])


class Clusters:
    """The clusters of worker processes that tests share, each of one size: to start one for each test takes too long."""

    def __init__(self) -> None:
        self._clusters: dict[int, LocalCluster] = {}

    def of(self, n_workers: int) -> LocalCluster:
        if (cluster := self._clusters.get(n_workers)) is None or cluster.status != "running":
            self._clusters[n_workers] = cluster = LocalCluster(
                n_workers=n_workers, threads_per_worker=1, dashboard_address=None
            )
        return cluster

    def replace(self, n_workers: int) -> None:
        """Has the next test start a cluster of its own."""
        if (cluster := self._clusters.pop(n_workers, None)) is not None:
            cluster.close()

    def close(self) -> None:
        for n_workers in list(self._clusters):
            self.replace(n_workers)


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    clusters = Clusters()
    yield clusters
    clusters.close()


def _client(request: pytest.FixtureRequest, backend: str, slots: int) -> Iterator[Client]:
    if backend == "threads":
        with Client(processes=False, n_workers=1, threads_per_worker=slots) as client:
            yield from _looked_over(request, client)
        return
    if request.node.get_closest_marker("own_cluster"):
        with Client(n_workers=slots, threads_per_worker=1) as client:
            yield from _looked_over(request, client)
        return
    clusters: Clusters = request.getfixturevalue("clusters")
    try:
        with Client(clusters.of(slots)) as client:
            yield from _looked_over(request, client)
        whole = request.node.stash.get(_passed, False)
    except BaseException:
        whole = False
        raise
    finally:
        if not whole:
            clusters.replace(slots)


def _looked_over(request: pytest.FixtureRequest, client: Client) -> Iterator[Client]:
    yield client
    client._check()
    # A test that failed is held by its traceback, and with it the futures.
    if request.node.stash.get(_passed, False):
        if not nothing_is_kept(client):
            collect_in_workers(client)
        eventually(lambda: nothing_is_kept(client), lambda: what_is_kept(client))
        client._check()


@pytest.fixture
def client(request: pytest.FixtureRequest, backend: str) -> Iterator[Client]:
    """Two slots: two threads of this process, or two worker processes of one thread each."""
    yield from _client(request, backend, 2)


@pytest.fixture
def cluster(backend: str) -> Iterator[LocalCluster]:
    """A cluster of two slots, for this test alone, to which it makes clients."""
    with LocalCluster(**OPTIONS[backend]) as cluster:
        yield cluster


@pytest.fixture
def one_slot(request: pytest.FixtureRequest, backend: str) -> Iterator[Client]:
    """A client with one slot, on which the order of tasks can be seen."""
    yield from _client(request, backend, 1)
