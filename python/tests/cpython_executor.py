"""Runs CPython's own tests of executors on azolla's: `python cpython_executor.py threads`, or `processes`.

The tests are those of the interpreter that runs this, or where it came without, those that Debian has of the same
version (`libpython3.11-testsuite`). What they know of `ThreadPoolExecutor` or `ProcessPoolExecutor` beyond the interface
of executors is left out by name, with the reason. Exits with 77 where there are no tests.

Some of these tests suppose that what sleeps is still asleep when they look, or that one of several has fallen asleep by
then: they fail on a machine that is busy enough. Here those sleeps end when the test shuts its executor down (`HELD`);
the others are a tenth as long.
"""

import concurrent.futures
import functools
import gc
import importlib.util
import os
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Iterator
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED, RUNNING
from pathlib import Path
from typing import Any

from azolla import Client, ClientExecutor, LocalCluster
from azolla._client.executor import ExecutorFuture
from gates import PATIENCE, Gate

INNARDS = "looks at the pool's own threads or processes"
PROGRAM = "starts another interpreter with a program that names the standard library's executor"
AT_EXIT = "a client's work ends with the interpreter, the pool's does not"
FIVE_SECONDS = "a time-out of 5 s, in which a task must have ended: test_executor.py has the same with gates"
NOTIFIED = "looks at the future's private state: ours tells those who wait in cancel() itself"
CONDITION = "settles a future by its private state and condition: ours has none"
INITIALIZER = "a client's threads are not the executor's to initialise: that is what worker plugins are for"
CRASH = "a process that dies breaks nothing: its tasks run again, and one that kills it again and again fails"
ALONE = "what breaks the whole pool is the error of one task here, or of its submit"
TRACEBACK = "the traceback itself has the lines of the worker process, not the text of a cause"
MANAGER = "the object that the task has is unpickled in a process that cannot find the manager's secret"

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
    "test_cancel": NOTIFIED,
    "test_exception_with_success": CONDITION,
    "test_timeout": FIVE_SECONDS,
    "test_map_timeout": FIVE_SECONDS,
    "test_result_with_success": FIVE_SECONDS,
    "test_processes_terminate": INNARDS,
    "test_idle_process_reuse_one": INNARDS,
    "test_idle_process_reuse_multiple": INNARDS,
    "test_max_tasks_per_child": INNARDS,
    "test_max_tasks_per_child_defaults_to_spawn_context": INNARDS,
    "test_max_tasks_early_shutdown": INNARDS,
    "test_killed_child": CRASH,
    "test_crash_at_task_unpickle": CRASH,
    "test_crash_during_func_exec_on_worker": CRASH,
    "test_crash_during_result_pickle_on_worker": CRASH,
    "test_crash_big_data": CRASH,
    "test_shutdown_deadlock": CRASH,
    "test_shutdown_deadlock_pickle": ALONE,
    "test_error_at_task_pickle": ALONE,
    "test_error_at_task_unpickle": ALONE,
    "test_error_during_result_unpickle_in_result_handler": ALONE,
    "test_exit_at_task_unpickle": ALONE,
    "test_exit_during_result_unpickle_in_result_handler": ALONE,
    "test_gh105829_should_not_deadlock_if_wakeup_pipe_full": INNARDS,
    "test_traceback": TRACEBACK,
    "test_ressources_gced_in_workers": MANAGER,
}

#: How long what must still sleep when the test looks is told to sleep, by the test.
HELD = {
    "test_first_completed": 1.5,
    "test_first_completed_some_already_completed": 1.5,
    "test_first_exception": 3,
    "test_first_exception_some_already_complete": 1.5,
    "test_first_exception_one_already_failed": 2,
    "test_zero_timeout": 2,
    "test_future_times_out": 1,
    "test_cancel_futures": 0.1,
}

#: Until 3.11 all is in one module; since then it is a package.
MODULES = [
    *("", ".test_as_completed", ".test_deadlock", ".test_future", ".test_process_pool", ".test_shutdown"),
    *(".test_thread_pool", ".test_wait"),
]

#: The names of the classes of tests that run, by how they begin. Those for forks differ by what the pool itself does.
CLASSES = {"threads": ("ThreadPool", "FutureTests"), "processes": ("ProcessPoolSpawn",)}

clients: list[Client] = []


class Sleep:
    """Stands in for `time.sleep`, here and in worker processes."""

    def __init__(self) -> None:
        self.begins("")

    def begins(self, test: str) -> None:
        """A test begins: nothing sleeps."""
        self._held, self.gate = HELD.get(test), Gate()

    def one_has_begun(self) -> None:
        if self._held is not None:
            self.gate.entered()

    def __call__(self, seconds: float) -> None:
        asleep(self._held, self.gate, seconds)

    def __reduce__(self) -> Any:
        return functools.partial, (asleep, self._held, self.gate)


def asleep(held: float | None, gate: Gate, seconds: float) -> None:
    if seconds == held:
        gate.hold()
    else:
        threading.Event().wait(seconds / 10)


sleep = Sleep()


class Pool(ClientExecutor):
    """Made like a `ThreadPoolExecutor`, with a client of its own."""

    def __init__(self, max_workers: int | None = None) -> None:
        concurrent.futures.thread.ThreadPoolExecutor.__init__(self, max_workers)  # checks the number
        client = self._new_client(self._max_workers)
        clients.append(client)
        super().__init__(client)

    def _new_client(self, workers: int) -> Client:
        return Client(processes=False, n_workers=1, threads_per_worker=workers, set_as_default=False)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            sleep.one_has_begun()
            super().shutdown(False, cancel_futures=True)
        sleep.gate.open()
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._client.close()  # type: ignore[attr-defined]


class ProcessPool(Pool):
    """Made like a `ProcessPoolExecutor`, on processes that all of them share."""

    def __init__(self, max_workers: int | None = None, mp_context: object = None) -> None:
        super().__init__(max_workers)

    def _new_client(self, workers: int) -> Client:
        return Client(shared_processes(workers), set_as_default=False)


@functools.cache
def shared_processes(workers: int) -> LocalCluster:
    return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)


def collect_garbage() -> None:
    """`test.support.gc_collect`, when all tasks have ended: a thread that is about to leave a call still has its result."""
    deadline = time.monotonic() + PATIENCE
    while any(client.status == "running" and client.counters()["running"] for client in clients):
        assert time.monotonic() < deadline, "a task runs for ever"
    for _ in range(3):
        gc.collect()


class Future(ExecutorFuture[Any]):
    """The executor's future, by the name that the tests of `repr` look for. The tests make futures by their private state."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_state":
            if value == CANCELLED_AND_NOTIFIED:
                self.cancel()
            elif value in (RUNNING, FINISHED):
                self.set_running_or_notify_cancel()
            self._is_finished = value == FINISHED
        elif name == "_exception":
            self._raises = value
        elif name == "_result":
            if self._is_finished:
                self._finish(value, self._raises)
        else:
            super().__setattr__(name, value)


class Result(unittest.TextTestResult):
    def startTest(self, test: unittest.TestCase) -> None:
        sleep.begins(test.id().rpartition(".")[2])
        super().startTest(test)


def tests(suite: unittest.TestSuite, backend: str) -> Iterator[Any]:
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from tests(one, backend)
        elif type(one).__name__.startswith(CLASSES[backend]):
            yield one


def find_tests(folder: str) -> None:
    """Has this process and its workers find CPython's tests: those beside the interpreter, or else Debian's."""
    import test

    path = [*test.__path__, os.environ.get("CPYTHON_TESTS") or "/usr/lib/python{}.{}/test".format(*sys.version_info)]
    package = Path(folder) / "test"
    package.mkdir()
    (package / "__init__.py").write_text(f"__path__ = {path!r}\n")
    sys.path.insert(0, folder)
    test.__path__[:] = path


def main(backend: str, folder: str) -> int:
    find_tests(folder)
    import test.support

    test.support.gc_collect = collect_garbage
    if importlib.util.find_spec("test.test_concurrent_futures") is None:
        return 77
    time.sleep = sleep
    concurrent.futures.ThreadPoolExecutor = Pool  # type: ignore[misc]
    concurrent.futures.ProcessPoolExecutor = ProcessPool  # type: ignore[misc]
    unnotified: concurrent.futures.Future[Any] = concurrent.futures.Future()
    concurrent.futures.Future = concurrent.futures._base.Future = Future  # type: ignore[misc]
    unnotified.cancel()  # one of azolla's is never cancelled without having told so
    chosen: list[unittest.TestCase] = []
    skipped = set()
    for name in MODULES:
        try:
            module = importlib.import_module(f"test.test_concurrent_futures{name}")
        except ModuleNotFoundError:
            continue
        if hasattr(module, "CANCELLED_FUTURE"):
            module.CANCELLED_FUTURE = unnotified
        for one in tests(unittest.defaultTestLoader.loadTestsFromModule(module), backend):
            method = one.id().rpartition(".")[2]
            if method in SKIPPED:
                skipped.add(method)
            else:
                chosen.append(one)
    runner = unittest.TextTestRunner(sys.stdout, verbosity=2, resultclass=Result)
    outcome = runner.run(unittest.TestSuite(chosen))
    for client in clients:
        client.close()
    print(f"ran {outcome.testsRun} of {len(chosen)}, left out {len(skipped)}: {sorted(skipped)}")
    return 0 if outcome.wasSuccessful() and len(chosen) > 20 else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        code = main(sys.argv[1], folder)
    sys.stdout.flush()
    os._exit(code)
