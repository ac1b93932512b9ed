"""Futures that are pickled: by their keys."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import pytest
from azolla import Client, Future, get_client
from conftest import PATIENCE


def inc(x: int) -> int:
    return x + 1


def test_bound_to_the_current_client(client: Client) -> None:
    for future in (client.submit(inc, 1), client.submit(inc, 1, pure=False), client.submit(inc, 1, key=("k", 1))):
        again = pickle.loads(pickle.dumps(future))
        assert again is not future
        assert again.key == future.key
        assert again.client is client
        assert again.result() == 2


def test_within_as_current(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1) as other:
        pickled = pickle.dumps(client.submit(inc, 1))
        kept = client.submit(inc, 1)
        assert pickle.loads(pickled).client is other
        with client.as_current():
            assert pickle.loads(pickled).client is client
            assert pickle.loads(pickled).result() == 2
        del kept


def test_in_a_task_bound_to_the_client_that_runs_it(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1) as other:
        future = client.submit(inc, 1)
        assert Client.current() is other

        def load(pickled: bytes) -> tuple[bool, Any]:
            loaded = pickle.loads(pickled)
            return loaded.client is get_client(), loaded.result()

        assert client.submit(load, pickle.dumps(future)).result() == (True, 2)


def test_with_no_client_it_has_no_status() -> None:
    with Client(processes=False, threads_per_worker=1) as client:
        future = client.submit(inc, 1, key="k")
        pickled = pickle.dumps(future)
    lost = pickle.loads(pickled)
    assert (lost.key, lost.status, lost.client) == ("k", None, None)
    assert repr(lost) == "<Future: no client, key: k>"
    assert "k" in lost._repr_html_()
    for method in (lost.result, lost.exception, lost.traceback, lost.retry):
        with pytest.raises(ValueError, match="no client"):
            method()
    with pytest.raises(ValueError, match="no client"):
        lost.add_done_callback(print)
    lost.cancel()
    lost.release()


def test_a_key_that_is_gone_is_lost(client: Client) -> None:
    pickled = pickle.dumps(client.submit(inc, 1))
    assert pickle.loads(pickled).status == "lost"


def test_copies_count(client: Client) -> None:
    future = client.submit(inc, 1)
    twin, deep = copy.copy(future), copy.deepcopy([future])[0]
    del future
    assert twin.result() == deep.result() == 2


def test_a_released_one_goes_by_its_key(client: Client) -> None:
    first, second = client.submit(inc, 1), client.submit(inc, 1)
    first.release()
    assert pickle.loads(pickle.dumps(first)).result() == 2
    del second


def test_while_it_runs(client: Client) -> None:
    begun, go = threading.Event(), threading.Event()

    def task() -> int:
        begun.set()
        assert go.wait(PATIENCE)
        return 5

    future = client.submit(task, pure=False)
    assert begun.wait(PATIENCE)
    again = pickle.loads(pickle.dumps(future))
    assert again.status == "pending"
    del future
    go.set()
    assert again.result() == 5


def test_a_client_is_not_pickled(client: Client) -> None:
    with pytest.raises(TypeError, match="get_client"):
        pickle.dumps(client)


def test_keys_of_another_client_are_not_mistaken(client: Client) -> None:
    # Impure keys are veiled ids, which another client has too.
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:
        mine = client.map(inc, range(100), pure=False)
        theirs = other.map(inc, range(100), pure=False)
        assert [Future(future.key, other).status for future in mine] == ["lost"] * 100
        assert [Future(future.key, other).status for future in theirs] != ["lost"] * 100
