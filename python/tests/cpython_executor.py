"""Runs CPython's own tests of thread executors on azolla's: `python cpython_executor.py`, or every sixth by `... 0 6`.

The tests are those of the interpreter that runs this, or where it came without, those that Debian has of the same
version (`libpython3.11-testsuite`). What they know of `ThreadPoolExecutor` beyond the interface of executors is left
out by name, with the reason. Exits with 77 where there are no tests.
"""

import concurrent.futures
import importlib.util
import os
import sys
import unittest
from collections.abc import Iterator
from typing import Any

from azolla import Client, ClientExecutor

INNARDS = "looks at the thread pool's own threads"
PROGRAM = "starts another interpreter with a program that names ThreadPoolExecutor"
AT_EXIT = "a client's work ends with the interpreter, the pool's does not"
INITIALIZER = "a client's threads are not the executor's to initialise: that is what worker plugins are for"

#: Tests that are not run, by the end of their names.
SKIPPED = {
    "test_threads_terminate": INNARDS,
    "test_context_manager_shutdown": INNARDS,
    "test_del_shutdown": INNARDS,
    "test_shutdown_no_wait": INNARDS,
    "test_thread_names_assigned": INNARDS,
    "test_thread_names_default": INNARDS,
    "test_cancel_futures_wait_false": PROGRAM,
    "test_saturation": INNARDS,
    "test_idle_thread_reuse": INNARDS,
    "test_default_workers": INNARDS,
    "test_interpreter_shutdown": AT_EXIT,
    "test_submit_after_interpreter_shutdown": PROGRAM,
    "test_hang_gh83386": PROGRAM,
    "test_hang_gh94440": PROGRAM,
    "test_hang_global_shutdown_lock": "forks from a task, which has a test of azolla's own",
    "test_initializer": INITIALIZER,
}

#: Until 3.11 all is in one module; since then it is a package.
MODULES = ["", ".test_as_completed", ".test_future", ".test_shutdown", ".test_thread_pool", ".test_wait"]

clients: list[Client] = []


class Pool(ClientExecutor):
    """Made like a `ThreadPoolExecutor`, with a client of its own."""

    def __init__(self, max_workers: int | None = None) -> None:
        concurrent.futures.thread.ThreadPoolExecutor.__init__(self, max_workers)  # checks the number
        client = Client(processes=False, n_workers=1, threads_per_worker=self._max_workers, set_as_default=False)
        clients.append(client)
        super().__init__(client)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._client.close()  # type: ignore[attr-defined]


def tests(suite: unittest.TestSuite) -> Iterator[Any]:
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from tests(one)
        elif type(one).__name__.startswith(("ThreadPool", "FutureTests")):
            yield one


def main() -> int:
    import test as cpython

    cpython.__path__.append(os.environ.get("CPYTHON_TESTS") or "/usr/lib/python{}.{}/test".format(*sys.version_info))
    if importlib.util.find_spec("test.test_concurrent_futures") is None:
        return 77
    concurrent.futures.ThreadPoolExecutor = Pool  # type: ignore[misc]
    chosen: list[unittest.TestCase] = []
    skipped = set()
    for name in MODULES:
        try:
            module = importlib.import_module(f"test.test_concurrent_futures{name}")
        except ModuleNotFoundError:
            continue
        for test in tests(unittest.defaultTestLoader.loadTestsFromModule(module)):
            method = test.id().rpartition(".")[2]
            if method in SKIPPED:
                skipped.add(method)
            else:
                chosen.append(test)
    first, step = map(int, sys.argv[1:] or ("0", "1"))
    outcome = unittest.TextTestRunner(sys.stdout, verbosity=2).run(unittest.TestSuite(chosen[first::step]))
    for client in clients:
        client.close()
    print(f"ran {outcome.testsRun} of {len(chosen)}, left out {len(skipped)}: {sorted(skipped)}")
    return 0 if outcome.wasSuccessful() and len(chosen) > 30 else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
