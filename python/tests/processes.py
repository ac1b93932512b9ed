"""Programs in processes of their own: none outlives its time, and one that hangs shows where."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

#: When a process that should have ended is taken to hang, in seconds.
LIMIT = 60.0

TESTS = Path(__file__).parent


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    stdout: str
    stderr: str
    #: When: on the clock that its own `time.monotonic` shows.
    at: float


def run(script: str, *arguments: str, limit: float = LIMIT) -> Ended:
    """Runs a script of this folder."""
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", str(TESTS / script), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler shows every thread's stack
        try:
            stdout, stderr = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
        stderr += f"\nkilled after {limit:.0f} s"
    return Ended(process.returncode, stdout, stderr, time.monotonic())
