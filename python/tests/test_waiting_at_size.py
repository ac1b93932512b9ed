"""Waiting inside tasks at its real size. The programs sleep for most of their minute: they begin before all tests."""

from __future__ import annotations

from concurrent.futures import Future

import processes
import pytest
import size_scenarios


@pytest.mark.timeout(0)
@pytest.mark.parametrize("slow_program", [f"size_scenarios.py {name}" for name in size_scenarios.SCENARIOS])
def test_ten_thousand_parents_wait_for_their_children(
    slow_program: str, slow_programs: dict[str, Future[processes.Ended]]
) -> None:
    ended = slow_programs[slow_program].result()
    assert ended.code == 0, ended.stderr
    assert ended.stderr == ""
