"""The works on Ray's remote functions.

ray_tasks.py ray WORK=TASKS ...
"""

import operator

import ray
from harness import Works, metg, serve
from tasks import KERNELS, inc, noop, parse

remote_noop, remote_inc, remote_parse = ray.remote(noop), ray.remote(inc), ray.remote(parse)
remote_len = ray.remote(lambda values: len(values))
remote_item = ray.remote(lambda values, i: operator.getitem(values, i))
remote_kernels = {name: ray.remote(kernel) for name, kernel in KERNELS.items()}


@ray.remote
def parent(n: int) -> int:
    return len(ray.get([remote_inc.remote(x) for x in parse(n)]))


def works() -> Works:
    def map_gather(tasks: int) -> None:
        assert sum(ray.get([remote_noop.remote(i) for i in range(tasks)])) == tasks * (tasks - 1) // 2

    def chain(tasks: int) -> None:
        last = remote_inc.remote(0)
        for _ in range(tasks - 1):
            last = remote_inc.remote(last)
        assert ray.get(last) == tasks

    def evolving(tasks: int) -> None:
        files = tasks // 22
        lists = [remote_parse.remote(10) for _ in range(files)]
        lengths = [remote_len.remote(values) for values in lists]
        mapping = dict(zip(lengths, lists, strict=True))
        pending, results = list(lengths), []
        while pending:
            (length,), pending = ray.wait(pending)
            for i in range(ray.get(length)):
                results.append(remote_inc.remote(remote_item.remote(mapping[length], i)))
        assert sum(ray.get(results)) == 55 * files

    def tasks_from_tasks(tasks: int) -> None:
        parents = tasks // 11
        assert sum(ray.get([parent.remote(10) for _ in range(parents)])) == 10 * parents

    def latency(tasks: int) -> None:
        for i in range(tasks):
            assert ray.get(remote_inc.remote(i)) == i + 1

    return {
        "map": map_gather,
        "submit": map_gather,
        "chain": chain,
        "evolving": evolving,
        "nested": tasks_from_tasks,
        "latency": latency,
    }


def run(kernel: str, units: int, width: int, steps: int, neighbours: bool) -> None:
    function = remote_kernels[kernel]
    where = {function.remote(units): (0, column) for column in range(width)}
    growth, pending = metg.Growth(width, steps, neighbours), list(where)
    while pending:
        (done,), pending = ray.wait(pending)
        step, column = where.pop(done)
        for dependent, inputs in growth.completed(step, column, done):
            new = function.remote(units, *inputs)
            where[new] = (step + 1, dependent)
            pending.append(new)
    growth.check(ray.get(growth.last()))


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.get([remote_noop.remote(i) for i in range(100)])
    serve(works(), run)
    ray.shutdown()
