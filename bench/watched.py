"""Counts the instructions that a dashboard costs a Rust task that does nothing: with nobody looking, and with a page open.

    cargo build --release -p azolla-dashboard --example watched
    python bench/watched.py

Needs valgrind. The same workload runs under callgrind without a dashboard, with one that nobody looks at, and with a page's
stream open. What is counted always (the tree of growth, how long functions take, whether anybody looks) is part of every
run: it is told by its source lines. Under callgrind all goes fifty times slower, but the dashboard looks four times a
second all the same: so what a look costs is measured by itself, and shared out over the tasks of a quarter of a second at
the pace that they have without callgrind.
"""

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target" / "release" / "examples" / "watched"
WATCHING = ("azolla-core/src/growth.rs", "azolla-core/src/durations.rs", "azolla/src/runtime/observe.rs")
"""Where the code is that is there only so that one can watch."""

LOOKS = 4
"""How often the dashboard looks in a second."""

SERVER = 4
"""The number of its thread: the program's own is 1, the workers' are 2 and 3."""


def main() -> int:
    if what := missing():
        sys.exit(what)
    for row in measure():
        print(f"{row['how']}: {row['instructions']:,.0f} instructions a task, {row['share']:.2%} for watching")
    return 0


def missing() -> str | None:
    """What it takes that is not there."""
    if shutil.which("valgrind") is None:
        return "needs valgrind: on Debian, apt-get install valgrind"
    if not PROGRAM.exists():
        return "build it first: cargo build --release -p azolla-dashboard --example watched"
    return None


def measure(tasks: int = 200_000, rounds: int = 3) -> list[dict[str, Any]]:
    """A row for each way to be watched: instructions a task, and what share of them watching is."""
    counted = [{how: Run(how, tasks) for how in ("none", "served", "page")} for _ in range(rounds)]
    bare = statistics.median(run["none"].working / tasks for run in counted)
    pace = statistics.median(native(10 * tasks) for _ in range(rounds))
    brief, long = Run("page", 1_000, seconds=1.0), Run("page", 1_000, seconds=5.0)
    look = (long.serving - brief.serving) / (long.looks - brief.looks)
    opening = brief.serving - look * brief.looks

    unseen = statistics.median((run["served"].watching + run["served"].serving) / tasks for run in counted)
    always = statistics.median(run["none"].watching / tasks for run in counted)
    seen = statistics.median(run["page"].working / tasks for run in counted)
    told = statistics.median((run["page"].serving - opening - look * run["page"].looks) / tasks for run in counted)
    told_at_pace = max(0.0, told) + look * LOOKS / pace
    open_page = always + max(0.0, seen - bare) + told_at_pace
    unwatched = bare - always
    rows = [("no dashboard", always), ("a dashboard, no page open", unseen), ("a page open", open_page)]
    return [{"how": how, "instructions": unwatched + cost, "share": cost / unwatched} for how, cost in rows]


class Run:
    """One run under callgrind."""

    def __init__(self, how: str, tasks: int, seconds: float = 0.0) -> None:
        with tempfile.TemporaryDirectory() as folder:
            counts = Path(folder) / "counts"
            callgrind = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={counts}"]
            told = run([*callgrind, str(PROGRAM), how, str(tasks), str(seconds)])
            threads = {int(path.name.rpartition("-")[2]): by_file(path) for path in Path(folder).glob("counts-*")}
        self.looks: int = told["looks"]
        self.serving = sum(threads.pop(SERVER, Counter()).values())
        """Instructions of the dashboard's own thread."""
        self.working = sum(sum(files.values()) for files in threads.values())
        """Of those that submit and run tasks."""
        self.watching = sum(
            count for files in threads.values() for file, count in files.items() if file.endswith(WATCHING)
        )
        """Of these, those that are there only so that one can watch."""


def native(tasks: int) -> float:
    """Tasks a second with a page open, without callgrind."""
    told = run([str(PROGRAM), "page", str(tasks)])
    return float(told["tasks"] / told["seconds"])


def run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, timeout=600, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return dict(json.loads(done.stdout.decode().splitlines()[-1]))


def by_file(path: Path) -> Counter[str]:
    """Instructions by source file, code that was inlined counted where it was written."""
    with path.open() as lines:
        return count(lines)


def count(lines: Iterable[str]) -> Counter[str]:
    """As `by_file`, of callgrind's format: file names are told once, and then by their number."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    file, called = "", False
    for line in lines:
        if named := re.match(r"(fl|fi|fe|cfi|cfl)=(\(\d+\))(?: (.*))?", line):
            kind, number, name = named.groups()
            if name is not None:
                names[number] = name.strip()
            if not kind.startswith("c"):
                file = names.get(number, "")
        elif line.startswith("calls="):
            called = True
        elif line[:1] in "+-*0123456789" and line.strip():
            # The line after a call tells what was spent in there, which is counted there.
            if not called:
                counts[file] += int(line.split()[1])
            called = False
    return counts


if __name__ == "__main__":
    sys.exit(main())
