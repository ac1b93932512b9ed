"""Bytes a task in Python: growth of the process's resident memory with so many tasks in one state.

    memory.py {azolla,dask} TASKS

What returns is told by the allocators: what they have handed out and not got back, Python's blocks and malloc's bytes.
"""

import ctypes
import gc
import json
import sys
import threading
import time
from typing import Any


class Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    ]


libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def in_use() -> float:
    """Bytes; a block of Python's own allocator is counted as 64."""
    gc.collect()
    info = libc.mallinfo2()
    return info.uordblks + info.hblkhd + 64 * sys.getallocatedblocks()


opened = threading.Event()


def wait_for_event(x: int) -> int:
    opened.wait()
    return x


def second(first: int, n: int) -> int:
    return n


def main() -> None:
    system, tasks = sys.argv[1], int(sys.argv[2])
    if system == "azolla":
        from azolla import Client, wait

        client: Any = Client(processes=False, n_workers=1, threads_per_worker=2)
    else:
        from dask.distributed import Client, wait

        client = Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None)
    first = client.submit(int, 0, pure=False)
    wait(client.map(second, [first] * 100, range(100), pure=False))
    gate = client.submit(wait_for_event, 0, pure=False)
    used, before = in_use(), resident()
    futures = client.map(second, [gate] * tasks, range(tasks), pure=False)
    time.sleep(0.2 if system == "azolla" else 5.0)  # Dask's scheduler takes them in on a thread of its own
    pending, held = resident() - before, in_use() - used
    opened.set()
    wait(futures)
    finished = resident() - before
    del futures
    time.sleep(3.0)
    left = in_use() - used
    figures = {"pending": pending / tasks, "running": None, "finished": finished / tasks, "left": left / held}
    print(json.dumps({"system": f"{system} (Python)", "tasks": tasks} | figures))
    client.close()


if __name__ == "__main__":
    import memory

    memory.main()
