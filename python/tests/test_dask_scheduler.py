"""A client is Dask's scheduler from when it is made until it is closed, by the import line alone."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import azolla
import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from azolla import Client, futures_of, get_client, get_worker
from backends import OPTIONS
from conftest import Journal


@pytest.fixture(autouse=True)
def no_scheduler() -> Iterator[None]:
    """Each test begins without a scheduler, and leaves none behind."""
    assert dask.config.get("scheduler", None) is None
    yield
    gc.collect()
    assert dask.config.get("scheduler", None) is None


def here(_: Any = None) -> Any:
    """Returns the id of the client whose task this is, or None."""
    try:
        get_worker()
    except ValueError:
        return None
    return get_client().id


def where() -> Any:
    """Returns the id of the client on which Dask computes."""
    return dask.delayed(here, pure=False)().compute()


def test_collections_compute_on_the_client(backend: str, journal: Journal) -> None:
    def note(part: Any) -> Any:
        """Notes the client that works on this part. Dask refuses a function that it cannot name."""
        journal.append(here())
        return part

    with Client(**OPTIONS[backend]) as client:
        assert where() == client.id
        assert dask.compute(dask.delayed(here, pure=False)())[0] == client.id
        assert da.ones(4, chunks=2).map_blocks(note, dtype=float).sum().compute() == 4
        assert db.from_sequence([1, 2], npartitions=2).map(note).sum().compute() == 3
        frame = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=2)
        assert frame.map_partitions(note, meta=frame._meta).x.sum().compute() == 3
        assert journal.entries().count(client.id) == 6  # two parts of each
    assert where() is None


def test_futures_are_inputs_of_what_is_computed(backend: str) -> None:
    with Client(**OPTIONS[backend]) as client:
        future = client.submit(abs, -5)
        assert dask.delayed(abs)(future).compute() == 5
        assert dask.delayed(sum)([future, {"k": future}["k"]]).compute() == 10
        block = client.submit(np.ones, 3)
        assert da.from_delayed(dask.delayed(block), (3,), float).sum().compute() == 3
        assert da.from_delayed(block, (3,), float).sum().compute() == 3
        rows = client.submit(pd.DataFrame, {"x": [1, 2]})
        assert dd.from_delayed([rows, dask.delayed(rows)], meta=pd.DataFrame({"x": [1]})).x.sum().compute() == 6
        assert (
            db.from_delayed([client.submit(list, (1, 2)), dask.delayed(client.submit(list, (3,)))]).sum().compute() == 6
        )


def test_persist_gives_futures_of_the_client(backend: str) -> None:
    with Client(**OPTIONS[backend]) as client:
        frame = dd.from_pandas(pd.DataFrame({"x": range(4)}), npartitions=2)
        for collection, parts in [
            (da.ones(4, chunks=2), 2),
            (db.from_sequence([1, 2], npartitions=2), 2),
            (frame, 2),
            (dask.delayed(abs)(-1), 1),
        ]:
            persisted = collection.persist()
            assert [future.client for future in futures_of(persisted)] == [client] * parts
            (persisted,) = dask.persist(collection)
            assert len(futures_of(persisted)) == parts
            persisted.compute()


def test_the_latest_open_client_counts_and_closing_restores() -> None:
    with Client(processes=False, threads_per_worker=1) as outer:
        with Client(processes=False, threads_per_worker=1) as inner:
            assert where() == inner.id
            with outer.as_current():
                assert where() == outer.id
        assert where() == outer.id
        later = Client(processes=False, threads_per_worker=1)
        assert later.submit(where, pure=False).result() == later.id
        later.close()
        assert where() == outer.id
    assert where() is None


def test_dask_finds_the_clients_own_get() -> None:
    before = dask.base.get_scheduler()
    with Client(processes=False, threads_per_worker=1) as outer:
        assert dask.base.get_scheduler() == outer.get
        with Client(processes=False, threads_per_worker=1) as inner:
            assert dask.base.get_scheduler() == inner.get
        assert dask.base.get_scheduler() == outer.get
    assert dask.base.get_scheduler() == before


def test_in_any_order_of_closing() -> None:
    one, other = Client(processes=False, threads_per_worker=1), Client(processes=False, threads_per_worker=1)
    one.close()
    assert where() == other.id
    other.close()
    assert where() is None


def test_a_client_that_is_no_default_leaves_it() -> None:
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as client:
        assert where() is None
        with client.as_current():
            assert where() == client.id
        assert where() is None


def test_a_dropped_client_is_gone() -> None:
    client = Client(processes=False, threads_per_worker=1)
    assert where() == client.id
    del client
    gc.collect()
    assert where() is None


def test_what_the_program_says_goes_first() -> None:
    with dask.config.set(scheduler="sync"):
        with Client(processes=False, threads_per_worker=1) as client:
            assert where() == client.id
            with dask.config.set(scheduler="sync"):
                assert where() is None
            assert dask.delayed(threading.get_ident)().compute(scheduler="sync") == threading.get_ident()
        assert dask.config.get("scheduler") == "sync"


def test_tasks_compute_on_their_own_client(backend: str) -> None:
    options = {**OPTIONS[backend], "n_workers": 1}
    with Client(**options) as one, Client(**options) as other, Client(one.cluster) as guest:
        for client in (one, other, guest, one):
            assert client.submit(where, pure=False).result() == client.id


def test_an_asynchronous_client_is_refused_as_dask_refuses_its_own() -> None:
    async def main() -> None:
        async with Client(processes=False, asynchronous=True) as client:
            value = dask.delayed(abs)(-1)
            with pytest.raises(RuntimeError, match="asynchronous Client"):
                value.compute()
            with dask.config.set({"admin.async-client-fallback": "sync"}):
                with pytest.warns(UserWarning, match="asynchronous"):
                    assert value.compute() == 1
            assert await client.compute(client.persist(value)) == 1

    asyncio.run(main())


@pytest.mark.parametrize("order", ["import dask.array; C(); import dask", "C(); import dask.array", "import dask; C()"])
def test_dask_may_be_imported_before_and_after(order: str) -> None:
    program = f"""if True:
        import importlib.util, sys
        import azolla
        C = lambda: globals().update(client=azolla.Client(processes=False, threads_per_worker=1, dashboard_address=None))
        assert importlib.util.find_spec("dask") is not None
        {order}
        assert importlib.util.find_spec("dask.bag") is not None
        import dask, inspect
        assert dask.delayed(lambda: azolla.get_worker().client)().compute() is client
        assert "Dask" in inspect.getsource(dask) or "dask" in inspect.getsource(dask)
        assert "exec_module" not in vars(dask.__loader__)
        client.close()
        assert dask.config.get("scheduler", None) is None
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=120)
    assert done.stderr == ""


def test_a_closed_client_sets_nothing_when_dask_comes() -> None:
    program = """if True:
        import azolla
        azolla.Client(processes=False, dashboard_address=None).close()
        import dask
        assert dask.config.get("scheduler", None) is None
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=120)
    assert done.stderr == ""


def test_the_setting_can_be_copied_and_pickled() -> None:
    import copy
    import pickle

    with Client(processes=False, threads_per_worker=1):
        settings = copy.deepcopy(dask.config.config)
        assert pickle.loads(pickle.dumps(settings))["scheduler"] is settings["scheduler"]
    assert azolla.tokenize(1)  # the module is whole


def test_nested_clients_of_threads() -> None:
    """A thread beside tasks computes on the default client too."""
    with Client(processes=False, threads_per_worker=1) as client:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append((where(), get_client())))
        thread.start()
        thread.join()
        assert found == [(client.id, client)]


def test_a_persisted_collection_is_awaited() -> None:
    async def main() -> None:
        async with Client(processes=False, threads_per_worker=1, asynchronous=True) as client:
            for collection in (
                da.ones(4, chunks=2),
                db.from_sequence([1, 2], npartitions=2),
                dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=2),
                dask.delayed(abs)(-1),
            ):
                release = threading.Event()
                held = client.submit(release.wait, 60, pure=False)  # the only slot is taken meanwhile
                persisted = client.persist(collection)
                waiting = asyncio.ensure_future(awaited(persisted))
                await asyncio.sleep(0)
                assert not waiting.done()
                release.set()
                assert await waiting is persisted
                assert {future.status for future in futures_of(persisted)} == {"finished"}
                await held

    asyncio.run(main())


async def awaited(collection: Any) -> Any:
    return await collection
