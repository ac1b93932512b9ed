"""Type checkers know what submitted functions return: `typing_program.py` passes `mypy --strict`, and what must not
pass does not.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from mypy import api

PROGRAM = Path(__file__).parent / "typing_program.py"

MISTAKES = {
    "Client(processes=False, threads=2)": "arg-type",
    "client.submit(1)": "call-overload",
    "client.submit(len, 'a', priority='high')": "call-overload",
    "client.submit(len, 'a', workers=1.5)": "call-overload",
    "client.map(len, 1)": "call-overload",
    "text: str = client.submit(len, 'a').result()": "assignment",
    "client.gather(client.map(len, ['a']))[0].upper()": "attr-defined",
    "client.gather([], errors='ignore', asynchronous=True)": "call-overload",
    "as_completed([1])": "arg-type",
    "wait(client.submit(len, 'a'), timeout=[])": "call-overload",
    "client.submit(len, 'a').add_done_callback(len)": "arg-type",
}


def complaints(program: Path) -> dict[int, str]:
    """The codes of what `mypy --strict` has to say, by line."""
    root = PROGRAM.parents[2]
    options = ["--config-file", root / "pyproject.toml", "--cache-dir", root / ".mypy_cache", "--strict"]
    output, trouble, _ = api.run([str(argument) for argument in [*options, program]])
    assert not trouble
    found = re.findall(r"^.*?:(\d+): error: .*\[([a-z-]+)\]$", output, re.MULTILINE)
    return {int(line): code for line, code in found}


def test_a_typical_program_passes() -> None:
    assert complaints(PROGRAM) == {}


def test_a_typical_program_runs() -> None:
    done = subprocess.run([sys.executable, PROGRAM], capture_output=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_mistakes_are_found(tmp_path: Path) -> None:
    first = "from azolla import Client, as_completed, wait; client = Client(processes=False)"
    program = tmp_path / "mistakes.py"
    program.write_text("\n".join([first, *MISTAKES, ""]), encoding="utf-8")
    found = complaints(program)
    lines = enumerate(MISTAKES, start=2)
    assert {line: found.pop(number, "nothing") for number, line in lines} == MISTAKES
    assert found == {}
