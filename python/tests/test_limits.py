"""At the limits of its process azolla says what is wrong: memory that ends, threads that are none, sub-interpreters."""

from __future__ import annotations

import sys

import limit_scenarios
import processes
import pytest


@pytest.mark.timeout(0)
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is set in Linux's way")
@pytest.mark.parametrize("name", limit_scenarios.SCENARIOS)
def test_limit(name: str) -> None:
    ended = processes.run("limit_scenarios.py", name)
    assert ended.code == 0, ended.stderr
