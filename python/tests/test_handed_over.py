"""What is handed over in other ways than by a call: it is copied as a call's arguments are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azolla import Client, LocalCluster, Queue, Variable, get_worker

pytestmark = pytest.mark.own_cluster


def by_queue(client: Client, value: Any) -> Callable[[], Any]:
    queue: Queue = Queue(client=client)
    queue.put(value)
    return queue.get


def by_variable(client: Client, value: Any) -> Callable[[], Any]:
    variable = Variable(client=client)
    variable.set(value)
    return variable.get


def by_metadata(client: Client, value: Any) -> Callable[[], Any]:
    client.set_metadata(["key", "within"], value)
    return lambda: client.get_metadata(["key", "within"])


def by_event(client: Client, value: Any) -> Callable[[], Any]:
    client.log_event("topic", value)
    return lambda: client.get_events("topic")[0][1]


def by_event_in_a_task(client: Client, value: Any) -> Callable[[], Any]:
    def log() -> None:
        get_worker().log_event("inside", value)

    client.submit(log, pure=False).result()
    return lambda: client.get_events("inside")[0][1]


def by_dataset(client: Client, value: Any) -> Callable[[], Any]:
    client.publish_dataset(value, name="data")
    return lambda: client.get_dataset("data")


def by_scatter(client: Client, value: Any) -> Callable[[], Any]:
    return client.scatter([value])[0].result


def by_scatter_with_a_key(client: Client, value: Any) -> Callable[[], Any]:
    return client.scatter({"key": value})["key"].result


WAYS = [by_queue, by_variable, by_metadata, by_event, by_event_in_a_task, by_dataset]
SCATTERS = [by_scatter, by_scatter_with_a_key]


@pytest.mark.parametrize("way", [*WAYS, *SCATTERS], ids=lambda way: way.__name__)
def test_what_is_handed_over_is_as_it_was_then(client: Client, way: Callable[..., Any]) -> None:
    value = {"list": [1], "tuple": ([2],)}
    take = way(client, value)
    value["list"].append(3)  # type: ignore[attr-defined]
    value["tuple"][0].append(4)
    value["new"] = []
    assert take() == {"list": [1], "tuple": ([2],)}


@pytest.mark.parametrize("way", [by_variable, by_metadata, by_event, by_dataset], ids=lambda way: way.__name__)
def test_each_caller_gets_a_copy_of_its_own(client: Client, way: Callable[..., Any]) -> None:
    take = way(client, [[1]])
    take()[0].append(2)
    assert take() == [[1]]


def test_futures_that_are_handed_over_stay_when_their_client_leaves() -> None:
    with (
        LocalCluster(processes=False, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as other,
    ):
        with Client(cluster) as client:
            value = {"futures": [client.submit(abs, -1, pure=False)]}
            takes = [by_queue(other, value), by_variable(other, value)]
            by_metadata(client, value)
            by_event(client, value)
        takes += [lambda: other.get_metadata(["key", "within"]), lambda: other.get_events("topic")[0][1]]
        assert [take()["futures"][0].result() for take in takes] == [1, 1, 1, 1]
