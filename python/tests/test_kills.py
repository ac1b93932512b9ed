"""Worker processes that die, at any moment and in any way: every result is right, no task is stuck, and nothing is left.

KILLS=5000 KILL_SEED=7 .venv/bin/python -m pytest python/tests/test_kills.py    # more of it
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from azolla import Client, Future, KilledWorker, as_completed, get_client, wait
from conftest import PATIENCE, Clusters, eventually, nothing_is_kept
from processes import children, is_running

#: How many processes are killed in the random workflow, at the least.
KILLS = int(os.environ.get("KILLS", "100"))
#: What the workflow and the killer are made from.
SEED = int(os.environ.get("KILL_SEED", "1"))

# --- A random workflow. What grows from a node depends on the node alone, so it is the same whatever ends first.

#: Numbers in an array: some 200 KiB.
LENGTH = 25_000


def leaf(number: int) -> Any:
    if number % 3:
        return number
    return np.arange(number, number + LENGTH)


def joined(number: int, *values: Any) -> Any:
    if number % 4 == 0:
        return values  # which holds arrays
    total = sum(int(np.sum(value)) if not isinstance(value, tuple) else len(value) for value in values) + number
    return np.full(LENGTH, total) if number % 3 == 0 else total


def dies(number: int, folder: Path, *values: Any) -> Any:
    """Ends its process when it runs for the first time."""
    try:
        (folder / str(number)).touch(exist_ok=False)
    except FileExistsError:
        return joined(number, *values)
    ways: list[Callable[[], object]] = [
        lambda: os.kill(os.getpid(), signal.SIGKILL),
        lambda: os._exit(number % 256),
        lambda: signal.raise_signal(signal.SIGABRT),
        lambda: ctypes.string_at(0),
        lambda: signal.raise_signal(signal.SIGTERM),
    ]
    ways[number % len(ways)]()


class Workflow:
    """The nodes that are of use yet, by their numbers: their futures, and the results that a sequential run has."""

    def __init__(self, client: Client, folder: Path, seed: int) -> None:
        self._client, self._folder, self._seed = client, folder, seed
        self.futures: dict[int, Future[Any]] = {}
        self._expected: dict[int, Any] = {}
        self._next = 0

    def root(self) -> int:
        """Submits a node without parents, and returns its number."""
        return self._add(leaf, [], leaf(self._next))

    def grown(self, number: int) -> list[int]:
        """Submits what grows from the node of this number. The parents are not much older."""
        chance = random.Random(f"{self._seed} {number}")
        new = []
        for _ in range(chance.choice([0, 1, 1, 2, 2])):
            others = [max(0, number - chance.randrange(50)) for _ in range(chance.randrange(3))]
            parents = [parent for parent in [number, *others] if parent in self.futures]
            expected = joined(self._next, *(self._expected[parent] for parent in parents))
            new.append(self._add(dies if chance.random() < 0.02 else joined, parents, expected))
        return new

    def _add(self, function: Callable[..., Any], parents: list[int], expected: Any) -> int:
        number, self._next = self._next, self._next + 1
        arguments: list[Any] = [number, self._folder] if function is dies else [number]
        inputs = [self.futures[parent] for parent in parents]
        self.futures[number] = self._client.submit(function, *arguments, *inputs, pure=False)
        self._expected[number] = expected
        return number

    def check(self, number: int, result: Any) -> None:
        assert _same(result, self._expected[number]), number

    def forget_before(self, number: int) -> None:
        for old in [old for old in self.futures if old < number]:
            del self.futures[old], self._expected[old]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(np.array_equal(one, other))


#: The processes that this one has had when the test began: other tests share some, and others go on beside all tests.
_others: set[int] = set()


@pytest.fixture(autouse=True)
def others(clusters: Clusters) -> None:
    # One that is still starting would have more descriptors later.
    clusters.close()
    _others.clear()
    _others.update(children(os.getpid()))


def own_processes() -> set[int]:
    """The worker processes of the test's own client."""
    return children(os.getpid()) - _others


class Killer:
    """A thread that kills and stops worker processes, each time that it is told."""

    def __init__(self, seed: int) -> None:
        self.kills = 0
        self._chance = random.Random(seed)
        self._told = threading.Semaphore(0)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def tell(self) -> None:
        self._told.release()

    def end(self) -> None:
        self._ends.set()
        self.tell()
        self._thread.join()

    def _run(self) -> None:
        chance = self._chance
        while self._told.acquire() and not self._ends.is_set():
            self._ends.wait(chance.random() * 0.02)
            there = sorted(own_processes())
            all_of_them = chance.random() < 0.1
            for process in there if all_of_them else [chance.choice(there)] if there else []:
                stops = chance.random() < 0.2
                try:
                    if stops:
                        os.kill(process, signal.SIGSTOP)
                        self._ends.wait(chance.random() * 0.02)
                        if chance.random() < 0.5:
                            os.kill(process, signal.SIGCONT)
                            continue
                    self.kills += is_running(process)
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass


def left_behind() -> tuple[int, int, set[int]]:
    """What this process has of clients: descriptors, mappings, and worker processes."""
    gc.collect()
    maps = Path("/proc/self/maps").read_text()
    return len(os.listdir("/proc/self/fd")), maps.count("memfd:azolla"), own_processes()


def nothing_is_left(before: tuple[int, int, set[int]]) -> bool:
    """Whether there is no more than before. What goes on beside all tests may have ended."""
    return all(now <= then for now, then in zip(left_behind(), before, strict=True))  # type: ignore[operator]


@pytest.mark.timeout(0)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_random_workflow_whose_processes_are_killed(threads: int, tmp_path: Path) -> None:
    before = left_behind()
    with_a_client(threads, tmp_path)
    eventually(lambda: nothing_is_left(before))


def with_a_client(threads: int, folder: Path) -> None:
    with Client(n_workers=3, threads_per_worker=threads, dashboard_address=None, set_as_default=False) as client:
        assert run(client, folder, KILLS // 2) >= KILLS // 2
        client._check()
        eventually(lambda: nothing_is_kept(client))


def run(client: Client, folder: Path, kills: int) -> int:
    """Runs a workflow, and kills at least so many processes meanwhile. Returns how many."""
    flow, killer = Workflow(client, folder, SEED), Killer(SEED)
    try:
        numbers = {flow.futures[number]: number for number in [flow.root() for _ in range(20)]}
        running = as_completed(numbers)
        for ends, future in enumerate(running):
            try:
                flow.check(numbers[future], future.result())
            except KilledWorker as error:
                # So many deaths in a row have fallen on this one, or on processes that were starting for it.
                assert re.search("4 worker processes died|no worker process can be started", str(error))
                future.retry()
                running.add(future)
                continue
            number = numbers.pop(future)
            if killer.kills >= kills:
                continue
            if ends % 4 == 0:
                killer.tell()
            new = flow.grown(number) if len(numbers) < 40 else []
            if len(numbers) < 10:
                new.append(flow.root())
            numbers.update((flow.futures[number], number) for number in new)
            running.update(flow.futures[number] for number in new)
            flow.forget_before(min(numbers.values()) - 100)
        # Now they are idle.
        for process in own_processes():
            os.kill(process, signal.SIGKILL)
        results = client.gather(flow.futures)
        for number, result in results.items():
            flow.check(number, result)
        return killer.kills
    finally:
        killer.end()


# --- Work that grows in the processes themselves


def tree(depth: int, number: int) -> int:
    """The sum of the squares of the leaves below a node, each of which is a task."""
    client = get_client()
    if depth == 0:
        return client.submit(pow, number, 2, pure=False).result()
    children = client.map(tree, [depth - 1] * 3, [number * 3 + child for child in range(3)], pure=False)
    return sum(client.gather(children))


def squares(depth: int, number: int) -> int:
    return sum(leaf**2 for leaf in range(number * 3**depth, (number + 1) * 3**depth))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("threads", [1, 2])
def test_tasks_that_grow_in_processes_that_are_killed(threads: int) -> None:
    with Client(n_workers=3, threads_per_worker=threads, dashboard_address=None, set_as_default=False) as client:
        killer = Killer(SEED)
        try:
            while killer.kills < KILLS // 10:
                roots = client.map(tree, [2] * 9, range(9), pure=False)
                for number, root in enumerate(roots):
                    killer.tell()
                    try:
                        assert root.result(timeout=PATIENCE) == squares(2, number)
                    except KilledWorker as error:
                        assert "4 worker processes died" in str(error)
        finally:
            killer.end()
        roots = client.map(tree, [2] * 9, range(9), pure=False)
        assert client.gather(roots) == [squares(2, number) for number in range(9)]
        del root, roots
        client._check()
        eventually(lambda: nothing_is_kept(client))


# --- One process at a time


def test_a_process_that_was_stopped_holds_up_its_own_tasks_alone(tmp_path: Path) -> None:
    def stops(number: int) -> int:
        (tmp_path / str(number)).touch()
        os.kill(os.getpid(), signal.SIGSTOP)
        while not (tmp_path / "goes on").exists():  # a thread is stopped a little later
            pass
        return number

    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None, set_as_default=False) as client:
        wait(client.map(abs, range(200), pure=False))
        stopped = client.submit(stops, 7)
        eventually((tmp_path / "7").exists)
        assert client.gather(client.map(abs, range(-300, 0), pure=False)) == list(range(300, 0, -1))
        assert stopped.status == "pending"
        (tmp_path / "goes on").touch()
        for process in own_processes():
            os.kill(process, signal.SIGCONT)
        assert stopped.result(timeout=PATIENCE) == 7


def test_a_client_is_closed_whose_processes_were_stopped() -> None:
    client = Client(n_workers=2, threads_per_worker=2, dashboard_address=None, set_as_default=False)
    wait(client.map(abs, range(20), pure=False))
    there = own_processes()
    for process in there:
        os.kill(process, signal.SIGSTOP)
    future = client.submit(np.sum, np.arange(1_000_000), pure=False)
    client.close()
    assert future.status == "cancelled"
    eventually(lambda: not any(map(is_running, there)))


def test_a_task_that_takes_all_memory_fails_or_dies_and_others_go_on(tmp_path: Path) -> None:
    def hogs(more: int) -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + more
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
        try:
            held = []
            while True:
                held.append(bytearray(1 << 14))
        finally:
            # What is raised has the frame, and so all that it holds, until it has been packed.
            if more % 2:
                resource.setrlimit(resource.RLIMIT_AS, before)

    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None, set_as_default=False) as client:
        others = client.map(abs, range(-100, 0), pure=False)
        for more in range(8):
            error = client.submit(hogs, (more << 20) + more % 2, pure=False).exception(timeout=PATIENCE)
            assert isinstance(error, MemoryError | KilledWorker), error
        assert client.gather(others) == list(range(100, 0, -1))
        client._check()


def test_a_process_that_says_nonsense_is_replaced_and_no_other(tmp_path: Path) -> None:
    def says(number: int) -> tuple[int, int]:
        try:
            (tmp_path / str(number)).touch(exist_ok=False)
        except FileExistsError:
            return number, os.getpid()
        for descriptor in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket"):
                    os.write(int(descriptor), random.Random(number).randbytes(1 + number * 100))
        return number, 0

    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None, set_as_default=False) as client:
        for number in range(3):
            eventually(lambda: len(own_processes()) == 2)
            before = own_processes()
            others = client.map(abs, range(-200, 0), pure=False)
            said, process = client.submit(says, number).result(timeout=PATIENCE)
            assert said == number and process
            assert client.gather(others) == list(range(200, 0, -1))
            eventually(lambda before=before: len(own_processes() & before) == 1)
        client._check()


# --- The parent dies

STATES = {
    "starting": "",
    "idle": "client.gather(client.map(abs, range(100)))",
    "running": """
busy = client.map(lambda n: re.match(r"(a+)+$", "a" * 40 + "b"), range(2))
while client.counters()["running"] < 2:
    time.sleep(0.001)
""",
    "sending": """
def sends():
    while True:
        client.submit(len, bytes(20_000_000), pure=False).result()
threading.Thread(target=sends, daemon=True).start()
""",
    "gathering": """
def gathers():
    while True:
        client.gather(client.map(bytes, [5_000_000] * 4, pure=False))
threading.Thread(target=gathers, daemon=True).start()
""",
    "closing": """
client.gather(client.map(abs, range(100)))
threading.Thread(target=client.close).start()
""",
}


@pytest.mark.parametrize("state", STATES)
def test_no_process_outlives_its_parent_whatever_it_was_doing(state: str) -> None:
    program = f"""
import re, threading, time
from azolla import Client
client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
{STATES[state]}
print("there", flush=True)
time.sleep(1000)
"""
    chance = random.Random(SEED)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as parent:
            assert parent.stdout is not None and parent.stderr is not None
            assert parent.stdout.readline() == b"there\n"
            threading.Event().wait(chance.random() * 0.05)
            there = children(parent.pid)
            parent.kill()
            # The children have this end too, so it is read until the last of them has ended.
            assert parent.stderr.read() == b""
        eventually(lambda there=there: not any(map(is_running, there)))


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    yield
    eventually(lambda: not own_processes())
