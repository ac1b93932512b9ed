"""Priorities: higher first, inherited by what a task grows, then older roots and deeper work first."""

from __future__ import annotations

import asyncio
import decimal
import fractions
from typing import Any

import pytest
from azolla import Client, get_client
from backends import Reason, threads_only
from conftest import Gate, Journal


def noted(client: Client, submissions: Any) -> list[Any]:
    """The order in which a client with one slot runs what `submissions(note)` submits."""
    order = Journal()
    gate = Gate()
    held = client.submit(gate.hold, priority=1e9, pure=False)
    gate.entered()
    futures = submissions(order.append)
    gate.open()
    client.gather([held, *futures])
    return order.entries()


def test_higher_first_then_first_come(one_slot: Client) -> None:
    def submit(note: Any) -> list[Any]:
        wanted = [("a", 0), ("b", 5), ("c", -1), ("d", 5), ("e", 0.5), ("f", None)]
        return [one_slot.submit(note, name, priority=priority, pure=False) for name, priority in wanted]

    assert "".join(noted(one_slot, submit)) == "bdeafc"


def test_anything_that_is_a_number(one_slot: Client) -> None:
    def submit(note: Any) -> list[Any]:
        numbers = [-float("inf"), True, decimal.Decimal("2.5"), fractions.Fraction(3, 2), float("inf"), -7, 10**6]
        return [one_slot.submit(note, number, priority=number, pure=False) for number in numbers]

    order = noted(one_slot, submit)
    assert order == sorted(order, reverse=True)
    assert len(order) == 7


@pytest.mark.parametrize("priority", ["high", "1", [], (1, 2), object(), {}])
def test_what_is_no_number(client: Client, priority: object) -> None:
    with pytest.raises(TypeError, match="priority must be a number"):
        client.submit(abs, 1, priority=priority)
    with pytest.raises(TypeError, match="priority must be a number"):
        client.map(abs, [1], priority=priority)


def test_nan(client: Client) -> None:
    with pytest.raises(ValueError, match="NaN"):
        client.submit(abs, 1, priority=float("nan"))


def test_map_gives_it_to_each(one_slot: Client) -> None:
    def submit(note: Any) -> list[Any]:
        return [
            *one_slot.map(note, "ab", pure=False),
            *one_slot.map(note, "cd", priority=1, pure=False),
        ]

    assert "".join(noted(one_slot, submit)) == "cdab"


def grow(note: Any, name: str, priority: Any = None) -> list[Any]:
    client = get_client()
    return [client.submit(note, f"{name}{number}", priority=priority, pure=False) for number in range(2)]


async def grow_async(note: Any, name: str, priority: Any = None) -> list[Any]:
    await asyncio.sleep(0)
    return grow(note, name, priority)


@pytest.mark.parametrize("function", [grow, grow_async])
def test_children_inherit(one_slot: Client, function: Any) -> None:
    gate = Gate()
    order = Journal()

    def submit() -> list[Any]:
        low = one_slot.submit(function, order.append, "low", priority=-5, pure=False)
        high = one_slot.submit(function, order.append, "high", priority=5, pure=False)
        zero = one_slot.submit(function, order.append, "zero", 0, priority=7, pure=False)
        return [low, high, zero]

    parents = submit()
    grown = one_slot.gather(parents)
    for children in grown:
        one_slot.gather(children)
    # What counts is a fixed order: all are queued behind one that holds the slot.
    order.clear()
    held = one_slot.submit(gate.hold, priority=1e9, pure=False)
    gate.entered()
    middle = one_slot.submit(order.append, "middle", priority=1, pure=False)
    parents = submit()
    gate.open()
    for children in one_slot.gather(parents):
        one_slot.gather(children)
    one_slot.gather([held, middle])
    if function is grow:
        assert order == ["high0", "high1", "middle", "zero0", "zero1", "low0", "low1"]
    else:
        assert [name for name in order if name[:3] in ("hig", "low")] == ["high0", "high1", "low0", "low1"]


def test_grandchildren_inherit_too(one_slot: Client) -> None:
    order = Journal()

    def parent() -> Any:
        return get_client().submit(grow, order.append, "deep", pure=False)

    gate = Gate()
    held = one_slot.submit(gate.hold, priority=1e9, pure=False)
    gate.entered()
    middle = one_slot.submit(order.append, "middle", priority=1, pure=False)
    root = one_slot.submit(parent, priority=3, pure=False)
    gate.open()
    one_slot.gather(one_slot.gather(one_slot.gather(root)))
    one_slot.gather([held, middle])
    assert order == ["deep0", "deep1", "middle"]


@threads_only(Reason.FRAMES)
def test_what_an_older_root_grew_comes_before_newer_roots(one_slot: Client) -> None:
    order = Journal()
    alive: list[Any] = []

    def node(name: str, depth: int) -> None:
        order.append(name)
        if depth:
            client = get_client()
            alive.extend(client.submit(node, f"{name}{number}", depth - 1, pure=False) for number in "01")

    gate = Gate()
    held = one_slot.submit(gate.hold, priority=1e9, pure=False)
    gate.entered()
    roots = [one_slot.submit(node, name, 2, pure=False) for name in "ab"]
    gate.open()
    one_slot.gather([held, *roots])
    while any(not future.done() for future in alive):
        one_slot.gather(list(alive))
    assert len(order) == 14
    # Depth first at every level, an older root's whole tree before a newer root.
    assert order == ["a", "a0", "a00", "a01", "a1", "a10", "a11", "b", "b0", "b00", "b01", "b1", "b10", "b11"]
    alive.clear()


@threads_only(Reason.FRAMES)
def test_no_task_begins_while_one_of_higher_priority_is_ready(one_slot: Client) -> None:
    # Tasks are claimed in batches: one that outranks the rest of a batch goes first all the same.
    order = Journal()
    one_slot.gather(one_slot.map(lambda _: None, range(2_000), pure=False))
    children: list[Any] = []

    def low(number: int) -> None:
        order.append(f"low{number}")
        if number % 10 == 0:
            children.append(get_client().submit(order.append, f"high{number}", priority=1, pure=False))

    one_slot.gather(one_slot.map(low, range(200), pure=False))
    one_slot.gather(list(children))
    entries = order.entries()
    for number in range(0, 200, 10):
        assert entries.index(f"high{number}") == entries.index(f"low{number}") + 1
    children.clear()


def test_a_submit_that_finds_its_task_leaves_it_in_its_place(one_slot: Client) -> None:
    def submit(note: Any) -> list[Any]:
        names = [one_slot.submit(note, name, key=name, pure=False) for name in "abc"]
        return [*names, one_slot.submit(note, "c", key="c", priority=10, pure=False)]

    assert noted(one_slot, submit) == ["a", "b", "c"]


def test_what_a_task_needs_keeps_its_own_priority(one_slot: Client) -> None:
    def submit(note: Any) -> list[Any]:
        first, needed = one_slot.submit(note, "first", pure=False), one_slot.submit(note, "needed", pure=False)
        after = one_slot.submit(lambda _, needed: note("after"), "after", needed, priority=10, pure=False)
        return [first, needed, after]

    assert noted(one_slot, submit) == ["first", "needed", "after"]
