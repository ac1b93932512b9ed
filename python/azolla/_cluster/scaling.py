"""How many workers a cluster is to have, and which of them go. This decides; `coming_and_going.py` does it.

The rules are Dask's: an adaptive cluster has as many workers as finish the work at hand in `target_duration`. It closes idle
workers alone, and only those that it could have closed several times in a row.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from azolla._base.arguments import check_number, shown, whole
from azolla._cluster import processes as _processes
from azolla._cluster.staff import MOST

#: How many seconds a task takes of a function of which none has ended. As Dask's `unknown-task-duration`.
UNKNOWN = 0.5

#: If results take more than this share of what the workers may take, an adaptive cluster doubles its workers.
MUCH = 0.6


class Standing(NamedTuple):
    """How a worker stands."""

    #: How many of its tasks have begun and have not ended, and how many actors and results stay with it.
    tasks: int
    staying: int
    #: Its process is there, and fitted out.
    has_arrived: bool
    #: The negative of its number.
    age: int
    #: Its process could not be started.
    has_failed: bool = False

    @property
    def number(self) -> int:
        return -self.age

    @property
    def is_idle(self) -> bool:
        return not self.tasks and not self.staying


class Work(NamedTuple):
    """The work at hand."""

    #: How many tasks are ready or have begun, and how many seconds they take together.
    tasks: int
    seconds: float
    #: The bytes of results, and those that the workers may take; 0 if any number.
    stored: int
    limit: int


def wanted(n: Any, memory: Any, cores: Any, threads: int, limit: int) -> int:
    """Returns how many workers of so many threads and bytes of memory `n`, `memory` and `cores` ask for: the most of them."""
    number = whole("scale(): n", n)
    if number < 0:
        raise ValueError(f"scale(): n must be 0 or more, not {shown(n)}")
    if memory is not None:
        number = max(number, math.ceil(_share("scale(): memory", memory, limit)))
    if cores is not None:
        number = max(number, math.ceil(_of_cores("scale(): cores", cores, threads)))
    return check_workers("scale(): n", number)


def check_workers(name: str, number: int) -> int:
    """Returns how many workers there are to be, if there can be so many."""
    if number > MOST + 1:
        raise ValueError(f"{name}: a cluster has at most {MOST + 1:,} workers, not {shown(number)}")
    return number


def bounds(least: tuple[Any, Any, Any], most: tuple[Any, Any, Any], threads: int, limit: int) -> tuple[int, float]:
    """Returns the least and the most workers that an adaptive cluster has. Each is given as workers, cores and memory."""
    minimum, cores, memory = least
    if cores is not None:
        minimum = max(minimum or 0, math.ceil(_of_cores("adapt(): minimum_cores", cores, threads)))
    if memory is not None:
        minimum = max(minimum or 0, math.ceil(_share("adapt(): minimum_memory", memory, limit)))
    maximum, cores, memory = most
    if cores is not None:
        maximum = min(maximum, math.floor(_of_cores("adapt(): maximum_cores", cores, threads)))
    if memory is not None:
        maximum = min(maximum, math.floor(_share("adapt(): maximum_memory", memory, limit)))
    return minimum, maximum


def _of_cores(name: str, cores: Any, threads: int) -> float:
    """Returns how many workers of so many threads run so many tasks at once."""
    if not 0 <= check_number(name, cores) < math.inf:
        raise ValueError(f"{name} must be 0 or more, and finite, not {shown(cores)}")
    return float(cores / threads)


def _share(name: str, memory: Any, limit: int) -> float:
    """Returns how many workers take this much memory."""
    if not limit:
        raise NotImplementedError(f"{name}={memory!r}: the memory of these workers is not limited")
    return _processes.size(name, memory) / limit


def first_to_go(standings: Sequence[Standing], count: int) -> list[int]:
    """Returns the numbers of the workers that go, if so many are to go: first those without a process that gets tasks, then those
    that have the least to lose, and of these the latest.
    """
    order = sorted(standings, key=lambda it: (not it.has_failed, it.has_arrived, it.tasks, it.staying, it.age))
    return [standing.number for standing in order[:count]]


def target(work: Work, workers: Sequence[Standing], threads: int, duration: float) -> int:
    """Returns how many workers of so many threads do the work in this many seconds. Those that are busy stay."""
    # A few long tasks do not ask for more threads than there are tasks.
    cores = min(work.tasks, math.ceil(work.seconds / duration))
    number = math.ceil(cores / threads)
    if work.tasks and not workers:
        number = max(1, number)
    if work.limit and work.stored > MUCH * work.limit:
        number = max(number, 2 * len(workers))
    busy = sum(not worker.is_idle for worker in workers)
    return max(number, busy)


class Steps:
    """What an adaptive cluster does next. A worker is closed when it could have been closed `wait_count` times in a row."""

    def __init__(self) -> None:
        self._close_counts: Counter[int] = Counter()

    def next(self, number: int, workers: Sequence[Standing], wait_count: int) -> dict[str, Any]:
        """Returns what to do so that there are `number` workers, as Dask's log says it."""
        if number >= len(workers):
            self._close_counts.clear()
            return {"status": "up", "n": number} if number > len(workers) else {"status": "same"}
        idle = [worker for worker in workers if worker.is_idle]
        could = first_to_go(idle, len(workers) - number)
        self._close_counts = Counter({worker: self._close_counts[worker] + 1 for worker in could})
        close = [worker for worker, count in self._close_counts.items() if count >= wait_count]
        for worker in close:
            del self._close_counts[worker]
        return {"status": "down", "workers": close} if close else {"status": "same"}
