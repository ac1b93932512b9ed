"""Where the instructions of a Python task go: counted under valgrind, by the functions that take them.

    python bench/python_cost.py [WORK ...] [--all]

The interpreter that runs this needs azolla, as released, and its own symbols. What a task takes is the difference between
many and few of them, divided by the difference: no set-up is in it. A part counts with all that it calls; `--all` shows every
function that takes over 40 instructions, not only those that have a name below. `plain` is no azolla at all: the function
called in a loop, in a context.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

LESS, MORE = 6_000, 16_000
LIMIT = 600
"""Seconds after which a run counts as stuck."""

INTO = [
    ("  the job: futures found, the key, one allocation", "_azolla::submit::one::Common::task"),
    ("  the engine takes it in", "azolla::runtime::locked::Locked<J>::submit"),
    ("  the Future object", "_azolla::future::handle::Future::object"),
]
OUT = [
    ("the workers' threads", "thread_run"),
    ("  the call itself, in its context: CPython", "context_run"),
    ("  the result taken, the next call given", "_azolla::runner::worker::PyWorker::__pymethod_done__"),
    ("    the engine is told", "azolla::runtime::worker::Hand<J>::tell"),
    ("    the engine gives more", "azolla_core::on::pull::<impl azolla_core::scheduler::Scheduler<P>>::on_pull"),
    ("gather", "_azolla::face::client::<impl _azolla::session::core::Core>::__pymethod__gather__"),
    ("the Future object goes", "pyo3::impl_::pyclass::tp_dealloc"),
    ("  the engine is told", "azolla::runtime::engine::Engine<J>::release"),
]
PARTS = {
    "plain": [("the call itself, in its context: CPython", "context_run")],
    "map": [("map", "_azolla::face::client::<impl _azolla::session::core::Core>::__pymethod_map__"), *INTO, *OUT],
    "submit": [("submit", "_azolla::submit::fastcall::submit"), *INTO, *OUT],
    "chain": [("submit", "_azolla::submit::fastcall::submit"), *INTO, *(part for part in OUT if part[0] != "gather")],
}
"""The parts that are told of, indented where they are part of what is above, and the functions that do them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("works", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--all", action="store_true", help="every function, by what it takes with all that it calls")
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.works[0], options.run)
        return
    for work in options.works or PARTS:
        show(work, options.all)


def run(work: str, tasks: int) -> None:
    if work == "plain":
        plain(tasks)
        return
    sys.path.insert(0, str(Path(__file__).parent / "programs"))
    sys.argv[1] = "azolla"
    import futures

    client = futures.connect("azolla")
    works: dict[str, Callable[[int], None]] = futures.works(client, "azolla")
    works[work](LESS // 2)
    works[work](tasks)
    client.close()


def plain(tasks: int) -> None:
    from contextvars import Context

    def noop(x: int) -> int:
        return x

    run = Context().run
    for _ in range(10):  # as with workers, the loop is one that has been entered before
        assert sum([run(noop, x) for x in range(10)]) == 45
    assert sum([run(noop, x) for x in range(tasks)]) == tasks * (tasks - 1) // 2


def show(work: str, everything: bool) -> None:
    total_less, less = count(work, LESS)
    total_more, more = count(work, MORE)
    each = {name: (more[name] - less.get(name, 0)) / (MORE - LESS) for name in more}
    print(f"\n{work}: {(total_more - total_less) / (MORE - LESS):,.0f} instructions a task, of them")
    for label, function in PARTS[work]:
        if function not in each:
            sys.exit(f"{work}: no {function} was called, so {label.strip()!r} has no count")
        print(f"{each[function]:9,.0f}  {label}")
    if everything:
        for name, took in sorted(each.items(), key=lambda item: -item[1]):
            if took >= 40:
                print(f"{took:9,.0f}    {name[:100]}")


def count(work: str, tasks: int) -> tuple[int, dict[str, int]]:
    """All instructions, and those of functions with what they call."""
    with tempfile.NamedTemporaryFile() as out:
        command = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={out.name}"]
        subprocess.run([*command, sys.executable, __file__, work, "--run", str(tasks)], check=True, timeout=LIMIT)
        command = ["callgrind_annotate", "--inclusive=yes", "--threshold=100", "--auto=no", out.name]
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT).stdout
    total, functions = 0, dict[str, int]()
    for line in text.splitlines():
        found = re.match(r" *([\d,]+) \( *[\d.]+%\)  (.*)", line)
        if found is None:
            continue
        took = int(found[1].replace(",", ""))
        if found[2] == "PROGRAM TOTALS":
            total = took
            continue
        name = re.sub(r" \[.*\]$", "", found[2].partition(":")[2])
        name = re.sub(r"'\d+$", "", name)
        functions[name] = max(took, functions.get(name, 0))
    return total, functions


if __name__ == "__main__":
    main()
