"""Programs in processes of their own: none outlives its time, and one that hangs shows where."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

#: When a process that should have ended is taken to hang, in seconds.
LIMIT = 250.0

TESTS = Path(__file__).parent

_running: set[subprocess.Popen[bytes]] = set()


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    stdout: str
    stderr: str
    #: When: on the clock that its own `time.monotonic` shows.
    at: float
    #: The processor's time that it took in all, in seconds: as its own `time.process_time` counts.
    cpu: float


def run(script: str, *arguments: str, limit: float = LIMIT, **environment: str) -> Ended:
    """Runs a script of this folder."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(TESTS / script), *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        _running.add(process)
        killers = [
            threading.Timer(limit, process.send_signal, [signal.SIGABRT]),  # faulthandler shows every thread's stack
            threading.Timer(limit + 5, process.kill),
        ]
        for killer in killers:
            killer.start()
        _, status, used = os.wait4(process.pid, 0)
        at = time.monotonic()
        _running.discard(process)
        process.returncode = os.waitstatus_to_exitcode(status)
        killed = killers[0].finished.is_set()
        for killer in killers:
            killer.cancel()
        stdout.seek(0)
        stderr.seek(0)
        errors = stderr.read() + (f"\nkilled after {limit:.0f} s" if killed else "")
        return Ended(process.returncode, stdout.read(), errors, at, used.ru_utime + used.ru_stime)


def end_all() -> None:
    """Ends whatever still runs: nobody wants to know how it ends."""
    for process in list(_running):
        process.kill()


def children(process: int) -> set[int]:
    """Returns the numbers of the processes that this process has started and has not waited for."""
    found: set[int] = set()
    for task in Path(f"/proc/{process}/task").glob("*"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            found.update(map(int, (task / "children").read_text().split()))
    return found


def is_running(process: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
