"""Figures of task streams and profiles, drawn with Bokeh. This module is imported only when a figure is asked for."""

import os
import zlib
from collections.abc import Iterable
from typing import Any

from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Range1d
from bokeh.palettes import Category20_20
from bokeh.plotting import figure, output_file
from bokeh.plotting import save as _save

from azolla._base.names import function_of


def task_stream(rows: Iterable[dict[str, Any]]) -> Any:
    """Draws which tasks ran when: one bar per run, one line per thread.

    A run's colour depends on the name of its function. Failed runs are black.
    """
    rows = list(rows)
    lanes = list(dict.fromkeys(f"{row['worker']} {row['thread']}" for row in rows))
    names = [function_of(row["key"]) for row in rows]
    spans = [row["startstops"][0] for row in rows]
    source = ColumnDataSource(
        {
            "lane": [f"{row['worker']} {row['thread']}" for row in rows],
            # Bokeh counts milliseconds.
            "left": [span["start"] * 1000 for span in spans],
            "right": [span["stop"] * 1000 for span in spans],
            "took": [_in_words(span["stop"] - span["start"]) for span in spans],
            "name": names,
            "key": [str(row["key"]) for row in rows],
            "status": [row["status"] for row in rows],
            "color": [
                _colour(name) if row["status"] == "OK" else "black" for name, row in zip(names, rows, strict=True)
            ],
        }
    )
    plot = figure(
        title="Task stream", x_axis_type="datetime", y_range=FactorRange(factors=lanes), sizing_mode="stretch_both"
    )
    plot.hbar(y="lane", left="left", right="right", height=0.8, color="color", line_color=None, source=source)
    plot.add_tools(HoverTool(tooltips=[("", "@name"), ("key", "@key"), ("took", "@took"), ("status", "@status")]))
    plot.yaxis.visible = False
    return plot


def flames(tree: dict[str, Any], interval: float) -> Any:
    """Draws a profile: a function's callees stand above it. The width of each is the time that it took."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("left", "right", "bottom", "top", "name", "file", "line", "took", "share", "color")
    }
    todo = [(tree, 0.0, 0)]
    while todo:
        node, left, depth = todo.pop()
        width = node["count"] / max(1, tree["count"])
        what = node["description"]
        bar = {
            "left": left,
            "right": left + width,
            "bottom": depth,
            "top": depth + 1,
            "name": what["name"] or "all tasks",
            "file": f"{what['filename']}:{what['line_number']}" if what["filename"] else "",
            "line": what["line"],
            "took": _in_words(node["count"] * interval),
            "share": f"{100 * width:.1f} %",
            "color": _colour(what["filename"]) if what["filename"] else "lightgray",
        }
        for name, value in bar.items():
            columns[name].append(value)
        for child in node["children"].values():
            todo.append((child, left, depth + 1))
            left += child["count"] / max(1, tree["count"])
    plot = figure(title="Profile", sizing_mode="stretch_both", x_range=Range1d(start=0, end=1))
    plot.quad("left", "right", "top", "bottom", color="color", line_color="white", source=ColumnDataSource(columns))
    tooltips = [("", "@name"), ("where", "@file"), ("line", "@line"), ("time", "@took (@share)")]
    plot.add_tools(HoverTool(tooltips=tooltips))
    plot.axis.visible = False
    plot.grid.visible = False
    return plot


def save(plot: Any, filename: str | os.PathLike[str], title: str, resources: Any) -> None:
    """Writes a figure to a file, as an HTML page."""
    output_file(filename, title=title)
    _save(plot, filename=filename, title=title, resources=resources)


def _colour(name: str) -> str:
    return Category20_20[zlib.crc32(name.encode(errors="replace")) % len(Category20_20)]


def _in_words(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
