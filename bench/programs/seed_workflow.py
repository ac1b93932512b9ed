"""The seed's workflow on azolla or on Dask, with sleeps that a seed decides, however the tasks are ordered.

    seed_workflow.py {azolla,dask} SCALE SEED

Prints a line of JSON: the makespan, the share of slot time that was idle
while a task was ready, and how often a task was begun while one of higher priority was ready. Begin and end are noted by
the tasks themselves, alike in both systems; a task is ready once it is submitted and its inputs have ended.
"""

import json
import operator
import random
import sys
import time
from dataclasses import dataclass, field
from typing import Any

SLOTS = 6
FILES = 10


class Workload:
    """What the seed decides: how long everything sleeps, and how many items there are in a file."""

    def __init__(self, scale: float, seed: int) -> None:
        rng = random.Random(seed)
        self.parse = [scale * rng.random() for _ in range(FILES)]
        self.items = [[scale * rng.random() / 4 for _ in range(rng.randint(1, 10))] for _ in range(FILES)]


@dataclass
class Traced:
    """What became of one task."""

    priority: int
    inputs: list["Traced"]
    submitted: float = 0.0
    begun: float = 0.0
    ended: float = 0.0

    def ready(self) -> float:
        return max([self.submitted, *(task.ended for task in self.inputs)])


@dataclass
class Trace:
    tasks: list[Traced] = field(default_factory=list)

    def task(self, priority: int, *inputs: Traced) -> Traced:
        task = Traced(priority, list(inputs), time.perf_counter())
        self.tasks.append(task)
        return task

    def idle_while_ready(self) -> float:
        """Slot-seconds that were idle while a task was ready for them."""
        events = []
        for task in self.tasks:
            events += [(task.ready(), 1, 0), (task.begun, -1, 1), (task.ended, 0, -1)]
        idle, ready, busy, last = 0.0, 0, 0, 0.0
        for at, more_ready, more_busy in sorted(events):
            idle += (at - last) * max(0, min(ready, SLOTS - busy))
            ready, busy, last = ready + more_ready, busy + more_busy, at
        return idle

    def inversions(self) -> int:
        """How often a task was begun though one of higher priority had been ready for a millisecond."""
        return sum(
            any(
                other.priority > task.priority and other.ready() + 0.001 < task.begun < other.begun
                for other in self.tasks
            )
            for task in self.tasks
        )


trace = Trace()
workload = Workload(0.001, 0)


def traced(number: int, function: Any, *arguments: Any) -> Any:
    """Found by its name, here, by both systems: its globals are those of this module."""
    task = trace.tasks[number]
    task.begun = time.perf_counter()
    result = function(*arguments)
    task.ended = time.perf_counter()
    return result


def parse_file(file: int) -> list[float]:
    time.sleep(workload.parse[file])
    return workload.items[file]


def process_item(sleep: float) -> float:
    time.sleep(sleep)
    return sleep


def run(client: Any, as_completed: Any) -> float:
    """Runs the workflow; its makespan."""

    def submit(priority: int, inputs: list[Traced], function: Any, *arguments: Any) -> tuple[Any, Traced]:
        number, task = len(trace.tasks), trace.task(priority, *inputs)
        return client.submit(traced, number, function, *arguments, priority=priority, pure=False), task

    start = time.perf_counter()
    lists = [submit(0, [], parse_file, file) for file in range(FILES)]
    lengths = {}
    for values, parsed in lists:
        length, _ = submit(0, [parsed], len, values)
        lengths[length] = values, parsed
    futures = []
    for length in as_completed(list(lengths)):
        values, parsed = lengths[length]
        for i in range(length.result()):
            item, taken = submit(1, [parsed], operator.getitem, values, i)
            futures.append(submit(1, [taken], process_item, item)[0])
    results = client.gather(futures)
    makespan = time.perf_counter() - start
    assert sorted(results) == sorted(sleep for items in workload.items for sleep in items)
    return makespan


def main() -> None:
    global workload
    system, scale, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    if system == "azolla":
        from azolla import Client, as_completed

        client: Any = Client(processes=False, n_workers=1, threads_per_worker=SLOTS)
    else:
        from dask.distributed import Client, as_completed

        client = Client(processes=False, n_workers=1, threads_per_worker=SLOTS, dashboard_address=None)
    run(client, as_completed)  # warms up
    trace.tasks.clear()
    workload = Workload(scale, seed)
    makespan = run(client, as_completed)
    client.close()
    figures = {
        "system": "azolla" if system == "azolla" else "Dask",
        "scale": scale,
        "seed": seed,
        "makespan": makespan,
        "idle": trace.idle_while_ready() / (SLOTS * makespan),
        "inversions": trace.inversions(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    import seed_workflow

    seed_workflow.main()
