"""Runs the suite: every row for azolla and each peer that is installed, in turn, and writes what came of it.

    python bench/suite.py [--parts python,rust,...] [--systems azolla,Dask] [--rounds 5] [--quick] [--out FOLDER]

Within a round each system's program is started, does its works, and ends, before the next one is started; the table shows
medians over the rounds. `--quick` is one round of a tenth of the tasks: it shows that everything runs, and measures little.
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
import watched

PARTS = [*plan.TABLES, "metg", "idle", "memory", "zero", "watched"]
LIMIT = 600
"""Seconds after which a program counts as stuck."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default=",".join(PARTS), help=f"which of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--systems", default="", help="only systems whose name has one of these in it (default: all)")
    parser.add_argument("--rounds", type=int, default=plan.ROUNDS, help="how many rounds (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of the tasks")
    parser.add_argument("--out", type=Path, help="where to write (default: bench/results; if quick, target/bench)")
    options = parser.parse_args()
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there are no parts {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    only = [name for name in options.systems.split(",") if name]

    suite = Suite(1 if options.quick else options.rounds, options.quick, only)
    results: dict[str, Any] = {"machine": machine(), "quick": options.quick, "rounds": suite.rounds}
    for part in parts:
        print(f"\n=== {part}", flush=True)
        results[part] = suite.table(part) if part in plan.TABLES else getattr(suite, part)()
    out = options.out or (plan.TARGET / "bench" if options.quick else plan.ROOT / "bench" / "results")
    results["failures"] = suite.failures
    report.write(results, out)
    print((out / "README.md").read_text())
    # A peer that fails costs only its own figures, and is named on the page.
    return 1 if any("azolla" in name for name in suite.failures) else 0


class Suite:
    def __init__(self, rounds: int, quick: bool, only: list[str]) -> None:
        self.rounds, self.quick, self.only = rounds, quick, only
        self.failures: list[str] = []

    def wanted(self, name: str) -> bool:
        return not self.only or any(part in name for part in self.only)

    def run(self, name: str, command: tuple[str, ...], *arguments: str) -> list[dict[str, Any]]:
        """What a program printed, line by line. One that fails is reported, and costs only its own figures."""
        environment = os.environ | {"PYTHONPATH": str(plan.PROGRAMS), "PYTHONWARNINGS": "ignore"}
        log = plan.TARGET / "bench-log.txt"
        with log.open("a") as errors:
            try:
                done = subprocess.run(
                    [*command, *arguments], stdout=subprocess.PIPE, stderr=errors, env=environment, timeout=LIMIT
                )
                code, output = done.returncode, done.stdout
            except subprocess.TimeoutExpired as late:
                code, output = f"none within {LIMIT} s", late.stdout or b""
        if code != 0:
            self.failures.append(name)
            print(f"{name}: exit code {code}; its messages are in {log}", file=sys.stderr, flush=True)
        return [json.loads(line) for line in output.decode().splitlines() if line.startswith("{")]

    def table(self, name: str) -> dict[str, Any]:
        """For each work and system, seconds a task in every round."""
        table = plan.TABLES[name]
        systems = [system for system in table.systems if system.installed() and self.wanted(system.name)]
        measured: dict[str, dict[str, list[float]]] = {work: defaultdict(list) for work in table.works}
        for number in range(self.rounds):
            for system in systems:
                start = time.perf_counter()
                requests = [f"{work}={self.amount(work, tasks)}" for work, tasks in system.tasks.items()]
                for row in self.run(system.name, system.command, *requests):
                    measured[row["work"]][system.name].append(row["seconds"] / row["tasks"])
                print(f"round {number + 1}: {system.name}, {time.perf_counter() - start:.1f} s", flush=True)
        return {"measured": measured}

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
            if not system.installed() or not self.wanted(system.name):
                continue
            share, start = 0.5, time.perf_counter()
            common = {"first": system.first, "seconds": seconds, "tasks": system.tasks, "cores": plan.CORES}
            widths = [plan.CORES, 4 * plan.CORES]
            if system.kernels == ("rust",):
                numbers = [peaks["rust"], system.first, share, seconds, system.tasks, plan.CORES, *widths]
                curve = self.run(system.name, system.command, "metg=" + ",".join(map(str, numbers)))
            else:
                curve = []
                for kernel in system.kernels:
                    # Half of the cores is what one interpreter's lock allows: half of that is asked of such a kernel.
                    wanted = {"share": share if kernel == "release" else share / 2, "widths": widths}
                    request = common | wanted | {"peaks": {kernel: peaks[kernel]}}
                    curve += self.run(system.name, system.command, "metg=" + json.dumps(request))
            curves[system.name] = curve
            print(f"{system.name}, {time.perf_counter() - start:.1f} s", flush=True)
        return {"peaks": peaks, "curves": curves}

    def peaks(self) -> dict[str, float]:
        """Units of useful work a second that all cores reach together, for each kernel: shared by all its systems."""
        command = (sys.executable, str(plan.PROGRAMS / "peaks.py"))
        peaks = self.run("peaks", command, str(plan.CORES))[0]
        return peaks | {"rust": self.run("peaks", (str(plan.RUST),), f"peak={plan.CORES}")[0]["peak"]}

    def idle(self) -> list[dict[str, Any]]:
        """The seed's workflow: a row for each system, seed and scale of the sleeps, in turn."""
        rows = []
        seeds = range(2 if self.quick else 10)
        scales = (0.1, 0.01) if self.quick else (1.0, 0.1, 0.01)
        programs = {"azolla": sys.executable, "dask": str(plan.PEERS_PYTHON)}
        dask = plan.TABLES["python"].systems[-1]
        if not dask.installed() or not self.wanted("Dask"):
            del programs["dask"]
        for scale in scales:
            for seed in seeds:
                for system, interpreter in programs.items():
                    command = (interpreter, str(plan.PROGRAMS / "seed_workflow.py"), system)
                    rows += self.run(f"seed workflow, {system}", command, str(scale), str(seed))
            print(f"sleeps × {scale:g}", flush=True)
        return rows

    def memory(self) -> list[dict[str, Any]]:
        """Bytes a task, by state."""
        tasks = 20_000 if self.quick else 200_000
        rows = self.run("memory, azolla (Rust)", (str(plan.RUST_MEMORY),), str(tasks))
        rows += self.run(
            "memory, azolla (Python)", (sys.executable, str(plan.PROGRAMS / "memory.py"), "azolla"), str(tasks)
        )
        if plan.TABLES["python"].systems[-1].installed() and self.wanted("Dask"):
            command = (str(plan.PEERS_PYTHON), str(plan.PROGRAMS / "memory.py"), "dask")
            rows += self.run("memory, Dask", command, str(tasks // 40))
        return rows

    def zero(self) -> list[dict[str, Any]]:
        """The core alone, in simulated time."""
        arguments = ["1000", "100000"] if self.quick else ["10000", "10000000"]
        return self.run("zero worker, azolla", (str(plan.ZERO_WORKER),), *arguments)

    def watched(self) -> list[dict[str, Any]]:
        """What a dashboard costs those who are watched, in instructions."""
        if missing := watched.missing():
            print(f"watched: {missing}", file=sys.stderr, flush=True)
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


if __name__ == "__main__":
    sys.exit(main())
