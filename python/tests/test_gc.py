"""The garbage collector at threshold 1, from four threads: no deadlock, and nothing stays behind."""

from __future__ import annotations

import os

import gc_scenarios
import processes
import pytest

#: What each thread does so many times; GC_ROUNDS=500 to be thorough.
ROUNDS = os.environ.get("GC_ROUNDS", "15")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", gc_scenarios.SCENARIOS)
def test_gc(name: str) -> None:
    ended = processes.run("gc_scenarios.py", name, ROUNDS, limit=300)
    assert ended.code == 0, ended.stderr
    assert ended.stderr == ""
