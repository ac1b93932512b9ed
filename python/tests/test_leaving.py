"""What a worker process does at its end: it writes out open files, and calls what is to be called at exit."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gzip
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import pytest
from azolla import Client, Event, Queue, WorkerPlugin
from azolla._azolla import open_files
from conftest import Gate, eventually
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


class Setting(WorkerPlugin):
    """Has tasks find something while it is set up."""

    def setup(self, worker: Any) -> None:
        os.environ["AZOLLA_SETTING"] = "there"

    def teardown(self, worker: Any) -> None:
        del os.environ["AZOLLA_SETTING"]


def of_a_child(gate: Gate) -> Any:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0.5,))
    child.start()
    gate.hold()
    child.join()
    return child.exitcode


def of_a_plugin(gate: Gate) -> Any:
    gate.hold()
    time.sleep(0.2)
    return os.environ["AZOLLA_SETTING"]


async def of_a_plugin_in_a_coroutine(gate: Gate) -> Any:
    await asyncio.to_thread(gate.hold)
    await asyncio.sleep(0.2)
    return os.environ["AZOLLA_SETTING"]


def of_a_question(gate: Gate) -> Any:
    gate.hold()
    time.sleep(0.2)
    Queue("questions").put(os.environ.get("AZOLLA_SETTING"))
    return Queue("questions").get()


@pytest.mark.parametrize(
    ("task", "right"),
    [(of_a_child, 0), (of_a_plugin, "there"), (of_a_plugin_in_a_coroutine, "there"), (of_a_question, "there")],
)
def test_what_a_task_makes_of_its_process_being_torn_down_counts_not(task: Any, right: Any, gate: Gate) -> None:
    with one_process() as client:
        client.register_plugin(Setting())
        future = client.submit(task, gate)
        gate.entered()
        restarting = threading.Thread(target=client.restart_workers, args=([0],))
        restarting.start()
        gate.open()
        assert future.result() == right
        restarting.join()


def test_to_look_for_open_files_disturbs_no_thread() -> None:
    ends, errors = threading.Event(), []

    def build() -> None:
        try:
            while not ends.is_set():
                assert len(tuple(n for n in range(300))) == 300
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    with Path(__file__).open() as file:
        for _ in range(100):
            assert any(found is file for found in open_files())
    ends.set()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_module_that_is_being_imported_keeps_no_process_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"

    def half_imported() -> None:
        for name in ("azolla._client.obeying", "azolla._cluster.local", "multiprocessing.process"):
            sys.modules[name] = types.ModuleType(name)
        atexit.register(path.with_suffix(".exit").touch)

    with one_process() as client:
        client.submit(write, path, 1).result()
        client.submit(half_imported).result()
    assert lines(path) == [1] and path.with_suffix(".exit").exists()


def test_coroutines_that_wait_keep_no_process_from_its_end(tmp_path: Path) -> None:
    async def wait() -> None:
        await asyncio.sleep(60)

    for number in range(10):
        path = tmp_path / f"{number}.txt"
        with one_process() as client:
            waiting = client.submit(wait)
            client.submit(write, path, number).result()
        assert lines(path) == [number] and waiting.cancelled()
