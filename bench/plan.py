"""What is measured: the rows of the tables, the systems, and how many tasks each system is given.

A slow system gets fewer tasks, so that a round of it takes seconds as well; what is compared is the time a task.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "bench" / "programs"
TARGET = ROOT / "target"
PEERS_PYTHON = TARGET / "peers-venv" / "bin" / "python"
RUST = TARGET / "release" / "examples" / "bench"
RUST_PEERS = TARGET / "peers" / "release" / "azolla-bench-peers"
ZERO_WORKER = TARGET / "release" / "examples" / "zero_worker"
RUST_MEMORY = TARGET / "release" / "examples" / "memory"

CORES = 2
"""How many threads, or worker processes, each system runs tasks on."""

ROUNDS = 5


@dataclass(frozen=True)
class System:
    """A program that does the works of a table: a column."""

    name: str
    command: tuple[str, ...]
    tasks: dict[str, int]
    """How many tasks of each work; a work that it cannot do is missing."""
    module: str | None = None
    """The package that must be installed beside the program."""

    def installed(self) -> bool:
        if not Path(self.command[0]).exists():
            return False
        if self.module is None:
            return True
        found = Path(self.command[0]).parent.parent.glob(f"lib/python*/site-packages/{self.module}/__init__.py")
        return next(found, None) is not None


@dataclass(frozen=True)
class Table:
    title: str
    unit: str
    """Of time: ms, µs or ns, a task."""
    works: dict[str, str]
    """What each work is, by name: the rows."""
    goals: dict[str, str]
    systems: list[System]


def python(program: str, system: str) -> tuple[str, ...]:
    return sys.executable, str(PROGRAMS / program), system


def peer(program: str, system: str) -> tuple[str, ...]:
    return str(PEERS_PYTHON), str(PROGRAMS / program), system


def counts(**tasks: int) -> dict[str, int]:
    return tasks


RAY = System(
    "Ray (processes)",
    peer("ray_tasks.py", "ray"),
    counts(map=3_000, submit=3_000, chain=1_000, evolving=1_100, nested=880, latency=300),
    "ray",
)

TABLES = {
    "python": Table(
        "Python, 2 threads in one process",
        "µs",
        {
            "map": "map + gather, independent, `pure=False`",
            "submit": "submit in a loop + gather",
            "chain": "chain of dependent tasks",
            "evolving": "evolving: `as_completed`, then getitem + inc an item",
            "nested": "tasks from tasks: parents of 10 children, gather inside",
            "pure": "pure submit (arguments hashed) + gather",
            "latency": "latency, submit → result, one at a time",
        },
        {"map": "1.0", "submit": "1.3", "chain": "1.5", "evolving": "3", "nested": "5", "pure": "2.5", "latency": "20"},
        [
            System(
                "azolla",
                python("futures.py", "azolla"),
                counts(
                    map=100_000, submit=50_000, chain=50_000, evolving=44_000, nested=33_000, pure=50_000, latency=3_000
                ),
            ),
            System(
                "ThreadPoolExecutor",
                python("executors.py", "threads"),
                counts(map=20_000, submit=20_000, latency=3_000),
            ),
            System(
                "frisky",
                peer("frisky_futures.py", "threads"),
                counts(map=5_000, submit=5_000, chain=2_500, evolving=2_200, latency=500),
                "frisky",
            ),
            RAY,
            System(
                "Dask",
                peer("futures.py", "dask"),
                counts(map=1_000, submit=800, chain=300, evolving=660, nested=660, pure=800, latency=30),
                "distributed",
            ),
        ],
    ),
    "processes": Table(
        "Python, 2 worker processes",
        "µs",
        {
            "map": "map + gather",
            "submit": "submit in a loop + gather",
            "chain": "chain of dependent tasks",
            "nested": "tasks from tasks: parents of 10 children, gather inside",
            "latency": "latency, submit → result, one at a time",
        },
        {"map": "3.5", "chain": "30", "nested": "12", "latency": "40"},
        [
            System(
                "azolla",
                python("futures.py", "azolla-processes"),
                counts(map=50_000, submit=30_000, chain=5_000, nested=11_000, latency=2_000),
            ),
            System(
                "ProcessPoolExecutor",
                python("executors.py", "processes"),
                counts(map=5_000, submit=5_000, latency=1_000),
            ),
            System("loky", peer("executors.py", "loky"), counts(map=5_000, submit=5_000, latency=1_000), "loky"),
            System("frisky", peer("frisky_futures.py", "processes"), counts(map=5_000, latency=500), "frisky"),
            System(
                RAY.name, RAY.command, counts(map=3_000, submit=3_000, chain=1_000, nested=880, latency=300), RAY.module
            ),
            System(
                "Dask",
                peer("futures.py", "dask-processes"),
                counts(map=1_000, submit=800, chain=300, nested=660, latency=30),
                "distributed",
            ),
        ],
    ),
    "large": Table(
        "Python, 2 worker processes, arrays of 100 MB",
        "ms",
        {
            "scattered": "one that was scattered, to a task",
            "between": "made in one process, used in the other",
            "returned": "made in a task, then `result()`",
        },
        {"scattered": "1", "between": "50", "returned": "50"},
        [
            System(
                "azolla",
                python("futures.py", "azolla-processes"),
                counts(scattered=200, between=20, returned=20),
            ),
            System(
                "ProcessPoolExecutor",
                python("executors.py", "processes"),
                counts(scattered=5, between=5, returned=5),
            ),
            System("loky", peer("executors.py", "loky"), counts(scattered=5, between=5, returned=5), "loky"),
            System(
                "Dask",
                peer("futures.py", "dask-processes"),
                counts(scattered=20, between=10, returned=10),
                "distributed",
            ),
        ],
    ),
    "rust": Table(
        "Rust, 2 threads",
        "ns",
        {
            "map": "independent tasks, with results (rayon, heap: without)",
            "submit": "submit in a loop + gather",
            "chain": "chain, each depends on the last",
            "evolving": "evolving: `as_completed`, then two tasks an item",
            "nested": "tasks from tasks: parents of 10 children, gather inside",
            "fib": "fib(25), every call submits two tasks and gathers them (rayon: `join`)",
            "latency": "latency, submit → result, one at a time",
        },
        {"map": "160", "chain": "250", "fib": "2 × tokio's"},
        [
            System(
                "azolla",
                (str(RUST),),
                counts(
                    map=500_000, submit=200_000, chain=200_000, evolving=105_000, nested=55_000, fib=25, latency=5_000
                ),
            ),
            System("rayon", (str(RUST_PEERS), "rayon"), counts(map=500_000, fib=25)),
            System(
                "tokio",
                (str(RUST_PEERS), "tokio"),
                counts(map=500_000, submit=200_000, chain=200_000, fib=25, latency=5_000),
            ),
            System("one mutex + heap", (str(RUST_PEERS), "heap"), counts(map=500_000)),
        ],
    ),
}


@dataclass(frozen=True)
class Grown:
    """A system's part in dynamic METG."""

    name: str
    command: tuple[str, ...]
    kernels: tuple[str, ...]
    first: int
    """The largest task, in microseconds."""
    tasks: int
    """The most tasks of one run."""
    module: str | None = None

    def installed(self) -> bool:
        return System(self.name, self.command, {}, self.module).installed()


WIDTHS = [CORES, 4 * CORES]

SHARES = {"rust": 0.5, "release": 0.5, "python": 0.25, "processes": 0.5}
"""Of the cores' peak, for each kernel, that must be useful work. One interpreter's lock lets one core of two work: half of
that is asked of a kernel that holds it."""

METG = [
    Grown("azolla (Rust)", (str(RUST),), ("rust",), 512, 40_000),
    Grown("tokio", (str(RUST_PEERS), "tokio"), ("rust",), 512, 40_000),
    Grown("azolla (Python)", python("futures.py", "azolla"), ("release", "python"), 1_024, 10_000),
    Grown("ThreadPoolExecutor", python("executors.py", "threads"), ("release", "python"), 1_024, 10_000),
    Grown("frisky", peer("frisky_futures.py", "threads"), ("release", "python"), 8_192, 1_000, "frisky"),
    Grown("Dask", peer("futures.py", "dask"), ("release", "python"), 32_768, 100, "distributed"),
    Grown("azolla (processes)", python("futures.py", "azolla-processes"), ("processes",), 4_096, 5_000),
    Grown("ProcessPoolExecutor", python("executors.py", "processes"), ("processes",), 8_192, 1_000),
    Grown("loky", peer("executors.py", "loky"), ("processes",), 8_192, 1_000, "loky"),
    Grown("frisky (processes)", peer("frisky_futures.py", "processes"), ("processes",), 8_192, 1_000, "frisky"),
    Grown("Ray (processes)", RAY.command, ("release", "processes"), 16_384, 200, "ray"),
    Grown("Dask (processes)", peer("futures.py", "dask-processes"), ("processes",), 32_768, 100, "distributed"),
]

DASK = TABLES["python"].systems[-1]

SEED_WORKFLOW = [
    System("azolla", python("seed_workflow.py", "azolla"), {}),
    System("Dask", peer("seed_workflow.py", "dask"), {}, DASK.module),
]

MEMORY = [
    System("azolla (Rust)", (str(RUST_MEMORY),), counts(memory=200_000)),
    System("azolla (Python)", python("memory.py", "azolla"), counts(memory=200_000)),
    System("Dask (Python)", peer("memory.py", "dask"), counts(memory=5_000), DASK.module),
]

GROWTH = {"azolla (Rust)": (str(RUST),), "azolla (Python)": python("futures.py", "azolla")}

GROWTH_WORKS = {
    "live tasks": [("map", tasks) for tasks in (1_000, 10_000, 100_000, 1_000_000)],
    "dependents": [(f"fan{dependents}", 200_200) for dependents in (1, 10, 100, 1_000)],
}
"""What grows, with the works in which it does, and how many tasks each is given."""
