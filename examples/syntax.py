"""The syntax trees of Python files: work that holds the interpreter's lock for milliseconds a file."""

from __future__ import annotations

import ast
import os
import warnings
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azolla import Client

FILES = 300
"""The most files that are looked at."""


def files_in(top: str, files: list[str]) -> list[str]:
    """The paths of the first Python files among these."""
    return [os.path.join(top, file) for file in files if file.endswith(".py")][:FILES]


def nodes_of(path: str) -> Counter[str]:
    """A task: how many nodes of each kind the tree of a file has. None, if it cannot be parsed."""
    try:
        with open(path, "rb") as file, warnings.catch_warnings(action="ignore"):
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return Counter()
    return Counter(type(node).__name__ for node in ast.walk(tree))


def sequentially(paths: list[str]) -> Counter[str]:
    return sum(map(nodes_of, paths), Counter())


def on_workers(client: Client, paths: list[str]) -> Counter[str]:
    return sum(client.gather(client.map(nodes_of, paths, pure=False)), Counter())
