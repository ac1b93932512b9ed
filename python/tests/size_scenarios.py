"""Waiting at its real size: ten thousand parents, each with ten children of a millisecond that it waits for, on two
slots; `test_waiting_at_size.py` runs each program in a process of its own."""

from __future__ import annotations

import asyncio
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from azolla import Client, Event, as_completed, get_client
from watching import Watch

PARENTS = 10_000

#: Where a container's limit stands, by either version of cgroups.
PIDS = ("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max")

SCENARIOS: dict[str, Callable[[], None]] = {}


def scenario(program: Callable[[], None]) -> Callable[[], None]:
    SCENARIOS[program.__name__] = program
    return program


def child(number: int) -> int:
    time.sleep(0.001)
    return number


async def child_async(number: int) -> int:
    await asyncio.sleep(0.001)
    return number


def run(
    parent: Callable[[int], int], parents: int = PARENTS, result: int = 45, threads: int = 300, megabytes: int = 200
) -> None:
    """Runs so many parents, and holds them to what they may take."""
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        with Watch() as watch:
            results = client.gather(client.map(parent, range(parents), pure=False))
        assert results == [result] * parents
        assert watch.threads <= threads, watch.threads
        assert watch.grown <= megabytes, watch.grown
        client._check()


@scenario
def by_gather() -> None:
    run(lambda _: sum(get_client().gather(get_client().map(child, range(10), pure=False))))


@scenario
def by_as_completed() -> None:
    run(lambda _: sum(future.result() for future in as_completed(get_client().map(child, range(10), pure=False))))


@scenario
def of_coroutines() -> None:
    run(lambda _: sum(get_client().gather(get_client().map(child_async, range(10), pure=False))))


@scenario
def for_what_the_last_one_sets() -> None:
    """Each is in the middle of its wait, on a thread of its own, until the last has begun. They have two children each:
    beyond the cap on those that wait, one task after the other begins."""
    parents = min(PARENTS, threads_allowed() - 100)
    opened = Event("opened")
    begun: list[int] = []

    def parent(number: int) -> int:
        children = get_client().map(child, range(2), pure=False)
        begun.append(number)
        if len(begun) == parents:
            opened.set()
        opened.wait()
        return sum(get_client().gather(children))

    run(parent, parents, result=1, threads=parents + 300, megabytes=sys.maxsize)


def threads_allowed() -> int:
    """How many threads this process may have: a container may have few."""
    limits = [resource.getrlimit(resource.RLIMIT_NPROC)[0]]
    for path in ("/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max", *PIDS):
        file = Path(path)
        if file.exists() and (text := file.read_text().strip()).isdigit():
            limits.append(int(text) // 2)
    # A stack is two mappings.
    limits.append(int(Path("/proc/sys/vm/max_map_count").read_text()) // 3)
    return min(limit for limit in limits if limit != resource.RLIM_INFINITY)


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    SCENARIOS[sys.argv[1]]()
