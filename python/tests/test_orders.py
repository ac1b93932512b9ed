"""What worker processes do beside their tasks, when they die, hang, start late, or what is sent cannot travel."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from azolla import Client, ClosedClientError, Future, Worker, WorkerPlugin, get_client, get_worker
from conftest import eventually
from gates import PATIENCE, Gate, Journal


@pytest.fixture
def two() -> Iterator[Client]:
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


@pytest.fixture
def one() -> Iterator[Client]:
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield client


def kill(client: Client, worker: int) -> None:
    """Has a process killed, and waits until it has ended."""
    with pytest.raises(ConnectionError, match=f"worker {worker} was killed by signal 9 before it had answered"):
        client.run(lambda: os.kill(os.getpid(), signal.SIGKILL), workers=[worker])


class Marks(WorkerPlugin):
    name = "marks"

    def __init__(self, mark: Any = "mark") -> None:
        self.mark = mark

    def setup(self, worker: Worker) -> None:
        worker.mark = self.mark  # type: ignore[attr-defined]


def mark() -> Any:
    return get_worker().mark  # type: ignore[attr-defined]


def test_an_order_ends_with_its_process(two: Client, gate: Gate) -> None:
    errors: list[Any] = []

    def runs() -> None:
        errors.append(two.run(gate.hold, on_error="return"))

    thread = threading.Thread(target=runs)
    thread.start()
    gate.entered(2)
    kill(two, 0)
    gate.open()
    thread.join(PATIENCE)
    [results] = errors
    first, second = results.values()
    assert isinstance(first, ConnectionError)
    assert second is None
    assert two.run(os.getpid, workers=[0]).keys() == {two.cluster.workers[0].address}


def test_what_cannot_travel(one: Client) -> None:
    lock = threading.Lock()
    with pytest.raises(TypeError, match="pickle"):
        one.run(lambda: lock)
    with pytest.raises(TypeError, match="pickle") as caught:
        one.run(threading.Lock)
    assert "the function has returned this result" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="pickle") as caught:
        one.register_plugin(Marks(lock))
    assert "azolla pickles it to send it to worker processes" in caught.value.__notes__[0]
    for scatters in (one.scatter, lambda locks: one.submit(lambda: get_client().scatter([threading.Lock()])).result()):
        with pytest.raises(TypeError, match="pickle") as caught:
            scatters([lock])
        assert "azolla pickles what is scattered" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="does not exist"):
        one.unregister_worker_plugin("marks")


def test_a_thousand_runs(two: Client) -> None:
    assert all(sorted(two.run(abs, -n).values()) == [n, n] for n in range(1000))


def test_arrays_and_futures_travel(two: Client) -> None:
    array = np.arange(200_000)
    doubled = two.run(lambda array: array * 2, array)
    assert all((result == array * 2).all() for result in doubled.values())
    future = two.submit(pow, 2, 10)
    assert list(two.run(lambda future: future.result(), future).values()) == [1024, 1024]

    def submits() -> Future[int]:
        return get_client().submit(pow, 3, 2)

    assert [future.result() for future in two.run(submits).values()] == [9, 9]


def test_an_order_waits_for_a_process_that_starts(two: Client) -> None:
    before = two.run(os.getpid)
    for _ in range(3):
        kill(two, 1)
        after = two.run(os.getpid)
    first, second = two.cluster.workers[0].address, two.cluster.workers[1].address
    assert before[first] == after[first]
    assert before[second] != after[second]


def test_a_process_that_starts_later_has_all_plugins_before_its_tasks(one: Client, journal: Journal) -> None:
    class Second(Marks):
        name = "second"

        def setup(self, worker: Worker) -> None:
            worker.second = (self.mark, worker.mark)  # type: ignore[attr-defined]
            journal.append(os.getpid())

    one.register_plugin(Marks())
    one.register_plugin(Second(2))
    kill(one, 0)
    assert one.submit(lambda: (os.getpid(), get_worker().second), pure=False).result() == (  # type: ignore[attr-defined]
        journal.entries()[1],
        (2, "mark"),
    )
    assert len(journal) == 2
    one.unregister_worker_plugin("second")
    kill(one, 0)
    assert one.run(lambda: hasattr(get_worker(), "second")).popitem()[1] is False
    assert one.submit(mark, pure=False).result() == "mark"


def test_a_plugin_that_fails_in_a_later_process_is_logged(
    one: Client, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    class FailsTheSecondTime(WorkerPlugin):
        def setup(self, worker: Worker) -> None:
            journal.append("setup")
            if len(journal) > 1:
                raise KeyError("not again")

    one.register_plugin(FailsTheSecondTime(), name="fails")
    with caplog.at_level(logging.ERROR, "azolla"):
        kill(one, 0)
        assert one.submit(abs, -1).result() == 1
    [record] = caplog.records
    assert "a plugin or an uploaded module failed" in record.getMessage()
    assert "not again" in str(record.exc_info)


def test_a_plugin_that_hangs_in_a_later_process_holds_up_that_alone(two: Client, gate: Gate, journal: Journal) -> None:
    class HangsTheSecondTime(WorkerPlugin):
        def setup(self, worker: Worker) -> None:
            if worker.name == 0:
                journal.append("setup")
                if len(journal) > 1:
                    gate.hold()

    two.register_plugin(HangsTheSecondTime(), name="hangs")
    kill(two, 0)
    gate.entered()
    assert two.gather(two.map(abs, range(100))) == list(range(100))
    there = two.submit(abs, -1, workers=[0], pure=False)
    assert two.run(abs, -1, workers=[1]).popitem()[1] == 1
    assert there.status == "pending"
    gate.open()
    assert there.result() == 1


def test_a_client_closes_while_a_plugin_hangs(gate: Gate) -> None:
    class Hangs(WorkerPlugin):
        def setup(self, worker: Worker) -> None:
            gate.hold()

    errors: list[Any] = []
    client = Client(n_workers=1, threads_per_worker=1, dashboard_address=None)

    def registers() -> None:
        try:
            client.register_plugin(Hangs(), name="hangs")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=registers)
    thread.start()
    gate.entered()
    client.close()
    thread.join(PATIENCE)
    assert [type(error) for error in errors] == [ClosedClientError]


def test_a_plugin_whose_setup_ends_the_process_is_forgotten(one: Client) -> None:
    class Ends(WorkerPlugin):
        def setup(self, worker: Worker) -> None:
            os._exit(3)

    with pytest.raises(ConnectionError, match="worker 0 ended with code 3"):
        one.register_plugin(Ends(), name="ends")
    assert one.submit(abs, -1).result() == 1


def test_a_plugin_that_kills_each_later_process_fails_the_tasks(one: Client, journal: Journal) -> None:
    class EndsLater(WorkerPlugin):
        def setup(self, worker: Worker) -> None:
            journal.append("setup")
            if len(journal) > 1:
                os._exit(3)

    one.register_plugin(EndsLater(), name="ends")
    kill(one, 0)
    error = one.submit(abs, -1).exception(PATIENCE)
    assert "no worker process can be started" in str(error)
    assert "ended with code 3" in str(error)


def test_an_interrupted_run_ends(one: Client, gate: Gate) -> None:
    def interrupts() -> None:
        gate.entered()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupts).start()
    with pytest.raises(KeyboardInterrupt):
        one.run(gate.hold)
    assert one.run(abs, -1).popitem()[1] == 1
    gate.open()


def test_run_does_not_wait_if_it_need_not(one: Client, gate: Gate, journal: Journal) -> None:
    def hold() -> None:
        gate.hold()
        journal.append("held")

    assert one.run(hold, wait=False) is None
    gate.entered()
    assert not journal
    gate.open()
    eventually(lambda: list(journal) == ["held"])


def test_awaited() -> None:
    async def main() -> Any:
        async with Client(n_workers=1, threads_per_worker=1, dashboard_address=None, asynchronous=True) as client:
            await client.register_plugin(Marks())
            await client.restart()
            marks = await client.run(mark)
            await client.unregister_worker_plugin("marks")
            return list(marks.values())

    assert asyncio.run(main()) == ["mark"]


def test_tasks_do_it_too(two: Client, tmp_path: Path) -> None:
    (tmp_path / "from_a_task.py").write_text("x = 3\n")

    def task(folder: Path) -> Any:
        client = get_client()
        client.register_plugin(Marks(), name="by a task")
        os.chdir(folder)
        client.upload_file("from_a_task.py")
        os.chdir("/")
        marks = sorted(client.run(mark).values())
        client.unregister_worker_plugin("by a task")
        return marks, client.run_on_scheduler(os.getpid)

    assert two.submit(task, tmp_path).result() == (["mark", "mark"], os.getpid())
    assert list(two.run(lambda: __import__("from_a_task").x).values()) == [3, 3]
    with pytest.raises(NotImplementedError, match="it would cancel this task too"):
        two.submit(lambda: get_client().restart(), pure=False).result()


def test_uploaded_modules_are_as_they_were_at_the_upload(two: Client, tmp_path: Path) -> None:
    module = tmp_path / "uploaded.py"

    def see(name: str = "uploaded") -> Any:
        return __import__(name).x

    for number in range(3):  # as large as before, and in the same second
        module.write_text(f"x = {number}\n")
        two.upload_file(module)
        assert list(two.run(see).values()) == [number, number]
    module.unlink()
    kill(two, 0)
    assert list(two.run(see).values()) == [2, 2]
    assert two.submit(see, workers=[0], pure=False).result() == 2
    for name in ("zipped.zip", "egged_.egg"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(f"{name[:6]}/__init__.py", "from .part import x")
            archive.writestr(f"{name[:6]}/part.py", "x = 4")
            archive.writestr("setup.py", "raise OSError")
        two.upload_file(tmp_path / name)
    kill(two, 1)
    assert list(two.run(see, "zipped").values()) == [4, 4]
    assert list(two.run(see, "egged_").values()) == [4, 4]


def test_a_module_that_cannot_be_imported(one: Client, tmp_path: Path) -> None:
    module = tmp_path / "broken_upload.py"
    module.write_text("raise KeyError('broken')")
    with pytest.raises(KeyError, match="broken"):
        one.upload_file(module)
    one.upload_file(module, load=False)
    with pytest.raises(KeyError, match="broken"):
        one.run(lambda: __import__("broken_upload"))


def test_the_copies_of_uploads_go_with_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    (tmp_path / "copies").mkdir()
    (tmp_path / "uploaded_once.py").write_text("x = 1\n")
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        client.upload_file(tmp_path / "uploaded_once.py")
        assert any((tmp_path / "copies").iterdir())
    assert not any((tmp_path / "copies").iterdir())


def test_workers_are_restarted(two: Client, journal: Journal, gate: Gate) -> None:
    class Leaves(WorkerPlugin):
        def teardown(self, worker: Worker) -> None:
            journal.append(("teardown", worker.name))

    two.register_plugin(Leaves(), name="leaves")
    address = two.cluster.workers[0].address
    before = two.run(os.getpid)
    kept = two.submit(pow, 2, 10)
    kept.result()
    running = two.submit(gate.hold, 5, workers=[0], pure=False)
    gate.entered()
    assert two.restart_workers([address, 0]) == {address: "OK", 0: "OK"}
    after = two.run(os.getpid)
    assert [before[key] == after[key] for key in before] == [False, True]
    assert list(journal) == [("teardown", 0)]
    gate.open()
    assert running.result() == 5
    assert kept.result() == 1024
    with pytest.raises(ValueError, match="nowhere"):
        two.restart_workers(["nowhere"])
    with (
        Client(processes=False, threads_per_worker=1, dashboard_address=None) as threads,
        pytest.raises(NotImplementedError, match="threads"),
    ):
        threads.restart_workers([0])


def test_a_process_that_does_not_let_go_is_killed_at_a_restart(one: Client, gate: Gate) -> None:
    class Stays(WorkerPlugin):
        def teardown(self, worker: Worker) -> None:
            gate.hold()

    one.register_plugin(Stays(), name="stays")
    before = one.run(os.getpid)
    one.restart()
    assert one.run(os.getpid) != before
    gate.open()


def test_workers_are_restarted_though_the_task_there_begins_again_and_holds_them_up(one: Client) -> None:
    def stops() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)
        threading.Event().wait()  # another thread may be the first to stop

    stopped = one.submit(stops)
    for starts in (1, 2):
        eventually(lambda starts=starts: is_stopped(one, starts))  # type: ignore[misc]
        assert one.restart_workers([0]) == {0: "OK"}
    assert stopped.status == "pending"


def is_stopped(client: Client, starts: int) -> bool:
    [worker] = client.scheduler_info()["workers"].values()
    if worker["starts"] != starts or worker["pid"] is None:
        return False
    return Path(f"/proc/{worker['pid']}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_restart_may_run_out_of_time(one: Client) -> None:
    with pytest.raises(TimeoutError, match="1 workers"):
        one.restart(timeout="1us")
    assert one.submit(abs, -1).result() == 1
    assert one.restart_workers([0], timeout="1us", raise_for_error=False) == {0: "timed out"}
    assert one.submit(abs, -2).result() == 2
