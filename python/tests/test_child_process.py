"""What tasks meet in a worker process: its standard input, its context, its forks, its errors, and its end."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import azolla
import processes
import pytest
from azolla import Client, Reschedule
from conftest import PATIENCE


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        yield client


def test_a_task_finds_nothing_on_its_standard_input_nor_does_a_program_that_it_starts(client: Client) -> None:
    def reads() -> tuple[str, str]:
        program = "import sys; print(repr(sys.stdin.read()))"
        return sys.stdin.read(), subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout

    assert client.submit(reads).result(timeout=PATIENCE) == ("", "''\n")


def test_no_descriptor_of_the_process_reaches_a_program_that_a_task_starts(client: Client) -> None:
    def open_there() -> list[str]:
        program = """
import os
for fd in os.listdir("/proc/self/fd"):
    if int(fd) > 2 and os.path.lexists(f"/proc/self/fd/{fd}"):
        print(os.readlink(f"/proc/self/fd/{fd}"))
"""
        command = [sys.executable, "-c", program]
        return subprocess.run(command, close_fds=False, capture_output=True, text=True, check=True).stdout.splitlines()

    assert not [
        name for name in client.submit(open_there).result(timeout=PATIENCE) if "socket" in name or "azolla" in name
    ]


def test_a_variable_that_a_task_sets_is_not_set_in_the_next(client: Client) -> None:
    def sets(number: int) -> int:
        before = len(contextvars.copy_context())
        contextvars.ContextVar[int]("one").set(number)
        return before

    assert client.gather(client.map(sets, range(20))) == [0] * 20


def test_coroutines_run_on_the_loop_of_their_process(client: Client) -> None:
    async def waits(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("in a coroutine")

    assert client.gather(client.map(waits, range(5))) == [0, 1, 2, 3, 4]
    error = client.submit(fails).exception(timeout=PATIENCE)
    assert isinstance(error, KeyError) and error.__traceback__ is not None
    assert error.__traceback__.tb_frame.f_code.co_name == "fails"


def test_whatever_a_task_raises_fails_that_task_alone(client: Client) -> None:
    def raises(error: BaseException) -> None:
        raise error

    errors = [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), ValueError("x")]
    futures = client.map(raises, errors)
    assert [type(future.exception(timeout=PATIENCE)) for future in futures] == [type(error) for error in errors]
    assert client.submit(abs, -1).result(timeout=PATIENCE) == 1


def test_what_a_result_raises_when_it_is_pickled_says_so(client: Client) -> None:
    class Refuses:
        def __reduce__(self) -> Any:
            raise SystemExit("refused")

    error = client.submit(Refuses).exception(timeout=PATIENCE)
    assert isinstance(error, SystemExit) and error.code == "refused"
    assert "must travel from its worker process as a pickle" in error.__notes__[0]


class NotThere:
    """A function that cannot be loaded."""

    def __call__(self) -> None:
        pass

    def __reduce__(self) -> Any:
        return exec, ("raise ImportError('there is no such function')",)


class NoArgument(NotThere):
    pass


def test_what_cannot_be_loaded_is_the_error_of_each_task_that_needs_it(client: Client) -> None:
    one, two = client.submit(NotThere(), key="one"), client.submit(NotThere(), key="two")
    for future in (one, two, client.submit(print, NoArgument(), key="three")):
        error = future.exception(timeout=PATIENCE)
        assert isinstance(error, ImportError) and str(error) == "there is no such function"
        assert error.__notes__ == [f"in the azolla task {future.key}"]


def test_the_child_of_a_fork_ends_with_its_task(client: Client) -> None:
    def forks(fails: bool) -> int:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (the child's, which says why it ends)
        if child := os.fork():
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if fails:
            raise ValueError("in the child")
        return 5

    assert client.gather([client.submit(forks, False), client.submit(forks, True)]) == [0, 1]


def test_a_thread_without_a_task_has_a_client_and_no_worker(client: Client) -> None:
    def on_another_thread(needs: str) -> object:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(getattr(azolla, needs)).exception()

    for needs in ("get_client", "default_client"):
        assert client.submit(on_another_thread, needs).result(timeout=PATIENCE) is None
    for needs in ("get_worker", "secede", "rejoin"):
        error = client.submit(on_another_thread, needs).result(timeout=PATIENCE)
        assert isinstance(error, ValueError) and f"{needs}() was called outside a task" in str(error), needs


def test_a_task_that_asks_for_another_run_gets_it(client: Client, tmp_path: Path) -> None:
    def at_the_third_run(file: Path) -> int:
        with file.open("a") as runs:
            runs.write("x")
        if len(file.read_text()) < 3:
            raise Reschedule
        return len(file.read_text())

    assert client.submit(at_the_third_run, tmp_path / "runs").result(timeout=PATIENCE) == 3


def test_ctrl_c_is_not_the_affair_of_a_worker_process(client: Client) -> None:
    process = client.submit(os.getpid, pure=False).result(timeout=PATIENCE)
    for _ in range(3):
        os.kill(process, signal.SIGINT)
        assert client.submit(os.getpid, pure=False).result(timeout=PATIENCE) == process


def test_a_thread_that_ends_takes_its_process_with_it(client: Client, tmp_path: Path) -> None:
    def ends_its_thread_once(folder: Path) -> int:
        try:
            (folder / "ended").mkdir()
        except FileExistsError:
            return 1
        ctypes.CDLL(None).pthread_exit(None)
        return 0

    assert client.submit(ends_its_thread_once, tmp_path).result(timeout=PATIENCE) == 1
    assert client.gather(client.map(abs, range(-20, 0))) == list(range(20, 0, -1))


def test_what_other_threads_send_to_a_thread_loses_no_task(client: Client) -> None:
    def sends(thread: int) -> None:
        for number in range(3_000):
            sent = ctypes.py_object(SystemExit if number % 2 else Interrupted)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), sent)
            if number % 10 == 0:
                time.sleep(0.0001)

    def own() -> tuple[int, int]:
        time.sleep(0.01)
        return os.getpid(), threading.get_ident()

    while len(threads := set(client.gather([client.submit(own, pure=False) for _ in range(8)]))) < 2:
        pass
    sending = client.submit(sends, threads.pop()[1], pure=False, retries=5)
    while not sending.done():
        for future in client.map(abs, range(-50, 0), pure=False):
            error = future.exception(timeout=PATIENCE)
            assert error is None or isinstance(error, SystemExit | Interrupted), error
    assert client.gather(client.map(abs, range(-20, 0), pure=False, retries=100)) == list(range(20, 0, -1))


class Interrupted(BaseException):
    """Is sent to a thread."""


#: A package whose parts can be imported only once it is there itself, as numpy's. It takes a while.
PACKAGE = {
    "package/__init__.py": "import time; time.sleep(0.3); import package.one",
    "package/one.py": "def first(): return 1\nfrom package.two import second",
    "package/two.py": "import package.one\ndef second(): return 2",
    "late.py": """
import sys, time
def load():
    # The other thread has begun to import the package, if it could.
    end = time.monotonic() + 0.2
    while "package" not in sys.modules and time.monotonic() < end:
        time.sleep(0.001)
    from package.two import second
    return second
""",
}


def test_two_threads_that_first_meet_a_package_at_once_both_get_it(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    for name, text in PACKAGE.items():
        (tmp_path / name).write_text(text)
    program = """
from azolla import Client
from package.one import first
class Late:
    def __reduce__(self):
        return eval, ("__import__('late').load()",)
    def __call__(self):
        pass
with Client(n_workers=1, threads_per_worker=2) as client:
    print(client.gather([client.submit(Late()), client.submit(first)]))
"""
    assert printed(tmp_path, program) == "[2, 1]\n"


def printed(folder: Path, program: str) -> str:
    """Returns what a program prints that ends well and says nothing else."""
    script = folder / "program.py"
    script.write_text(program)
    ended = processes.run(str(script), limit=PATIENCE)
    assert (ended.code, ended.stderr) == (0, "")
    return ended.stdout


def test_what_tasks_print_comes_out_before_the_process_ends(tmp_path: Path) -> None:
    program = """
from azolla import Client
with Client(n_workers=1, threads_per_worker=1) as client:
    client.submit(print, "printed", end="").result()
"""
    assert printed(tmp_path, program) == "printed"


def test_what_is_sent_to_a_thread_that_has_just_heard_a_frame_loses_none_of_its_tasks() -> None:
    from azolla._process import child

    class Heard:
        """A thread for tasks: to its first wait comes a frame of one task, and an exception with it."""

        def __init__(self) -> None:
            self.tasks: list[Any] = []
            self.results: list[Any] = []
            self.waits = 0

        def rest(self) -> bool:
            self.waits += 1
            if self.waits == 1:
                self.tasks.append((abs, (-3,), None, None))
                raise ValueError("sent by another thread")
            return False

        def next(self) -> Any:
            return self.tasks.pop() if self.tasks else None

        def done(self, result: Any) -> None:
            self.results.append(result)

    heard: Any = Heard()
    with pytest.raises(ValueError, match="sent by another thread"):
        child._work(heard)
    child._work(heard)  # as its thread does then
    assert heard.results == [3]
