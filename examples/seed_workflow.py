"""The workflow that azolla grew from: Dask's example "Handle Evolving Workflows", its three ways and its sleeps.

    python examples/seed_workflow.py [--scale 0.1]

The code of the ways is that of the example; only the import line differs. One after the other takes about
12 s, each of the ways about 2 s with its 6 threads. `--scale 0.1` makes all sleeps ten times shorter.
"""

from __future__ import annotations

import argparse
import asyncio
import operator
import random
import time
from collections.abc import Callable

from azolla import Client, Future, as_completed, get_client, rejoin, secede

filenames = [f"file.{i}.txt" for i in range(10)]

scale = 1.0
"""How long the sleeps are, beside those of the example."""


def main() -> None:
    global scale
    parser = argparse.ArgumentParser(description="Dask's example of evolving workflows, on azolla.")
    parser.add_argument("--scale", type=float, default=scale, help="how long the sleeps are (default: 1.0)")
    scale = parser.parse_args().scale

    report("sequential code", sequential_code)
    # As in the example. Its tasks sleep, so threads are enough.
    with Client(processes=False, n_workers=1, threads_per_worker=6) as client:
        report("as_completed", lambda: use_as_completed(client))
        report("async/await", lambda: use_async_await(client))
        report("tasks from tasks", lambda: submit_tasks_from_tasks(client))


def report(way: str, run: Callable[[], list[float]]) -> None:
    start = time.perf_counter()
    results = run()
    seconds = time.perf_counter() - start
    print(f"{way:<17} {len(results):>3} items {seconds:>7.2f} s", flush=True)


def parse_file(fn: str) -> list[float]:
    """Returns a list work items of unknown length"""
    time.sleep(random.random() * scale)
    return [random.random() for _ in range(random.randint(1, 10))]


def process_item(x: float) -> float:
    """Process each work item"""
    time.sleep(random.random() / 4 * scale)
    return x + 1


# 0: Sequential code


def sequential_code() -> list[float]:
    results = []

    for fn in filenames:
        L = parse_file(fn)
        for x in L:
            out = process_item(x)
            results.append(out)

    return results


# 1: Use as_completed


def use_as_completed(client: Client) -> list[float]:
    lists = client.map(parse_file, filenames, pure=False)
    lengths = client.map(len, lists)

    mapping = dict(zip(lengths, lists))  # noqa: B905

    futures = []

    for future in as_completed(lengths):
        n = future.result()
        L = mapping[future]
        for i in range(n):
            new = client.submit(operator.getitem, L, i, priority=1)
            new = client.submit(process_item, new, priority=1)
            futures.append(new)

    return client.gather(futures)


# 2: Use async/await to handle single file processing locally


def use_async_await(client: Client) -> list[float]:
    async def f(fn: str) -> list[Future[float]]:
        """Handle the lifecycle of a single file"""
        future = client.submit(parse_file, fn, pure=False)
        length_future = client.submit(len, future)
        length = await length_future

        futures = [client.submit(operator.getitem, future, i, priority=10) for i in range(length)]
        futures = client.map(process_item, futures, priority=10)
        return futures

    async def run_all(filenames: list[str]) -> list[float]:
        list_of_list_of_futures = await asyncio.gather(*[f(fn) for fn in filenames])
        futures = sum(list_of_list_of_futures, [])  # noqa: RUF017
        return await client.gather(futures)

    return client.sync(run_all, filenames)


# 3: Submit tasks from tasks


def f(fn: str) -> list[float]:
    L = parse_file(fn)
    client = get_client()

    futures = client.map(process_item, L, priority=10)
    secede()
    results = client.gather(futures)
    rejoin()
    return results


def submit_tasks_from_tasks(client: Client) -> list[float]:
    futures = client.map(f, filenames, pure=False)
    return sum(client.gather(futures), [])  # noqa: RUF017


if __name__ == "__main__":
    main()
