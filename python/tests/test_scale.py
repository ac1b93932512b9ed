"""Many tasks, and what is left of them: nothing."""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import Any

import processes
import pytest
from azolla import Client, as_completed
from conftest import eventually, nothing_is_kept


def nothing(_: object) -> None:
    pass


def inc(x: int) -> int:
    return x + 1


def test_two_hundred_thousand(client: Client) -> None:
    futures = client.map(nothing, range(200_000))
    assert client.gather(futures) == [None] * 200_000
    assert client.counters()["kept"] == 200_000
    del futures
    eventually(lambda: nothing_is_kept(client))


def test_the_memory_of_two_hundred_thousand_comes_back() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_info"):
        pytest.skip("only glibc says what it has given")
    ended = processes.run("memory_scenario.py", PYTHONMALLOC="malloc")
    assert ended.code == 0, ended.stderr


def test_two_hundred_thousand_impure(client: Client) -> None:
    futures = client.map(nothing, range(200_000), pure=False)
    del futures
    eventually(lambda: nothing_is_kept(client))


def test_as_completed_over_many_grown_as_it_goes(client: Client) -> None:
    endings = as_completed(client.map(inc, [0] * 100, pure=False))
    total = 0
    for future in endings:
        total += 1
        value: Any = future.result()
        if value < 200:
            endings.add(client.submit(inc, future, pure=False))
    assert total == 100 * 200


def test_a_wide_fan_in_and_out(client: Client) -> None:
    source = client.submit(inc, 0)
    middle = [client.submit(lambda x, n: x + n, source, number, pure=False) for number in range(20_000)]
    assert client.submit(sum, middle).result() == 20_000 + sum(range(20_000))


def test_a_deep_chain_that_is_dropped(client: Client) -> None:
    future = client.submit(inc, 0)
    for _ in range(50_000):
        future = client.submit(inc, future, pure=False)
    del future
    eventually(lambda: nothing_is_kept(client))


def test_clients_come_and_go() -> None:
    for _ in range(30):
        with Client(processes=False, threads_per_worker=2) as client:
            assert client.gather(client.map(inc, range(10))) == list(range(1, 11))
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
