"""Leaving the interpreter in the middle of something: the right exit code, at once, and not a word on stderr.

How long that takes by the clock depends on what else the machine does. It is asserted where somebody says that it is
quiet: `EXIT_RUNS=50 EXIT_LIMIT=3 pytest python/tests/test_exit.py`. Everywhere, what has to end by itself sleeps for
much longer than a program is given, and the processor's time that leaving takes is held to a bound.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import exit_scenarios
import process_exit_scenarios
import processes
import pytest
from conftest import eventually

#: How often each program is run.
RUNS = int(os.environ.get("EXIT_RUNS", "1"))
#: From the last thing that the program does until its process is gone, in seconds.
LIMIT = float(os.environ.get("EXIT_LIMIT", "inf"))
#: What of the processor leaving may take, in seconds: one of them goes to tasks that never sleep.
CPU = 3.0
#: They sleep for most of their time.
AT_ONCE = 3

#: The scripts in which the programs are, and what the programs promise.
SCRIPTS = {"exit_scenarios.py": exit_scenarios.SCENARIOS, "process_exit_scenarios.py": process_exit_scenarios.SCENARIOS}
SCENARIOS = {name: (script, *promise) for script, all_of_it in SCRIPTS.items() for name, promise in all_of_it.items()}

Running = dict[str, list["Future[processes.Ended]"]]


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """All that are to be tested, begun at once."""
    names = [item.callspec.params["name"] for item in request.session.items if item.module is request.module]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: [pool.submit(processes.run, SCENARIOS[name][0], name) for _ in range(RUNS)] for name in names}
        pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", SCENARIOS)
def test_exit(name: str, running: Running) -> None:
    *_, code, stderr = SCENARIOS[name]
    for run in running[name]:
        ended = run.result()
        assert ended.code == code, ended.stderr
        assert re.fullmatch(stderr, ended.stderr), ended.stderr
        at, cpu, *children = ended.stdout.split()
        assert ended.cpu - float(cpu) < CPU
        assert ended.at - float(at) < LIMIT
        eventually(lambda there=children: not any(processes.is_running(int(child)) for child in there))
