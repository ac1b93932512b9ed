"""`wait`: for all, or for the first."""

from __future__ import annotations

import asyncio
import datetime

import pytest
from azolla import Client, FuturesCancelledError, get_client, wait
from conftest import Gate


def inc(x: int) -> int:
    return x + 1


def fail() -> None:
    raise ValueError("no")


def test_for_all(client: Client) -> None:
    futures = client.map(inc, range(100))
    done, not_done = wait(futures)
    assert done == set(futures)
    assert not_done == set()


def test_for_the_first(client: Client, gate: Gate) -> None:
    held, quick = client.submit(gate.hold, pure=False), client.submit(inc, 1)
    result = wait([held, quick], return_when="FIRST_COMPLETED")
    assert result.done == {quick}
    assert result.not_done == {held}


def test_nested_and_alone(client: Client) -> None:
    a, b = client.map(inc, [1, 2])
    assert wait(a).done == {a}
    assert wait({"a": a, "b": [b, 5]}).done == {a, b}
    assert wait(future for future in (a, b)).done == {a, b}


def test_for_nothing(client: Client) -> None:
    assert wait([]) == (set(), set())
    assert wait(5) == (set(), set())


def test_a_failed_task_does_not_raise(client: Client) -> None:
    bad = client.submit(fail)
    assert wait([bad]).done == {bad}
    assert wait([bad], return_when="FIRST_COMPLETED").done == {bad}


def test_a_cancelled_one_raises(client: Client, gate: Gate) -> None:
    held = client.submit(gate.hold, pure=False)
    held.cancel()
    with pytest.raises(FuturesCancelledError, match=str(held.key)):
        wait([held, client.submit(inc, 1)])


@pytest.mark.parametrize("timeout", [0, 0.01, "10ms", datetime.timedelta(milliseconds=10), -1])
@pytest.mark.parametrize("return_when", ["ALL_COMPLETED", "FIRST_COMPLETED"])
def test_a_timeout_raises(client: Client, gate: Gate, timeout: object, return_when: str) -> None:
    held = client.submit(gate.hold, pure=False)
    with pytest.raises(TimeoutError):
        wait([held], timeout=timeout, return_when=return_when)


def test_no_time_is_enough_for_what_has_ended(client: Client) -> None:
    future = client.submit(inc, 1)
    future.result()
    assert wait([future], timeout=0).done == {future}


@pytest.mark.parametrize("return_when", ["FIRST_EXCEPTION", "all", None])
def test_a_bad_return_when(client: Client, return_when: object) -> None:
    with pytest.raises(NotImplementedError, match="ALL_COMPLETED"):
        wait([client.submit(inc, 1)], return_when=return_when)


@pytest.mark.parametrize("timeout", ["soon", [], float("nan"), "3 parsecs"])
def test_a_bad_timeout(client: Client, timeout: object) -> None:
    with pytest.raises((TypeError, ValueError), match="timeout"):
        wait([client.submit(inc, 1)], timeout=timeout)


def test_in_a_task(client: Client) -> None:
    def parent() -> int:
        futures = get_client().map(inc, range(20), pure=False)
        first = wait(futures, return_when="FIRST_COMPLETED")
        assert first.done
        return len(wait(futures).done)

    assert client.gather(client.map(lambda _: parent(), range(10), pure=False)) == [20] * 10


def test_awaited_on_the_clients_loop(client: Client, gate: Gate) -> None:
    async def run() -> None:
        held, quick = client.submit(gate.hold, pure=False), client.submit(inc, 1)
        assert (await wait([held, quick], return_when="FIRST_COMPLETED")).done == {quick}
        with pytest.raises(TimeoutError):
            await wait([held, quick], timeout=0.01)
        gate.open()
        assert (await wait([held, quick], timeout=60)).done == {held, quick}
        assert await wait([quick], timeout=0) == ({quick}, set())

    client.sync(run)


def test_several_clients(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:
        futures = [client.submit(inc, 1), other.submit(inc, 2)]
        assert wait(futures).done == set(futures)


def test_futures_whose_client_is_gone(gate: Gate) -> None:
    client = Client(processes=False, threads_per_worker=1, set_as_default=False)
    done = client.submit(inc, 1)
    assert done.result() == 2
    held = client.submit(gate.hold, pure=False)
    gate.entered()
    queued = client.submit(inc, 2)
    client.close()
    del client
    assert wait([done]).done == {done}
    with pytest.raises(FuturesCancelledError):
        wait([done, held, queued])


def test_one_that_is_broken_off(client: Client, gate: Gate) -> None:
    async def run() -> str:
        held = client.submit(gate.hold, pure=False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait([held]), 0.01)
        status = held.status
        held.cancel()
        return status

    assert client.sync(run) == "pending"


def test_what_wait_returns_can_be_awaited_where_wait_has_blocked(client: Client) -> None:
    async def main() -> None:
        blocked = wait([client.submit(abs, -1)])
        assert await blocked is blocked

    asyncio.run(main())
