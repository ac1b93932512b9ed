"""`annotate` and `span`: what is noted on tasks is on what they grow, and on nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import dask
import distributed
import pytest
from azolla import Client, annotate, get_annotations, get_client, span
from backends import Reason, threads_only
from conftest import Gate, Journal


def noted() -> dict[str, Any]:
    return get_annotations()


@threads_only(Reason.INTERFACE)
def test_tasks_have_what_was_noted_when_they_were_submitted(client: Client) -> None:
    with annotate(a=1):
        with annotate(a=2, b=3):
            both = client.submit(noted, pure=False)
        outer = client.map(lambda _: noted(), range(2))
    none = client.submit(noted, pure=False)
    assert [both.result(), *client.gather(outer), none.result()] == [{"a": 2, "b": 3}, {"a": 1}, {"a": 1}, {}]
    assert get_annotations() == {}


@threads_only(Reason.INTERFACE)
def test_what_a_task_grows_has_its_annotations(client: Client) -> None:
    def parent() -> list[dict[str, Any]]:
        with annotate(depth=1):
            child = get_client().submit(noted, pure=False)
        return [noted(), child.result()]

    async def coroutine() -> list[dict[str, Any]]:
        return [noted(), await get_client().submit(noted, pure=False)]

    with span("one"):
        first, second = client.submit(parent, pure=False), client.submit(coroutine, pure=False)
    for own, childs in (first.result(), second.result()):
        assert own["span"]["name"] == ("one",)
        assert childs["span"] == own["span"]
    assert first.result()[1]["depth"] == 1


@threads_only(Reason.INTERFACE)
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


@threads_only(Reason.INTERFACE)
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


@threads_only(Reason.INTERFACE)
def test_event_loops_keep_them_apart(client: Client) -> None:
    async def one(name: str) -> Any:
        with span(name):
            await asyncio.sleep(0)
            return (await client.submit(noted, pure=False))["span"]["name"]

    async def program() -> list[Any]:
        return await asyncio.gather(one("a"), one("b"))

    assert asyncio.run(program()) == [("a",), ("b",)]
