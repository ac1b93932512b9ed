"""What the tasks of all Python programs do. A module of its own, so that worker processes find it by name."""

import hashlib
from functools import cache
from typing import Any

BUFFER = bytes(16 << 20)


def noop(x: int) -> int:
    return x


def inc(x: int) -> int:
    return x + 1


def parse(n: int) -> list[int]:
    return list(range(n))


def release_gil(units: int, *inputs: int) -> int:
    """Hashes so many KiB, without the interpreter's lock; one more than the largest input."""
    hashed, left = hashlib.sha256(), units << 10
    while left > 0:
        hashed.update(memoryview(BUFFER)[:left])
        left -= len(BUFFER)
    hashed.digest()
    return 1 + max(inputs, default=0)


def pure_python(units: int, *inputs: int) -> int:
    """So many rounds of 50 additions, holding the interpreter's lock; one more than the largest input."""
    for _ in range(units):
        total = 0
        for i in range(50):
            total += i
    return 1 + max(inputs, default=0)


@cache
def array() -> Any:
    """An array of 100 MB. Each process makes it once: what is measured is its journey."""
    import numpy as np

    return np.ones(100_000_000, np.uint8)


def made(_: int) -> Any:
    return array()


def first(array: Any, _: int) -> int:
    return int(array[0])


KERNELS = {"release": release_gil, "python": pure_python, "processes": pure_python}
"""What tasks do. The last is for systems whose workers are processes: there, what holds the lock fills every core."""
