"""How worker processes are started, and how many."""

import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Protocol

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
posix.close(3); del posix
import sys
sys.path[:] = {path!r}
azolla = sys.modules["azolla"] = type(sys)("azolla")
azolla.__path__ = {folder!r}
from azolla._process.child import main
main()
"""


class _Cluster(Protocol):
    """The part of a cluster that this module uses."""

    _has_processes: bool


def on_threads(cluster: _Cluster, what: str) -> None:
    """Raises NotImplementedError for what does not reach worker processes yet."""
    if cluster._has_processes:
        raise NotImplementedError(f"{what}() does not reach worker processes yet: use processes=False")


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


def start() -> tuple[list[str], list[tuple[str, str]], str]:
    """Returns how a worker process is started: this interpreter with its flags, what it has in its environment besides this
    one's, and its program.

    Raises:
        RuntimeError: The interpreter does not know its own program, as in some that are embedded.
    """
    if not sys.executable:
        raise RuntimeError("worker processes need sys.executable, which this interpreter lacks: use processes=False")
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    path = [str(part) for part in sys.path if isinstance(part, str)]  # the interpreter ignores what is no text
    program = PROGRAM.format(path=path, folder=[str(Path(__file__).parents[1])])
    return [sys.executable, *flags, "-c", READ], _environment(), program


def _environment() -> list[tuple[str, str]]:
    """Returns what the environment of all worker processes of a cluster has besides this one's. Their hashes of texts are
    the same, so sets of them have the same order."""
    seed = {"PYTHONHASHSEED": str(random.SystemRandom().randrange(1, 2**32))}
    return [(name, value) for name, value in {**ENVIRONMENT, **seed}.items() if name not in os.environ]
