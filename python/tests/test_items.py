"""The demo's grammar of items (docs/items.md): the Python side, held to the findings that the Rust side is held to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXTURE = EXAMPLES / "fixture"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / "evolving_workflow.py", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)


def findings(folder: Path) -> list[str]:
    done = run("--findings", folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_fixture_has_the_expected_findings() -> None:
    assert findings(FIXTURE) == (FIXTURE / "expected.txt").read_text(encoding="utf-8").splitlines()


def test_all_ways_find_the_same() -> None:
    done = run(FIXTURE, "--threads", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nfindings equal: yes\n" in done.stdout
    assert done.stdout.endswith("\ncounts equal: yes\n")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    done = run(tmp_path / "none")
    assert done.returncode == 2
    assert str(tmp_path / "none") in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_read_is_named_and_nothing_else_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.md").write_text("[dangling](dangling.md) [loop](loop.md) [pipe](pipe.txt) [far](far.md)\n")
    (folder / "dangling.md").symlink_to("nowhere.md")
    (folder / "loop.md").symlink_to("loop.md")
    os.mkfifo(folder / "pipe.txt")
    (tmp_path / "outside.md").write_text("[a](b.md)")
    (folder / "far.md").symlink_to("../outside.md")
    (folder / "folder.md").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket.html"))
    assert findings(folder) == [
        "a.md: read, items: 4",
        "a.md:1: link dangling.md -> missing",
        "a.md:1: link far.md -> outside",
        "a.md:1: link loop.md -> missing",
        "a.md:1: link pipe.txt -> inside pipe.txt",
        "dangling.md: unreadable",
        "far.md: leads outside",
        "loop.md: unreadable",
        "pipe.txt: not a regular file",
        "socket.html: not a regular file",
    ]


def test_a_file_is_read_once_under_its_canonical_name(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.md").write_text("[loop](../linked/up/linked/a.md) [other](../b.md)\n")
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "b.md").symlink_to("linked/a.md")
    assert findings(tmp_path) == [
        "real/a.md: read, items: 2",
        "real/a.md:1: link ../b.md -> inside real/a.md",
        "real/a.md:1: link ../linked/up/linked/a.md -> inside real/a.md",
    ]


def test_names_that_are_not_plain_text_are_shown_safely(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J.md").write_text("[a\x07](x\x9b.md)\n", encoding="utf-8")
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("[a](b.md)")
    except OSError:
        pytest.skip("the file system wants names in UTF-8")
    assert findings(tmp_path) == [
        "a?[2J.md: read, items: 1",
        "a?[2J.md:1: link x?.md -> missing",
        "caf\ufffd.md: name not UTF-8",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_the_system_refuses_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("[b](b.md)")
    (tmp_path / "b.md").touch(mode=0)
    (tmp_path / "c").mkdir(mode=0)
    assert findings(tmp_path) == [
        "a.md: read, items: 1",
        "a.md:1: link b.md -> inside b.md",
        "b.md: unreadable",
        "c: unreadable",
    ]
