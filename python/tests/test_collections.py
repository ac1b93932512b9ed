"""`client.get`, `compute` and `persist` with real Dask collections; results equal those of Dask's own schedulers."""

from __future__ import annotations

import asyncio
import functools
import operator
import subprocess
import sys
from typing import Any

import azolla
import dask
import dask.array as da
import dask.bag
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray
from azolla import Client, Future, futures_of, get_worker, wait
from backends import Reason, threads_only
from conftest import Gate, Journal, eventually, nothing_is_kept


@pytest.fixture
def frame() -> Any:
    rows = pd.DataFrame({"name": list("abcab" * 20), "x": range(100), "y": np.linspace(0, 1, 100)})
    return dd.from_pandas(rows, npartitions=4)


def test_an_array_reduction(client: Client) -> None:
    x = da.arange(1000, chunks=100).reshape(10, 100)
    result = (x + x.T.mean() - x.mean(axis=0)).std(axis=1)
    np.testing.assert_array_equal(result.compute(scheduler=client.get), result.compute(scheduler="sync"))


def test_a_dataframe_group_by(client: Client, frame: Any) -> None:
    result = frame.groupby("name").agg({"x": "sum", "y": ["mean", "max"]})
    with dask.config.set(scheduler=client.get):
        ours = result.compute()
    pd.testing.assert_frame_equal(ours, result.compute(scheduler="threads"))


def test_a_dataframe_shuffle_and_merge(client: Client, frame: Any) -> None:
    counts = frame.groupby("name").x.count().reset_index()
    result = frame.merge(counts, on="name").set_index("y").x_y.cumsum()
    with dask.config.set(scheduler=client.get):
        ours = result.compute()
    pd.testing.assert_series_equal(ours, result.compute(scheduler="sync"))


def test_a_delayed_tree(client: Client) -> None:
    leaves = [dask.delayed(abs)(-n) for n in range(64)]
    while len(leaves) > 1:
        leaves = [dask.delayed(operator.add)(*pair) for pair in zip(leaves[::2], leaves[1::2], strict=True)]
    assert leaves[0].compute(scheduler=client) == sum(range(64))


def test_xarray(client: Client) -> None:
    data = xarray.DataArray(da.arange(24, chunks=5).reshape(4, 6), dims=("x", "y"), coords={"x": list("abab")})
    result = data.groupby("x").mean()
    with dask.config.set(scheduler=client.get):
        xarray.testing.assert_identical(result.compute(), result.compute(scheduler="sync"))


def test_it_runs_on_the_clients_workers(client: Client) -> None:
    def where(_: int) -> str:
        return get_worker().address

    assert dask.delayed(where)(1).compute(scheduler=client.get) in client.scheduler_info()["workers"]


@pytest.mark.parametrize(
    ("graph", "keys"),
    [
        ({"x": 1, "y": (operator.add, "x", 10)}, "y"),
        ({"x": 1, "y": (operator.add, "x", 10)}, ["x", ["y", "x"]]),
        ({"x": 1, "y": "x"}, "y"),
        ({"x": [1, 2], "y": (sum, "x"), "z": [(operator.neg, "y"), "y"]}, ["z"]),
        ({("a", 0): 1, ("a", 1): (operator.add, ("a", 0), 1)}, [("a", 1)]),
        ({"x": (dict, [["k", (sum, [1, 2])]])}, "x"),
        ({"x": 1, "unneeded": (operator.truediv, 1, 0)}, "x"),
    ],
)
def test_small_graphs_give_what_dask_gives(client: Client, graph: Any, keys: Any) -> None:
    theirs = dask.get(graph, keys)
    assert client.get(graph, keys) == (list(map(listed, theirs)) if isinstance(keys, list) else theirs)


def listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_errors_are_the_tasks_own(client: Client) -> None:
    failing = dask.delayed(operator.truediv)(1, 0) + 1
    with pytest.raises(ZeroDivisionError):
        failing.compute(scheduler=client.get)


def test_unknown_keys_and_lost_futures_are_named(client: Client) -> None:
    with pytest.raises(KeyError, match="nowhere"):
        client.get({"x": 1}, "nowhere")
    future = client.submit(abs, -1)
    # The graph names the future by its key alone, as Dask does.
    graph = dask._task_spec.convert_legacy_graph({"y": (sum, [future])})
    future.release()
    eventually(lambda: nothing_is_kept(client))  # what runs is still there
    with pytest.raises(azolla.FutureCancelledError, match="needs this future"):
        client.get(graph, "y")


def test_futures_are_inputs_of_collections(client: Client) -> None:
    three = client.submit(operator.add, 1, 2)
    parts = [client.submit(np.full, 4, n) for n in range(3)]
    assert dask.delayed(sum)([three, 4, dask.delayed(abs)(three)]).compute(scheduler=client.get) == 10
    array = da.concatenate([da.from_delayed(dask.delayed(part), (4,), dtype=int) for part in parts])
    assert array.sum().compute(scheduler=client.get) == 12


def test_compute_gives_futures(client: Client) -> None:
    x = da.ones(10, chunks=5)
    total, mean, plain = client.compute([x.sum(), x.mean(), "plain"])
    assert isinstance(total, Future)
    assert (total.result(), mean.result(), plain) == (10, 1, "plain")
    assert client.compute(dask.delayed(abs)(-1), sync=True) == 1
    assert client.compute([[dask.delayed(abs)(-1), 2]])[0].result() == [1, 2]


def test_persist_keeps_the_parts(client: Client, frame: Any) -> None:
    x = client.persist(da.arange(100, chunks=10) + 1)
    assert len(futures_of(x)) == 10
    done, not_done = wait(x)
    assert (len(done), len(not_done)) == (10, 0)
    assert client.counters()["kept"] == 10
    before = client.counters()["submitted"]
    assert x.sum().compute(scheduler=client.get) == 5050
    assert client.counters()["submitted"] - before < 20
    table, total = client.persist([frame[frame.x > 50], frame.x.sum()])
    assert len(futures_of(table)) == 4
    assert int(total.compute(scheduler=client.get)) == 4950
    pd.testing.assert_frame_equal(table.compute(scheduler=client.get), frame[frame.x > 50].compute(scheduler="sync"))
    client.cancel(x)
    with pytest.raises(azolla.CancelledError):
        x.sum().compute(scheduler=client.get)


PERSISTED: dict[str, tuple[Any, Any]] = {
    "delayed": (lambda: dask.delayed(abs)(-1), lambda p: p.compute()),
    "of delayed": (lambda: dask.delayed(abs)(-1), lambda p: (p + 1).compute()),
    "as a future": (lambda: dask.delayed(abs)(-1), lambda p: azolla.default_client().compute(p).result()),
    "persisted again": (lambda: dask.delayed(abs)(-1), lambda p: futures_of(p.persist())[0].result()),
    "array": (lambda: da.ones(10, chunks=5) + 1, lambda p: p.compute()),
    "of an array": (lambda: da.ones(10, chunks=5) + 1, lambda p: (p + 1).sum().compute()),
    "bag": (lambda: dask.bag.from_sequence([1, 2]), lambda p: p.compute()),
    "of a bag": (lambda: dask.bag.from_sequence([1, 2]), lambda p: p.sum().compute()),
    "frame": (lambda: dd.from_pandas(pd.DataFrame({"x": range(9)}), 2), lambda p: p.compute()),
    "of a frame": (lambda: dd.from_pandas(pd.DataFrame({"x": range(9)}), 2), lambda p: p.x.sum().compute()),
}


@pytest.mark.parametrize(("make", "use"), PERSISTED.values(), ids=PERSISTED)
def test_what_was_persisted_and_cancelled_says_why(client: Client, make: Any, use: Any) -> None:
    persisted = client.persist(make())
    wait(persisted)
    client.cancel(persisted, reason="not needed", msg="at all")
    with pytest.raises(azolla.FutureCancelledError, match=r"cancelled for reason: not needed\.\nat all") as told:
        use(persisted)
    assert (told.value.reason, told.value.msg) == ("not needed", "at all")


def test_what_was_persisted_on_a_closed_client() -> None:
    with Client(processes=False, threads_per_worker=1, dashboard_address=None) as client:
        persisted = client.persist(dask.delayed(abs)(-1))
        wait(persisted)
    with Client(processes=False, threads_per_worker=1, dashboard_address=None):
        assert persisted.compute() == 1  # its result is there
        with pytest.raises(azolla.ClosedClientError, match="the client is closed"):
            (persisted + 1).compute()


def test_without_a_client_dasks_own_threads_lack_what_was_persisted() -> None:
    with Client(processes=False, threads_per_worker=1, dashboard_address=None) as client:
        persisted = client.persist(dask.delayed(abs)(-1))
        wait(persisted)
    with pytest.raises(KeyError):
        persisted.compute()
    with pytest.raises(ValueError, match="Missing dependency"):
        (persisted + 1).compute()


def test_on_the_loop_of_an_asynchronous_client() -> None:
    async def main() -> None:
        async with Client(processes=False, threads_per_worker=1, asynchronous=True, dashboard_address=None) as client:
            x = da.ones(4, chunks=2)
            for blocks in (x.compute, x.persist, lambda: dask.compute(x)):
                with pytest.raises(RuntimeError, match="asynchronous Client"):
                    blocks()
            assert await client.compute(x.sum()) == 4
            persisted = await client.persist(x)
            assert await client.compute(persisted.sum()) == 4
            assert await asyncio.to_thread(x.sum().compute) == 4

    asyncio.run(main())


def test_dask_persist_runs_here_too(client: Client) -> None:
    with dask.config.set(scheduler=client.get):
        (x,) = dask.persist(da.ones(10, chunks=5))
        assert len(futures_of(x)) == 2
        assert x.sum().compute() == 10


@threads_only(Reason.FRAMES)
def test_tasks_begin_in_dasks_order(one_slot: Client, gate: Gate) -> None:
    """A tree: depth first, each branch is finished before the next is begun, whatever order the graph is written in."""
    order = Journal()

    def note(name: str, *_: Any) -> str:
        order.append(name)
        return name

    def task(name: str, *inputs: str) -> Any:
        return (functools.partial(note, name), *inputs)

    graph = {f"leaf-{n}": task(f"leaf-{n}") for n in range(8)}
    graph |= {f"pair-{n}": task(f"pair-{n}", f"leaf-{2 * n}", f"leaf-{2 * n + 1}") for n in range(4)}
    graph |= {"root": task("root", *[f"pair-{n}" for n in range(4)])}
    held = one_slot.submit(gate.hold)
    gate.entered()
    root = one_slot.get(graph, "root", sync=False)
    gate.open()
    assert root.result() == "root"
    held.result()
    numbers = dask.order.order(graph)
    assert len(order) == len(graph)
    assert order == sorted(order, key=lambda name: numbers[name])


def test_the_users_priority_goes_before_dasks_order(one_slot: Client, gate: Gate) -> None:
    order = Journal()
    held = one_slot.submit(gate.hold)
    gate.entered()
    with dask.annotate(priority=5):
        urgent = dask.delayed(order.append)("urgent")
    plain = dask.delayed(order.append)("plain")
    low = one_slot.compute(dask.delayed(order.append)("low"), priority=-1)
    futures = [low, *one_slot.compute([plain, urgent], optimize_graph=False)]
    gate.open()
    wait([held, *futures])
    assert order == ["urgent", "plain", "low"]


def test_retries_can_be_annotated(client: Client, journal: Journal) -> None:
    def unsteady() -> int:
        journal.append("run")
        if len(journal) < 3:
            raise OSError
        return 3

    with dask.annotate(retries=2):
        value = dask.delayed(unsteady, pure=False)()
    assert client.compute(value, optimize_graph=False).result() == 3


def test_asynchronous_clients_compute() -> None:
    async def main() -> tuple[Any, Any]:
        async with Client(processes=False, asynchronous=True) as client:
            x = da.ones(10, chunks=5).sum()
            return await client.compute(x), await client.get({"x": (abs, -1)}, "x")

    import asyncio

    assert asyncio.run(main()) == (10, 1)


def test_collections_compute_in_tasks(one_slot: Client) -> None:
    def total(n: int) -> int:
        return int(da.ones(n, chunks=2).sum().compute(scheduler=azolla.get_client().get))

    assert one_slot.gather(one_slot.map(total, [4, 6])) == [4, 6]


def test_azolla_imports_no_dask() -> None:
    program = "import azolla, sys; azolla.Client(processes=False).close(); print('dask' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=60)
    assert done.stdout == "False\n"


class Counter:
    def __init__(self) -> None:
        self.n = 0

    def add(self) -> None:
        self.n += 1


def test_some_tasks_of_a_graph_are_actors(client: Client) -> None:
    """`actors=` names them by collections or keys, through the client and through Dask's own `compute`."""

    def count(n: int, counter: Any) -> None:
        for _ in range(n):
            counter.add().result()

    def total(counter: Any, _: Any) -> int:
        return int(counter.n)

    for compute in (
        lambda final, counter: final.compute(actors=counter),
        lambda final, counter: client.compute(final, actors=[counter]).result(),
        lambda final, counter: client.compute(client.persist(final, actors=(counter.key,))).result(),
    ):
        counter = dask.delayed(Counter, pure=False)()
        counts = [dask.delayed(count, pure=False)(n, counter) for n in range(5)]
        assert compute(dask.delayed(total, pure=False)(counter, counts), counter) == 10


def test_keys_in_shared_lists_are_looked_at_once(client: Client) -> None:
    keys: list[Any] = ["a"]
    for _ in range(60):
        keys = [keys, keys]
    results = client.get({"a": (abs, -1)}, keys)
    assert results[0] is results[1]
    for _ in range(60):
        results = results[1]
    assert results == [1]
    keys = ["a"]
    keys.append(keys)
    results = client.get({"a": (abs, -1)}, keys)
    assert results[0] == 1
    assert results[1] is results
