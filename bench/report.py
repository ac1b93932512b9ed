"""Writes what the suite has measured: all of it as JSON, medians and ratios as one page of tables, plots, and the figures
in the project's README.

    python bench/report.py [--check]

Writes page, plots and README anew from bench/results/results.json. `--check` writes nothing, and fails if they say
otherwise than it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import plan
import sections
from sections import grid, table

RESULTS = plan.ROOT / "bench" / "results"
README = plan.ROOT / "README.md"
BEGIN, END = "<!-- figures: written by bench/report.py -->\n", "<!-- end of the figures -->\n"

Results = dict[str, dict[str, Any]]
"""By part: `measured`, and under which `circumstances`."""


def write(out: Path, part: str, result: dict[str, Any]) -> None:
    """Parts that were not measured this time stay as they were."""
    out.mkdir(parents=True, exist_ok=True)
    results = read(out) | {part: result}
    order = [*plan.TABLES, *sections.ALL]
    results = {part: results[part] for part in order if part in results}
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "README.md").write_text(page(results))
    draw(out)


def read(out: Path) -> Results:
    file = out / "results.json"
    return json.loads(file.read_text()) if file.exists() else {}


def draw(out: Path) -> None:
    """With the peers' Python, which has matplotlib."""
    if plan.PEERS_PYTHON.exists():
        done = subprocess.run([plan.PEERS_PYTHON, plan.ROOT / "bench" / "plots.py", out], check=False)
        if done.returncode != 0:
            print("the plots could not be drawn", file=sys.stderr)


def is_measured(out: Path, part: str, commit: str, rounds: int) -> bool:
    """Whether this part was measured in whole, at this commit, with so many rounds."""
    done = read(out).get(part, {}).get("circumstances", {})
    return (done.get("commit"), done.get("rounds"), done.get("quick")) == (commit, rounds, False)


def page(results: Results) -> str:
    lines = [
        "# What `make bench` measured",
        "",
        "Medians over the rounds, each of which ran every system in turn. What counts is the ratio in one run: in brackets, "
        "how many times azolla's time a peer takes. – where a system cannot do it, *failed* where it ended before its time.",
        *circumstances(results),
    ]
    for name in plan.TABLES:
        if name in results:
            lines += table(plan.TABLES[name], results[name]["measured"])
    for name, section in sections.ALL.items():
        if name in results:
            lines += section(results[name]["measured"])
    if failures := sorted({failure for part in results.values() for failure in part["circumstances"]["failures"]}):
        lines += ["", f"Ended before their time: {', '.join(failures)}."]
    return "\n".join(lines) + "\n"


def circumstances(results: Results) -> list[str]:
    rows = []
    for part, result in results.items():
        told = result["circumstances"]
        row = [part, told["date"], told["commit"], told["rounds"], told["processors"], f"{told['load']:.1f}"]
        rows.append([*map(str, row), told["python"], f"{told['seconds']:,} s"])
    header = ["part", "date", "commit", "rounds", "processors", "load when it began", "CPython", "took"]
    return grid("When, and on what", header, rows)


def readme_figures(results: Results) -> str:
    """What the README shows: the tables of threads in Python and in Rust."""
    told = [results[part]["circumstances"] for part in ("python", "rust")]
    days, rounds, loads = ({figures[name] for figures in told} for name in ("date", "rounds", "load"))
    lines = [
        "",
        "`make bench` beside the peers that `make bench-peers` installs, in turn, each table in one run "
        f"({', '.join(sorted(days))}; {told[0]['processors']} processors, load {min(loads):.1f} to {max(loads):.1f} at the "
        f"beginning; CPython {told[0]['python']}), medians of {' or '.join(map(str, sorted(rounds)))} rounds. What counts is the ratio within the run, "
        "in brackets: how many times azolla's time a peer takes. All of it, with dynamic METG, idle slots, memory and the "
        "scheduler alone: [bench/results](bench/results/README.md).",
    ]
    for part in ("python", "rust"):
        lines += table(plan.TABLES[part], results[part]["measured"], level=3)
    for picture, what in (("python", "Python, 2 threads: microseconds a task"), ("metg", "Dynamic METG")):
        lines += ["", f"![{what}](bench/results/{picture}.svg)"]
    return "\n".join(lines) + "\n\n"


def readme(results: Results) -> str:
    """The project's README with the figures of these results."""
    text = README.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{README} has no place for figures: {BEGIN.strip()} ... {END.strip()}")
    return before + BEGIN + readme_figures(results) + END + after


def write_readme() -> None:
    results = read(RESULTS)
    if {"python", "rust"} <= set(results):
        README.write_text(readme(results))


def main() -> int:
    results = read(RESULTS)
    files = {README: readme(results), RESULTS / "README.md": page(results)}
    if sys.argv[1:] == ["--check"]:
        stale = [str(file.relative_to(plan.ROOT)) for file, text in files.items() if file.read_text() != text]
        if stale:
            print(f"not what bench/results/results.json says: {', '.join(stale)}. Run bench/report.py", file=sys.stderr)
        return 1 if stale else 0
    for file, text in files.items():
        file.write_text(text)
    draw(RESULTS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
