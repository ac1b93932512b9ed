"""`annotate` and `span`: what is noted on tasks is on what they grow, and on nothing else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import dask
import distributed
import pytest
from azolla import Client, annotate, get_annotations, get_client, span
from conftest import Gate, Journal


def noted() -> dict[str, Any]:
    return get_annotations()


def test_tasks_have_what_was_noted_when_they_were_submitted(client: Client) -> None:
    with annotate(a=1):
        with annotate(a=2, b=3):
            both = client.submit(noted, pure=False)
        outer = client.map(lambda _: noted(), range(2))
    none = client.submit(noted, pure=False)
    assert [both.result(), *client.gather(outer), none.result()] == [{"a": 2, "b": 3}, {"a": 1}, {"a": 1}, {}]
    assert get_annotations() == {}


def test_what_a_task_grows_has_its_annotations(client: Client) -> None:
    def parent() -> list[dict[str, Any]]:
        with annotate(depth=1):
            child = get_client().submit(noted, pure=False)
        return [noted(), child.result(), get_client().submit(noted, pure=False).result()]

    with span("one"):
        own, childs, others = client.submit(parent, pure=False).result()
    assert own["span"]["name"] == ("one",)
    assert others == own
    assert childs == {**own, "depth": 1}


def test_what_a_coroutine_grows_has_its_annotations(client: Client) -> None:
    async def coroutine() -> list[dict[str, Any]]:
        return [noted(), await get_client().submit(noted, pure=False)]

    with span("one"):
        own, childs = client.submit(coroutine, pure=False).result()
    assert own["span"]["name"] == ("one",)
    assert childs == own


def test_a_coroutine_has_its_annotations_too(client: Client) -> None:
    async def coroutine() -> dict[str, Any]:
        await asyncio.sleep(0)
        return noted()

    with annotate(a=1):
        futures = client.map(coroutine_of, range(3), [coroutine] * 3, pure=False)
    assert client.gather(futures) == [{"a": 1}] * 3
    assert client.submit(coroutine, pure=False).result() == {}


async def coroutine_of(_: int, function: Any) -> Any:
    return await function()


def test_futures_in_annotations_keep_their_tasks(client: Client) -> None:
    def read() -> int:
        result: int = get_annotations()["of"].result()
        return result

    def parent() -> int:
        with annotate(of=get_client().submit(abs, -2, pure=False)):
            child = get_client().submit(read, pure=False).result()
        return child + read()

    with annotate(of=client.submit(abs, -1, pure=False)):
        one, grown = client.submit(read, pure=False), client.submit(parent, pure=False)
    assert (one.result(), grown.result()) == (1, 3)


def test_what_a_task_keeps_for_itself_its_children_do_not_take() -> None:
    """On one worker with one GPU they would wait for it for ever."""

    def parent() -> list[Any]:
        child = get_client().submit(noted, pure=False)
        with annotate(other=1):
            return [noted(), child.result(), get_client().submit(noted, pure=False).result()]

    for processes in (False, True):
        options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
        with (
            Client(processes=processes, resources={"GPU": 1}, **options) as client,
            annotate(resources={"GPU": 1}, workers=[0]),
        ):
            for found in client.submit(parent, pure=False).result(timeout=60):
                assert (found["resources"], found["workers"]) == ({"GPU": 1}, [0])


def test_what_cannot_travel_is_an_error_at_the_submit() -> None:
    with (
        Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client,
        annotate(lock=threading.Lock()),
        pytest.raises(TypeError, match="cannot pickle") as raised,
    ):
        client.submit(noted)
    assert any("its annotations" in note for note in raised.value.__notes__)


def test_spans(client: Client) -> None:
    with span("a") as outer, span("b", "c") as inner:
        found = client.submit(noted, pure=False).result()["span"]
    assert found["name"] == ("a", "b", "c")
    assert (found["ids"][0], found["ids"][2]) == (outer, inner)
    assert len(set(found["ids"])) == 3
    with span("a") as another:
        assert another != outer
    with pytest.raises(ValueError, match="one tag or more"), span():
        pass


def test_dasks_own_count_too(client: Client) -> None:
    with dask.annotate(a=1), annotate(b=2), distributed.span("s"):
        found = client.submit(noted, pure=False).result()
        assert client.submit(dask.get_annotations, pure=False).result() == found
    assert (found["a"], found["b"], found["span"]["name"]) == (1, 2, ("s",))
    with dask.annotate(x=1), annotate(x=2), dask.annotate(x=3):
        assert get_annotations() == {"x": 3}
    with span("azolla's"), distributed.span("dask's"):
        assert get_annotations()["span"]["name"] == ("azolla's", "dask's")


def test_a_noted_priority_and_retries_count(one_slot: Client, gate: Gate) -> None:
    order = Journal()
    held = one_slot.submit(gate.hold)
    gate.entered()
    plain = one_slot.submit(order.append, "plain", pure=False)
    with annotate(priority=10):
        urgent = one_slot.submit(order.append, "urgent", pure=False)
        given = one_slot.submit(order.append, "given", priority=-1, pure=False)
    gate.open()
    one_slot.gather([held, plain, urgent, given])
    assert order == ["urgent", "plain", "given"]
    tries = Journal()

    def third_time_lucky() -> int:
        tries.append(1)
        assert len(tries) > 2
        return len(tries)

    with annotate(retries=2):
        assert one_slot.submit(third_time_lucky, pure=False).result() == 3
    tries.clear()
    with annotate(retries=2):
        assert one_slot.submit(third_time_lucky, retries=0, pure=False).exception() is not None


def test_what_is_noted_wrongly(client: Client) -> None:
    with pytest.raises(TypeError, match="priority"), annotate(priority="high"):
        pass
    with pytest.raises(TypeError, match="retries"), annotate(retries=1.5):
        pass
    with dask.annotate(priority=lambda key: 1), pytest.raises(TypeError, match="priority must be a number"):
        client.submit(noted)
    with annotate(retries=-1), pytest.raises(ValueError, match="retries"):
        client.submit(noted)


def test_event_loops_keep_them_apart(client: Client) -> None:
    async def one(name: str) -> Any:
        with span(name):
            await asyncio.sleep(0)
            return (await client.submit(noted, pure=False))["span"]["name"]

    async def program() -> list[Any]:
        return await asyncio.gather(one("a"), one("b"))

    assert asyncio.run(program()) == [("a",), ("b",)]
