"""Metadata and events."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest
from azolla import Client, get_client, get_worker
from conftest import PATIENCE

pytestmark = pytest.mark.own_cluster


def test_nested_metadata(client: Client) -> None:
    client.set_metadata(["a", "b"], 5)
    assert client.get_metadata(["a", "b"]) == 5
    assert client.get_metadata("a") == {"b": 5}
    client.set_metadata("a", 3)
    client.set_metadata(["a", "z"], 3)  # what is no dictionary gives way
    assert client.get_metadata(["a"]) == {"z": 3}
    with pytest.raises(KeyError, match="q"):
        client.get_metadata(["a", "q"])
    assert client.get_metadata(["a", "q"], default=None) is None
    with pytest.raises(ValueError, match="name"):
        client.set_metadata([], 1)


def test_what_was_given_does_not_change(client: Client) -> None:
    client.set_metadata(["a", "b"], 1)
    before = client.get_metadata("a")
    client.set_metadata(["a", "b"], 2)
    assert before == {"b": 1}


def test_clients_of_one_cluster_share_it(client: Client) -> None:
    with Client(client.cluster) as other:
        other.set_metadata("x", 1)
        other.log_event("y", 2)
    assert client.get_metadata("x") == 1
    assert [event for _, event in client.get_events("y")] == [2]
    client.submit(lambda: get_client().set_metadata("z", 3), pure=False).result()
    assert client.get_metadata("z") == 3


def test_events_of_several_topics(client: Client) -> None:
    client.log_event(["one", "two"], {"x": 1})
    client.submit(lambda: get_worker().log_event("two", "in a task"), pure=False).result()
    assert [event for _, event in client.get_events("two")] == [{"x": 1}, "in a task"]
    assert set(client.get_events()) == {"one", "two"}
    assert client.get_events("none") == ()
    assert set(client.get_events()) == {"one", "two"}


def test_subscribers_are_told(client: Client) -> None:
    heard: queue.Queue[Any] = queue.Queue()

    async def coroutine(event: Any) -> None:
        heard.put(("coroutine", event[1]))

    with Client(client.cluster) as other:
        client.subscribe_topic("news", lambda event: heard.put(("function", event[1])))
        other.subscribe_topic("news", coroutine)
        client.log_event("news", 1)
        assert {heard.get(timeout=PATIENCE) for _ in range(2)} == {("function", 1), ("coroutine", 1)}
        client.unsubscribe_topic("news")
        client.log_event("news", 2)
        assert heard.get(timeout=PATIENCE) == ("coroutine", 2)
    with pytest.raises(ValueError, match="news"):
        client.unsubscribe_topic("news")
    assert heard.empty()


class Name:
    """A name whose hash and equality use the metadata themselves."""

    def __init__(self, client: Client, name: str) -> None:
        self.client, self.name = client, name

    def __hash__(self) -> int:
        self.client.set_metadata("hashed", self.client.get_metadata("hashed", 0) + 1)
        self.client.log_event("hashed", self.name)
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        self.client.get_events("hashed")
        return isinstance(other, Name) and self.name == other.name


def test_the_code_of_names_may_use_the_metadata(client: Client) -> None:
    client.set_metadata([Name(client, "outer"), Name(client, "inner")], 1)
    assert client.get_metadata([Name(client, "outer"), Name(client, "inner")]) == 1
    assert client.get_metadata([Name(client, "outer"), Name(client, "missing")], 0) == 0
    client.log_event([Name(client, "topic")], "logged")  # type: ignore[list-item]
    assert [event for _, event in client.get_events(Name(client, "topic"))] == ["logged"]  # type: ignore[arg-type]
    assert client.get_metadata("hashed") > 0
    client.cluster._notes.metadata.clear()
    client.cluster._notes.events.clear()


def test_many_threads_write_metadata_at_once(client: Client) -> None:
    def write(number: int) -> None:
        for at in range(50):
            client.set_metadata(["shared", number, at], at)
            client.log_event("written", number)
            client.get_metadata("shared")
            client.get_events()

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get_metadata("shared") == {number: {at: at for at in range(50)} for number in range(4)}
    assert len(client.get_events("written")) == 200
