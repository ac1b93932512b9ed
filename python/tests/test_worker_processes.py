"""Tasks in worker processes: that they run there, what goes there and comes back, and what happens when one dies."""

from __future__ import annotations

import asyncio
import functools
import operator
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import azolla
import numpy as np
import pytest
from azolla import Client, KilledWorker, LocalCluster, Reschedule, as_completed, wait
from conftest import PATIENCE, eventually, nothing_is_kept
from test_dashboard import Reader


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client
        client._check()


@pytest.fixture
def client(shared: Client) -> Iterator[Client]:
    """Two processes of one thread each."""
    yield shared
    shared._check()
    eventually(lambda: nothing_is_kept(shared))


def increased(x: int) -> int:
    return x + 1


def added(*values: int) -> int:
    return sum(values)


class Files:
    """Says by files that tasks are there, and holds them. Tasks in other processes see it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hold(self, value: Any = None) -> Any:
        (self._folder / f"entered-{value}").touch()
        self._wait_for(self._folder / "open")
        return value

    def entered(self, value: Any = None) -> None:
        self._wait_for(self._folder / f"entered-{value}")

    def open(self) -> None:
        (self._folder / "open").touch()

    def count(self) -> int:
        """Counts one call more, and returns how many there have been."""
        number = len(list(self._folder.glob("call-*"))) + 1
        (self._folder / f"call-{number}").touch()
        return number

    @staticmethod
    def _wait_for(path: Path) -> None:
        deadline = time.monotonic() + PATIENCE
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.001)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path)
    yield files
    files.open()


# --- What goes and comes


def test_tasks_run_in_other_processes(client: Client) -> None:
    processes = set(client.gather(client.map(lambda i: (time.sleep(0.01), os.getpid())[1], range(20), pure=False)))
    assert os.getpid() not in processes
    assert len(processes) == 2


def test_client_has_worker_processes_unless_the_program_says_otherwise() -> None:
    with Client(dashboard_address=None) as client:
        assert client.submit(os.getpid).result() != os.getpid()
        workers, threads = len(client.cluster.workers), sum(client.nthreads().values())
        assert workers >= min(4, os.cpu_count() or 1) or workers * workers >= threads
    with LocalCluster(n_workers=1, threads_per_worker=3, dashboard_address=None) as cluster, Client(cluster) as client:
        assert client.submit(os.getpid).result() != os.getpid()
        assert list(client.nthreads().values()) == [3]


def test_arguments_and_futures_in_containers(client: Client) -> None:
    ones = client.map(increased, range(3))
    assert client.submit(added, *ones).result() == 6
    assert client.submit(sum, ones).result() == 6
    nested = client.submit(lambda a, *, b: (a, b), {"x": ones[0], "y": [ones[1], (ones[2],)]}, b={"z": ones[2]})
    assert nested.result() == ({"x": 1, "y": [2, (3,)]}, {"z": 3})
    assert client.gather({"all": ones}) == {"all": [1, 2, 3]}


def test_a_call_is_what_it_was_at_the_submit(client: Client, files: Files) -> None:
    held = [client.submit(files.hold, n, pure=False) for n in range(2)]
    batch = [1, 2, 3]
    total = client.submit(sum, batch, pure=False)
    batch.clear()
    files.open()
    assert total.result() == 6
    wait(held)


def test_functions_of_all_kinds(client: Client) -> None:
    base = 10

    def closure(x: int) -> int:
        return base + x

    class Local:
        def __init__(self, by: int) -> None:
            self.by = by

        def method(self, x: int) -> int:
            return x * self.by

        def __call__(self, x: int) -> int:
            return x - self.by

    functions: list[Callable[[int], Any]] = [
        closure,
        Local(3).method,
        Local(3),
        functools.partial(pow, 2),
        operator.neg,
        str,
        lambda x: [x],
        "%d items".__mod__,
    ]
    assert [client.submit(function, 4).result() for function in functions] == [function(4) for function in functions]


def test_a_changed_global_is_a_changed_function(client: Client) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("limit = 1\ndef over(x): return x > limit", names)
    assert client.submit(names["over"], 2).result()
    names["limit"] = 3
    assert not client.submit(names["over"], 2).result()


def test_classes_of_the_main_module_travel_by_value() -> None:
    program = textwrap.dedent(
        """
        from dataclasses import dataclass
        from azolla import Client

        @dataclass
        class Point:
            x: int

        def moved(point, by):
            return Point(point.x + by)

        client = Client(n_workers=1, threads_per_worker=1, dashboard_address=None)
        print(client.submit(moved, Point(1), 2).result() == Point(3), client.gather(client.map(moved, [Point(5)], by=1)))
        """
    )
    for how in (["-c", program], ["-"]):
        ran = subprocess.run([sys.executable, *how], input=program, capture_output=True, text=True, timeout=PATIENCE)
        assert (ran.stdout, ran.stderr) == ("True [Point(x=6)]\n", "")


def test_results_are_read_anew_and_arrays_can_be_written(client: Client) -> None:
    future = client.submit(np.arange, 5)
    first, second = future.result(), future.result()
    first += 1
    assert second.tolist() == [0, 1, 2, 3, 4]
    assert client.submit(lambda array: int(array.sum()), future).result() == 10


def test_what_was_scattered_goes_to_tasks(client: Client) -> None:
    data = {"words": ["a", "b"]}
    scattered = client.scatter(data)
    data["words"].clear()
    assert client.submit(lambda data: data["words"], scattered).result() == ["a", "b"]
    assert client.submit(lambda n, by: n * by, *client.scatter([3, 4])).result() == 12


def test_what_cannot_be_pickled_is_an_error_at_the_submit(client: Client) -> None:
    lock = threading.Lock()
    with pytest.raises(TypeError, match="pickle") as caught:
        client.submit(increased, lock)
    assert "processes=False" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="pickle"):
        client.submit(lambda: lock)
    with pytest.raises(TypeError, match="pickle"):
        client.map(increased, [1, lock])
    with pytest.raises(TypeError, match="pickle"):
        client.scatter(lock)


def test_a_result_that_cannot_be_unpickled_here_names_its_task(client: Client) -> None:
    class Restless:
        def __reduce__(self) -> Any:
            return (_only_there, (os.getpid(),))

    future = client.submit(Restless)
    for ask in (future.result, lambda: client.gather([future])):
        with pytest.raises(ValueError, match="not here") as raised:
            ask()
        assert raised.value.__notes__ == [f"this happened when the result of {future.key} was unpickled"]


def _only_there(process: int) -> str:
    if os.getpid() != process:
        raise ValueError("not here")
    return "there"


def test_coroutine_functions(client: Client) -> None:
    async def later(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    assert client.gather(client.map(later, range(3))) == [1, 2, 3]


def test_large_arguments_and_results(client: Client) -> None:
    array = np.arange(2_000_000)
    assert client.submit(lambda array: array * 2, array).result()[-1] == 3_999_998
    blocks = client.map(np.full, [300_000] * 6, range(6))
    assert client.submit(lambda *blocks: sum(int(block[0]) for block in blocks), *blocks).result() == 15


def test_inputs_are_shared_by_a_frame_and_others_see_their_own(client: Client) -> None:
    data = client.submit(list, range(200))
    items = [client.submit(operator.getitem, data, i) for i in range(200)]
    assert client.gather(items) == list(range(200))


# --- Errors


class Refuses(Exception):
    """Its pickle does not lead back to it."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"code {code}")
        self.code, self.why = code, why


def refuse(code: int) -> None:
    try:
        raise KeyError("inner")
    except KeyError as inner:
        raise Refuses(code, why="on purpose") from inner


def test_errors_come_back_whole(client: Client) -> None:
    future = client.submit(refuse, 7, key="seven")
    with pytest.raises(Refuses, match="code 7") as caught:
        future.result()
    error = caught.value
    assert (error.code, error.why) == (7, "on purpose")
    assert isinstance(error.__cause__, KeyError)
    assert "in the azolla task seven" in error.__notes__
    text = "".join(traceback.format_exception(error))
    assert "in refuse" in text and Path(__file__).name in text
    assert "worker_loop" not in text and "child.py" not in text
    assert future.status == "error" and "code 7" in repr(future)
    assert future.traceback() is not None


def test_the_error_of_an_input_is_that_of_its_dependents(client: Client) -> None:
    bad = client.submit(operator.truediv, 1, 0)
    dependent = client.submit(increased, client.submit(increased, bad))
    with pytest.raises(ZeroDivisionError):
        dependent.result()
    good = client.submit(increased, 1)
    assert client.gather([good, bad], errors="skip") == [2]


def test_a_task_may_raise_anything(client: Client) -> None:
    def raises(what: BaseException) -> None:
        raise what

    for error in (
        KeyboardInterrupt(),
        SystemExit(3),
        GeneratorExit(),
        StopIteration(4),
        ExceptionGroup("g", [KeyError(1)]),
    ):
        future = client.submit(raises, error, pure=False)
        raised = future.exception()
        assert type(raised) is type(error)
    assert client.submit(increased, 1).result() == 2


def test_retries_and_reschedules(client: Client, files: Files) -> None:
    def at_the_third(files: Files, error: type[BaseException]) -> int:
        if (number := files.count()) % 3:
            raise error("not yet")
        return number

    assert client.submit(at_the_third, files, ValueError, retries=2, pure=False).result() == 3
    assert client.submit(at_the_third, files, Reschedule, pure=False).result() == 6
    failed = client.submit(at_the_third, files, ValueError, retries=1, pure=False)
    with pytest.raises(ValueError, match="not yet"):
        failed.result()
    failed.retry()
    assert failed.result() == 9


# --- The order of things


def test_urgent_tasks_go_first(files: Files) -> None:
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None, set_as_default=False) as client:
        held = client.submit(files.hold, priority=10)
        files.entered()
        times = [client.submit(time.monotonic, priority=priority, pure=False) for priority in (0, 5, 1)]
        files.open()
        late, first, second = client.gather(times)
        assert first < second < late
        wait(held)


def test_pure_calls_are_one_task(client: Client) -> None:
    one, other = client.submit(added, 1, 2), client.submit(added, 1, 2)
    assert one.key == other.key
    assert one.result() == 3
    impure = [client.submit(os.urandom, 8, pure=False) for _ in range(2)]
    assert len({future.result() for future in impure}) == 2


def test_as_completed_while_work_grows(client: Client) -> None:
    seen = []
    running = as_completed(client.map(increased, range(5)), with_results=True)
    for _, result in running:
        seen.append(result)
        if result < 100:
            running.add(client.submit(increased, result + 20))
    assert sorted(seen)[-1] >= 100


def test_waiting_in_a_coroutine(client: Client) -> None:
    async def both() -> list[int]:
        async with Client(asynchronous=True, n_workers=1, dashboard_address=None, set_as_default=False) as client:
            return [await client.submit(increased, 1), *await client.gather(client.map(increased, range(2)))]

    assert asyncio.run(both()) == [2, 1, 2]


def test_a_long_task_does_not_hold_up_those_behind_it(client: Client, files: Files) -> None:
    # Their kind is known to be short, so they go to a process many at a time.
    wait(client.map(files_or_not, [None] * 200, pure=False))
    futures = client.map(files_or_not, [None, files, *[None] * 60], pure=False)
    done = [future for future in futures if future is not futures[1]]
    wait(done, timeout=PATIENCE)
    assert futures[1].status == "pending"
    files.open()
    wait(futures)


def test_nor_does_one_that_fills_its_frame(client: Client, files: Files) -> None:
    wait(client.map(files_or_not, [None] * 200, pure=False))
    futures = client.map(files_or_not, [files, *[None] * 60], padding=bytes(100_000), pure=False)
    wait(futures[1:], timeout=PATIENCE)
    assert futures[0].status == "pending"
    files.open()
    wait(futures)


def test_ends_are_told_while_the_next_task_takes_long(files: Files) -> None:
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=":0", set_as_default=False) as client:
        reader = Reader(client)
        wait(client.map(files_or_not, [None] * 200, pure=False))
        futures = client.map(files_or_not, [*[None] * 20, files, *[None] * 20], pure=False)
        eventually(lambda: reader.json("/json/overview")["counts"]["finished"] == 220)
        assert futures[20].status == "pending"
        files.open()


def files_or_not(files: Files | None, padding: bytes = b"") -> None:
    if files is not None:
        files.hold()


def test_cancel_and_what_runs(client: Client, files: Files) -> None:
    held = [client.submit(files.hold, n, pure=False) for n in range(2)]
    for n in range(2):
        files.entered(n)
    queued = client.submit(files.hold, "queued")
    queued.cancel()
    held[0].cancel()
    assert queued.status == held[0].status == "cancelled"
    files.open()
    assert held[1].result() == 1
    assert client.submit(increased, 1).result() == 2


# --- Death


def killed_once(files: Files) -> int:
    number = files.count()
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_task_whose_process_died_runs_again(client: Client, files: Files) -> None:
    others = client.map(increased, range(500), pure=False)
    assert client.submit(killed_once, files).result(timeout=PATIENCE) == 2
    assert client.gather(others) == list(range(1, 501))


def test_results_outlive_their_process(client: Client) -> None:
    processes = client.map(lambda i: (time.sleep(0.01), os.getpid())[1], range(10), pure=False)
    wait(processes)
    for process in set(client.gather(processes)):
        os.kill(process, signal.SIGKILL)
    assert client.submit(len, processes).result(timeout=PATIENCE) == 10


@pytest.mark.parametrize(
    ("die", "how"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by signal 9"),
        (lambda: os._exit(3), "ended with code 3"),
    ],
)
def test_a_task_that_kills_its_processes_is_given_up(client: Client, die: Callable[[], None], how: str) -> None:
    others = client.map(increased, range(100), pure=False)
    future = client.submit(die, key="deadly", pure=False)
    with pytest.raises(KilledWorker, match=rf"deadly.*4 worker processes.*{how}"):
        future.result(timeout=PATIENCE)
    assert client.gather(others) == list(range(1, 101))


def test_a_process_that_dies_when_idle_is_replaced(client: Client) -> None:
    for _ in range(3):
        process = client.submit(os.getpid, pure=False).result()
        os.kill(process, signal.SIGTERM)
        assert client.submit(increased, 1, pure=False).result(timeout=PATIENCE) == 2


def test_processes_end_with_their_client(files: Files) -> None:
    client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None, set_as_default=False)
    processes = set(client.gather(client.map(lambda i: (time.sleep(0.01), os.getpid())[1], range(20), pure=False)))
    held = client.submit(files.hold, pure=False)
    files.entered()
    client.close()
    assert held.status == "cancelled"
    eventually(lambda: not any(is_running(process) for process in processes))


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(0)", "raise SystemExit", "pass"])
def test_processes_end_with_their_parent(end: str) -> None:
    program = textwrap.dedent(
        f"""
        import os, time, re
        from azolla import Client
        client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
        print(*client.gather(client.map(lambda i: (time.sleep(0.01), os.getpid())[1], range(20), pure=False)), flush=True)
        # In C code that holds the GIL.
        busy = client.map(lambda i: re.match(r"(a+)+$", "a" * 28 + "b"), range(2), pure=False)
        while client.counters()["running"] < 2:
            time.sleep(0.001)
        {end}
        """
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    processes = {int(process) for process in ran.stdout.split()}
    assert len(processes) == 2
    eventually(lambda: not any(is_running(process) for process in processes))
    assert ran.stderr == ""


def test_a_client_is_no_result(client: Client) -> None:
    with pytest.raises(TypeError, match="a Client cannot be pickled"):
        client.submit(azolla.get_client).result()


def test_futures_are_told_apart_from_their_tasks(client: Client) -> None:
    future = client.submit(increased, 1)
    assert future.result() == 2
    assert future.type is int
    assert client.nbytes([future.key], summary=False) == {future.key: len(pickle.dumps(2, 5))}


def refuse_when_told(files: Files) -> None:
    files.hold()
    refuse(8)


def test_failures_that_no_future_shows_are_logged(
    client: Client, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    future = client.submit(refuse_when_told, files, key="unseen")
    files.entered()
    del future
    files.open()
    eventually(lambda: any("unseen" in record.getMessage() for record in caplog.records))
    [record] = [record for record in caplog.records if "unseen" in record.getMessage()]
    assert record.exc_info is not None and isinstance(record.exc_info[1], Refuses)


def test_paths_that_are_no_text_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [Path(__file__).parent, *sys.path])
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None, set_as_default=False) as client:
        assert client.submit(abs, -1).result(timeout=PATIENCE) == 1


def test_functions_that_hold_much_are_forgotten(client: Client) -> None:
    def sized(padding: bytes) -> Callable[[int], int]:
        return lambda x: x + len(padding)

    def memory() -> int:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    size = 8_000_000
    for round_ in range(40):
        assert client.submit(sized(bytes(size + round_)), 1, pure=False).result() == size + round_ + 1
    used = client.gather([client.submit(memory, workers=[worker], pure=False) for worker in range(2)])
    assert max(used) < 25 * size


def test_what_was_printed_is_there_when_the_client_is_closed() -> None:
    program = "from azolla import Client\nwith Client(n_workers=2) as c: c.gather(c.map(print, range(100), pure=False))"
    # Unbuffered, a line and its end are written one after the other, and another process may write in between.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for _ in range(5):
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, env=environment
        )
        assert (sorted(map(int, ran.stdout.split())), ran.stderr) == (list(range(100)), "")


def test_processes_of_a_client_that_has_ended_end_in_silence() -> None:
    program = "import os\nfrom azolla import Client\nc = Client(n_workers=2)\nos._exit(0)"
    for _ in range(5):
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
        assert ran.stderr == ""
