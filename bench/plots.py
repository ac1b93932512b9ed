"""Draws what the suite has measured. Needs matplotlib, which is among the bench's own requirements.

    python bench/plots.py FOLDER

FOLDER holds results.json; python.svg, rust.svg, metg.svg and metg-all.svg (and the same as .png) are written there.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib
import plan

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "azolla"
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

COLOURS = {
    "azolla": "#1b7837",
    "azolla (Rust)": "#7fbf7b",
    "azolla (Python)": "#1b7837",
    "azolla (processes)": "#1b7837",
    "ThreadPoolExecutor": "#e08214",
    "ProcessPoolExecutor": "#e08214",
    "loky": "#8c510a",
    "frisky (processes)": "#2166ac",
    "Dask (processes)": "#762a83",
    "frisky": "#2166ac",
    "Ray (processes)": "#b2182b",
    "Dask": "#762a83",
    "rayon": "#e08214",
    "tokio": "#4d4d4d",
    "one mutex + heap": "#bababa",
}

KERNELS = {
    ("rust", "release"): "kernel in Rust, or lock released",
    ("python",): "kernel that holds Python's lock, on threads",
    ("processes",): "the same, in processes",
}


def main() -> None:
    out = Path(sys.argv[1])
    results = json.loads((out / "results.json").read_text())
    for name in ("python", "rust"):
        if name in results:
            bars(plan.TABLES[name], results[name]["measured"], out / name)
    if "metg" in results:
        curves = results["metg"]["measured"]["curves"]
        graphs = [(width, near) for width in plan.WIDTHS for near in (False, True)]
        draw_curves(curves, graphs[-1:], out / "metg")
        draw_curves(curves, graphs, out / "metg-all")


def bars(table: plan.Table, measured: dict[str, dict[str, list[float]]], file: Path) -> None:
    """A group of bars for each work, on a logarithmic scale; a black line is the goal."""
    scale = {"µs": 1e6, "ns": 1e9}[table.unit]
    names = [system.name for system in table.systems if any(row.get(system.name) for row in measured.values())]
    figure, axes = pyplot.subplots(figsize=(10, 4.4))
    for place, work in enumerate(table.works):
        here = [name for name in names if measured[work].get(name)]
        wide = 0.86 / max(1, len(here))
        for at, name in enumerate(here):
            left, height = place - 0.43 + at * wide, scale * statistics.median(measured[work][name])
            axes.bar(left, height, 0.94 * wide, align="edge", color=COLOURS[name], label=name)
            text = f"{height:,.0f}" if height >= 10 else f"{height:.1f}"
            axes.text(left + 0.47 * wide, height, text, ha="center", va="bottom", fontsize=6)
        goal = table.goals.get(work, "")
        if goal.replace(".", "").isdigit():
            axes.plot(
                [place - 0.45, place - 0.41 + wide], [float(goal)] * 2, color="black", linewidth=1.5, label="goal"
            )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xticks(range(len(table.works)), list(table.works))
    axes.set_ylabel(f"{table.unit} a task (less is better)")
    axes.set_title(f"{table.title}: {table.unit} a task", loc="left")
    legend(figure, [axes])
    save(figure, [axes], file)


def draw_curves(systems: dict[str, list[dict[str, Any]]], graphs: list[tuple[int, bool]], file: Path) -> None:
    """How much of the cores' peak is useful work, by the size of the tasks: a row a graph, a column a kernel."""
    height = 4.2 if len(graphs) == 1 else 2.6 * len(graphs)
    figure, grid = pyplot.subplots(
        len(graphs), len(KERNELS), figsize=(12, height), sharex=True, sharey=True, squeeze=False
    )
    for row, (width, near) in zip(grid, graphs, strict=True):
        for axes, (kernels, what) in zip(row, KERNELS.items(), strict=True):
            for name, curve in systems.items():
                points = [
                    (point["microseconds"], 100 * point["share"])
                    for point in curve
                    if (point["width"], point["neighbours"]) == (width, near) and point["metg"] in kernels
                ]
                if points:
                    axes.plot(*zip(*points, strict=True), marker="o", markersize=3, color=COLOURS[name], label=name)
            axes.axhline(100 * plan.SHARES[kernels[0]], color="grey", linewidth=0.8, linestyle="--")
            axes.set_xscale("log")
            axes.set_title(f"{width} wide, {'three neighbours' if near else 'independent'}; {what}", fontsize=9)
        row[0].set_ylabel("useful work, % of the peak")
    grid[0][0].set_ylim(0, 105)
    grid[0][0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    for axes in grid[-1]:
        axes.set_xlabel("size of a task, µs (further left is better)")
    figure.suptitle("Dynamic METG: how small may the tasks of an evolving graph be?", x=0.01, ha="left")
    legend(figure, list(grid.flat))
    save(figure, list(grid.flat), file)


def legend(figure: Any, all_axes: list[Any]) -> None:
    """One for all, below, with each name once."""
    named = {}
    for axes in all_axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(named), fontsize=8, frameon=False)


def save(figure: Any, all_axes: list[Any], file: Path) -> None:
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.set_layout_engine("constrained")
    for suffix, options in ((".svg", {"metadata": {"Date": None}}), (".png", {"dpi": 110})):
        figure.savefig(file.with_suffix(suffix), **options)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
