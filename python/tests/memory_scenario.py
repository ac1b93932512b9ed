"""Memory comes back: every byte that this process has from malloc is counted, before many tasks, while their futures
are held, and after. `test_scale.py` runs it with `PYTHONMALLOC=malloc`, so that Python's own objects count too."""

from __future__ import annotations

import ctypes
import gc
import re
import time

from azolla import Client

TASKS = 200_000

libc = ctypes.CDLL(None)
libc.open_memstream.restype = ctypes.c_void_p
libc.open_memstream.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t)]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
libc.free.argtypes = [ctypes.c_void_p]


def allocated() -> int:
    """How many bytes of all of glibc's arenas are in use."""
    buffer, size = ctypes.c_void_p(), ctypes.c_size_t()
    stream = libc.open_memstream(ctypes.byref(buffer), ctypes.byref(size))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    report = ctypes.string_at(buffer.value or 0, size.value).decode()
    libc.free(buffer)
    of_all = report[report.rindex("</heap>") :]

    sizes = {name: int(size) for name, size in re.findall(r'type="(\w+)"(?: count="\d+")? size="(\d+)"', of_all)}
    # The newest of glibc has no fast bins any more.
    return sizes["current"] - sizes.get("fast", 0) - sizes["rest"] + sizes["mmap"]


def nothing(_: object) -> None:
    pass


def run(client: Client, tasks: int) -> int:
    """Runs them and lets go of them. What was allocated while their futures were held."""
    futures = client.map(nothing, range(tasks))
    assert client.gather(futures) == [None] * tasks
    held = allocated()
    del futures
    gc.collect()
    while client.counters()["kept"]:
        time.sleep(0.001)
    gc.collect()
    return held


def main() -> None:
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        run(client, TASKS // 20)
        before = allocated()
        held = run(client, TASKS) - before
        left = allocated() - before
        assert held > 100 * TASKS, held
        assert held <= 500 * TASKS, held / TASKS  # keys and results included
        assert left <= held / 100, f"{left} bytes of {held} are left"
        assert client.counters()["live"] == 0


if __name__ == "__main__":
    main()
