"""After `os.fork()`: clear errors in the child, a new client that works there, and clean ends."""

from __future__ import annotations

import os

import fork_scenarios
import processes
import pytest

#: How often each program is run; FORK_RUNS=50 to be thorough.
RUNS = int(os.environ.get("FORK_RUNS", "1"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", fork_scenarios.SCENARIOS)
def test_fork(name: str) -> None:
    for _ in range(RUNS):
        ended = processes.run("fork_scenarios.py", name)
        assert ended.code == 0, ended.stderr
        assert ended.stderr == ""
