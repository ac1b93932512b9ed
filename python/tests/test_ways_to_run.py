"""Programs with worker processes, run in all ways that there are: none needs a guard, and none prints a word of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import azolla
import nbformat
import pytest
from conftest import PATIENCE
from nbclient import NotebookClient

#: Where the package and what it needs are found.
PATHS = [str(Path(azolla.__file__).parents[1]), *(path for path in sys.path if "site-packages" in path)]

PROGRAM = """
import sys
from azolla import Client

class Point:
    def __init__(self, x):
        self.x = x

by = 2

def moved(point, other=None):
    return Point(point.x + by + (other.x if other else 0))

client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
points = client.map(moved, [Point(x) for x in range(10)])
total = client.submit(moved, points[0], points[-1])
print(sum(point.x for point in client.gather(points)), total.result().x)
"""

PRINTED = "65 15\n"

#: The same program for an interpreter that finds nothing by itself.
ALONE = f"import sys\nsys.path[:0] = {PATHS!r}\n{PROGRAM}"


def run(*words: str, folder: Path, text: str = "", **environment: str) -> tuple[str, str, int]:
    ran = subprocess.run(
        words,
        input=text,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return ran.stdout, ran.stderr, ran.returncode


def script(folder: Path, program: str = PROGRAM) -> str:
    path = folder / "program.py"
    path.write_text(program)
    return str(path)


WAYS: dict[str, Callable[[Path], tuple[str, str, int]]] = {
    "a script": lambda folder: run(sys.executable, script(folder), folder=folder),
    "a module": lambda folder: run(sys.executable, "-m", Path(script(folder)).stem, folder=folder),
    "a package": lambda folder: run(sys.executable, package(folder), folder=folder),
    "-c": lambda folder: run(sys.executable, "-c", PROGRAM, folder=folder),
    "standard input": lambda folder: run(sys.executable, "-", text=PROGRAM, folder=folder),
    "the prompt": lambda folder: run(
        sys.executable, "-qi", "-c", f"import sys\nsys.ps1 = ''\n{PROGRAM}", text="exit()\n", folder=folder
    ),
    "alone": lambda folder: run(sys.executable, "-I", script(folder, ALONE), folder=folder),
    "alone, without site": lambda folder: run(sys.executable, "-I", "-S", script(folder, ALONE), folder=folder),
    "strict": lambda folder: run(
        sys.executable, "-bb", "-O", "-X", "dev", "-W", "error", "-u", script(folder), folder=folder
    ),
    "no bytecode": lambda folder: run(sys.executable, "-B", "-P", "-s", script(folder), folder=folder),
    "an environment of its own": lambda folder: run(of_its_own(folder), script(folder, ALONE), folder=folder),
    "IPython": lambda folder: run(
        sys.executable, "-m", "IPython", "--no-banner", "--quick", script(folder), folder=folder, IPYTHONDIR=str(folder)
    ),
    "no folder for temporary files": lambda folder: run(
        sys.executable, script(folder), folder=folder, TMPDIR="/dev/null/none", HOME="/dev/null/none"
    ),
    "another hash seed": lambda folder: run(sys.executable, script(folder), folder=folder, PYTHONHASHSEED="0"),
    "one processor": lambda folder: run("taskset", "-c", "0", sys.executable, script(folder), folder=folder),
    "few descriptors": lambda folder: run(
        "sh", "-c", 'ulimit -n 64; exec "$@"', "sh", sys.executable, script(folder), folder=folder
    ),
    "no standard streams": lambda folder: no_streams(folder),
    "by other code": lambda folder: run(
        sys.executable, "-c", f"import runpy; runpy.run_path({script(folder)!r}, run_name='__main__')", folder=folder
    ),
}


def package(folder: Path) -> str:
    (folder / "program").mkdir()
    (folder / "program" / "__main__.py").write_text(PROGRAM)
    return "program"


def of_its_own(folder: Path) -> str:
    venv.create(folder / "own", with_pip=False, symlinks=True)
    return str(folder / "own" / "bin" / "python")


def no_streams(folder: Path) -> tuple[str, str, int]:
    program = PROGRAM.replace("print(sum", "print(file=open('out', 'w'), *[sum").replace(".x)\n", ".x])\n")
    _, stderr, code = run(
        "sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", sys.executable, script(folder, program), folder=folder
    )
    return (folder / "out").read_text(), stderr, code


@pytest.mark.parametrize("way", WAYS)
def test_a_program_without_a_guard_runs(way: str, tmp_path: Path) -> None:
    assert WAYS[way](tmp_path) == (PRINTED, "", 0)


def test_a_notebook_runs() -> None:
    first, last = PROGRAM.split("client = ")
    cells = [first, f"client = {last}", "print(client.submit(moved, Point(1)).result().x)", "client.close()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3").execute()
    texts = ["".join(output.get("text", "?") for output in cell.outputs) for cell in notebook.cells]
    assert texts == ["", PRINTED, "3\n", ""]
