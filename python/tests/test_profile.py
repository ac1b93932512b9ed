"""`Client.profile`: where tasks spend their time, by samples of their stacks."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from azolla import Client
from backends import OPTIONS
from conftest import PATIENCE, eventually
from gates import Gate

# The profile goes on until the cluster is closed.
pytestmark = pytest.mark.own_cluster


def spin(until: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until.exists():
        # To look for a file lets other threads have the GIL. The one that takes samples is to get it elsewhere too.
        for _ in range(200):
            inner()
        assert time.monotonic() < deadline


def inner() -> None:
    sum(range(10_000))


def other(gate: Gate) -> None:
    gate.hold()


@pytest.fixture
def until(tmp_path: Path) -> Path:
    """What `spin` waits for."""
    return tmp_path / "until"


def names(tree: dict[str, Any]) -> list[str]:
    return [child["description"]["name"] for child in tree["children"].values()]


def total(tree: dict[str, Any]) -> None:
    """That no child was seen more often than what called it."""
    assert sum(child["count"] for child in tree["children"].values()) <= tree["count"]
    for identifier, child in tree["children"].items():
        assert child["identifier"] == identifier
        assert set(child) == {"count", "children", "identifier", "description"}
        assert set(child["description"]) == {"filename", "name", "line_number", "line"}
        total(child)


def test_where_tasks_spend_their_time(backend: str, gate: Gate, until: Path) -> None:
    with Client(**(OPTIONS[backend] | {"n_workers": 2, "threads_per_worker": 1})) as client:
        before = time.time()
        assert client.profile()["count"] == 0
        futures = [client.submit(spin, until, pure=False), client.submit(other, gate, pure=False)]
        eventually(lambda: set(names(client.profile())) == {"spin", "other"})
        eventually(lambda: "inner" in names(next(iter(client.profile(key="spin")["children"].values()))))
        tree = client.profile()
        total(tree)
        [node] = client.profile(key="spin")["children"].values()
        assert node["description"]["filename"] == __file__
        assert node["identifier"] == f"spin;{__file__};{spin.__code__.co_firstlineno}"
        assert node["description"]["line"] in Path(__file__).read_text()
        assert client.profile(key="unheard of")["count"] == 0
        apart = client.profile(merge_workers=False)
        assert set(apart) == set(client.nthreads())
        assert sorted(names(tree)[0] for tree in apart.values()) == ["other", "spin"]
        [one] = [client.profile(workers=address) for address in list(apart)[:1]]
        assert len(names(one)) == 1
        assert client.profile(start=before)["count"] > 0
        assert client.profile(start=time.time() + 60)["count"] == client.profile(stop=before - 60)["count"] == 0
        until.touch()
        gate.open()
        client.gather(futures)


def test_a_task_that_ran_already_is_seen(client: Client, gate: Gate) -> None:
    future = client.submit(other, gate, pure=False)
    gate.entered()
    client.profile()
    eventually(lambda: names(client.profile(key="other")) == ["other"])
    gate.open()
    future.result()


def test_a_key_may_be_a_tuple(client: Client, gate: Gate) -> None:
    client.profile()
    future = client.submit(other, gate, key=("part-0123456789abcdef0123456789abcdef", 0, 1))
    eventually(lambda: names(client.profile(key="part")) == ["other"])
    gate.open()
    future.result()


def test_the_event_loop(client: Client, until: Path) -> None:
    async def blocks() -> None:
        spin(until)

    client.profile()
    future = client.submit(blocks, pure=False)

    def seen(tree: dict[str, Any]) -> bool:
        return "spin" in names(tree) or any(seen(child) for child in tree["children"].values())

    eventually(lambda: seen(client.profile(server=True)))
    assert not seen(client.profile())
    until.touch()
    future.result()


def test_its_thread_ends_with_the_cluster() -> None:
    def there(name: str) -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == f"{name}-profile"]

    client = Client(processes=False, threads_per_worker=1)
    name = client.cluster.name
    assert not there(name)
    client.profile()
    assert there(name)
    client.close()
    assert not there(name)

    client = Client(processes=False, threads_per_worker=1)
    name = client.cluster.name
    client.profile()
    del client
    eventually(lambda: not there(name))


def test_what_is_asked_for_wrongly(client: Client) -> None:
    with pytest.raises(NotImplementedError, match="native"):
        client.profile(scheduler=True)
    with pytest.raises(ValueError, match="no worker"):
        client.profile(workers=["elsewhere"])


def test_awaited(backend: str) -> None:
    async def program() -> Any:
        async with Client(**OPTIONS[backend], asynchronous=True) as client:
            return await client.profile()

    assert asyncio.run(program())["count"] == 0


def test_a_figure(client: Client, until: Path, tmp_path: Path) -> None:
    client.profile()
    future = client.submit(spin, until, pure=False)
    eventually(lambda: client.profile()["count"])
    file = tmp_path / "profile.html"
    tree, figure = client.profile(filename=str(file))
    assert tree["count"] > 0
    data = figure.renderers[0].data_source.data
    assert data["name"][:2] == ["all tasks", "spin"]
    assert max(data["right"]) <= 1.0
    assert "spin" in file.read_text()
    assert set(client.profile(plot=True, merge_workers=False)[0]) == set(client.nthreads())
    until.touch()
    future.result()
