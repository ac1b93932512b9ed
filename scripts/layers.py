"""Checks that the layout is as it is meant to be: folders stand on floors, and nothing imports from a floor above its own.

    layers.py

Fails and says where, if
- a Python module imports from a higher folder, wherever in it the import is, and if only for types;
- a Rust file of the extension names a higher folder after `crate::`, in `use` or in the code;
- a source file does not begin with what it is for.
Then it lists the source files that are long, which fails nothing.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "azolla"
EXTENSION = ROOT / "crates" / "azolla-python" / "src"

#: The lowest first. Below them is the native module (its stub may name any class), above them what is in no folder.
PYTHON = ["_base", "_process", "_run", "_cluster", "_watch", "_client", "_shared"]
NATIVE = "_azolla"
RUST = ["interpreter", "child", "token", "task", "session", "future", "submit", "runner", "sync", "face"]

#: What may be imported from above all the same: `Client` loads what makes it joblib's backend, if joblib is there.
ALLOWED = {("_client/client.py", "joblib")}

SOURCES = ["crates", "python", "bench", "scripts", "examples"]
KINDS = {".py", ".rs", ".mjs"}
#: Made by tools or by others, or read by the examples.
SKIPPED = {"target", "__pycache__", "vendor", "fixture"}
LONG = 400


def main() -> int:
    faults = [*python_faults(), *rust_faults(), *headless()]
    for fault in faults:
        print(fault)
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    print(f"source files of more than {LONG} lines:")
    for path in sorted(lengths, key=lambda path: -lengths[path]):
        if lengths[path] > LONG:
            print(f"  {lengths[path]:5} {path.relative_to(ROOT)}")
    return 1 if faults else 0


def python_faults() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        folder = file.rpartition("/")[0].partition("/")[0]
        if folder and folder not in PYTHON:
            yield f"{path.relative_to(ROOT)}: the folder {folder} has no floor in scripts/layers.py"
        for line, part in imported(path) if folder in PYTHON else ():
            floor = PYTHON.index(part) if part in PYTHON else -1 if part == NATIVE else len(PYTHON)
            if floor > PYTHON.index(folder) and (file, part) not in ALLOWED:
                yield f"{path.relative_to(ROOT)}:{line}: {folder} imports {part or 'azolla'}, which is above it"


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a module's imports from azolla, and the folder or module each is from; "" for azolla itself."""
    within = ["azolla", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = within[: len(within) + 1 - node.level] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, *parts = name.split(".")
            if top == "azolla":
                yield node.lineno, parts[0] if parts else ""


def rust_faults() -> Iterator[str]:
    for path in sorted(EXTENSION.rglob("*.rs")):
        folder = path.relative_to(EXTENSION).parts[0].removesuffix(".rs")
        if folder not in RUST:  # not in a folder yet
            continue
        code = without_comments(path.read_text(encoding="utf-8"))
        for found in re.finditer(r"\bcrate::(\w+|\{[^;]*)", code):
            for name in first_names(found[1]):
                if name in RUST and RUST.index(name) > RUST.index(folder):
                    line = code.count("\n", 0, found.start()) + 1
                    yield f"{path.relative_to(ROOT)}:{line}: {folder} uses crate::{name}, which is above it"


def without_comments(code: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), code, flags=re.DOTALL)


def first_names(path: str) -> list[str]:
    """What follows `crate::`: a name, or in braces several paths, of which the first name each counts."""
    inner = path.removeprefix("{")
    while "{" in inner:
        inner = re.sub(r"\{[^{}]*\}?", "", inner)
    return [part.strip().partition("::")[0] for part in inner.rstrip("}").split(",")]


def headless() -> Iterator[str]:
    for path in sources():
        text = path.read_text(encoding="utf-8").lstrip()
        start = ("#", '"""', 'r"""') if path.suffix == ".py" else ("//", "/*")
        if not text.startswith(start):
            yield f"{path.relative_to(ROOT)}: says nowhere at its head what it is for"


def sources() -> list[Path]:
    found = (path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.suffix in KINDS)
    return sorted(path for path in found if not SKIPPED & set(path.relative_to(ROOT).parts))


if __name__ == "__main__":
    sys.exit(main())
