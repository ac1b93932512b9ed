"""Tasks in worker processes subscribe to topics: their handlers run in the worker's process, wherever an event is logged."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from azolla import Client, Queue, get_client, get_worker
from conftest import PATIENCE, eventually
from gates import Journal


@pytest.fixture
def two() -> Iterator[Client]:
    """A client on two worker processes of its own: tests here kill one, and what tasks subscribe to stays."""
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


def subscribe(topic: str, journal: Journal) -> int:
    get_client().subscribe_topic(topic, lambda event: journal.append((os.getpid(), *event)))
    return os.getpid()


def unsubscribe(topic: str) -> None:
    get_client().unsubscribe_topic(topic)


def log(topic: Any, message: Any) -> None:
    get_worker().log_event(topic, message)


def on(client: Client, worker: int, function: Any, *args: Any) -> Any:
    return client.submit(function, *args, workers=worker, pure=False).result(timeout=PATIENCE)


def test_events_come_from_the_program_and_from_every_process(two: Client, journal: Journal) -> None:
    process = on(two, 0, subscribe, "news", journal)
    two.log_event("news", {"from": "the program"})
    on(two, 0, log, "news", "from its own process")
    on(two, 1, log, ["news", "other"], "from another process")
    on(two, 1, log, "other", "of another topic")
    eventually(lambda: len(journal) == 3)
    events = [(process, *event) for event in two.get_events("news")]
    assert journal == events
    assert [event[2] for event in events] == [{"from": "the program"}, "from its own process", "from another process"]
    on(two, 0, unsubscribe, "news")
    two.log_event("news", "too late")
    on(two, 0, subscribe, "end", journal)
    two.log_event("end", None)
    eventually(lambda: len(journal) == 4)
    assert [entry[2] for entry in journal][3:] == [None]


def test_each_process_hears_and_many_events_keep_their_order(two: Client, journal: Journal) -> None:
    processes = {on(two, worker, subscribe, "count", journal) for worker in range(2)}
    for number in range(100):
        two.log_event("count", number)
    eventually(lambda: len(journal) == 200)
    for process in processes:
        assert [number for pid, _, number in journal if pid == process] == list(range(100))


def test_a_handler_may_be_a_coroutine_function_and_use_the_client(two: Client) -> None:
    def subscribes() -> None:
        async def handler(event: tuple[float, Any]) -> None:
            await asyncio.sleep(0)
            await Queue("heard").put(await get_client().submit(abs, event[1]))

        get_client().subscribe_topic("numbers", handler)

    on(two, 0, subscribes)
    two.log_event("numbers", -3)
    assert Queue("heard").get(timeout=PATIENCE) == 3


def test_a_coroutine_task_subscribes(two: Client, journal: Journal) -> None:
    async def subscribes() -> int:
        return subscribe("news", journal)

    process = on(two, 0, subscribes)
    two.log_event("news", 1)
    eventually(lambda: len(journal) == 1)
    assert [(pid, message) for pid, _, message in journal] == [(process, 1)]


def test_a_handler_that_raises_and_an_event_that_cannot_be_read_cost_no_other_event(
    two: Client, journal: Journal, tmp_path: Any
) -> None:
    def subscribes() -> None:
        def handler(event: tuple[float, Any]) -> None:
            journal.append(event[1])
            if event[1] == 1:
                raise ValueError

        get_client().subscribe_topic("mixed", handler)

    on(two, 0, subscribes)
    with (tmp_path / "file").open("w") as file:
        for message in (1, file.fileno, 2):
            two.log_event("mixed", message)
        eventually(lambda: len(journal) == 2)
    assert journal == [1, 2]


def test_a_topic_without_a_handler_is_an_error_there(two: Client, journal: Journal) -> None:
    with pytest.raises(ValueError, match="No event handler known for topic news"):
        on(two, 0, unsubscribe, "news")
    with pytest.raises(TypeError, match="handler"):
        on(two, 0, lambda: get_client().subscribe_topic("news", 1))  # type: ignore[arg-type]


def test_what_a_process_has_subscribed_to_goes_with_it(two: Client, journal: Journal) -> None:
    process = on(two, 0, subscribe, "news", journal)
    os.kill(process, signal.SIGKILL)
    again = on(two, 0, os.getpid)
    eventually(lambda: two.log_event("news", "nobody hears") or not two.cluster._notes._processes)
    assert on(two, 0, subscribe, "news", journal) == again
    two.log_event("news", "heard")
    eventually(lambda: len(journal) > 0)
    assert [(pid, message) for pid, _, message in journal] == [(again, "heard")]
