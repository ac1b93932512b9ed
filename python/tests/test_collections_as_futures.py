"""Every function that takes futures finds those in Dask's collections: of a collection alone, and inside containers."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import azolla
import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import pandas as pd
import pytest
from azolla import Client, LocalCluster, fire_and_forget, futures_of, progress, wait
from conftest import Gate, Journal, eventually


@dataclass
class Both:
    left: Any
    right: Any


def kinds(client: Client) -> dict[str, Any]:
    """One persisted collection of each kind, of two parts each, the delayed value of one."""
    frame = dd.from_pandas(pd.DataFrame({"x": range(10)}), npartitions=2)
    return {
        "array": client.persist(da.arange(10, chunks=5)),
        "bag": client.persist(db.from_sequence(range(10), npartitions=2)),
        "frame": client.persist(frame),
        "delayed": client.persist(dask.delayed(abs)(-1)),
    }


def held_array(client: Client, gate: Gate) -> tuple[Any, Any]:
    """An array of one part that waits for the gate, persisted, and the future of that part."""
    array = da.from_delayed(dask.delayed(gate.hold, pure=False)(pd.array([1])), (1,), int)
    persisted = client.persist(array, optimize_graph=False)
    return persisted, futures_of(persisted)[-1]


@pytest.mark.parametrize(
    "nest",
    [
        lambda one, other: [one, other],
        lambda one, other: (one, [other]),
        lambda one, other: {"one": one, "other": {"deeper": other}},
        lambda one, other: Both(one, [other]),
        lambda one, other: iter([one, other]),
    ],
    ids=["list", "tuple", "dictionary", "dataclass", "iterator"],
)
def test_futures_of_containers_of_collections(client: Client, nest: Callable[[Any, Any], Any]) -> None:
    collections = kinds(client)
    future = client.submit(abs, -1)
    parts = {name: futures_of(collection) for name, collection in collections.items()}
    assert {name: len(found) for name, found in parts.items()} == {"array": 2, "bag": 2, "frame": 2, "delayed": 1}
    for name, collection in collections.items():
        assert set(futures_of(nest(collection, future))) == {*parts[name], future}
    both = futures_of(nest(collections["array"], collections["bag"]))
    assert set(both) == {*parts["array"], *parts["bag"]}


def test_each_future_is_found_once(client: Client) -> None:
    array = client.persist(da.arange(10, chunks=5))
    assert len(futures_of([array, array, futures_of(array)])) == 2


def test_a_future_that_is_an_argument_of_a_delayed_call_is_found(client: Client) -> None:
    future = client.submit(abs, -1)
    assert futures_of([dask.delayed(sum)([future, {"k": future}])]) == [future]


def test_wait_waits_for_collections_in_containers(client: Client, gate: Gate) -> None:
    array, part = held_array(client, gate)
    for nested in (array, [array], {"x": [array]}):
        with pytest.raises(TimeoutError):
            wait(nested, timeout=0.01)
    gate.open()
    done, not_done = wait([array])
    assert part in done
    assert not not_done


def test_stacks_are_of_their_tasks(client: Client, gate: Gate) -> None:
    array, _ = held_array(client, gate)
    gate.entered()
    stacks = client.call_stack([{"x": array}])
    assert any(keys for keys in stacks.values())
    client.cancel([array])


def test_cancel_retry_and_who_has_see_them(client: Client, gate: Gate, journal: Journal) -> None:
    array, part = held_array(client, gate)
    gate.entered()
    assert part.key in client.who_has([array])
    client.cancel([array])
    assert part.cancelled()

    def unsteady() -> int:
        journal.append("run")
        if len(journal) < 2:
            raise OSError
        return 3

    value = client.persist(dask.delayed(unsteady, pure=False)())
    wait([value])
    assert [future.status for future in futures_of(value)] == ["error"]
    client.retry([value])
    assert value.compute(scheduler=client) == 3


def test_progress_counts_them(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    array = client.persist(da.arange(10, chunks=5))
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    progress([array], notebook=False)
    assert "2/2" in shown.getvalue()


def test_fire_and_forget_keeps_them(client: Client, gate: Gate, journal: Journal) -> None:
    value = client.persist(dask.delayed(lambda n: journal.append(gate.hold(n)), pure=False)(1))
    gate.entered()
    fire_and_forget([value])
    del value
    gate.open()
    eventually(lambda: journal == [1])


def test_a_published_collection_outlives_its_client() -> None:
    with LocalCluster(processes=False, threads_per_worker=2) as cluster:
        with Client(cluster) as one:
            published = kinds(one)
            one.publish_dataset({"array": published["array"], "all": [published]})
            wait(published)
            before = one.counters()["submitted"]
            del published
        with Client(cluster) as other:
            array, (every,) = other.get_dataset("array"), other.get_dataset("all")
            futures = futures_of([array, every])
            assert {(future.status, future.client is other) for future in futures} == {("finished", True)}
            assert array.sum().compute(scheduler=other) == 45
            assert every["frame"].x.sum().compute(scheduler=other) == 45
            assert other.counters()["submitted"] > before
            other.unpublish_dataset(["array", "all"])
            del array, every, futures
            eventually(lambda: other.counters()["kept"] == 0)


def test_an_unpersisted_collection_has_no_futures(client: Client) -> None:
    assert futures_of([da.ones(4, chunks=2)]) == []
    assert wait([da.ones(4, chunks=2)]) == azolla.DoneAndNotDoneFutures(set(), set())
