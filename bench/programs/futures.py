"""The works on the futures interface of Dask, with azolla or with Dask itself: only the import and the client differ.

futures.py {azolla,azolla-processes,dask,dask-processes} WORK=TASKS ...
"""

import operator
import sys
from functools import cache, partial
from typing import Any

from harness import Works, metg, serve
from tasks import KERNELS, array, first, inc, made, noop, parse

if sys.argv[1].startswith("azolla"):
    from azolla import Client, as_completed, get_client, rejoin, secede
else:
    from dask.distributed import Client, as_completed, get_client, rejoin, secede


def connect(system: str) -> Any:
    if system == "azolla":
        return Client(processes=False, n_workers=1, threads_per_worker=2)
    if system == "dask":
        return Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None)
    return Client(processes=True, n_workers=2, threads_per_worker=1, dashboard_address=None)


def parent(n: int) -> int:
    """Submits children and waits for them; Dask needs to be told that it waits."""
    client = get_client()
    children = client.map(inc, parse(n), pure=False, priority=10)
    secede()
    results = client.gather(children)
    rejoin()
    return len(results)


def parent_that_keeps_its_slot(n: int) -> int:
    """As azolla has it: a task that waits lends its slot by itself."""
    client = get_client()
    return len(client.gather(client.map(inc, parse(n), pure=False, priority=10)))


def works(client: Any, system: str) -> Works:
    def map_gather(tasks: int) -> None:
        assert sum(client.gather(client.map(noop, range(tasks), pure=False))) == tasks * (tasks - 1) // 2

    def submit_loop(tasks: int) -> None:
        futures = [client.submit(inc, i, pure=False) for i in range(tasks)]
        assert sum(client.gather(futures)) == tasks * (tasks + 1) // 2

    def pure_submit(tasks: int) -> None:
        futures = [client.submit(inc, i) for i in range(tasks)]
        assert sum(client.gather(futures)) == tasks * (tasks + 1) // 2

    def chain(tasks: int) -> None:
        last = client.submit(inc, 0, pure=False)
        for _ in range(tasks - 1):
            last = client.submit(inc, last, pure=False)
        assert last.result() == tasks

    def evolving(tasks: int) -> None:
        files = tasks // 22
        lists = client.map(parse, [10] * files, pure=False)
        lengths = client.map(len, lists, pure=False)
        mapping = dict(zip(lengths, lists, strict=True))
        futures = []
        for future in as_completed(lengths):
            for i in range(future.result()):
                item = client.submit(operator.getitem, mapping[future], i, priority=1, pure=False)
                futures.append(client.submit(inc, item, priority=1, pure=False))
        assert sum(client.gather(futures)) == 55 * files

    def tasks_from_tasks(tasks: int) -> None:
        parents = tasks // 11
        function = parent_that_keeps_its_slot if system.startswith("azolla") else parent
        assert sum(client.gather(client.map(function, [10] * parents, pure=False))) == 10 * parents

    def fan(dependents: int, tasks: int) -> None:
        """Tasks with so many dependents each, all of which are tasks too."""
        roots = tasks // (1 + dependents)
        futures = []
        for _ in range(roots):
            root = client.submit(inc, 0, pure=False)
            futures += [client.submit(operator.add, root, n, pure=False) for n in range(dependents)]
        assert sum(client.gather(futures)) == roots * dependents * (dependents + 1) // 2

    def latency(tasks: int) -> None:
        for i in range(tasks):
            assert client.submit(inc, i, pure=False).result() == i + 1

    @cache
    def future_array() -> Any:
        return client.scatter(array())

    def scattered(tasks: int) -> None:
        future = future_array()
        assert sum(client.submit(first, future, i, pure=False).result() for i in range(tasks)) == tasks

    def between(tasks: int) -> None:
        for i in range(tasks):
            future = client.submit(made, i, workers=[0], pure=False)
            assert client.submit(first, future, i, workers=[1], pure=False).result() == 1

    def returned(tasks: int) -> None:
        assert sum(int(client.submit(made, i, pure=False).result()[0]) for i in range(tasks)) == tasks

    return {
        "map": map_gather,
        "submit": submit_loop,
        "pure": pure_submit,
        "chain": chain,
        "evolving": evolving,
        "nested": tasks_from_tasks,
        "latency": latency,
        "scattered": scattered,
        "between": between,
        "returned": returned,
        **{f"fan{dependents}": partial(fan, dependents) for dependents in (1, 10, 100, 1_000)},
    }


def grown(client: Any) -> metg.Run:
    def run(kernel: str, units: int, width: int, steps: int, neighbours: bool) -> None:
        function = KERNELS[kernel]
        where = {client.submit(function, units, pure=False): (0, column) for column in range(width)}
        growth, completed = metg.Growth(width, steps, neighbours), as_completed(list(where))
        for future in completed:
            step, column = where.pop(future)
            for dependent, inputs in growth.completed(step, column, future):
                new = client.submit(function, units, *inputs, pure=False)
                where[new] = (step + 1, dependent)
                completed.add(new)
        growth.check(client.gather(growth.last()))

    return run


if __name__ == "__main__":
    client = connect(sys.argv[1])
    try:
        serve(works(client, sys.argv[1]), grown(client))
    finally:
        client.close()
