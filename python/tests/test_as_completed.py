"""`as_completed`: futures in the order in which they end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from azolla import Client, Future, FutureCancelledError, as_completed
from conftest import PATIENCE, Gate, eventually


def inc(x: int) -> int:
    return x + 1


def fail() -> None:
    raise ValueError("no")


def cancelled(client: Client) -> Future[Any]:
    future = client.submit(inc, 1, pure=False)
    future.cancel()
    return future


def test_the_very_objects_that_went_in_come_out(client: Client) -> None:
    futures = client.map(inc, range(100))
    names = dict(zip(futures, range(100), strict=True))
    assert sorted(names[future] for future in as_completed(futures)) == list(range(100))


def test_two_futures_on_one_task_come_as_themselves(client: Client) -> None:
    first, second = client.submit(inc, 1), client.submit(inc, 1)
    out = list(as_completed([first, second]))
    assert len(out) == 2
    assert {id(future) for future in out} == {id(first), id(second)}


def test_in_the_order_in_which_they_end(client: Client) -> None:
    early, late = Gate(), Gate()
    futures = [client.submit(gate.hold, pure=False) for gate in (late, early)]
    endings = as_completed(futures)
    early.open()
    assert next(endings) is futures[1]
    late.open()
    assert next(endings) is futures[0]


def test_added_several_times_yielded_as_often(client: Client) -> None:
    future = client.submit(inc, 1)
    endings = as_completed([future, future])
    endings.add(future)
    assert endings.count() == 3
    assert list(endings) == [future] * 3


def test_adding_during_iteration(client: Client) -> None:
    endings = as_completed(client.map(inc, range(5), pure=False))
    seen = 0
    for future in endings:
        seen += 1
        if seen <= 500:
            endings.update(client.map(inc, [future.result()] * 2, pure=False))
    assert seen == 5 + 1_000


def test_from_iterators_and_with_nothing(client: Client) -> None:
    assert len(list(as_completed(future for future in client.map(inc, range(3))))) == 3
    assert list(as_completed([])) == []
    assert list(as_completed()) == []


def test_usable_again_after_its_end(client: Client) -> None:
    endings = as_completed([client.submit(inc, 1)])
    assert [future.result() for future in endings] == [2]
    with pytest.raises(StopIteration):
        next(endings)
    endings.add(client.submit(inc, 2))
    assert [future.result() for future in endings] == [3]


def test_the_failed_and_the_cancelled_are_yielded(client: Client) -> None:
    futures = [client.submit(fail), cancelled(client), client.submit(inc, 1)]
    assert {future.status for future in as_completed(futures)} == {"error", "cancelled", "finished"}


def test_one_cancelled_while_it_is_waited_for(client: Client, gate: Gate) -> None:
    future = client.submit(gate.hold, pure=False)
    gate.entered()
    canceller = threading.Timer(0.01, future.cancel)
    canceller.start()
    assert list(as_completed([future])) == [future]
    canceller.join()


def test_a_released_future_counts_as_cancelled(client: Client) -> None:
    future = client.submit(inc, 1)
    future.release()
    assert list(as_completed([future])) == [future]
    assert as_completed([future]).has_ready()


def test_count_has_ready_is_empty(client: Client, gate: Gate) -> None:
    endings = as_completed()
    assert (endings.count(), endings.has_ready(), endings.is_empty()) == (0, False, True)
    held, done = client.submit(gate.hold, pure=False), client.submit(inc, 1)
    endings.update([held, done])
    assert endings.count() == 2
    assert not endings.is_empty()
    eventually(endings.has_ready)
    assert next(endings) is done
    assert (endings.count(), endings.has_ready()) == (1, False)
    gate.open()
    assert endings.next() is held
    assert endings.is_empty()


def test_batches(client: Client, gate: Gate) -> None:
    done = client.map(inc, range(10))
    client.gather(done)
    held = client.submit(gate.hold, pure=False)
    endings = as_completed([held, *done])
    assert endings.next_batch(block=False) == done
    assert endings.next_batch(block=False) == []
    gate.open()
    assert endings.next_batch() == [held]
    with pytest.raises(StopIteration):
        endings.next_batch()
    assert endings.next_batch(block=False) == []


def test_iterating_over_batches(client: Client) -> None:
    futures = client.map(inc, range(200))
    batches = list(as_completed(futures).batches())
    assert all(batches)
    assert sorted(future.result() for batch in batches for future in batch) == list(range(1, 201))


@pytest.mark.parametrize("with_results", [False, True])
def test_awaiting_batches(with_results: bool) -> None:
    async def main() -> None:
        async with Client(processes=False, threads_per_worker=2, asynchronous=True, dashboard_address=None) as client:
            endings: Any = as_completed(client.map(inc, range(200), pure=False), with_results=with_results)
            seen = []
            async for batch in endings.batches():
                assert batch
                seen += [item[1] if with_results else await item for item in batch]
                if len(seen) == 200:
                    endings.add(client.submit(inc, 200))
            assert sorted(seen) == list(range(1, 202))
            endings.add(client.submit(inc, 0))
            with pytest.raises(RuntimeError, match=r"write `async for`, also with batches\(\)"):
                next(endings.batches())
            [batch] = [batch async for batch in endings.batches()]
            assert len(batch) == 1
            assert [batch async for batch in endings.batches()] == []
            late: Any = as_completed([client.submit(asyncio.sleep, 1000)], timeout="10ms")
            with pytest.raises(TimeoutError):
                await anext(late.batches())

    asyncio.run(main())


def test_adding_while_iterating_over_batches(client: Client) -> None:
    endings = as_completed(client.map(inc, range(3)))
    sizes = 0
    for batch in endings.batches():
        sizes += len(batch)
        if sizes < 50:
            endings.update(client.map(inc, range(sizes, sizes + len(batch)), pure=False))
    assert sizes >= 50
    assert endings.is_empty()


def test_clear(client: Client, gate: Gate) -> None:
    held, done = client.submit(gate.hold, pure=False), client.submit(inc, 1)
    endings = as_completed([held, done])
    eventually(endings.has_ready)
    endings.clear()
    assert (endings.count(), endings.has_ready()) == (0, False)
    assert list(endings) == []


def test_what_was_cleared_never_comes(client: Client, gate: Gate) -> None:
    held = client.submit(gate.hold, pure=False)
    endings = as_completed([held])
    endings.clear()
    later = Gate()
    new = client.submit(later.hold, pure=False)
    endings.add(new)
    gate.open()
    held.result()
    assert not endings.has_ready()
    later.open()
    assert list(endings) == [new]


def test_clearing_ends_the_waits_of_other_threads(client: Client, gate: Gate) -> None:
    endings = as_completed([client.submit(gate.hold, pure=False)])
    waiting = threading.Thread(target=lambda: list(endings))
    waiting.start()
    endings.clear()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def test_with_results(client: Client) -> None:
    futures = client.map(inc, range(10))
    pairs = dict(as_completed(futures, with_results=True))
    assert [pairs[future] for future in futures] == list(range(1, 11))


def test_with_results_raises_a_failure_and_goes_on(client: Client) -> None:
    endings = as_completed([client.submit(fail)], with_results=True)
    with pytest.raises(ValueError, match="no"):
        next(endings)
    good = client.submit(inc, 1)
    endings.add(good)
    assert list(endings) == [(good, 2)]


def test_with_results_and_without_raising(client: Client) -> None:
    bad = client.submit(fail)
    [(future, (kind, error, traceback))] = as_completed([bad], with_results=True, raise_errors=False)
    assert future is bad
    assert kind is ValueError
    assert error is bad.exception()
    assert traceback is bad.traceback()


@pytest.mark.parametrize("raise_errors", [True, False])
def test_with_results_a_cancelled_one_comes_with_its_error(client: Client, raise_errors: bool) -> None:
    future = cancelled(client)
    [(out, error)] = as_completed([future], with_results=True, raise_errors=raise_errors)
    assert out is future
    assert type(error) is FutureCancelledError


def test_a_failure_within_a_batch_loses_nothing(client: Client) -> None:
    futures = [client.submit(inc, 1), client.submit(fail), client.submit(inc, 2)]
    for future in futures:
        future.exception()
    [batch] = as_completed(futures, with_results=True).batches()
    assert [future for future, _ in batch] == futures
    assert (batch[0][1], batch[1][1][0], batch[2][1]) == (2, ValueError, 3)


def test_the_timeout_counts_from_construction(client: Client, gate: Gate) -> None:
    done, held = client.submit(inc, 1), client.submit(gate.hold, pure=False)
    client.gather(done)
    endings = as_completed([done, held], timeout="10ms")
    with pytest.raises(TimeoutError):
        list(endings)
    # What is there is given however late, and what was waited for is still to come.
    endings.add(done)
    assert next(endings) is done
    with pytest.raises(TimeoutError):
        next(endings)
    assert endings.count() == 1


def test_what_is_no_future_is_refused(client: Client) -> None:
    with pytest.raises(TypeError, match="Input must be a future, not int"):
        as_completed([5])
    with pytest.raises(TypeError, match="Input must be a future"):
        as_completed().add([client.submit(inc, 1)])


@pytest.mark.parametrize("timeout", [[], "5 parsecs", float("nan")])
def test_a_bad_timeout(timeout: object) -> None:
    with pytest.raises((TypeError, ValueError), match="timeout"):
        as_completed([], timeout=timeout)


def test_threads_share_one(client: Client) -> None:
    futures = client.map(inc, range(2_000))
    endings = as_completed(futures)
    shares: list[list[Future[int]]] = [[] for _ in range(4)]
    threads = [threading.Thread(target=share.extend, args=(endings,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(future.result() for share in shares for future in share) == list(range(1, 2_001))


def test_threads_that_wait_for_the_last_one_all_end(client: Client, gate: Gate) -> None:
    endings = as_completed([client.submit(gate.hold, pure=False)])
    got: list[Future[Any]] = []
    threads = [threading.Thread(target=got.extend, args=(endings,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    gate.entered()
    gate.open()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert len(got) == 1


def test_futures_of_several_clients(client: Client) -> None:
    with Client(processes=False, threads_per_worker=1, set_as_default=False) as other:
        futures = [client.submit(inc, 1), other.submit(inc, 2)]
        assert sorted(future.result() for future in as_completed(futures)) == [2, 3]


def test_inside_a_task(client: Client) -> None:
    def parent() -> int:
        from azolla import get_client

        return sum(future.result() for future in as_completed(get_client().map(inc, range(20), pure=False)))

    assert client.gather(client.map(lambda _: parent(), range(10), pure=False)) == [210] * 10


def test_async_iteration_on_any_loop(client: Client) -> None:
    async def results() -> list[int]:
        endings = as_completed(client.map(inc, range(50), pure=False))
        seen = []
        async for future in endings:
            seen.append(await future)
            if len(seen) == 10:
                endings.update(client.map(inc, range(50, 60), pure=False))
        return sorted(seen)

    assert asyncio.run(results()) == list(range(1, 61))
    assert client.sync(results) == list(range(1, 61))


def test_async_iteration_with_results_and_a_timeout(client: Client, gate: Gate) -> None:
    async def pairs() -> list[int]:
        return [result async for _, result in as_completed(client.map(inc, [1]), with_results=True)]

    async def late() -> None:
        with pytest.raises(TimeoutError):
            async for _ in as_completed([client.submit(gate.hold, pure=False)], timeout=0.01):
                pass

    assert asyncio.run(pairs()) == [2]
    asyncio.run(late())


def test_several_coroutines_share_one(client: Client, gate: Gate) -> None:
    async def take(endings: as_completed[int]) -> list[Future[int]]:
        return [future async for future in endings]

    async def all_of_them() -> list[list[Future[int]]]:
        held = client.map(gate.hold, range(2), pure=False)
        endings = as_completed([*held, *client.map(inc, range(100))])
        takers = [asyncio.create_task(take(endings)) for _ in range(4)]
        await asyncio.to_thread(gate.entered, 2)
        gate.open()
        return await asyncio.gather(*takers)

    assert sum(map(len, asyncio.run(all_of_them()))) == 102


def test_an_async_iteration_broken_off_loses_nothing(client: Client, gate: Gate) -> None:
    async def run() -> None:
        future = client.submit(gate.hold, pure=False)
        endings = as_completed([future])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(endings), 0.01)
        gate.open()
        assert await anext(endings) is future
        with pytest.raises(StopAsyncIteration):
            await anext(endings)

    asyncio.run(run())
