"""What tasks in worker processes print and log: it comes where the program's standard output and error lead."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from azolla import Client, get_client
from conftest import PATIENCE, eventually

#: A notebook's kernel reads what comes to descriptors 1 and 2 through pipes, and has objects of its own as `sys.stdout` and
#: `sys.stderr`.
KERNEL = """
import io, os, sys
out, err = os.pipe(), os.pipe()
terminal = os.dup(1)
os.dup2(out[1], 1)
os.dup2(err[1], 2)
cell = sys.stdout = io.StringIO()
from azolla import Client
client = Client(n_workers=1, threads_per_worker=1, dashboard_address=None)
{tasks}
client.close()
sys.stdout = sys.__stdout__
for (read, write), descriptor in ((out, 1), (err, 2)):
    os.close(write)
    os.dup2(terminal, descriptor)
said = {{"out": os.read(out[0], 100_000).decode(), "err": os.read(err[0], 100_000).decode(), "cell": cell.getvalue()}}
os.write(terminal, repr(said).encode())
"""


def said_by(tasks: str) -> dict[str, str]:
    """Returns what has come to the descriptors of a kernel and to its cell while a program ran."""
    program = KERNEL.format(tasks=textwrap.dedent(tasks))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str] = eval(ran.stdout)
    return found


def test_what_tasks_print_comes_where_a_kernel_reads_it() -> None:
    said = said_by(
        """
        def task():
            import azolla
            print("printed")
            print("an error", file=sys.stderr)
            os.system("echo by a program")
            print("without an end", end="")
            azolla.print("by azolla")
        client.submit(task).result()
        """
    )
    assert said == {"out": "printed\nby a program\nwithout an end", "err": "an error\n", "cell": "by azolla\n"}


@pytest.mark.parametrize("sets_up", [False, True])
def test_the_loggers_are_the_processes_own(sets_up: bool) -> None:
    said = said_by(
        f"""
        import logging
        logging.basicConfig(level=logging.DEBUG, stream=cell, format="here: %(message)s")
        def set_up():
            import logging
            logging.basicConfig(level=logging.INFO, format="there: %(message)s")
        def task():
            import logging
            logging.getLogger("mine").info("some news")
            logging.getLogger("mine").warning("a warning")
        if {sets_up}:
            client.submit(set_up).result()
        client.submit(task).result()
        logging.info("of the program")
        """
    )
    there = "there: some news\nthere: a warning\n" if sets_up else "a warning\n"
    assert said["err"] == there
    assert [line for line in said["cell"].splitlines() if "azolla" not in line] == ["here: of the program"]


class Heard(logging.Handler):
    """Keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What the program's logger `mine` gets."""
    handler, logger = Heard(), logging.getLogger("mine")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def two() -> Iterator[Client]:
    """A client on two worker processes of its own: they are killed here, and forward until they end."""
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


def log(name: str, *message: Any, level: int = logging.WARNING) -> int:
    logging.getLogger(name).log(level, *message)
    return os.getpid()


def test_what_tasks_log_comes_to_the_programs_loggers(two: Client, heard: Heard) -> None:
    class Strange:
        def __repr__(self) -> str:
            return "strange"

        def __reduce__(self) -> Any:
            raise TypeError

    def fails() -> None:
        try:
            raise ValueError("wrong")
        except ValueError:
            logging.getLogger("mine").exception("it fails", extra={"of": Strange()})

    assert set(two.forward_logging("mine")) == set(two.nthreads())
    two.forward_logging("mine")  # once more changes nothing
    first = next(iter(two.nthreads()))
    two.submit(lambda: log("mine.deeper", "%s and %r", 1, Strange()), workers=first).result(PATIENCE)
    two.submit(log, "mine", "less than there", level=logging.INFO, pure=False).result(PATIENCE)
    two.submit(log, "another", "of another logger").result(PATIENCE)
    two.submit(fails, workers=first).result(PATIENCE)
    eventually(lambda: len(heard.records) == 2)
    deeper, failed = heard.records
    assert (deeper.name, deeper.getMessage(), vars(deeper)["worker"]) == ("mine.deeper", "1 and strange", first)
    assert (failed.getMessage(), vars(failed)["of"]) == ("it fails", "strange")
    assert "ValueError: wrong" in (failed.exc_text or "")
    two.unforward_logging("mine")
    two.submit(log, "mine", "too late", pure=False).result(PATIENCE)
    with pytest.raises(ValueError, match="forward-logging-mine"):
        two.unforward_logging("mine")
    assert len(heard.records) == 2


def test_levels_and_later_processes(two: Client, heard: Heard) -> None:
    with pytest.raises(ValueError, match="loud"):
        two.forward_logging(level="loud")
    two.forward_logging(level="ERROR")
    two.submit(log, "mine", "a warning").result(PATIENCE)
    process = two.submit(log, "mine", "an error", level=logging.ERROR, workers=0).result(PATIENCE)
    os.kill(process, signal.SIGKILL)
    later = two.submit(log, "mine", "of the next", level=logging.ERROR, workers=0, pure=False).result(PATIENCE)
    assert later != process
    eventually(lambda: heard.messages() == ["an error", "of the next"])


def test_a_task_has_its_logger_forwarded(two: Client, heard: Heard) -> None:
    def task() -> None:
        get_client().forward_logging("mine")
        log("mine", "here")

    async def coroutine() -> None:
        log("mine", "there")

    two.submit(task).result(PATIENCE)
    two.submit(coroutine).result(PATIENCE)
    eventually(lambda: heard.messages() == ["here", "there"])


def test_on_threads_each_record_is_handled_once(heard: Heard) -> None:
    with Client(processes=False, dashboard_address=None) as client:
        assert client.forward_logging() == {}
        client.submit(log, "mine", "here").result(PATIENCE)
        assert client.unforward_logging() == {}
    assert heard.messages() == ["here"]
