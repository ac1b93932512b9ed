"""Runs the suite: every row for azolla and each peer that is installed, in turn, and writes what came of it.

    python bench/suite.py [--parts python,rust,...] [--systems azolla,Dask] [--rounds 5] [--resume] [--quick] [--out FOLDER]

Within a round each system's program is started, does its works, and ends, before the next one is started; the table shows
medians over the rounds. What a part has measured is written as it ends, so that a run that is cut short goes on with
`--resume`. `--quick` is one round of a tenth of the tasks: it shows that everything runs, and measures little.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import plan
import report
import sections
import watched

PARTS = [*plan.TABLES, *sections.ALL]
LIMIT = 240
"""Seconds after which a program counts as stuck."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default=",".join(PARTS), help=f"which of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--systems", default="", help="only systems whose name has one of these in it (default: all)")
    parser.add_argument("--rounds", type=int, default=plan.ROUNDS, help="how many rounds (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="leave out what this commit has been measured for")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of the tasks")
    parser.add_argument(
        "--out", type=Path, help="where to write (default: bench/results; quick or of some systems, target/bench)"
    )
    options = parser.parse_args()
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there are no parts {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    only = [name for name in options.systems.split(",") if name]
    rounds = 1 if options.quick else options.rounds
    out = options.out or (plan.TARGET / "bench" if options.quick or only else report.RESULTS)

    failed, begun = False, time.monotonic()
    for part in parts:
        if options.resume and report.is_measured(out, part, commit(), rounds):
            print(f"\n=== {part}: measured already", flush=True)
            continue
        print(f"\n=== {part}", flush=True)
        suite = Suite(rounds, options.quick, only)
        circumstances = machine() | {"commit": commit(), "rounds": rounds, "quick": options.quick}
        start = time.monotonic()
        measured = suite.table(part) if part in plan.TABLES else getattr(suite, part)()
        circumstances |= {"seconds": round(time.monotonic() - start), "failures": sorted(set(suite.failures))}
        report.write(out, part, {"circumstances": circumstances, "measured": measured})
        failed |= any("azolla" in name for name in suite.failures)
        print(f"{part} took {time.monotonic() - start:.0f} s, {time.monotonic() - begun:.0f} s in all", flush=True)
    print("\n" + (out / "README.md").read_text())
    if out == report.RESULTS:
        report.write_readme()
    # A peer that fails costs only its own figures, and is named on the page.
    return 1 if failed else 0


class Suite:
    def __init__(self, rounds: int, quick: bool, only: list[str]) -> None:
        self.rounds, self.quick, self.only = rounds, quick, only
        self.failures: list[str] = []

    def wanted(self, system: plan.System | plan.Grown) -> bool:
        return system.installed() and (not self.only or any(part in system.name for part in self.only))

    def run(self, name: str, command: tuple[str, ...], *arguments: str, **environment: str) -> list[dict[str, Any]]:
        """What a program printed, line by line. One that fails is reported, and costs only its own figures."""
        environment |= {"PYTHONPATH": str(plan.PROGRAMS), "PYTHONWARNINGS": "ignore"}
        log = plan.TARGET / "bench-log.txt"
        log.parent.mkdir(exist_ok=True)
        with log.open("a") as errors:
            try:
                done = subprocess.run(
                    [*command, *arguments],
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=os.environ | environment,
                    timeout=LIMIT,
                )
                code, output = str(done.returncode), done.stdout
            except subprocess.TimeoutExpired as late:
                code, output = f"none within {LIMIT} s", late.stdout or b""
            except OSError as error:
                code, output = f"none: {error}", b""
        if code != "0":
            self.failures.append(name)
            print(f"{name}: exit code {code}; its messages are in {log}", file=sys.stderr, flush=True)
        rows = []
        for line in output.decode().splitlines():
            try:
                rows += [json.loads(line)] if line.startswith("{") else []
            except ValueError:  # half a line of a program that was stopped
                self.failures.append(name)
                print(f"{name}: {line!r} is no figure", file=sys.stderr, flush=True)
        return rows

    def table(self, name: str) -> dict[str, dict[str, list[float]]]:
        """For each work and system, seconds a task in every round; an empty list where it failed."""
        table = plan.TABLES[name]
        systems = [system for system in table.systems if self.wanted(system)]
        measured: dict[str, dict[str, list[float]]] = {work: defaultdict(list) for work in table.works}
        broken: set[tuple[str, str]] = set()
        for number in range(self.rounds):
            for system in systems:
                start = time.perf_counter()
                left = [work for work in system.tasks if (system.name, work) not in broken]
                while left:
                    requests = [f"{work}={self.amount(work, system.tasks[work])}" for work in left]
                    for row in self.run(system.name, system.command, *requests):
                        measured[row["work"]][system.name].append(row["seconds"] / row["tasks"])
                        left.remove(row["work"])
                    if left:  # the one that it failed in is not tried again; those after it are
                        self.failures[-1:] = [f"{system.name}: {left[0]}"]
                        broken.add((system.name, left.pop(0)))
                print(f"round {number + 1}: {system.name}, {time.perf_counter() - start:.1f} s", flush=True)
        for system_name, work in broken:
            measured[work][system_name] = []
        return measured

    def amount(self, work: str, tasks: int) -> int:
        if not self.quick:
            return tasks
        return 12 if work == "fib" else max(22, tasks // 10)

    def metg(self) -> dict[str, Any]:
        """For each system, kernel and graph: the curve of useful work against the size of a task."""
        peaks = self.peaks()
        seconds = 0.01 if self.quick else 0.03
        curves: dict[str, list[dict[str, Any]]] = {}
        for system in plan.METG:
            if not self.wanted(system):
                continue
            start, curve = time.perf_counter(), []
            common = {"first": system.first, "seconds": seconds, "tasks": system.tasks, "cores": plan.CORES}
            for kernel in system.kernels:
                if kernel not in peaks:
                    continue
                share = plan.SHARES[kernel]
                if kernel == "rust":
                    numbers = [peaks[kernel], system.first, share, seconds, system.tasks, plan.CORES, *plan.WIDTHS]
                    request = ",".join(map(str, numbers))
                else:
                    wanted = {"share": share, "widths": plan.WIDTHS, "peaks": {kernel: peaks[kernel]}}
                    request = json.dumps(common | wanted)
                curve += self.run(f"{system.name}: {kernel}", system.command, f"metg={request}")
            curves[system.name] = curve
            print(f"{system.name}, {time.perf_counter() - start:.1f} s", flush=True)
        return {"peaks": peaks, "curves": curves}

    def peaks(self) -> dict[str, float]:
        """Units of useful work a second that all cores reach together, for each kernel: shared by all its systems."""
        peaks: dict[str, float] = {}
        for row in self.run("peaks", (sys.executable, str(plan.PROGRAMS / "peaks.py")), str(plan.CORES)):
            peaks |= row
        for row in self.run("peak, Rust", (str(plan.RUST),), f"peak={plan.CORES}"):
            peaks["rust"] = row["peak"]
        return peaks

    def idle(self) -> list[dict[str, Any]]:
        """The seed's workflow: a row for each system, seed and scale of the sleeps, in turn."""
        rows = []
        seeds = range(2 if self.quick else 10)
        scales = (0.1, 0.01) if self.quick else (1.0, 0.1, 0.01)
        systems = [system for system in plan.SEED_WORKFLOW if self.wanted(system)]
        for scale in scales:
            start = time.perf_counter()
            for seed in seeds:
                for system in systems:
                    rows += self.run(f"seed's workflow, {system.name}", system.command, str(scale), str(seed))
            print(f"sleeps × {scale:g}, {time.perf_counter() - start:.1f} s", flush=True)
        return rows

    def memory(self) -> list[dict[str, Any]]:
        """Bytes a task, by state."""
        rows = []
        for system in plan.MEMORY:
            if self.wanted(system):
                start, tasks = time.perf_counter(), self.amount("memory", system.tasks["memory"])
                rows += self.run(f"memory, {system.name}", system.command, str(tasks), PYTHONMALLOC="malloc")
                print(f"{system.name}, {time.perf_counter() - start:.1f} s", flush=True)
        return rows

    def growth(self) -> list[dict[str, Any]]:
        """Whole tasks among more and more others: seconds a task, every time."""
        rows: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
        works = [(what, work, tasks) for what, works in plan.GROWTH_WORKS.items() for work, tasks in works]
        for number in range(self.rounds):
            for name, command in plan.GROWTH.items():
                start = time.perf_counter()
                for what, work, tasks in works:
                    # Several times in one process: the first is told of memory that the system has yet to give.
                    times = max(3, min(20, 100_000 // tasks))
                    requests = [f"{work}={self.amount(work, tasks)}"] * times
                    for row in self.run(f"growth, {name}", command, *requests):
                        rows[name, what, work, tasks].append(row["seconds"] / row["tasks"])
                print(f"round {number + 1}: {name}, {time.perf_counter() - start:.1f} s", flush=True)
        columns = ("system", "what", "work", "tasks")
        return [dict(zip(columns, key, strict=True)) | {"seconds": seconds} for key, seconds in rows.items()]

    def zero(self) -> list[dict[str, Any]]:
        """The core alone, in simulated time."""
        arguments = ["1000", "100000"] if self.quick else ["10000", "10000000"]
        return self.run("zero worker, azolla", (str(plan.ZERO_WORKER),), *arguments)

    def watched(self) -> list[dict[str, Any]]:
        """What a dashboard costs those who are watched, in instructions."""
        if missing := watched.missing():
            print(f"watched: {missing}", file=sys.stderr, flush=True)
            self.failures.append("what a dashboard costs")
            return []
        return watched.measure(20_000 if self.quick else 200_000, self.rounds)


def machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def commit() -> str:
    """Which state of the code is measured; bench/results and the README's figures are no part of it."""
    git = ("git", "-C", str(plan.ROOT))
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "crates", "python"], capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + (" with changes" if changed.stdout else "")


if __name__ == "__main__":
    sys.exit(main())
