"""The documentation holds: every example in the stubs, the docstrings and the Markdown files runs, `help()` shows what
the stubs say, and says of every method what it raises.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azolla
import pytest
from azolla import _azolla

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "python" / "azolla" / "_azolla.pyi"
MARKDOWN = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("crates/*/**/*.md")])


def definitions(node: ast.AST, path: str) -> Iterator[tuple[str, str, int]]:
    """Name, docstring and line of everything in a stub file that has one."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            name = f"{path}.{child.name}"
            if text := ast.get_docstring(child):
                yield name, text, child.lineno
            yield from definitions(child, name)


STUB_DOCS = list(definitions(ast.parse(STUBS.read_text(encoding="utf-8")), "azolla._azolla"))


def stub_examples() -> Iterator[doctest.DocTest]:
    for name, text, line in STUB_DOCS:
        yield doctest.DocTestParser().get_doctest(text, {}, name, str(STUBS), line)


def module_examples() -> Iterator[doctest.DocTest]:
    names = [module.name for module in pkgutil.walk_packages(azolla.__path__, "azolla.")]
    for name in ["azolla", *names]:
        if name != "azolla._azolla":
            yield from doctest.DocTestFinder().find(importlib.import_module(name))


EXAMPLES = {example.name: example for example in [*stub_examples(), *module_examples()] if example.examples}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    example = EXAMPLES[name]
    with azolla.Client(processes=False, threads_per_worker=2) as client:
        # What an example has at hand without saying so: the public names, and a client.
        example.globs = {name: getattr(azolla, name) for name in azolla.__all__} | example.globs | {"client": client}
        report: list[str] = []
        failed, _ = doctest.DocTestRunner(optionflags=flags).run(example, out=report.append)
    assert not failed, "".join(report)


PUBLIC = [
    azolla.Client,
    azolla.Future,
    azolla.as_completed,
    azolla.Event,
    azolla.Lock,
    azolla.MultiLock,
    azolla.Queue,
    azolla.Semaphore,
    azolla.Variable,
]


def public(owner: Any) -> Iterator[str]:
    return (name for name in dir(owner) if not name.startswith("_"))


@pytest.mark.parametrize("owner", PUBLIC, ids=lambda owner: owner.__name__)
def test_every_public_method_has_an_example(owner: type) -> None:
    without = []
    for name in public(owner):
        definer = next(base for base in owner.__mro__ if name in vars(base))
        function = getattr(definer, name)
        if callable(function) or isinstance(function, property):
            path = f"{definer.__module__}.{definer.__qualname__}.{name}"
            if path not in EXAMPLES and path.replace("azolla.", "azolla._azolla.", 1) not in EXAMPLES:
                without.append(path)
    assert not without


def test_every_public_function_has_an_example() -> None:
    functions = [getattr(azolla, name) for name in azolla.__all__]
    paths = [f"{f.__module__}.{f.__qualname__}" for f in functions if inspect.isroutine(f)]
    assert [path for path in paths if path not in EXAMPLES] == []


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, text, _ in STUB_DOCS])
def test_help_shows_what_the_stub_says(name: str, text: str) -> None:
    native: Any = _azolla
    for part in name.removeprefix("azolla._azolla").split(".")[1:]:
        native = getattr(native, part)
    if name.endswith("__"):
        return  # the interpreter writes its own text for these
    assert inspect.getdoc(native) == inspect.cleandoc(text)


#: The public methods that raise nothing, whatever they are given and however the client stands.
RAISES_NOTHING = {
    "Client": {
        "as_current", "asynchronous", "close", "cluster", "dashboard_link", "scheduler_info", "shutdown", "status",
        "datasets", "futures_of", "get_events", "get_versions", "ncores", "nthreads", "list_datasets", "rebalance", "replicate",
        "set_metadata", "subscribe_topic", "unpublish_dataset", "id", "Future",
    },
    "Future": {"client", "key", "release", "type"},
    "as_completed": {"count", "is_empty"},
    "Event": {"client"},
    "Lock": {"client", "get_value", "locked", "register", "close"},
    "MultiLock": {"client", "locked"},
    "Queue": {"client", "close", "qsize"},
    "Semaphore": {"client", "close", "get_value", "register"},
    "Variable": {"client", "delete"},
}  # fmt: skip


@pytest.mark.parametrize("owner", PUBLIC, ids=lambda owner: owner.__name__)
def test_help_lists_what_a_method_raises(owner: type) -> None:
    without = set()
    for name in public(owner):
        member = getattr(owner, name)
        is_told = "Raises:" in (inspect.getdoc(member) or "")
        if not is_told and (callable(member) or isinstance(member, property) or inspect.isgetsetdescriptor(member)):
            without.add(name)
    assert without <= RAISES_NOTHING[owner.__name__]


@pytest.mark.parametrize("owner", [azolla.Future, azolla.Client], ids=lambda owner: owner.__name__)
def test_signatures_can_be_asked_for(owner: type) -> None:
    for name in public(owner):
        if callable(getattr(owner, name)):
            assert inspect.signature(getattr(owner, name)), name


def python_blocks(file: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


WITH_PYTHON = [file for file in MARKDOWN if python_blocks(file)]


@pytest.mark.parametrize("file", WITH_PYTHON, ids=lambda file: str(file.relative_to(ROOT)))
def test_markdown(file: Path, tmp_path: Path) -> None:
    """All the Python of a page is one program, as a reader who goes along would type it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(python_blocks(file))],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
