"""How much memory worker processes may take, and what becomes of those that take more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from azolla import ActorLostError, Client, KilledWorker, LocalCluster
from azolla._cluster.processes import memory, memory_limit
from conftest import eventually
from test_large_data import arenas

#: The limit of each process here, and a part of it.
LIMIT, PART = 250_000_000, 10_000_000


@pytest.fixture
def limited() -> Iterator[Client]:
    """Two processes of one thread each."""
    with Client(n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=None) as client:
        yield client


def take(parts: int) -> list[bytes]:
    return [os.urandom(1) * PART for _ in range(parts)]


def leak(parts: int) -> int:
    vars(sys)["_leaked_by_tests"] = take(parts)
    return os.getpid()


def test_what_may_be_given() -> None:
    total, processors = 100 * 2**30, os.cpu_count() or 1
    assert memory_limit("auto", processors, total) == total
    assert memory_limit("auto", 3 * processors, total) == total
    assert memory_limit("auto", 1, total) == total // processors
    sizes: dict[Any, int] = {
        None: 0,
        0: 0,
        "0": 0,
        0.25: total // 4,
        "0.25": total // 4,
        1.0: total,
        100_000_000: 100_000_000,
        "100000000": 100_000_000,
        "4GB": 4 * 10**9,
        "4 gb": 4 * 10**9,
        "1.5GiB": 3 * 2**29,
        "300MiB": 300 * 2**20,
        "2e5 kB": 2 * 10**8,
        "1 TiB": total,
    }
    for given, size in sizes.items():
        assert memory_limit(given, 1, total) == size, given
    for wrong in ("", "GB", "4 apples", "-1", -1, -0.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="memory_limit"):
            memory_limit(wrong, 1, total)
    for too_small in (2.5, "1KB", 1000, 1e-9):
        with pytest.raises(ValueError, match="takes without tasks"):
            memory_limit(too_small, 1, total)


def test_the_limit_is_shown() -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="1GB", dashboard_address=None) as cluster:
        assert [worker["memory_limit"] for worker in cluster.scheduler_info["workers"].values()] == [10**9, 10**9]
        with Client(cluster) as client:
            assert client.submit(os.getpid).result() != os.getpid()
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        expected = memory_limit("auto", 1, memory())
        assert [worker["memory_limit"] for worker in cluster.scheduler_info["workers"].values()] == [expected]


def test_a_process_over_its_limit_is_killed_and_its_task_given_up(limited: Client) -> None:
    kept = limited.submit(os.getpid, pure=False)
    kept.result()
    with pytest.raises(KilledWorker, match=r"4 worker processes died .* was killed over its memory limit of 238 MiB"):
        limited.submit(lambda: [take(3) for _ in range(1000)], pure=False).result()
    assert limited.submit(increased, kept).result() == kept.result() + 1


def increased(x: int) -> int:
    return x + 1


def test_a_process_that_holds_much_and_has_no_task_makes_way_for_another(limited: Client, tmp_path: Path) -> None:
    def count() -> int:
        (tmp_path / str(os.getpid())).touch()
        return len(list(tmp_path.iterdir()))

    result = limited.submit(take, 5, workers=[0])
    pids = set()
    for _ in range(3):
        pids.add(limited.submit(leak, 19, workers=[0], pure=False).result())
        eventually(lambda: info(limited, 0)["metrics"]["memory"] >= LIMIT * 0.8)
    assert len(pids) == 3
    assert len(result.result()) == 5
    assert limited.submit(count, workers=[0]).result() == 1
    assert (info(limited, 0)["starts"], info(limited, 1)["starts"]) == (4, 1)
    eventually(lambda: 0 < info(limited, 0)["metrics"]["memory"] < LIMIT)


class Hoard:
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def add(self, parts: int) -> int:
        self.parts += take(parts)
        return os.getpid()


def test_a_process_with_an_actor_makes_way_for_none_until_it_is_over_its_limit(limited: Client) -> None:
    hoard: Any = limited.submit(Hoard, workers=[0], actor=True).result()
    process = hoard.add(19).result()
    eventually(lambda: info(limited, 0)["metrics"]["memory"] >= LIMIT * 0.8)
    assert [hoard.add(0).result() for _ in range(3)] == [process] * 3
    assert limited.submit(os.getpid, workers=[0], pure=False).result() == process
    with pytest.raises(ActorLostError, match=r"its process \(worker 0\) was killed over its memory limit of 238 MiB"):
        while hoard.add(1).result() == process:
            pass
    assert limited.submit(os.getpid, workers=[0], pure=False).result() != process


def test_a_call_that_waits_for_the_next_process_does_not_run_there(limited: Client) -> None:
    for _ in range(4):
        hoard: Any = limited.submit(Hoard, workers=[0], actor=True).result()
        # The process is killed at any time from now on: in the middle of a call, or between two.
        with pytest.raises(ActorLostError, match="was killed over its memory limit"):
            hoard.add(24).result()
            while True:
                hoard.add(0).result()


def info(client: Client, worker: int) -> dict[str, Any]:
    return list(client.scheduler_info()["workers"].values())[worker]


def test_what_is_stored_is_shown(limited: Client) -> None:
    future = limited.submit(np.zeros, PART, np.uint8, workers=[0])
    assert len(future.result()) == PART
    assert PART <= info(limited, 0)["metrics"]["managed_bytes"] < 2 * PART
    assert info(limited, 0)["pid"] == limited.submit(os.getpid, workers=[0]).result()
    del future
    eventually(lambda: info(limited, 0)["metrics"]["managed_bytes"] == 0)


def test_shared_memory_does_not_count(limited: Client) -> None:
    scattered = limited.scatter([np.ones(PART, np.uint8) for _ in range(30)], hash=False)
    pids = limited.gather([limited.submit(pid_with, *scattered, pure=False) for _ in range(4)])
    assert len(set(pids)) <= 2


def pid_with(*arrays: np.ndarray) -> int:
    assert all(array.sum() == PART for array in arrays)
    return os.getpid()


def array(value: int) -> np.ndarray:
    return np.full(PART, value, np.uint8)


def first(array: np.ndarray) -> int:
    assert (array == array[0]).all()
    array[:] = 0
    return int(array[0]) + len(array)


def spilled(client: Client) -> int:
    found: int = client.scheduler_info()["spilled_bytes"]
    return found


def test_results_for_which_there_is_no_room_move_to_a_disk() -> None:
    others = set(arenas())
    with Client(n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=None) as limited:
        room = LIMIT * 2 * 0.6
        futures = [limited.submit(array, value) for value in range(50)]
        scattered = limited.scatter([array(value) for value in range(50, 60)])
        limited.gather(limited.map(len, futures))
        assert spilled(limited) >= 60 * PART - room
        assert limited.gather(limited.map(first, [*futures, *scattered])) == [PART] * 60
        for value, future in enumerate([*futures, *scattered]):
            result = future.result()
            assert (result == value).all()
            result[:] = 7
        assert sum(size for inode, size in arenas().items() if inode not in others) <= room + 3 * 128 * 2**20
        del futures, scattered, future, result
        limited.gather([limited.submit(increased, 1, workers=[worker], pure=False) for worker in (0, 1)])
        eventually(lambda: spilled(limited) == 0)


def test_results_stay_in_memory_if_they_cannot_be_moved(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    with Client(n_workers=1, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=None) as client:
        futures = [client.submit(array, value) for value in range(20)]
        assert [int(result[0]) for result in client.gather(futures)] == list(range(20))
        assert spilled(client) == 0
    [record] = [record for record in caplog.records if "stay in memory" in record.getMessage()]
    assert "/no/such/folder: No such file or directory" in record.getMessage()
