"""The works that an executor of the standard library's kind can do: it has no futures as inputs.

executors.py {threads,processes,loky} WORK=TASKS ...
"""

import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from queue import SimpleQueue

from harness import Works, metg, serve
from tasks import KERNELS, array, first, inc, made, noop


def start(system: str) -> Executor:
    if system == "threads":
        return ThreadPoolExecutor(2)
    if system == "processes":
        return ProcessPoolExecutor(2)
    from loky import get_reusable_executor

    return get_reusable_executor(2)


def works(pool: Executor) -> Works:
    def submit_loop(tasks: int) -> None:
        futures = [pool.submit(noop, i) for i in range(tasks)]
        assert sum([future.result() for future in futures]) == tasks * (tasks - 1) // 2

    def latency(tasks: int) -> None:
        for i in range(tasks):
            assert pool.submit(inc, i).result() == i + 1

    def scattered(tasks: int) -> None:
        assert sum(pool.submit(first, array(), i).result() for i in range(tasks)) == tasks

    def between(tasks: int) -> None:
        assert sum(pool.submit(first, pool.submit(made, i).result(), i).result() for i in range(tasks)) == tasks

    def returned(tasks: int) -> None:
        assert sum(int(pool.submit(made, i).result()[0]) for i in range(tasks)) == tasks

    return {
        "map": submit_loop,
        "submit": submit_loop,
        "latency": latency,
        "scattered": scattered,
        "between": between,
        "returned": returned,
    }


def grown(pool: Executor) -> metg.Run:
    def run(kernel: str, units: int, width: int, steps: int, neighbours: bool) -> None:
        function = KERNELS[kernel]
        growth = metg.Growth(width, steps, neighbours)
        completed: SimpleQueue[tuple[int, int, Future[int]]] = SimpleQueue()

        def submit(step: int, column: int, inputs: list[int]) -> None:
            future = pool.submit(function, units, *inputs)
            future.add_done_callback(lambda future: completed.put((step, column, future)))

        for column in range(width):
            submit(0, column, [])
        for _ in range(width * steps):
            step, column, future = completed.get()
            for dependent, inputs in growth.completed(step, column, future.result()):
                submit(step + 1, dependent, inputs)
        growth.check(growth.last())

    return run


if __name__ == "__main__":
    with start(sys.argv[1]) as pool:
        pool.submit(noop, 0).result()
        serve(works(pool), grown(pool))
