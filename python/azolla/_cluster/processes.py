"""How worker processes are started, and how many."""

import math
import os
import random
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from azolla import _azolla

#: What a worker process has in its environment, unless the program's own says otherwise. A task has one processor, so the
#: libraries that it calls use one thread. The allocator gives memory back early. As Dask's `pre-spawn-environ`.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}

#: What the interpreter of a worker process is told: it reads its program. An argument would be limited to 128 KiB, and
#: `sys.path` may be longer. The module is a part of the interpreter: until the program has set the path, any other may
#: come from a wrong folder.
READ = "import posix; exec(posix.read(3, posix.fstat(3).st_size))"

#: The program of a worker process. Its main module stays as good as empty: what a task needs of the client's comes by value.
#: An empty module stands in the place of this package, whose code `azolla._process.package` imports when a task needs it.
PROGRAM = """
posix.close(3)
import sys
for file in map(int, posix.listdir("/proc/self/fd")):
    try:
        # It was inherited: it came while this process was started, or lies where `posix_spawn` can close none.
        if file > 2 and posix.get_inheritable(file):
            posix.close(file)
    except OSError:
        pass  # the listing's own
del posix, file
sys.path[:] = {path!r}
azolla = sys.modules["azolla"] = type(sys)("azolla")
azolla.__path__ = {folder!r}
from azolla._process.child import main
main({secret!r}, {argv!r})
"""


def sizes(n_workers: int | None, threads_per_worker: int | None) -> tuple[int, int]:
    """Returns how many processes of how many threads there are if these were asked for. The defaults are Dask's."""
    processors = os.cpu_count() or 1
    if n_workers is None and threads_per_worker is None:
        n_workers = processors
        if processors > 4:
            n_workers = next(n for n in range(math.ceil(math.sqrt(processors)), processors + 1) if processors % n == 0)
    elif n_workers is None:
        n_workers = max(1, processors // (threads_per_worker or 1))
    return n_workers, threads_per_worker or max(1, processors // n_workers)


def memory() -> int:
    """Returns how many bytes of memory this process can have: the machine's, or the limit of its container."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no such file without a container; "max" where it has no limit
            return min(machine, int((Path("/sys/fs/cgroup") / limit).read_text()))
    return machine


def memory_limit(given: object, threads: int | None, total: int) -> int:
    """Returns how many bytes of memory a worker process of so many threads may take, and 0 if it may take any number.

    Raises:
        NotImplementedError: There are no worker processes, and a limit is given.
        TypeError: The argument `memory_limit` is neither a number nor a text.
        ValueError: It is less than 0 or than any worker process takes, or a text that is no size.
    """
    if threads is None:
        if given not in (None, 0, "auto"):
            raise NotImplementedError(f"memory_limit={given!r}: without processes the memory of workers is not limited")
        return 0
    if given is None:
        return 0
    if given == "auto":
        return int(total * min(1.0, threads / (os.cpu_count() or 1)))
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise TypeError(f"memory_limit must be a number of bytes, a share of all memory or a text, not {given!r}")
    number, unit = (given, "") if not isinstance(given, str) else _size(given)
    if not 0 <= number < math.inf:
        raise ValueError(f"memory_limit must be a size, not {given!r}")
    if not unit and 0 < number <= 1 and not isinstance(given, int):  # a share
        number, unit = number * total, ""
    limit = int(number * _UNITS[unit])
    if 0 < limit < _LEAST:
        raise ValueError(
            f"memory_limit={given!r} is less than a worker process takes without tasks: give a share of all memory from 0 to 1, or "
            f"at least {_LEAST >> 20} MiB"
        )
    return min(total, limit)


#: The least limit of memory, in bytes. A process that has run nothing but `abs` took 6.3 MiB of its own (CPython 3.11, x86-64),
#: and one that takes 80 % of its limit gets no tasks.
_LEAST = 8 << 20


#: What the units of sizes stand for, in small letters.
_UNITS = {"": 1, "b": 1} | {
    letter + more: base**power
    for power, letter in enumerate("kmgtp", 1)
    for more, base in (("", 1000), ("b", 1000), ("i", 1024), ("ib", 1024))
}


def size(name: str, given: object) -> float:
    """Returns how many bytes an argument stands for that is a number of them or a text."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise TypeError(f"{name} must be a number of bytes or a text, not {given!r}")
    number, unit = (given, "") if not isinstance(given, str) else _size(given, name)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be a size, not {given!r}")
    return float(number * _UNITS[unit])


def _size(text: str, name: str = "memory_limit") -> tuple[float, str]:
    """Returns the number and the unit of a size as text."""
    found = re.fullmatch(r"\s*([\d.]+(?:e[+-]?\d+)?)\s*([a-z]*)\s*", text.lower())
    with suppress(ValueError):
        if found is not None and found[2] in _UNITS:
            return float(found[1]), found[2]
    raise ValueError(f'{name} must be a size such as "4GB", not {text!r}')


def start(limit: int) -> tuple[list[str], list[tuple[str, str]], str, int | None, str]:
    """Returns how a worker process is started: this interpreter with its flags, what it has in its environment besides this
    one's, its program, how many bytes of memory it may take, and the folder for results that there is no memory for.

    Raises:
        RuntimeError: The interpreter does not know its own program, as in some that are embedded.
    """
    if not sys.executable:
        raise RuntimeError("worker processes need sys.executable, which this interpreter lacks: use processes=False")
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    path = [str(part) for part in sys.path if isinstance(part, str)]  # the interpreter ignores what is no text
    argv = list(map(str, getattr(sys, "argv", ())))  # an interpreter that is embedded may have none
    # Equal calls have equal keys, wherever they are submitted.
    program = PROGRAM.format(path=path, folder=[str(Path(__file__).parents[1])], secret=_azolla.secret(), argv=argv)
    return [sys.executable, *flags, "-c", READ], _environment(), program, limit or None, tempfile.gettempdir()


def _environment() -> list[tuple[str, str]]:
    """Returns what the environment of all worker processes of a cluster has besides this one's. Their hashes of texts are
    the same, so sets of them have the same order."""
    seed = {"PYTHONHASHSEED": str(random.SystemRandom().randrange(1, 2**32))}
    return [(name, value) for name, value in {**ENVIRONMENT, **seed}.items() if name not in os.environ]
