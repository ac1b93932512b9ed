"""Whatever escapes azolla's own frames fails the task at hand at most, and every thread goes on."""

from __future__ import annotations

import threading
from typing import Any

import escape_scenarios
import processes
import pytest
from azolla import Client
from azolla._base import leave
from backends import Reason, threads_only


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", escape_scenarios.SCENARIOS)
def test_escape(name: str) -> None:
    ended = processes.run("escape_scenarios.py", name)
    # What escaped is reported, so something may stand on stderr.
    assert ended.code == 0, ended.stderr


class NoThreads:
    """While it is entered, the system has no thread to give."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __enter__(self) -> None:
        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        self._context = self._monkeypatch.context()
        self._context.__enter__().setattr(leave, "start", refuse)

    def __exit__(self, *exc_info: Any) -> None:
        self._context.__exit__(None, None, None)


async def double(x: int) -> int:
    return 2 * x


@threads_only(Reason.THREADS)
def test_a_thread_that_cannot_be_started_once_is_started_the_next_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = threading.Semaphore(0)
    with NoThreads(monkeypatch):
        for _ in range(2):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                client.submit(double, 1, pure=False).result()
        with pytest.raises(RuntimeError, match="can't start new thread"):
            client.sync(double, 1)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            client.loop  # noqa: B018
        done = client.submit(abs, -1)
        assert done.result() == 1
        with pytest.raises(RuntimeError, match="can't start new thread"):
            done.add_done_callback(lambda future: called.release())
        with pytest.raises(RuntimeError, match="can't start new thread"):
            client.profile()
    assert client.submit(double, 2, pure=False).result() == 4
    assert client.sync(double, 3) == 6
    assert client.loop.is_running()
    done.add_done_callback(lambda future: called.release())
    assert called.acquire(timeout=escape_scenarios.LIMIT)
    client.profile()
    assert client.cluster._helpers["profiler"]._thread.is_alive()
