"""Counts the instructions of the engine's hot paths under valgrind, and holds them to those in counts.json beside this file.

    python bench/counts.py PROGRAM [--only NAME] [--update] [--profile]

PROGRAM is the example `counts` of the crate azolla. What a work costs is the difference between doing it often and less
often, divided by the difference: no set-up is in it. Counts do not shake, so that 3 % more is a change of the code.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BASELINE = Path(__file__).with_suffix(".json")
TOLERANCE = 0.03
LESS, MORE = 2_100, 6_300
"""How often a work is done: multiples of what works do at once."""
LIMIT = 60
"""Seconds after which a run counts as stuck."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--only", default="", help="only works with this in their name")
    parser.add_argument("--update", action="store_true", help="make what is counted the new baseline")
    parser.add_argument("--profile", action="store_true", help="show where the instructions of each work go")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: on Debian, apt-get install valgrind", file=sys.stderr)
        return 1

    listed = subprocess.run([options.program], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    works = [name for name in listed if options.only in name]
    if not works:
        parser.error(f"no work has {options.only!r} in its name; there are: {', '.join(listed)}")
    folder = options.program.resolve().parents[2] / "counts"
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(works, pool.map(lambda work: count(options.program, work, folder), works), strict=True))

    machine = platform.machine()
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    known = baseline.get(machine, {})
    if options.profile:
        for work in works:
            profile(work, folder)
    worse, better = show(counts, known)
    if options.update:
        # What is no work any more goes; what was not counted this time stays.
        kept = {work: counts.get(work, known.get(work)) for work in listed if work in counts or work in known}
        BASELINE.write_text(json.dumps(baseline | {machine: kept}, indent=1) + "\n")
        print(f"\nwritten to {BASELINE.name}")
        return 0
    return verdict(worse, better, [work for work in works if work not in known], bool(known))


def count(program: Path, work: str, folder: Path) -> float:
    """Instructions that doing it once more takes."""
    return round((run(program, work, MORE, folder) - run(program, work, LESS, folder)) / (MORE - LESS), 1)


def run(program: Path, work: str, times: int, folder: Path) -> int:
    out = folder / file_name(work, times)
    command = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={out}", program, work, str(times)]
    # Nothing of the caller's environment: it lies on the program's stack.
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT
    )
    if done.returncode != 0:
        sys.exit(f"{work}: exit code {done.returncode}\n{done.stdout}")
    found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    if found is None:
        sys.exit(f"{work}: {out} does not say how many instructions there were")
    return int(found[1])


def file_name(work: str, times: int) -> str:
    return re.sub(r"\W+", "-", work) + f".{times}.out"


def profile(work: str, folder: Path) -> None:
    """The functions that take most, set-up included."""
    out = folder / file_name(work, MORE)
    text = subprocess.run(
        ["callgrind_annotate", "--show-percs=yes", "--auto=no", out], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    lines = [line for line in text.splitlines() if re.match(r" *[\d,]+ +\( *[\d.]+%\)", line)]
    print(f"\n{work}, {MORE:,} times and all that leads up to it ({out})")
    for line in lines[:25]:
        print("   ", re.sub(r"\?{3}:| \[.*\]$", "", line)[:150])


def show(counts: dict[str, float], known: dict[str, float]) -> tuple[list[str], list[str]]:
    """Prints a line for each work, and returns those that have grown and those that have shrunk."""
    worse, better = [], []
    width = max(map(len, counts))
    print(f"\n{'instructions':{width}}{'before':>10}{'now':>10}{'change':>9}")
    for work, now in counts.items():
        before = known.get(work)
        if before is None:
            print(f"{work:{width}}{'-':>10}{now:>10,.1f}{'new':>9}")
            continue
        change = now / before - 1
        mark = ""
        if change > TOLERANCE:
            worse.append(work)
            mark = "  worse"
        elif change < -TOLERANCE:
            better.append(work)
            mark = "  better"
        print(f"{work:{width}}{before:>10,.1f}{now:>10,.1f}{change:>+9.1%}{mark}", flush=True)
    return worse, better


def verdict(worse: list[str], better: list[str], new: list[str], known: bool) -> int:
    if not known:
        print(f"\nno counts are kept for {platform.machine()}: nothing to hold these to")
        return 0
    if better or new:
        print("\nsome take less, or are new: `make counts UPDATE=1` keeps that, to be committed with the change")
    if worse:
        print(
            f"\n{len(worse)} of the works take over {TOLERANCE:.0%} more instructions than before. If the change is worth "
            "that, `make counts UPDATE=1`\nwrites the new counts; say in the commit what they pay for.",
            file=sys.stderr,
        )
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
