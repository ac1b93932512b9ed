"""`run`, plugins, `restart`, `upload_file`: what is done beside tasks."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azolla import Client, Worker, WorkerPlugin, get_worker, secede
from conftest import Gate, Journal


@pytest.fixture
def two(backend: str) -> Iterator[Client]:
    with Client(processes=backend == "processes", n_workers=2, threads_per_worker=1) as client:
        yield client


def inc(x: int) -> int:
    return x + 1


def test_run_is_once_for_each_worker(two: Client) -> None:
    addresses = list(two.nthreads())
    assert two.run(inc, 1) == dict.fromkeys(addresses, 2)
    assert two.run(lambda dask_worker: dask_worker.name) == dict(zip(addresses, [0, 1], strict=True))
    assert two.run(lambda: get_worker().name) == dict(zip(addresses, [0, 1], strict=True))
    assert two.run(inc, 1, workers=[addresses[1]]) == {addresses[1]: 2}
    assert (os.getpid(), threading.get_ident()) not in two.run(lambda: (os.getpid(), threading.get_ident())).values()

    async def coroutine() -> Any:
        return "awaited", get_worker().name

    assert two.run(coroutine) == dict(zip(addresses, [("awaited", 0), ("awaited", 1)], strict=True))


def test_run_takes_no_slot(two: Client, gate: Gate) -> None:
    futures = two.map(gate.hold, range(2))
    gate.entered(2)
    assert len(two.run(inc, 1)) == 2
    gate.open()
    two.gather(futures)


def test_run_in_a_task(one_slot: Client) -> None:
    assert one_slot.submit(lambda: list(get_worker().client.run(inc, 1).values()), pure=False).result() == [2]


def test_errors_of_run(two: Client) -> None:
    def fails() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        two.run(fails)
    assert [type(error) for error in two.run(fails, on_error="return").values()] == [KeyError] * 2
    assert two.run(fails, on_error="ignore") == {}
    with pytest.raises(ValueError, match="on_error"):
        two.run(fails, on_error="what")
    with pytest.raises(ValueError, match="nowhere"):
        two.run(inc, 1, workers=["nowhere"])
    with pytest.raises(NotImplementedError, match="nanny"):
        two.run(inc, 1, nanny=True)


def test_run_on_scheduler(two: Client) -> None:
    assert two.run_on_scheduler(inc, 1) == 2
    with pytest.raises(NotImplementedError, match="dask_scheduler"):
        two.run_on_scheduler(lambda dask_scheduler: dask_scheduler)


class Plugin(WorkerPlugin):
    name = "plugin"

    def __init__(self, seen: Journal) -> None:
        self.seen = seen

    def setup(self, worker: Worker) -> None:
        worker.mark = f"mark of {worker.name}"  # type: ignore[attr-defined]
        self.seen.append(("setup", worker.name))

    def teardown(self, worker: Worker) -> None:
        self.seen.append(("teardown", worker.name))

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        self.seen.append((key, start, finish))
        raise ZeroDivisionError("shown, and nothing else")


def test_a_plugin(two: Client, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Journal()
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    two.run(lambda: setattr(sys, "excepthook", lambda kind, *rest: shown.append(kind.__name__)))
    assert two.register_plugin(Plugin(journal)) == {key: {"status": "OK"} for key in two.nthreads()}
    assert sorted(journal) == [("setup", 0), ("setup", 1)]
    journal.clear()
    assert two.submit(inc, 1, key="x").result() == 2
    assert two.submit(int, "no", key="y").exception() is not None
    told = [("x", "ready", "executing"), ("x", "executing", "memory")]
    told += [("y", "ready", "executing"), ("y", "executing", "error")]
    assert list(journal) == told
    assert list(shown) == ["ZeroDivisionError"] * 4
    addresses = list(two.nthreads())
    marks = dict(zip(addresses, ["mark of 0", "mark of 1"], strict=True))
    assert two.run(lambda: get_worker().mark) == marks  # type: ignore[attr-defined]
    assert two.run(lambda dask_worker: dask_worker.mark) == marks
    for number in (0, 1):
        mark = two.submit(lambda: get_worker().mark, workers=number, pure=False)  # type: ignore[attr-defined]
        assert mark.result() == f"mark of {number}"
    journal.clear()
    two.unregister_worker_plugin("plugin")
    assert two.submit(inc, 5).result() == 6
    assert sorted(journal) == [("teardown", 0), ("teardown", 1)]
    with pytest.raises(ValueError, match="plugin does not exist"):
        two.unregister_worker_plugin("plugin")


def test_a_plugin_of_the_same_name(backend: str) -> None:
    first, second, third = Journal(), Journal(), Journal()
    with Client(processes=backend == "processes", n_workers=1, threads_per_worker=1) as client:
        client.register_plugin(Plugin(first))
        client.register_plugin(Plugin(second))
        assert list(first) == [("setup", 0), ("teardown", 0)]
        client.register_plugin(Plugin(third), idempotent=True)
        assert list(third) == []
        client.restart()
        assert list(second) == [("setup", 0), ("teardown", 0), ("setup", 0)]
    assert list(second)[3:] == [("teardown", 0)]


def test_a_plugin_whose_setup_fails(two: Client) -> None:
    class Fails(WorkerPlugin):
        name = "fails"

        async def setup(self, worker: Worker) -> None:
            raise RuntimeError("not here")

    with pytest.raises(RuntimeError, match="not here"):
        two.register_plugin(Fails())
    with pytest.raises(ValueError, match="fails"):
        two.unregister_worker_plugin("fails")
    with pytest.raises(TypeError, match="setup"):
        two.register_plugin(object())
    with pytest.raises(NotImplementedError, match="native"):
        two.register_plugin(type("SchedulerPlugin", (), {"setup": None})())


def test_restart_cancels_everything(two: Client, gate: Gate) -> None:
    done, running = two.submit(inc, 1), two.map(gate.hold, range(3), pure=False)
    gate.entered(2)
    assert done.result() == 2
    two.publish_dataset(x=1)
    two.restart()
    assert [future.status for future in [done, *running]] == ["cancelled"] * 4
    assert two.list_datasets() == []
    gate.open()
    assert two.submit(inc, 1).result() == 2


def test_a_module_is_uploaded(two: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "uploaded_module.py"
    module.write_text("x = 1\n")
    two.upload_file(module)

    def see() -> Any:
        import uploaded_module  # type: ignore[import-not-found]

        return uploaded_module.x

    assert two.submit(see, pure=False).result() == 1
    module.write_text("x = 1000\n")
    two.upload_file(module)
    assert two.submit(see, pure=False).result() == 1000
    with pytest.raises(FileNotFoundError):
        two.upload_file(tmp_path / "nothing.py")
    (tmp_path / "data.csv").touch()
    two.upload_file(tmp_path / "data.csv")  # tasks can open it where it is


def test_waiting_for_workers(two: Client) -> None:
    two.wait_for_workers(2)
    with pytest.raises(TimeoutError, match="2/3"):
        two.wait_for_workers(3, timeout="1ms")
    if not two.cluster._has_processes:  # they may come, and the wait goes on
        with pytest.raises(ValueError, match="never"):
            two.wait_for_workers(3)
    with pytest.raises(ValueError, match="positive"):
        two.wait_for_workers(0)


def test_awaited() -> None:
    async def main() -> Any:
        async with Client(processes=False, n_workers=1, threads_per_worker=1, asynchronous=True) as client:
            results = list((await client.run(inc, 1)).values())
            await client.register_plugin(WorkerPlugin(), name="none")
            await client.unregister_worker_plugin("none")
            await client.wait_for_workers(1)
            await client.set_metadata("x", 1)
            assert await client.get_metadata("x") == 1
            assert await client.who_has() == {}
            await client.restart()
            return results

    import asyncio

    assert asyncio.run(main()) == [2]


def test_what_there_is_to_see(two: Client, gate: Gate) -> None:
    done = two.submit(inc, 1, key="done")
    assert done.result() == 2
    running, queued = two.map(gate.hold, range(2), key=["a", "b"]), two.submit(inc, 1, key="queued")
    gate.entered(2)
    addresses = list(two.nthreads())
    assert two.who_has() == {"done": addresses}
    assert two.who_has([done, queued]) == {"done": addresses, "queued": []}
    assert two.has_what() == {key: ["done"] for key in addresses}
    assert sorted(key for keys in two.processing().values() for key in keys) == ["a", "b"]
    gate.open()
    two.gather(running)


def test_stacks_of_tasks(two: Client, gate: Gate) -> None:
    running = two.map(gate.hold, range(2), key=["a", "b"])
    gate.entered(2)
    stacks = {key: lines for tasks in two.call_stack().values() for key, lines in tasks.items()}
    assert set(stacks) == {"a", "b"}
    # From the task's own function inwards: neither our frames nor the thread's.
    assert "in hold\n" in stacks["a"][0]
    assert set(two.call_stack(running[0]).popitem()[1]) == {"a"}
    gate.open()
    two.gather(running)
    assert two.call_stack() == {}


def test_a_seceded_task_is_being_processed(one_slot: Client, gate: Gate) -> None:
    future = one_slot.submit(lambda: (secede(), gate.hold()), key="x")
    gate.entered()
    assert list(one_slot.processing().values()) == [["x"]]
    gate.open()
    future.result()


def test_how_large_results_are(client: Client, backend: str) -> None:
    futures = [*client.map(bytes, [10, 20]), client.submit(len, "abc", pure=False)]
    client.gather(futures)
    sizes = client.nbytes()
    assert set(sizes) == {"bytes", "len"}
    # What a worker process has sent is a pickle.
    size = bytes.__sizeof__ if backend == "threads" else lambda made: len(pickle.dumps(made, 5))
    assert sizes["bytes"] == sum(size(bytes(n)) for n in (10, 20))
    assert client.nbytes([futures[0].key], summary=False) == {futures[0].key: size(bytes(10))}


def test_what_one_process_cannot_answer(client: Client) -> None:
    for refused in (
        client.get_worker_logs,
        client.get_scheduler_logs,
        lambda: client.write_scheduler_file("x"),
        lambda: client.retire_workers([0], close_workers=False),
    ):
        with pytest.raises(NotImplementedError):
            refused()
    assert client.retire_workers([]) == {}
    assert client.get_versions()["scheduler"]["packages"]["python"]


def test_coroutine_tasks_are_seen(client: Client, gate: Gate, journal: Journal) -> None:
    class Listens(WorkerPlugin):
        def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
            journal.append((key, start, finish))

    async def coroutine() -> int:
        gate.hold()
        return 1

    async def fails() -> int:
        raise OSError

    client.register_plugin(Listens(), name="listens")
    first = next(iter(client.nthreads()))
    future = client.submit(coroutine, key="coroutine", workers=first, pure=False)
    gate.entered()
    assert client.processing(first) == {first: ["coroutine"]}
    [stacks] = client.call_stack(future).values()
    assert "in coroutine\n" in stacks["coroutine"][0]
    assert "in hold\n" in stacks["coroutine"][1]
    assert list(client.call_stack()) == [first]
    assert client.call_stack(keys=["another"]) == {}
    gate.open()
    assert future.result() == 1
    assert client.submit(fails, key="fails", pure=False).exception() is not None
    assert journal == [
        ("coroutine", "ready", "executing"),
        ("coroutine", "executing", "memory"),
        ("fails", "ready", "executing"),
        ("fails", "executing", "error"),
    ]
    assert client.call_stack() == {}
