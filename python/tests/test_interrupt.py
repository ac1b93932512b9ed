"""Ctrl-C ends every wait with KeyboardInterrupt, at once, and leaves a client that still works."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import interrupt_scenarios
import processes
import pytest

#: How often each program is run; INTERRUPT_RUNS=50 to be thorough.
RUNS = int(os.environ.get("INTERRUPT_RUNS", "1"))
#: They sleep for most of their time.
AT_ONCE = 4

NAMES = [*interrupt_scenarios.WAITS, "works"]
Running = dict[str, list["Future[processes.Ended]"]]


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """All that are to be tested, begun at once."""
    names = [item.callspec.params["name"] for item in request.session.items if item.module is request.module]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: [pool.submit(processes.run, "interrupt_scenarios.py", name) for _ in range(RUNS)] for name in names
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", NAMES)
def test_interrupt(name: str, running: Running) -> None:
    for run in running[name]:
        ended = run.result()
        assert ended.code == 0, ended.stderr
        assert ended.stderr == ""
