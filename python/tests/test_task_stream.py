"""`get_task_stream` and `get_task_metadata`: every run that has ended while it was recorded, and nothing else."""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
import time
from pathlib import Path
from typing import Any

import azolla
import pytest
from azolla import Client, Reschedule, annotate, get_client, get_task_metadata, get_task_stream, get_worker
from conftest import Gate, Journal, eventually


def inc(x: int) -> int:
    return x + 1


def keys(runs: list[dict[str, Any]]) -> list[Any]:
    return [run["key"] for run in runs]


def test_every_run_is_there(client: Client) -> None:
    before = time.time()
    with get_task_stream() as stream:
        # More than the engine would take for short, and so observe one in 64 of.
        futures = client.map(inc, range(2000))
        client.gather(futures)
    assert sorted(keys(stream.data)) == sorted(future.key for future in futures)
    idents = {thread.ident for thread in client.cluster._threads}
    addresses = {worker.address for worker in client.cluster.workers.values()}
    for run in stream.data:
        [compute] = run["startstops"]
        assert compute["action"] == "compute"
        assert before <= compute["start"] <= compute["stop"] <= time.time()
        assert run["status"] == "OK"
        assert run["worker"] in addresses
        assert run["thread"] in idents or (client.cluster._has_processes and run["thread"])
        assert pickle.loads(run["type"]) is int
        assert (run["typename"], run["nbytes"]) == ("int", 28)


@pytest.mark.own_cluster
def test_nothing_is_recorded_unless_it_is_asked_for(client: Client) -> None:
    with get_task_stream():
        assert client.submit(inc, 1).result() == 2
        assert client.cluster._listeners
    assert not client.cluster._listeners
    assert not client.cluster._recorder.rows
    assert not client.cluster._recorder.running
    client.submit(inc, 2).result()
    assert client.get_task_stream() == []
    client.submit(inc, 3, key="three").result()
    assert keys(client.get_task_stream()) == ["three"]
    with get_task_stream() as stream:
        client.submit(inc, 4, key="four").result()
    assert keys(stream.data) == ["four"]
    assert keys(client.get_task_stream()) == ["three", "four"]


@pytest.mark.own_cluster
def test_which_part_is_wanted(client: Client) -> None:
    client.get_task_stream()
    for number in range(4):
        client.submit(inc, number, key=f"task-{number}").result()
    runs = client.get_task_stream()
    stops = [run["startstops"][0]["stop"] for run in runs]
    assert keys(client.get_task_stream(count=2)) == ["task-2", "task-3"]
    assert keys(client.get_task_stream(count=0)) == []
    assert keys(client.get_task_stream(count=99)) == keys(runs)
    assert keys(client.get_task_stream(start=stops[1])) == ["task-1", "task-2", "task-3"]
    assert keys(client.get_task_stream(stop=stops[1])) == ["task-0"]
    assert keys(client.get_task_stream(start=stops[1], count=1)) == ["task-1"]
    assert keys(client.get_task_stream(stop=stops[3], count=1)) == ["task-2"]
    assert keys(client.get_task_stream(start=stops[0], stop=stops[2], count=1)) == ["task-0", "task-1"]
    assert client.get_task_stream(start="1 hour") == runs
    assert client.get_task_stream(stop="1 hour") == []


def test_a_run_that_had_begun_before_is_left_out(client: Client, gate: Gate) -> None:
    held = client.submit(gate.hold)
    gate.entered()
    with get_task_stream(client) as stream:
        client.submit(inc, 1, key="one").result()
        gate.open()
        held.result()
    assert keys(stream.data) == ["one"]


def test_how_runs_end(client: Client, journal: Journal) -> None:
    def third_time_lucky() -> str:
        journal.append(1)
        if len(journal) == 1:
            raise Reschedule
        if len(journal) == 2:
            raise OSError("the disk is full")
        return "lucky"

    class Odd(Exception):
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    def odd() -> None:
        raise Odd

    with get_task_stream() as stream:
        client.submit(third_time_lucky, retries=1, key="lucky", pure=False).result()
        client.submit(odd, key="odd", pure=False).exception()
    found = [(run["key"], run["status"], run.get("exception_text")) for run in stream.data]
    assert found == [
        ("lucky", "rescheduled", "Reschedule()"),
        ("lucky", "error", "OSError('the disk is full')"),
        ("lucky", "OK", None),
        ("odd", "error", found[3][2]),
    ]
    assert found[3][2] is not None
    assert "Odd" in found[3][2]


def test_a_coroutine_that_is_cancelled(client: Client, gate: Gate) -> None:
    async def for_ever() -> None:
        gate.hold()
        await asyncio.Event().wait()

    with get_task_stream() as stream:
        gate.open()
        cancelled = client.submit(for_ever, key="cancelled", pure=False)
        gate.entered()
        cancelled.cancel()
        eventually(lambda: len(client.cluster._recorder.rows) == 1)
    found = [(run["key"], run["status"], run.get("exception_text")) for run in stream.data]
    assert found == [("cancelled", "cancelled", "CancelledError()")]


def test_a_coroutine_is_one_run_on_the_event_loop(client: Client) -> None:
    async def coroutine(x: int) -> int:
        await asyncio.sleep(0)
        return threading.get_ident() + x

    with get_task_stream() as stream:
        threads = client.gather(client.map(coroutine, [0] * 3, pure=False))
    assert sorted(run["thread"] for run in stream.data) == sorted(threads)


def test_what_tasks_grow_is_there_too(client: Client) -> None:
    def parent() -> int:
        return get_client().submit(inc, 1, key="child").result()

    with get_task_stream() as stream, annotate(stage="growth"):
        client.submit(parent, key="parent", pure=False).result()
    assert keys(stream.data) == ["child", "parent"]
    assert [run["annotations"] for run in stream.data] == [{"stage": "growth"}] * 2


def test_metadata_of_what_was_submitted_within(client: Client, gate: Gate) -> None:
    before = client.submit(inc, 1, key="before")
    held = client.submit(gate.hold, key="held")
    gate.entered()
    with get_task_metadata() as tasks:
        assert tasks.metadata is tasks.state is None
        gate.open()
        client.gather([before, held])
        one = client.submit(lambda: get_worker().address, key="one", pure=False)
        failed = client.submit(inc, "one", key="failed")
        dependent = client.submit(inc, failed, key="dependent")
        one.result(), dependent.exception()
    assert tasks.state == {"one": "memory", "failed": "erred", "dependent": "erred"}
    assert tasks.metadata is not None
    assert tasks.metadata["dependent"] is None
    assert tasks.metadata["one"] is not None
    assert tasks.metadata["one"]["start_time"] <= tasks.metadata["one"]["stop_time"]
    assert tasks.metadata["one"]["worker"] == one.result()


def test_metadata_of_an_attempt_that_is_repeated(client: Client, gate: Gate, journal: Journal) -> None:
    def at_the_second_try() -> None:
        journal.append(1)
        if len(journal) == 1:
            raise OSError
        gate.hold()

    with get_task_metadata() as tasks:
        future = client.submit(at_the_second_try, retries=1, pure=False)
        gate.entered()
    assert tasks.state == {}
    gate.open()
    future.result()


@pytest.mark.own_cluster
def test_awaited(client: Client) -> None:
    async def program() -> list[list[Any]]:
        async with Client(client.cluster, asynchronous=True) as other:
            async with get_task_stream(other) as stream, get_task_metadata() as tasks:
                await other.submit(inc, 1, key="one")
            await other.get_task_stream()
            await other.submit(inc, 2, key="two")
            return [keys(stream.data), list(tasks.state or ()), keys(await other.get_task_stream())]

    assert asyncio.run(program()) == [["one"], ["one"], ["two"]]


@pytest.mark.own_cluster
def test_a_task_asks_for_it(client: Client) -> None:
    def parent() -> list[Any]:
        get_client().get_task_stream()
        get_client().submit(inc, 1, key="child").result()
        return keys(get_client().get_task_stream())

    assert client.submit(parent, key="parent", pure=False).result() == ["child"]
    assert keys(client.get_task_stream()) == ["child"]


def test_within_a_task_of_a_worker_process_nothing_is_recorded() -> None:
    def records(what: Any) -> str:
        with pytest.raises(NotImplementedError) as raised, what():
            pass
        return str(raised.value)

    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        for what in (lambda: get_task_stream(get_client()), get_task_metadata):
            assert "worker process" in client.submit(records, what).result()


def test_runs_of_two_readers(client: Client, gate: Gate) -> None:
    with get_task_stream() as outer:
        held = client.submit(gate.hold, key="held")
        gate.entered()
        with get_task_stream() as inner:
            gate.open()
            held.result()
        client.submit(inc, 1, key="one").result()
    assert (keys(inner.data), keys(outer.data)) == (["held"], ["held", "one"])


def test_without_a_client() -> None:
    with pytest.raises(ValueError, match="no client"):
        get_task_stream()
    with pytest.raises(ValueError, match="no client"), get_task_metadata():
        pass


@pytest.mark.own_cluster
def test_a_figure(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with get_task_stream(plot="save", filename=str(tmp_path / "stream.html")) as stream:
        client.submit(inc, 1, key="one").result()
        client.submit(inc, "one", key="fails").exception()
    assert stream.figure.renderers[0].data_source.data["key"] == ["one", "fails"]
    assert stream.figure.renderers[0].data_source.data["color"][1] == "black"
    assert "fails" in (tmp_path / "stream.html").read_text()
    assert client.get_task_stream(plot=True)[0] == []
    client.submit(inc, 2, key="two").result()
    runs, figure = client.get_task_stream(plot="save", filename=str(tmp_path / "again.html"))
    assert keys(runs) == figure.renderers[0].data_source.data["key"] == ["two"]
    assert "two" in (tmp_path / "again.html").read_text()
    monkeypatch.delitem(sys.modules, "azolla._watch.plots")
    monkeypatch.delattr(azolla._watch, "plots")
    monkeypatch.setitem(sys.modules, "bokeh.plotting", None)
    with pytest.raises(ImportError, match="pip install"):
        client.get_task_stream(plot=True)
