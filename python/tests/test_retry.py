"""Retries of failed tasks: by themselves, and by hand."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from azolla import Client, Future
from conftest import Gate, Journal


class Flaky:
    """Fails so many times, wherever it runs."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.journal = Journal()

    @property
    def runs(self) -> int:
        return len(self.journal)

    def __call__(self, value: Any = None) -> Any:
        self.journal.append(value)
        if self.runs <= self.failures:
            raise ValueError(f"run {self.runs}")
        return value


def inc(x: int) -> int:
    return x + 1


def test_a_task_is_run_again(client: Client) -> None:
    flaky = Flaky(2)
    assert client.submit(flaky, 5, retries=2, pure=False).result() == 5
    assert flaky.runs == 3


def test_no_more_often_than_told(client: Client) -> None:
    flaky = Flaky(9)
    with pytest.raises(ValueError, match="run 3"):
        client.submit(flaky, retries=2, pure=False).result()
    assert flaky.runs == 3


def test_map_retries_each(client: Client) -> None:
    flakies = [Flaky(1), Flaky(0), Flaky(1)]
    assert client.gather(client.map(lambda flaky: flaky(1), flakies, retries=1, pure=False)) == [1, 1, 1]


def test_without_retries_it_fails_at_once(client: Client) -> None:
    flaky = Flaky(1)
    for retries in (None, 0):
        flaky.journal.clear()
        with pytest.raises(ValueError, match="run 1"):
            client.submit(flaky, retries=retries, pure=False).result()


@pytest.mark.parametrize("retries", [-1, 1.5, "2"])
def test_bad_retries(client: Client, retries: object) -> None:
    with pytest.raises(ValueError, match="retries must be a whole number"):
        client.submit(inc, 1, retries=retries)


def test_dependents_wait_for_the_last_attempt(client: Client) -> None:
    root = client.submit(Flaky(3), 1, retries=3, pure=False)
    assert client.submit(inc, root).result() == 2


def test_a_coroutine_task_is_run_again(client: Client) -> None:
    flaky = Flaky(2)

    async def task() -> int:
        await asyncio.sleep(0)
        return flaky(7)

    assert client.submit(task, retries=2, pure=False).result() == 7
    assert flaky.runs == 3


def test_a_failed_future_is_retried_by_hand(client: Client) -> None:
    future = client.submit(Flaky(1), 5, pure=False)
    assert type(future.exception()) is ValueError
    future.retry()
    assert future.result() == 5
    assert future.status == "finished"
    assert future.exception() is None


def test_retrying_as_often_as_it_takes(client: Client) -> None:
    future = client.submit(Flaky(50), 5, pure=False)
    while future.exception() is not None:
        future.retry()
    assert future.result() == 5


def test_the_culprit_is_retried_with_what_depended_on_it(client: Client) -> None:
    culprit = Flaky(1)
    root = client.submit(culprit, 1, pure=False)
    leaf = client.submit(inc, client.submit(inc, root))
    assert type(leaf.exception()) is ValueError
    leaf.retry()
    assert leaf.result() == 3
    assert root.result() == 1
    assert culprit.runs == 2


def test_the_culprit_is_retried_though_its_future_is_gone(client: Client) -> None:
    leaf = client.submit(inc, client.submit(Flaky(1), 1, pure=False))
    assert type(leaf.exception()) is ValueError
    leaf.retry()
    assert leaf.result() == 2


def test_what_has_not_failed_is_left_alone(client: Client, gate: Gate) -> None:
    flaky = Flaky(0)
    done, held = client.submit(flaky, 1, pure=False), client.submit(gate.hold, 2, pure=False)
    assert done.result() == 1
    client.retry([done, held])
    gate.open()
    assert client.gather([done, held]) == [1, 2]
    assert flaky.runs == 1


def test_a_cancelled_future_stays_cancelled(client: Client) -> None:
    future = client.submit(Flaky(1), pure=False)
    assert type(future.exception()) is ValueError
    future.cancel()
    future.retry()
    assert future.cancelled()


def test_the_client_retries_many(client: Client) -> None:
    futures = [client.submit(Flaky(1), number, pure=False) for number in range(10)]
    for future in futures:
        assert future.exception() is not None
    client.retry(futures)
    assert client.gather(futures) == list(range(10))


def test_waiting_threads_see_the_retry(client: Client) -> None:
    # A wait that the failure has ended may look again when the retry has begun.
    futures: list[Future[Any]] = [client.submit(Flaky(1), number, pure=False) for number in range(200)]

    def retry() -> None:
        for future in futures:
            while future.exception() is not None:
                future.retry()

    threads = [threading.Thread(target=retry) for _ in range(3)]
    for thread in threads:
        thread.start()
    for future in futures:
        try:
            future.result()
        except ValueError as error:
            assert str(error) == "run 1"
    for thread in threads:
        thread.join()
    assert client.gather(futures) == list(range(200))


def test_awaitable_on_the_clients_loop(client: Client) -> None:
    async def run() -> list[Any]:
        futures = [client.submit(Flaky(1), number, pure=False) for number in range(3)]
        for future in futures:
            assert type(await future.exception()) is ValueError
        await futures[0].retry()
        await client.retry(futures[1])
        futures[2].retry()
        return await client.gather(futures)

    assert client.sync(run) == [0, 1, 2]
