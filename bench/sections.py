"""The tables of what was measured, one a part, as lines of Markdown."""

import statistics
from collections.abc import Callable
from typing import Any

import plan

KERNELS = {
    "rust": "Rust",
    "release": "Python, lock released",
    "python": "Python, lock held",
    "processes": "Python, lock held, in processes",
}


def grid(title: str, header: list[str], rows: list[list[str]], level: int = 2) -> list[str]:
    lines = [
        "",
        f"{'#' * level} {title}",
        "",
        "| " + " | ".join(header) + " |",
        "|---" + "|---:" * (len(header) - 1) + "|",
    ]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def table(table: plan.Table, measured: dict[str, dict[str, list[float]]], level: int = 2) -> list[str]:
    scale = {"ms": 1e3, "µs": 1e6, "ns": 1e9}[table.unit]
    names = [system.name for system in table.systems if any(system.name in row for row in measured.values())]
    header = ["work", "goal", *names]
    rows = []
    for work, what in table.works.items():
        row = [what, f"≤ {table.goals[work]}" if work in table.goals else ""]
        ours = measured[work].get("azolla")
        for name in names:
            times = measured[work].get(name)
            if not times:
                row.append("–" if times is None else "*failed*")
                continue
            cell = figure(scale * statistics.median(times))
            if ours and name != "azolla" and len(times) == len(ours):
                ratio = statistics.median(theirs / own for theirs, own in zip(times, ours, strict=True))
                cell += f" ({figure(ratio)} ×)"
            row.append(cell)
        rows.append(row)
    return grid(f"{table.title}: {table.unit} a task", header, rows, level)


def figure(number: float) -> str:
    """Three digits are enough."""
    return (
        f"{number:,.0f}"
        if number >= 100
        else f"{number:.1f}"
        if number >= 10
        else f"{number:.2f}"
        if number >= 0.1
        else f"{number:.1g}"
    )


def metg(results: dict[str, Any]) -> list[str]:
    graphs = [(width, near) for width in plan.WIDTHS for near in (False, True)]
    header = ["system", "kernel"]
    header += [f"width {width}, {'three neighbours' if near else 'independent'}" for width, near in graphs]
    rows = []
    for kernel, share in plan.SHARES.items():
        for name, curve in results["curves"].items():
            if not any(point["metg"] == kernel for point in curve):
                continue
            sizes = [smallest(points(curve, kernel, width, near), share) for width, near in graphs]
            rows.append([name, f"{KERNELS[kernel]}, {share:.0%}", *sizes])
    lines = grid("Dynamic METG: the smallest useful task, µs", header, rows)
    return [
        *lines,
        "",
        "An evolving graph whose step t + 1 is submitted only as completions of step t are seen; the smallest task for "
        "which the share of both cores' peak that was useful work is still that of the second column. A kernel that holds "
        "the interpreter's lock can fill one core of two at most where tasks are threads: 25 % is asked of it.",
        *beyond_the_peak(results["curves"]),
    ]


def beyond_the_peak(curves: dict[str, list[dict[str, Any]]]) -> list[str]:
    """More useful work than the cores can do means that the peak was not what they can do."""
    most = max((point["share"] for curve in curves.values() for point in curve), default=0.0)
    if most < 1.1:
        return []
    return [
        "",
        f"**Not to be trusted**: up to {most:.0%} of the peak was reached, so that the peak was measured too low.",
    ]


def points(curve: list[dict[str, Any]], kernel: str, width: int, near: bool) -> list[tuple[float, float]]:
    """Sizes and shares of one graph, largest first."""
    return [
        (point["microseconds"], point["share"])
        for point in curve
        if (point["metg"], point["width"], point["neighbours"]) == (kernel, width, near)
    ]


def smallest(curve: list[tuple[float, float]], share: float) -> str:
    """Where the curve last falls below the share, between the two sizes that were measured."""
    enough = [at for at, (_, reached) in enumerate(curve) if reached >= share]
    if not enough:
        return f"> {curve[0][0]:,.0f}" if curve else "–"
    last = enough[-1]
    size, reached = curve[last]
    if last + 1 == len(curve):
        return f"< {figure(size)}"
    below, reached_below = curve[last + 1]
    part = (reached - share) / (reached - reached_below)
    return figure(size * (below / size) ** part)


def idle(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for scale in sorted({row["scale"] for row in rows}, reverse=True):
        for system in ("azolla", "Dask"):
            runs = [row for row in rows if row["scale"] == scale and row["system"] == system]
            if runs:
                share = statistics.median(row["idle"] for row in runs)
                inversions = str(sum(row["inversions"] for row in runs))
                makespan = statistics.median(row["makespan"] for row in runs)
                lines.append([f"× {scale:g}", system, f"{makespan:.3f} s", f"{100 * share:.2f} %", inversions])
    header = ["sleeps", "system", "makespan", "idle while ready", "priority inversions"]
    seeds = len({row["seed"] for row in rows})
    title = f"The seed's workflow on 6 threads, {seeds} seeds"
    return [
        *grid(title, header, lines),
        "",
        "As the tasks themselves note their begin and end, alike in both systems: idle is slot time unused while a task was "
        "ready, over slots × makespan.",
    ]


def memory(rows: list[dict[str, Any]]) -> list[str]:
    header = ["system", "tasks", "pending", "running", "finished", "left after release, of the finished"]
    lines = [
        [
            row["system"],
            f"{row['tasks']:,}",
            *(
                f"{row[state]:,.0f}" if row.get(state) is not None else "–"
                for state in ("pending", "running", "finished")
            ),
            f"{100 * row['left']:.1f} %",
        ]
        for row in rows
    ]
    return [
        *grid("Memory: bytes a task", header, lines),
        "",
        "Futures, results and arguments included. Rust: counted by the allocator, and left is what was there when the last "
        "task had gone. Python: what malloc has handed out, to Python and to the native code alike; left is what was there "
        "three seconds after the futures had gone.",
    ]


def growth(rows: list[dict[str, Any]]) -> list[str]:
    """Each figure beside that of its first row."""
    lines = []
    for system in dict.fromkeys(row["system"] for row in rows):
        for what in dict.fromkeys(row["what"] for row in rows):
            of_these = [row for row in rows if (row["system"], row["what"]) == (system, what)]
            first = statistics.median(of_these[0]["seconds"])
            for row in of_these:
                seconds = statistics.median(row["seconds"])
                how_many = row["work"].removeprefix("fan") if what == "dependents" else row["tasks"]
                lines.append(
                    [
                        system,
                        f"{int(how_many):,} {what}",
                        f"{1e9 * seconds:,.0f}",
                        f"{100 * (seconds / first - 1):+.0f} %",
                    ]
                )
    return [
        *grid("Whole tasks among more and more others", ["system", "of", "ns a task", "beside the first"], lines),
        "",
        "Submitted, run, gathered and let go. Live tasks: a map of so many. Dependents: each task has so many, which are "
        "counted as tasks too. The goal is ± 20 %.",
    ]


def zero(rows: list[dict[str, Any]]) -> list[str]:
    header = ["run", "live tasks", "ns a task", "decisions a second", "bytes a live task"]
    lines = [
        [
            row["run"],
            f"{row['live']:,}",
            f"{row['ns']:,.0f}",
            f"{row['decisions']:,.0f}",
            f"{row['bytes']:,.0f}" if row["bytes"] is not None else "–",
        ]
        for row in rows
    ]
    return [
        *grid("The zero worker: the core alone, in simulated time", header, lines),
        "",
        "A task is submitted, pulled, finished and released: four decisions and more.",
    ]


def watched(rows: list[dict[str, Any]]) -> list[str]:
    header = ["watched by", "goal", "instructions a task", "of these for watching, over all others"]
    goals = {"a dashboard, no page open": "≤ 2 %", "a page open": "≤ 10 %"}
    lines = [
        [row["how"], goals.get(row["how"], ""), f"{row['instructions']:,.0f}", f"{100 * row['share']:.1f} %"]
        for row in rows
    ]
    return [
        *grid("What a dashboard costs a Rust task that does nothing", header, lines),
        "",
        "Counted by callgrind, the dashboard's own thread included, which looks four times a second at the pace of the machine.",
    ]


ALL: dict[str, Callable[[Any], list[str]]] = {
    "metg": metg,
    "idle": idle,
    "memory": memory,
    "growth": growth,
    "zero": zero,
    "watched": watched,
}
"""By part; the tables that compare systems come before."""
