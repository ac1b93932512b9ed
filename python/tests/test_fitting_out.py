"""Plugins and uploaded modules that fail, or whose wait is broken off: the last good one stays, on all workers alike."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from azolla import Client, Worker, WorkerPlugin, get_client, get_worker
from gates import PATIENCE, Gate, Journal

_numbers = count()


class Module:
    """A file with a module of a name of its own, which is written again and again."""

    def __init__(self, folder: Path) -> None:
        self.name = f"fitting_{next(_numbers)}"
        self.path = folder / f"{self.name}.py"

    def write(self, value: int, more: str = "") -> Path:
        self.path.write_text(f"VALUE = {value}\n{more}")
        return self.path


@pytest.fixture
def module(tmp_path: Path) -> Module:
    return Module(tmp_path)


@pytest.fixture
def one() -> Iterator[Client]:
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield client


class Marks(WorkerPlugin):
    name = "marks"

    def __init__(self, mark: int, journal: Journal, fails: bool = False) -> None:
        self.mark, self.journal, self.fails = mark, journal, fails

    def setup(self, worker: Worker) -> None:
        if self.fails:
            raise RuntimeError(f"no mark {self.mark}")
        worker.mark = self.mark  # type: ignore[attr-defined]

    def teardown(self, worker: Worker) -> None:
        self.journal.append(self.mark)


class Waits(Marks):
    def __init__(self, mark: int, journal: Journal, gate: Gate, fails: bool) -> None:
        super().__init__(mark, journal, fails)
        self.gate = gate

    def setup(self, worker: Worker) -> None:
        self.gate.hold()
        super().setup(worker)


def value(name: str) -> Any:
    try:
        return importlib.import_module(name).VALUE
    except ModuleNotFoundError:
        return None


def mark() -> Any:
    return get_worker().mark  # type: ignore[attr-defined]


def on_each(client: Client, function: Any, *args: Any) -> list[Any]:
    workers = list(client.cluster.workers)
    return [client.submit(function, *args, workers=[worker], pure=False).result(PATIENCE) for worker in workers]


def test_an_upload_that_fails_leaves_the_module_of_before(client: Client, module: Module) -> None:
    client.upload_file(module.write(1))
    for more in ("raise RuntimeError('no import')", "1/"):
        with pytest.raises((RuntimeError, SyntaxError)):
            client.upload_file(module.write(2, more))
        assert set(on_each(client, value, module.name)) == {1}
    client.upload_file(module.write(3))
    assert set(on_each(client, value, module.name)) == {3}


def test_a_later_process_has_the_module_of_before(one: Client, module: Module) -> None:
    one.upload_file(module.write(1))
    with pytest.raises(RuntimeError):
        one.upload_file(module.write(2, "raise RuntimeError"))
    one.cluster.scale(2)
    one.wait_for_workers(2, PATIENCE)
    assert on_each(one, value, module.name) == [1, 1]
    one.restart_workers([0, 1])
    assert on_each(one, value, module.name) == [1, 1]


@pytest.mark.parametrize("before", [None, 1])
def test_an_upload_that_fails_in_one_process_is_undone_in_the_others(
    one: Client, module: Module, before: int | None
) -> None:
    one.cluster.scale(2)
    one.wait_for_workers(2, PATIENCE)
    if before is not None:
        one.upload_file(module.write(before))
    with pytest.raises(RuntimeError, match="not here"):
        one.upload_file(
            module.write(2, "from azolla._base import where\nif where.worker: raise RuntimeError('not here')")
        )
    assert on_each(one, value, module.name) == [before, before]
    one.restart_workers([0])
    assert on_each(one, value, module.name) == [before, before]


def test_a_plugin_whose_setup_fails_leaves_the_one_of_before(client: Client, journal: Journal) -> None:
    client.register_plugin(Marks(1, journal))
    with pytest.raises(RuntimeError, match="no mark 2"):
        client.register_plugin(Marks(2, journal, fails=True))
    workers = len(client.cluster.workers)
    assert on_each(client, mark) == [1] * workers
    assert journal == [1] * workers
    client.unregister_worker_plugin("marks")
    assert journal == [1] * 2 * workers
    with pytest.raises(RuntimeError, match="no mark 3"):
        client.register_plugin(Marks(3, journal, fails=True))
    with pytest.raises(ValueError, match="does not exist"):
        client.unregister_worker_plugin("marks")


def test_a_later_process_has_the_plugin_of_before(one: Client, journal: Journal) -> None:
    one.register_plugin(Marks(1, journal))
    with pytest.raises(RuntimeError):
        one.register_plugin(Marks(2, journal, fails=True))
    one.cluster.scale(2)
    one.wait_for_workers(2, PATIENCE)
    assert on_each(one, mark) == [1, 1]
    one.unregister_worker_plugin("marks")
    assert journal == [1, 1, 1]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("processes", [False, True])
def test_a_registration_goes_on_when_the_wait_for_it_is_broken_off(
    journal: Journal, gate: Gate, processes: bool, fails: bool
) -> None:
    async def main() -> None:
        client: Any = await Client(
            processes=processes, n_workers=1, threads_per_worker=1, asynchronous=True, dashboard_address=None
        )
        async with client:
            await client.register_plugin(Marks(1, journal))
            registers = asyncio.ensure_future(client.register_plugin(Waits(2, journal, gate, fails)))
            await asyncio.to_thread(gate.entered)
            registers.cancel()
            with pytest.raises(asyncio.CancelledError):
                await registers
            gate.open()
            # In its turn, so that all of the registration is over.
            await client.register_plugin(Marks(3, journal))
            assert journal == ([1, 1] if fails else [1, 2])
            assert await client.submit(mark, pure=False) == 3
            await client.unregister_worker_plugin("marks")

    asyncio.run(main())


def test_what_is_no_file(client: Client, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"put a package into a \.zip or \.egg file"):
        client.upload_file(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere/x\.py"):
        client.upload_file("/nowhere/x.py")


async def uploads(path: Path) -> Any:
    await get_client().upload_file(path)
    return await get_client().submit(value, path.stem, pure=False)


def test_a_coroutine_task_awaits_an_upload(one: Client, module: Module) -> None:
    assert one.submit(uploads, module.write(7)).result(PATIENCE) == 7
