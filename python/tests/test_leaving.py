"""What a worker process does at its end: it writes out open files, and calls what is to be called at exit."""

from __future__ import annotations

import atexit
import contextlib
import gzip
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from azolla import Client, Event
from conftest import eventually
from processes import LIMIT, is_running

_open: dict[Path, Any] = {}


def write(path: Path, number: int) -> None:
    """Writes a line to a file that stays open."""
    file = _open.get(path)
    if file is None:
        file = _open[path] = gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w")  # noqa: SIM115 (it stays open)
    file.write(f"{number}\n")


def lines(path: Path) -> list[int]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [int(line) for line in file]


def one_process() -> Client:
    return Client(n_workers=1, threads_per_worker=1, dashboard_address=None, set_as_default=False)


@pytest.mark.parametrize("name", ["lines.txt", "lines.gz"])
@pytest.mark.parametrize("how", ["close", "restart"])
def test_files_that_tasks_have_left_open_are_whole(name: str, how: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with one_process() as client:
        client.gather(client.map(write, [path] * 100, range(100)))
        if how == "restart":
            client.restart()
            assert lines(path) == list(range(100))
    assert lines(path) == list(range(100))


def test_a_pipe_that_is_full_keeps_no_file_from_being_whole(tmp_path: Path) -> None:
    def fill() -> None:
        read, into = os.pipe()
        os.set_blocking(into, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(into, bytes(1 << 16))
        os.set_blocking(into, True)
        pipe = os.fdopen(into, "w")
        pipe.write("one character more")
        _open[tmp_path / "pipe"] = read, pipe

    paths = [tmp_path / "before", tmp_path / "after"]
    with one_process() as client:
        client.submit(write, paths[0], 1).result()
        client.submit(fill).result()
        client.submit(write, paths[1], 1).result()
    assert [lines(path) for path in paths] == [[1], [1]]


def test_functions_for_the_exit_are_called_also_beside_a_task_that_runs(tmp_path: Path) -> None:
    path = tmp_path / "left"
    with one_process() as client:
        client.submit(atexit.register, path.write_text, "bye").result()
        busy = client.submit(Event("never").wait)
        eventually(lambda: any(client.processing().values()))
        del busy
    assert path.read_text() == "bye"


def test_a_process_that_does_not_come_to_its_end_is_killed(tmp_path: Path) -> None:
    with one_process() as client:
        client.submit(atexit.register, time.sleep, 1_000).result()
        process = client.submit(os.getpid).result()
    eventually(lambda: not is_running(process))


def test_children_of_multiprocessing_end_with_their_process() -> None:
    def begin() -> int | None:
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1_000,))
        child.start()
        return child.pid

    with one_process() as client:
        child = client.submit(begin).result()
        assert child is not None
        assert is_running(child)
    eventually(lambda: not is_running(child))


def test_a_program_that_ends_without_closing_anything(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    program = f"""
from azolla import Client
file = None
def write(number):
    global file
    file = file or open({str(path)!r}, "w")
    print(number, file=file)
client = Client(n_workers=1, threads_per_worker=1, dashboard_address=None)
client.gather(client.map(write, range(100)))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=LIMIT)
    assert lines(path) == list(range(100))
