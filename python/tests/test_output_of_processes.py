"""What tasks in worker processes print and log: it comes where the program's standard output and error lead."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from conftest import PATIENCE

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
