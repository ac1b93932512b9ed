"""Dynamic METG: how small tasks may be so that an evolving graph keeps the cores busy with useful work.

The graph has `width` columns; a task of step t + 1 is submitted only when those of step t that it needs have been seen
to complete: the one above it, or that and its two neighbours. A sweep halves the tasks until the cores' share of useful
work falls below what is asked for.
"""

import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

Run = Callable[[str, int, int, int, bool], None]
"""Runs a graph: kernel, units a task, width, steps, whether each task needs three of the step before."""


class Growth:
    """Says what may be submitted as tasks complete. A future is whatever the system has for one."""

    def __init__(self, width: int, steps: int, neighbours: bool) -> None:
        self.steps = steps
        reach = (-1, 0, 1) if neighbours else (0,)
        self.near = [sorted({(column + offset) % width for offset in reach}) for column in range(width)]
        """The columns of the step before that each column needs, and of the next step that need it."""
        self.with_inputs = neighbours
        self.seen: list[dict[int, Any]] = [{} for _ in range(steps)]
        """The futures that have been seen to complete, by step and column."""

    def completed(self, step: int, column: int, future: Any) -> Iterator[tuple[int, list[Any]]]:
        """What may be submitted now: columns of the next step, each with its inputs."""
        seen = self.seen[step]
        seen[column] = future
        if step + 1 == self.steps:
            return
        for dependent in self.near[column]:
            inputs = [seen[i] for i in self.near[dependent] if i in seen]
            if len(inputs) == len(self.near[dependent]):
                yield dependent, inputs if self.with_inputs else []
        if len(seen) == len(self.near):
            self.seen[step] = {}  # nothing needs them any more: what they hold can go

    def check(self, values: list[int]) -> None:
        """The results of the last step say how long their ancestry is."""
        assert len(values) == len(self.near)
        assert set(values) == {self.steps if self.with_inputs else 1}, values

    def last(self) -> list[Any]:
        """The futures of the last step."""
        return list(self.seen[-1].values())


TRIES = 3
"""How often each size is run. Whatever else the machine does only takes from the share: the best counts."""


def sweep(run: Run, plan: dict[str, Any]) -> None:
    """Prints a line of JSON for each size of task, until two in a row are below the share that is asked for."""
    for kernel, peak in plan["peaks"].items():
        for width in plan["widths"]:
            for neighbours in (False, True):
                run(kernel, 1, width, 8, neighbours)  # warms up
                microseconds, below = float(plan["first"]), 0
                while microseconds >= 1 and below < 2:
                    units = max(1, round(microseconds * 1e-6 * peak / plan["cores"]))
                    steps = math.ceil(plan["seconds"] * plan["cores"] / (width * microseconds * 1e-6))
                    steps = max(4, min(steps, plan["tasks"] // width))
                    share = max(useful(run, peak, kernel, units, width, steps, neighbours) for _ in range(TRIES))
                    took = 1e6 * units * plan["cores"] / peak
                    point = {"metg": kernel, "width": width, "neighbours": neighbours, "microseconds": took}
                    print(json.dumps(point | {"share": share}), flush=True)
                    below = below + 1 if share < plan["share"] else 0
                    microseconds /= 2


def useful(run: Run, peak: float, kernel: str, units: int, width: int, steps: int, neighbours: bool) -> float:
    """The share of the cores' peak that was useful work."""
    start = time.perf_counter()
    run(kernel, units, width, steps, neighbours)
    return units * width * steps / (peak * (time.perf_counter() - start))


def peak(kernel: Callable[[int], int], units: int, cores: int) -> float:
    """Units a second of so many processes that do nothing else: by the time that they had a processor, so that it is the
    same on a busy machine."""
    rates = []
    with ProcessPoolExecutor(cores) as pool:
        for _ in range(9):
            seconds = sum(pool.map(took, [kernel] * cores, [units] * cores))
            rates.append(units * cores * cores / seconds)
    return statistics.median(rates)


def took(kernel: Callable[[int], int], units: int) -> float:
    start = time.thread_time()
    kernel(units)
    return time.thread_time() - start
