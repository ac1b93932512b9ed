"""`Client`: its life, and what it says of itself."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from azolla import Client, get_client
from conftest import Gate, eventually


def inc(x: int) -> int:
    return x + 1


def test_a_context_manager() -> None:
    with Client(processes=False, threads_per_worker=1) as client:
        assert client.status == "running"
        assert get_client() is client
    assert client.status == "closed"


def test_its_size() -> None:
    with Client(processes=False, n_workers=2, threads_per_worker=3, name="mine") as client:
        info = client.scheduler_info()
        assert client.name == "mine"
        assert len(info["workers"]) == 2
        assert list(client.nthreads().values()) == [3, 3] == list(client.ncores().values())
        assert info["address"].startswith("inproc://")
        assert "workers=2" in repr(client)
        assert "threads=6" in repr(client)
        html = client._repr_html_()
        assert info["address"] in html
        assert "mine" in html


def test_html_is_escaped() -> None:
    with Client(processes=False, threads_per_worker=1, name="<b>&") as client:
        assert "<b>" not in client._repr_html_()
        assert "&lt;b&gt;&amp;" in client._repr_html_()


def test_the_latest_open_one_is_current() -> None:
    with Client(processes=False, threads_per_worker=1) as first:
        with Client(processes=False, threads_per_worker=1) as second:
            assert get_client() is second
        assert get_client() is first


def test_current_is_each_threads_own(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as hidden, hidden.as_current():
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(get_client()))
        thread.start()
        thread.join()
        assert seen == [client]
        assert get_client() is hidden


def test_one_that_a_task_closes() -> None:
    client = Client(processes=False, threads_per_worker=1)
    future = client.submit(lambda: get_client().close(), pure=False)
    eventually(future.done)
    assert client.status == "closed"
    client.close()


def test_its_threads_end_with_it() -> None:
    before = threading.active_count()
    with Client(processes=False, threads_per_worker=4) as client:
        client.gather(client.map(lambda _: get_client().submit(inc, 1, pure=False).result(), range(50), pure=False))
        client.sync(lambda: None)
        client.submit(inc, 1).add_done_callback(lambda _: None)
    eventually(lambda: threading.active_count() <= before)


def test_closing_while_a_thread_is_being_started() -> None:
    with Client(processes=False, n_workers=1, threads_per_worker=1) as client:
        # Known from before its start on, which a waiting task may be about to see to.
        client.cluster._threads.add(threading.Thread(target=print))
        client.close()
    assert client.status == "closed"


def test_closing_leaves_what_runs_to_itself(gate: Gate) -> None:
    client = Client(processes=False, threads_per_worker=1, set_as_default=False)
    running, queued = client.map(gate.hold, range(2), pure=False)
    gate.entered()
    client.cluster._close()
    assert (running.status, queued.status) == ("cancelled", "cancelled")
    gate.open()
    client.close()


@pytest.mark.own_cluster
def test_counters(client: Client, gate: Gate) -> None:
    futures = client.map(gate.hold, range(5), pure=False)
    gate.entered(2)
    counters = client.counters()
    assert (counters["submitted"], counters["live"], counters["running"]) == (5, 5, 2)
    gate.open()
    client.gather(futures)
    counters = client.counters()
    assert (counters["kept"], counters["peak_live"]) == (5, 5)


def test_what_it_says_of_itself() -> None:
    with Client(processes=False, n_workers=2, threads_per_worker=3, dashboard_address=":0") as client:
        info = client.scheduler_info()
        assert info["n_workers"] == len(info["workers"]) == 2
        assert info["total_threads"] == sum(client.ncores().values()) == 6
        assert info["total_memory"] > 2**20
        assert f":{info['services']['dashboard']}/" in str(client.dashboard_link)
        assert info["started"] <= time.time()
        assert [worker["nthreads"] for worker in info["workers"].values()] == [3, 3]
        assert len(client.scheduler_info(n_workers=1)["workers"]) == 1
        assert client.scheduler_info(n_workers=0)["workers"] == {}
        for shown in (repr(client), repr(client.cluster), client._repr_html_(), client.cluster._repr_html_()):
            assert info["address"] in shown
            assert " GiB" in shown or " MiB" in shown
            assert str(client.dashboard_link).partition("?")[0] in shown


def test_arguments_that_ask_for_what_is_so_anyway() -> None:
    with Client(
        processes=False,
        threads_per_worker=1,
        timeout="5s",
        silence_logs=30,
        heartbeat_interval=1000,
        direct_to_workers=True,
        connection_limit=4,
    ) as client:
        assert client.submit(abs, -1).result() == 1


def test_one_that_is_not_to_be_the_default() -> None:
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as client:
        with pytest.raises(ValueError, match="no client"):
            Client.current()
        with client.as_current():
            assert Client.current() is Client.current(allow_global=False) is client
    client = Client(processes=False, threads_per_worker=1)
    assert Client.current() is client
    with pytest.raises(ValueError, match="no client"):
        Client.current(allow_global=False)
    with client:
        assert Client.current(allow_global=False) is client
