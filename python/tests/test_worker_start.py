"""How a worker process is started: what it gets of the program and what not, and Ctrl-C while it begins."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from azolla import Client
from conftest import PATIENCE

#: How many starts are interrupted.
RUNS = int(os.environ.get("START_RUNS", "10"))


def one_process() -> Client:
    return Client(n_workers=1, threads_per_worker=1, dashboard_address=None, set_as_default=False)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with one_process() as client:
        yield client


def test_a_path_of_any_length_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    # The system's limit for an argument is 128 KiB. A path may be no text that can be encoded.
    path = [*sys.path, *(f"/nowhere/{number:0200}" for number in range(5_000)), "/\udcff/é"]
    monkeypatch.setattr(sys, "path", path)
    with one_process() as client:
        assert client.submit(lambda: sys.path).result(timeout=PATIENCE) == path


def test_what_others_wait_to_see_closed_is_not_open_there(client: Client) -> None:
    reads, writes = os.pipe()
    os.set_inheritable(writes, True)
    try:
        with one_process() as other:
            assert other.submit(abs, -1).result(timeout=PATIENCE) == 1
            os.close(writes)
            ended = threading.Thread(target=os.read, args=(reads, 1), daemon=True)
            ended.start()
            ended.join(PATIENCE)
            assert not ended.is_alive()
    finally:
        os.close(reads)


def open_there() -> set[str]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own
            found.add(str(descriptor.readlink()))
    return found


def test_what_is_opened_while_a_process_is_started_is_not_open_there() -> None:
    opened, over = set[str](), threading.Event()

    def open_and_close() -> None:
        while not over.is_set():
            pipes = [os.pipe() for _ in range(20)]
            for _, writes in pipes:
                opened.add(str(Path(f"/proc/self/fd/{writes}").readlink()))
                os.set_inheritable(writes, True)
            for pipe in pipes:
                for descriptor in pipe:
                    os.close(descriptor)

    others = [threading.Thread(target=open_and_close) for _ in range(2)]
    try:
        for other in others:
            other.start()
        found = set[str]()
        for _ in range(8):
            with one_process() as client:
                found |= client.submit(open_there).result(timeout=PATIENCE)
    finally:
        over.set()
        for other in others:
            other.join()
    assert not found & opened


def test_a_program_that_a_task_starts_can_be_interrupted(client: Client) -> None:
    def signals() -> dict[str, str]:
        shown = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
        return dict(line.split(":\t") for line in shown.splitlines() if line.startswith("Sig"))

    found = client.submit(signals).result(timeout=PATIENCE)
    assert [int(found[name], 16) & 2 for name in ("SigBlk", "SigIgn")] == [0, 0]


def test_a_file_of_the_folder_does_not_stand_in_the_way(tmp_path: Path) -> None:
    for name in ("os", "signal", "azolla", "posix"):
        (tmp_path / f"{name}.py").write_text("raise AssertionError('imported')")
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "program.py"
    program = "from azolla import Client\nwith Client(n_workers=1) as client: print(client.submit(abs, -1).result())"
    script.write_text(program)
    ran = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.stdout, ran.stderr) == ("1\n", "")


def test_ctrl_c_at_any_moment_of_the_start_goes_unnoticed() -> None:
    program = textwrap.dedent(
        """
        import os, random, signal, sys, threading, time
        from pathlib import Path
        from azolla import Client

        def interrupts():
            while not done:
                for task in list(Path("/proc/self/task").iterdir()):
                    try:
                        children = (task / "children").read_text().split()
                    except OSError:
                        continue
                    for child in children:
                        try:
                            os.kill(int(child), signal.SIGINT)
                            seen.add(int(child))
                        except ProcessLookupError:  # one of the client before
                            pass
                time.sleep(random.random() * 0.002)

        used = set()
        for _ in range(int(sys.argv[1])):
            seen, done = set(), False
            thread = threading.Thread(target=interrupts)
            with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
                thread.start()
                used.add(client.submit(os.getpid).result())
                done = True
                thread.join()
                assert seen and seen <= used, "one has ended, and another was started"
        """
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(RUNS)], capture_output=True, text=True, timeout=RUNS * PATIENCE
    )
    assert (ran.returncode, ran.stderr) == (0, "")


#: An interpreter runs this when it starts. All worker processes but the first do this then.
OTHERS = """
import os, sys, time
if "posix.read" in " ".join(sys.orig_argv) and sys.orig_argv[-3] != "1":
    {}
"""


def run_where_others(does: str, program: str, folder: Path) -> list[str]:
    """Returns the lines that a program prints whose worker processes do this when they start, but for the first."""
    (folder / "sitecustomize.py").write_text(OTHERS.format(does))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    return ran.stdout.splitlines()


def test_a_process_that_cannot_be_started_leaves_its_tasks_to_others(tmp_path: Path) -> None:
    program = """
from azolla import Client
with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
    bound = client.submit(abs, -1, workers=[1])
    for _ in range(3):
        print(sum(client.gather(client.map(abs, range(-200, 0), pure=False))))
        print(client.submit(abs, -2, pure=False).result())
    print(bound.exception())
"""
    *results, why = run_where_others("os._exit(3)", program, tmp_path)
    assert results == ["20100", "2"] * 3
    assert why.endswith("worker process 1 ended with code 3 before it was ready, in the last of 5 tries"), why


def test_a_process_that_takes_long_to_start_holds_up_no_task_that_can_run_elsewhere(tmp_path: Path) -> None:
    program = """
from azolla import Client
with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
    print(sum(client.gather(client.map(abs, range(-200, 0), pure=False))))
    bound = client.submit(abs, -1, workers=[1])
    print(client.submit(abs, -2, pure=False).result())
    print(bound.status)
"""
    assert run_where_others("time.sleep(1000)", program, tmp_path) == ["20100", "2", "pending"]


def test_a_limit_for_the_lengths_of_files_is_named() -> None:
    program = """
    import resource
    from azolla import Client
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
    try:
        Client(n_workers=1, dashboard_address=None)
    except RuntimeError as error:
        print(error)
    """
    words = [sys.executable, "-c", textwrap.dedent(program)]
    printed = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "worker processes could not be started: the limit for the lengths of files (ulimit -f)" in printed.stdout, (
        printed
    )
