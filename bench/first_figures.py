"""First figures of the Python interface, beside ThreadPoolExecutor: microseconds a task, medians of several runs.

    .venv/bin/python bench/first_figures.py

`make bench` runs it, and its sister in Rust.
"""

import operator
import random
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from azolla import Client, as_completed, get_client

RUNS = 5


def noop(x: int) -> int:
    return x


def inc(x: int) -> int:
    return x + 1


def parse(n: int) -> list[int]:
    return list(range(n))


def parent(n: int) -> int:
    client = get_client()
    return len(client.gather(client.map(inc, range(n), pure=False)))


def main() -> None:
    print(f"Python, 2 threads, no-op tasks, medians of {RUNS} runs\n")
    print("| work | tasks | azolla, us a task | ThreadPoolExecutor, us a task |")
    print("|---|---:|---:|---:|")
    with Client(processes=False, threads_per_worker=2) as client, ThreadPoolExecutor(2) as pool:

        def map_gather() -> None:
            assert len(client.gather(client.map(noop, range(200_000), pure=False))) == 200_000

        def pool_map() -> None:
            assert len([future.result() for future in [pool.submit(noop, i) for i in range(20_000)]]) == 20_000

        def submit_loop() -> None:
            assert len(client.gather([client.submit(inc, i, pure=False) for i in range(50_000)])) == 50_000

        def pure_submit() -> None:
            assert len(client.gather([client.submit(inc, i) for i in range(50_000)])) == 50_000

        def chain() -> None:
            last = client.submit(inc, 0, pure=False)
            for _ in range(49_999):
                last = client.submit(inc, last, pure=False)
            assert last.result() == 50_000

        def evolving() -> None:
            lists = client.map(parse, [10] * 1_000, pure=False)
            lengths = client.map(len, lists, pure=False)
            mapping = dict(zip(lengths, lists, strict=True))
            futures = []
            for future in as_completed(lengths):
                for i in range(future.result()):
                    item = client.submit(operator.getitem, mapping[future], i, priority=1, pure=False)
                    futures.append(client.submit(inc, item, priority=1, pure=False))
            assert len(client.gather(futures)) == 10_000

        def tasks_from_tasks() -> None:
            assert sum(client.gather(client.map(parent, [10] * 1_000, pure=False))) == 10_000

        def latency() -> None:
            for i in range(2_000):
                assert client.submit(noop, i, pure=False).result() == i

        def pool_latency() -> None:
            for i in range(2_000):
                assert pool.submit(noop, i).result() == i

        row("map + gather, independent", 200_000, map_gather, 20_000, pool_map)
        row("submit in a loop + gather", 50_000, submit_loop, 20_000, pool_map)
        row("pure submit (arguments hashed) + gather", 50_000, pure_submit)
        row("chain, each depends on the last", 50_000, chain)
        row("evolving: as_completed, then getitem + inc an item", 22_000, evolving)
        row("tasks from tasks: parents of 10 children, gather inside", 11_000, tasks_from_tasks)
        row("latency: submit, then wait for the result", 2_000, latency, 2_000, pool_latency)

    print("\nThe seed's workflow, 6 threads: slot time idle while a task was ready\n")
    print("| sleeps | makespan | idle |")
    print("|---|---:|---:|")
    for scale in (1.0, 0.1):
        runs = sorted((seed_workflow(scale, seed) for seed in range(3)), key=operator.itemgetter(1))
        makespan, idle = runs[len(runs) // 2]
        print(f"| x {scale:g} | {makespan:.3f} s | {100 * idle:.2f} % |")


def row(
    name: str,
    tasks: int,
    work: Callable[[], None],
    pool_tasks: int = 0,
    pool_work: Callable[[], None] | None = None,
) -> None:
    """Times azolla and the pool in turn, and prints their medians."""
    ours, theirs = [], []
    for run in range(RUNS + 1):
        ours.append(timed(work) / tasks)
        if pool_work is not None:
            theirs.append(timed(pool_work) / pool_tasks)
        if run == 0:
            ours.clear(), theirs.clear()  # the first warms up
    pool = f"{1e6 * statistics.median(theirs):.1f}" if theirs else "-"
    print(f"| {name} | {tasks:,} | {1e6 * statistics.median(ours):.2f} | {pool} |")


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def seed_workflow(scale: float, seed: int) -> tuple[float, float]:
    """Runs the seed's workflow; its makespan, and the share of slot time idle while an eligible task was ready."""
    rng = random.Random(seed)

    def parse_file(name: str) -> list[float]:
        time.sleep(scale * rng.random())
        return [rng.random() for _ in range(rng.randint(1, 10))]

    def process_item(x: float) -> float:
        time.sleep(scale * rng.random() / 4)
        return x + 1

    with Client(processes=False, n_workers=1, threads_per_worker=6) as client:
        observations = client._observe(100_000)
        start = time.perf_counter()
        lists = client.map(parse_file, [f"file.{i}.txt" for i in range(10)], pure=False)
        lengths = client.map(len, lists)
        mapping = dict(zip(lengths, lists, strict=True))
        futures = []
        for future in as_completed(lengths):
            for i in range(future.result()):
                new = client.submit(operator.getitem, mapping[future], i, priority=1)
                futures.append(client.submit(process_item, new, priority=1))
        client.gather(futures)
        makespan = time.perf_counter() - start
        return makespan, idle_while_ready(observations, 6) / (6 * makespan)


def idle_while_ready(observations: object, slots: int) -> float:
    """Slot-seconds that were idle while a task was ready for them."""
    rows = sorted(observations.take())
    assert observations.dropped == 0
    ready: set[int] = set()
    begun: set[int] = set()
    busy, idle, last = 0, 0.0, 0.0
    for at, task, what, worker in rows:
        idle += (at - last) * min(len(ready), slots - busy)
        last = at
        if what == "ready" and task not in begun:
            ready.add(task)
        elif what == "begun":
            begun.add(task)
            ready.discard(task)
            busy += 1
        elif what == "resumed":
            busy += 1
        elif what == "parked" or (what in ("finished", "failed", "cancelled") and worker is not None):
            busy -= 1
    return idle


if __name__ == "__main__":
    main()
