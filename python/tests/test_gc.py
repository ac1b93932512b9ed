"""The garbage collector at threshold 1, from four threads: no deadlock, and nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from collections.abc import Callable
from typing import Any

import gc_scenarios
import processes
import pytest
from azolla import Client, wait
from backends import Reason, threads_only

#: What each thread does so many times; GC_ROUNDS=500 to be thorough.
ROUNDS = os.environ.get("GC_ROUNDS", "15")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", gc_scenarios.SCENARIOS)
def test_gc(name: str) -> None:
    ended = processes.run("gc_scenarios.py", name, ROUNDS, limit=300)
    assert ended.code == 0, ended.stderr
    assert ended.stderr == ""


class Parts(list[Any]):
    """A list that can be known weakly."""


def raises(parts: Parts) -> Any:
    error = ValueError("with parts")
    error.parts = parts  # type: ignore[attr-defined]
    raise error


async def returns_later(parts: Parts) -> Parts:
    await asyncio.sleep(0)
    return parts


@pytest.mark.parametrize("function", [lambda parts: parts, raises, returns_later])
def test_a_future_that_leads_back_to_itself_is_collected(client: Client, function: Callable[..., Any]) -> None:
    parts = Parts()
    future = client.submit(function, parts, pure=False)
    parts.append(future)  # its result, or its error, holds the future
    wait([future])
    client.submit(int).result()  # the worker has let go of it, too
    known = weakref.ref(parts)
    del parts, future
    for _ in range(100):
        gc.collect()
        if known() is None:
            break
        client.submit(int, pure=False).result()
    assert known() is None


@threads_only(Reason.THREADS)
def test_a_future_on_a_number_is_out_of_the_collectors_sight_and_another_on_it_is_not(client: Client) -> None:
    future = client.submit(abs, -7)
    assert not gc.is_tracked(future)
    assert future.result() == 7
    assert not gc.is_tracked(future)
    assert gc.is_tracked(client.submit(abs, -7))
    listed = client.submit(lambda: [7], pure=False)
    wait([listed])
    assert gc.is_tracked(listed)
