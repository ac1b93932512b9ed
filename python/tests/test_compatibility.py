"""docs/dask-compatibility.md says of every name of azolla and of Dask what it is: no name is left out, none is made up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import azolla
import distributed
import pytest
from azolla import Client

PAGE = Path(__file__).parents[2] / "docs" / "dask-compatibility.md"
VERDICTS = {"same", "better", "refused", "absent"}


def table() -> dict[str, dict[str, tuple[str, str]]]:
    """By part of the page and name: the verdict, and what is said."""
    parts: dict[str, dict[str, tuple[str, str]]] = {}
    rows: dict[str, tuple[str, str]] = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            rows = parts.setdefault(line.removeprefix("## ").strip("`"), {})
        elif row := re.fullmatch(r"\| `(\w+)` \| (\w+) \| (.*) ?\|", line):
            name, verdict, words = row.groups()
            assert name not in rows, f"{name} stands there twice"
            rows[name] = (verdict, words.strip())
    return parts


PARTS = table()


def names(owner: Any) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def of_azolla(part: str) -> set[str]:
    return set(azolla.__all__) if part == "The package" else names(getattr(azolla, part))


def of_dask(part: str) -> set[str]:
    if part == "The package":
        return set(distributed.__all__)
    # What its classes carry for themselves, and what is an attribute of azolla's instances alone.
    return names(getattr(distributed, part)) - (
        {"name"} if part in ("Client", "LocalCluster") else {"asynchronous", "name"}
    )


@pytest.mark.parametrize("part", PARTS)
def test_every_name_has_its_row(part: str) -> None:
    assert of_azolla(part) | of_dask(part) == set(PARTS[part])


@pytest.mark.parametrize("part", PARTS)
def test_what_is_said_to_be_there_is_there(part: str) -> None:
    there = of_azolla(part)
    for name, (verdict, words) in PARTS[part].items():
        assert verdict in VERDICTS, name
        assert (name in there) == (verdict != "absent"), name
        assert words or verdict == "same", f"{name}: why?"


def test_what_is_said_to_be_azollas_own_is_not_dasks() -> None:
    for part, rows in PARTS.items():
        for name, (_, words) in rows.items():
            if words.startswith("azolla's own"):
                assert name not in of_dask(part), name
            elif name not in of_dask(part):
                # Dask sets these when a client or a cluster is made.
                assert name in {"client", "datasets", "futures", "scheduler_info", "status", "workers"}, name


@pytest.mark.parametrize("name", [name for name, row in PARTS["Client"].items() if row[0] == "refused"])
def test_what_is_refused_says_why(name: str, client: Client) -> None:
    arguments = ["scheduler.json"] if name == "write_scheduler_file" else []
    with pytest.raises(NotImplementedError, match=r"\w+ \w+"):
        getattr(client, name)(*arguments)
