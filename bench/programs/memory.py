"""Bytes a task in Python, by state: what malloc has handed out and not got back.

    PYTHONMALLOC=malloc memory.py {azolla,dask} TASKS

Python is told to leave small objects to malloc too, so that one count has everything, native or not.
"""

import ctypes
import gc
import json
import os
import sys
import threading
import time
from typing import Any

RUNNING = 128
"""How many tasks run at once where the running ones are measured: each has a thread."""


NAMES = [None, None, None, None, "hblkhd", None, None, "uordblks", None, None]


class Mallinfo2(ctypes.Structure):
    """As C's malloc.h has it: ten numbers."""

    _fields_ = [(f"unused_{at}" if name is None else name, ctypes.c_size_t) for at, name in enumerate(NAMES)]


libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2


def in_use() -> int:
    gc.collect()
    info = libc.mallinfo2()
    return info.uordblks + info.hblkhd


gate = threading.Lock()
"""Held while tasks are to wait: to wait for a lock takes no memory."""
begun: list[int] = []


def pass_gate(n: int) -> int:
    begun.append(n)
    with gate:
        return n


def second(first: int, n: int) -> int:
    return n


def connect(system: str, threads: int) -> Any:
    if system == "azolla":
        from azolla import Client

        return Client(processes=False, n_workers=1, threads_per_worker=threads)
    from dask.distributed import Client

    return Client(processes=False, n_workers=1, threads_per_worker=threads, dashboard_address=None)


def settled() -> int:
    """What is in use once that changes no more: Dask's scheduler takes tasks in on a thread of its own."""
    now = in_use()
    while True:
        time.sleep(1.0)
        last, now = now, in_use()
        if abs(now - last) <= 0.01 * now:
            return now


def queued(system: str, tasks: int) -> dict[str, float]:
    """Bytes a pending and a finished task, and how much of the latter is left three seconds after the futures have gone."""
    client = connect(system, 2)
    first = client.submit(second, 0, 0, pure=False)
    client.gather(client.map(second, [first] * 100, range(100), pure=False))
    with gate:
        waits = client.submit(pass_gate, 0, pure=False)
        before = in_use()
        futures = client.map(second, [waits] * tasks, range(tasks), pure=False)
        pending = settled() - before
    assert client.gather(futures[-1]) == tasks - 1
    # Results that are gathered would be counted twice: here and at the workers.
    while any(future.status != "finished" for future in futures):
        time.sleep(0.1)
    finished = settled() - before
    del futures
    time.sleep(3.0)
    left = in_use() - before
    client.close()
    return {"pending": pending / tasks, "finished": finished / tasks, "left": max(0, left) / finished}


def running(system: str) -> float:
    """Bytes a running task: of all that are, beside as many threads that are idle."""
    client = connect(system, RUNNING)
    for measured in (False, True):
        begun.clear()
        with gate:
            before = in_use()
            futures = client.map(pass_gate, range(RUNNING), pure=False)
            while len(begun) < RUNNING:
                time.sleep(0.05)
            held = settled() - before
        assert client.gather(futures) == list(range(RUNNING))
        del futures
        if not measured:  # every thread has run a task now
            time.sleep(1.0)
    client.close()
    return held / RUNNING


def main() -> None:
    system, tasks = sys.argv[1], int(sys.argv[2])
    assert os.environ.get("PYTHONMALLOC") == "malloc"
    figures = queued(system, tasks) | {"running": running(system)}
    print(json.dumps({"system": f"{'azolla' if system == 'azolla' else 'Dask'} (Python)", "tasks": tasks} | figures))


if __name__ == "__main__":
    import memory

    memory.main()
