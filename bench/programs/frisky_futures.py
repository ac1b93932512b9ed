"""The works on frisky's futures. Its tasks submit none themselves, and it hashes no arguments.

frisky_futures.py {threads,processes} WORK=TASKS ...
"""

import operator
import sys
from typing import Any

from frisky import LocalCluster, as_completed
from harness import Works, metg, serve
from tasks import KERNELS, inc, noop, parse


def works(client: Any) -> Works:
    def map_gather(tasks: int) -> None:
        assert sum(client.gather(client.map(noop, range(tasks)))) == tasks * (tasks - 1) // 2

    def submit_loop(tasks: int) -> None:
        assert sum(client.gather([client.submit(inc, i) for i in range(tasks)])) == tasks * (tasks + 1) // 2

    def chain(tasks: int) -> None:
        last = client.submit(inc, 0)
        for _ in range(tasks - 1):
            last = client.submit(inc, last)
        assert last.result() == tasks

    def evolving(tasks: int) -> None:
        files = tasks // 22
        lists = client.map(parse, [10] * files)
        lengths = client.map(len, lists)
        mapping = {length.key: values for length, values in zip(lengths, lists, strict=True)}
        futures = []
        for future in as_completed(lengths):
            for i in range(future.result()):
                item = client.submit(operator.getitem, mapping[future.key], i, priority=1)
                futures.append(client.submit(inc, item, priority=1))
        assert sum(client.gather(futures)) == 55 * files

    def latency(tasks: int) -> None:
        for i in range(tasks):
            assert client.submit(inc, i).result() == i + 1

    return {"map": map_gather, "submit": submit_loop, "chain": chain, "evolving": evolving, "latency": latency}


def grown(client: Any) -> metg.Run:
    def run(kernel: str, units: int, width: int, steps: int, neighbours: bool) -> None:
        function = KERNELS[kernel]
        first = [client.submit(function, units) for _ in range(width)]
        where = {future.key: (0, column) for column, future in enumerate(first)}
        growth, completed = metg.Growth(width, steps, neighbours), as_completed(first)
        for future in completed:
            step, column = where.pop(future.key)
            for dependent, inputs in growth.completed(step, column, future):
                new = client.submit(function, units, *inputs)
                where[new.key] = (step + 1, dependent)
                completed.add(new)
        growth.check(client.gather(growth.last()))

    return run


if __name__ == "__main__":
    processes = sys.argv[1] == "processes"
    workers, threads = (2, 1) if processes else (1, 2)
    with LocalCluster(workers, threads, processes, silence_summary=True) as cluster:
        client = cluster.get_client()
        client.gather(client.map(noop, range(100)))
        serve(works(client), grown(client))
        client.close()
