"""How many threads and how much memory a process has while it does something."""

from __future__ import annotations

import threading
from pathlib import Path


def memory() -> int:
    """Megabytes that this process has in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


class Watch:
    """The most threads, and the most memory, that there were while it was on."""

    def __init__(self) -> None:
        self.threads = 0
        self.megabytes = self._before = memory()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _look(self) -> None:
        self.threads = max(self.threads, threading.active_count())
        self.megabytes = max(self.megabytes, memory())

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            self._look()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    @property
    def grown(self) -> int:
        return self.megabytes - self._before
