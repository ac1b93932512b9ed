"""What every Python program does with its works: warms each up, times it, and prints a line of JSON."""

import json
import sys
import time
from collections.abc import Callable

import metg

Works = dict[str, Callable[[int], None]]
"""By name; each is told how many tasks to run, and checks the result itself."""


def serve(works: Works, grown: metg.Run | None = None) -> None:
    """Runs what the command line asks for: `WORK=TASKS`, and `metg=SECONDS`."""
    for request in sys.argv[2:]:
        name, _, amount = request.partition("=")
        if name == "metg":
            assert grown is not None
            metg.sweep(grown, json.loads(amount))
            continue
        work, tasks = works[name], int(amount)
        work(max(22, tasks // 10))
        start = time.perf_counter()
        work(tasks)
        seconds = time.perf_counter() - start
        print(json.dumps({"work": name, "tasks": tasks, "seconds": seconds}), flush=True)
