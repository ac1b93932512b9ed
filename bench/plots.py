"""Draws what the suite has measured. Needs matplotlib, which is among the bench's own requirements.

    python bench/plots.py FOLDER

FOLDER holds results.json; python.svg, rust.svg and metg.svg (and the same as .png) are written there.
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


def main() -> None:
    out = Path(sys.argv[1])
    results = json.loads((out / "results.json").read_text())
    for name in ("python", "rust"):
        if name in results:
            bars(plan.TABLES[name], results[name]["measured"], out / name)
    if results.get("metg"):
        curves(results["metg"]["curves"], out / "metg")


def bars(table: plan.Table, measured: dict[str, dict[str, list[float]]], file: Path) -> None:
    """A group of bars for each work, on a logarithmic scale."""
    scale = {"µs": 1e6, "ns": 1e9}[table.unit]
    names = [system.name for system in table.systems if any(system.name in row for row in measured.values())]
    figure, axes = pyplot.subplots(figsize=(9, 4.2))
    for at, name in enumerate(names):
        places = [place for place, work in enumerate(table.works) if measured[work].get(name)]
        heights = [scale * statistics.median(measured[work][name]) for work in table.works if measured[work].get(name)]
        axes.bar(
            [place + 0.8 * (at + 0.5) / len(names) - 0.4 for place in places], heights, 0.8 / len(names), label=name
        )
    axes.set_yscale("log")
    axes.set_xticks(range(len(table.works)), list(table.works))
    axes.set_ylabel(f"{table.unit} a task (less is better)")
    axes.set_title(table.title)
    save(figure, axes, file)


def curves(systems: dict[str, list[dict[str, Any]]], file: Path) -> None:
    """How much of the cores' peak is useful work, by the size of the tasks; width 8, three neighbours."""
    figure, axes = pyplot.subplots(figsize=(9, 4.2))
    for name, curve in systems.items():
        points = [
            (point["microseconds"], 100 * point["share"])
            for point in curve
            if point["neighbours"] and point["width"] == 4 * plan.CORES and point["metg"] != "python"
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    axes.axhline(50, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlabel("size of a task, µs")
    axes.set_ylabel("useful work, % of the cores' peak")
    axes.set_title("Dynamic METG: an evolving graph, 8 wide, each task from three neighbours")
    save(figure, axes, file)


def save(figure: Any, axes: Any, file: Path) -> None:
    axes.legend(fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    for suffix, options in ((".svg", {"metadata": {"Date": None}}), (".png", {"dpi": 110})):
        figure.savefig(file.with_suffix(suffix), **options)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
