"""`LocalCluster`, and clients that share one."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
from azolla import (
    CancelledByCloseError,
    CancelledError,
    Client,
    ClosedClientError,
    FutureCancelledError,
    LocalCluster,
    as_completed,
    wait,
)
from conftest import PATIENCE, Gate, eventually


def inc(x: int) -> int:
    return x + 1


def test_clients_of_one_cluster_share_keys(cluster: LocalCluster) -> None:
    with Client(cluster) as one, Client(cluster) as other:
        first = one.submit(inc, 1, key="x")
        second = other.submit(inc, 100, key="x")
        assert (first.result(), second.result()) == (2, 2)
        assert first.client is one
        assert second.client is other
        pure, again = one.submit(inc, 5), other.submit(inc, 5)
        assert pure.key == again.key
        impure = one.submit(inc, 5, pure=False)
        assert other.submit(inc, 7, key=impure.key).result() == 6
        assert one.counters()["submitted"] == 3


def test_futures_of_one_are_inputs_of_the_other(cluster: LocalCluster) -> None:
    with Client(cluster) as one, Client(cluster) as other:
        assert other.submit(inc, one.submit(inc, 1)).result() == 3
        assert other.gather([one.submit(inc, 1), other.submit(inc, 2)]) == [2, 3]


def test_by_address() -> None:
    with Client(processes=False, n_workers=2, threads_per_worker=1) as owner:
        address = owner.scheduler_info()["address"]
        assert address.startswith("inproc://")
        with Client(address) as guest:
            assert guest.cluster is owner.cluster
            assert guest.scheduler_info() == owner.scheduler_info()
            assert guest.submit(inc, 1).result() == 2
        assert owner.submit(inc, 2).result() == 3
    with pytest.raises(OSError, match=address):
        Client(address)
    with pytest.raises(OSError, match="inproc://nowhere"):
        Client("inproc://nowhere")


def test_a_cluster_outlives_its_clients(cluster: LocalCluster) -> None:
    with Client(cluster) as client:
        assert client.submit(inc, 1).result() == 2
    assert client.status == "closed"
    assert cluster.status == "running"
    with cluster.get_client() as client:
        assert client.submit(inc, 1).result() == 2


def test_a_client_of_a_closed_cluster_says_what_is_closed() -> None:
    cluster = LocalCluster(processes=False, threads_per_worker=1, dashboard_address=None, name="gone")
    cluster.close()
    for make in (lambda: Client(cluster), cluster.get_client):
        with pytest.raises(ClosedClientError, match=r"^Client\('gone'\): the cluster is closed$"):
            make()
    with pytest.raises(ClosedClientError, match=r"^write_trace: the cluster is closed$"):
        cluster.write_trace("trace.json")


def test_a_closed_cluster_closes_its_clients(gate: Gate) -> None:
    cluster = LocalCluster(threads_per_worker=1, processes=False)
    one, other = Client(cluster), Client(cluster)
    futures = [one.submit(gate.hold, 1), other.submit(inc, 1, priority=-1)]
    gate.entered()
    gate.open()
    cluster.close()
    assert (cluster.status, one.status, other.status) == ("closed",) * 3
    for client in (one, other):
        with pytest.raises(ClosedClientError):
            client.submit(inc, 1)
    assert all(future.done() for future in futures)
    with pytest.raises(ClosedClientError):
        Client(cluster)
    with pytest.raises(ValueError, match="no client is open"):
        Client.current()


def test_a_task_that_goes_on_is_waited_for_once(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    join = threading.Thread.join

    def counted(thread: threading.Thread, timeout: float | None = None) -> None:
        assert timeout is not None
        waits.append(timeout)
        join(thread, timeout)

    client = Client(processes=False, threads_per_worker=1)
    client.submit(gate.hold, pure=False)
    future = client.submit(gate.hold, pure=False)
    gate.entered()
    monkeypatch.setattr(threading.Thread, "join", counted)
    client.close()
    assert max(waits) > 0
    assert future.cancelled()
    waits.clear()
    client.close()
    client.shutdown()
    assert set(waits) <= {0.0}


def test_shutdown_of_a_guest_closes_the_cluster(cluster: LocalCluster) -> None:
    one, other = Client(cluster), Client(cluster)
    one.shutdown()
    assert (cluster.status, other.status) == ("closed", "closed")


def test_closing_one_cancels_what_nobody_else_wants(cluster: LocalCluster, gate: Gate) -> None:
    with Client(cluster) as one, Client(cluster) as other:
        blockers = other.map(gate.hold, range(2), pure=False)
        gate.entered(2)
        mine, ours = one.submit(inc, 1, key="mine"), one.submit(inc, 1, key="ours")
        again = one.submit(inc, 1, key="ours")
        theirs = other.submit(inc, 1, key="ours")
        one.close()
        assert [future.status for future in (mine, ours, again)] == ["cancelled"] * 3
        assert theirs.status == "pending"
        with pytest.raises(FutureCancelledError):
            ours.result()
        # Two futures fewer on the key, and none on the other.
        assert other.counters()["live"] == 3
        gate.open()
        assert theirs.result() == 2
        del mine, ours, again
        gc.collect()
        assert other.gather(blockers) == [0, 1]
        assert theirs.result() == 2
        other._check()


def test_released_by_one_and_kept_by_the_other(cluster: LocalCluster) -> None:
    with Client(cluster) as one, Client(cluster) as other:
        mine, theirs = one.submit(inc, 1, key="x"), other.submit(inc, 1, key="x")
        assert mine.result() == 2
        mine.release()
        assert mine.status == "cancelled"
        assert theirs.result() == 2
        assert other.counters()["kept"] == 1
        theirs.release()
        eventually(lambda: other.counters()["kept"] == 0)


def test_a_waiting_thread_is_told_that_its_client_has_left(cluster: LocalCluster, gate: Gate) -> None:
    with Client(cluster) as one, Client(cluster) as other:
        mine, theirs = one.submit(gate.hold, 1, key="x"), other.submit(gate.hold, 1, key="x")
        gate.entered()
        raised: list[BaseException] = []

        def waiting(function: Any) -> None:
            try:
                function()
            except CancelledError as error:
                raised.append(error)

        waits = [mine.result, lambda: one.gather([mine]), lambda: wait([mine])]
        threads = [threading.Thread(target=waiting, args=(function,)) for function in waits]
        for thread in threads:
            thread.start()
        one.close()
        for thread in threads:
            thread.join(60)
        assert len(raised) == 3
        gate.open()
        assert theirs.result() == 1


def test_a_coroutine_is_told_that_its_client_has_left(cluster: LocalCluster, gate: Gate) -> None:
    async def main() -> Any:
        async with Client(cluster, asynchronous=True) as one, Client(cluster, asynchronous=True) as other:
            mine, theirs = one.submit(gate.hold, 1, key="x"), other.submit(gate.hold, 1, key="x")

            async def awaited() -> Any:
                return await mine

            waits = [asyncio.ensure_future(wait) for wait in (awaited(), one.gather([mine]), mine.result())]
            await asyncio.sleep(0)
            await one.close()
            outcomes = await asyncio.gather(*waits, return_exceptions=True)
            gate.open()
            return outcomes, await theirs

    outcomes, result = asyncio.run(main())
    assert [type(outcome) for outcome in outcomes] == [CancelledByCloseError] * 3
    assert result == 1


def test_a_clients_guests_leave_it_as_it_is(client: Client) -> None:
    with Client(client.cluster) as guest:
        futures = guest.map(inc, range(100))
        assert guest.gather(futures) == list(range(1, 101))
        # Yielded, though one client was the other's guest.
        assert {future.result() for future in as_completed(futures)} == set(range(1, 101))
    assert client.submit(inc, 1).result() == 2


def test_futures_of_a_guest_made_and_dropped_by_many_threads(cluster: LocalCluster) -> None:
    for _ in range(10):
        one = Client(cluster, set_as_default=False)

        def work(client: Client) -> None:
            try:
                while True:
                    client.map(inc, range(20))
            except ClosedClientError:
                pass

        threads = [threading.Thread(target=work, args=(one,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda one=one: one.counters()["submitted"] > 0)
        one.close()
        for thread in threads:
            thread.join(60)
    with Client(cluster) as client:
        eventually(lambda: client.counters()["kept"] == 0)
        client._check()


def test_asynchronous() -> None:
    async def main() -> Any:
        async with LocalCluster(processes=False, threads_per_worker=1, asynchronous=True) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                result = await client.submit(inc, 1)
            assert (client.status, cluster.status) == ("closed", "running")
        again = await LocalCluster(processes=False, threads_per_worker=1, asynchronous=True)
        await again.close()
        return result, cluster.status, again.status

    assert asyncio.run(main()) == (2, "closed", "closed")


def test_what_it_says_of_itself() -> None:
    with LocalCluster("mine", n_workers=2, threads_per_worker=3, processes=False) as cluster:
        assert cluster.name == "mine"
        assert [worker.nthreads for worker in cluster.workers.values()] == [3, 3]
        assert cluster.scheduler_info["address"] == cluster.scheduler_address
        assert "workers=2, threads=6" in repr(cluster)
        assert cluster.scheduler_address in cluster._repr_html_()
        cluster.scale(2)
        cluster.scale(cores=4)
        for wrong in ({"n": 3}, {"cores": 7}, {"n": 2, "memory": "4GB"}):
            with pytest.raises(NotImplementedError, match=r"fixed|memory"):
                cluster.scale(**wrong)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"foo": 1}, TypeError, "'foo'"),
        ({"n_workers": 0}, ValueError, "n_workers"),
        ({"memory_limit": "4GB"}, NotImplementedError, "memory"),
        ({"security": True}, NotImplementedError, "network"),
        ({"dashboard_address": ":0", "foo": None}, TypeError, "'foo'"),
    ],
)
def test_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    for made in (LocalCluster, Client):
        with pytest.raises(error, match=message):
            made(processes=False, **arguments)


def test_a_given_cluster_has_its_workers(cluster: LocalCluster) -> None:
    with pytest.raises(ValueError, match="n_workers"):
        Client(cluster, n_workers=2)
    with pytest.raises(TypeError, match="Cluster instance"):
        Client(4)  # type: ignore[arg-type]


def test_the_callbacks_of_a_guest_run_before_it_is_closed(cluster: LocalCluster) -> None:
    called: list[Any] = []
    with Client(cluster) as client:
        future = client.submit(inc, 1)
        future.result()
        future.add_done_callback(lambda future: called.append(future.status))
    assert called == ["finished"]


def test_to_close_a_client_again_waits_for_nothing(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(cluster)
    client.submit(abs, -1).add_done_callback(str)
    client.close()
    monkeypatch.setattr("azolla._client.client.JOIN", 10 * PATIENCE)  # a wait counts as a hang
    client.close()
