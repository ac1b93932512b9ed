"""Pure functions that name large values: what is too large is not looked at, and the user is told what takes long."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azolla import Client
from conftest import Gate, eventually

#: Enough to be looked at for the time that its hashing takes.
WORDS = frozenset(range(4_000))


#: What memory a submit takes. It is a program of its own: CPython 3.11 may crash where tracing is stopped while other
#: threads are at work (https://github.com/python/cpython/issues/128679).
TRACED = """
import tracemalloc
import numpy as np
from azolla import Client

OBJECTS = np.array([str(number) for number in range(300_000)], dtype=object)

def names_objects(value):
    return value + len(OBJECTS)

with Client(processes=False, threads_per_worker=1) as client:
    client.submit(names_objects, 0).result()
    tracemalloc.start()
    future = client.submit(names_objects, 1)
    _, most = tracemalloc.get_traced_memory()
    assert future.result() == 300_001
    print(most, len(OBJECTS))
"""


def test_what_is_too_large_is_not_taken_apart() -> None:
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    most, objects = map(int, done.stdout.split())
    assert most < 8 * objects / 2, "a list of all that is in it was made"


VALUE: Any = ()


def counts(value: int) -> int:
    return value + len(VALUE)


def key_of(client: Client, value: Any) -> Any:
    # As in a notebook: what it names is part of what it is.
    names = type(counts)(counts.__code__, {"VALUE": value, "__name__": "__main__"})
    return client.submit(names, 1).key


@pytest.mark.parametrize("made", [list, tuple, lambda numbers: {number: number for number in numbers}, bytes])
def test_what_a_function_names_counts_up_to_a_size(client: Client, made: Any) -> None:
    little, much = (made(bytes(size)) if made is bytes else made(range(size)) for size in (1_000, 2_000_000))
    assert key_of(client, little) == key_of(client, little)
    assert key_of(client, much) != key_of(client, much)


def work() -> int:
    """Takes more than the millisecond below which nothing is said."""
    return sum(range(300_000))


class Paced:
    """A value whose hashing is work, and goes on until the test ends it. So the test says what takes longer: no clock does."""

    def __init__(self) -> None:
        self.paced = False
        self.gate = Gate()

    def __dask_tokenize__(self) -> str:
        work()
        return self.gate.hold("paced") if self.paced else "paced"


def told(caplog: pytest.LogCaptureFixture) -> int:
    return sum("to hash" in record.message for record in caplog.records)


@pytest.mark.own_cluster
def test_a_user_is_told_once_of_a_function_whose_hashing_outlasts_its_task(
    one_slot: Client, backend: str, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    pace = Paced()
    names: dict[str, Any] = {"WORDS": WORDS, "PACE": pace, "work": work, "__name__": "__main__"}
    # A function of this name that has been told of is not told of again.
    exec(f"def hashed_for_long_on_{backend}(n): return WORDS and PACE and work()", names)
    function = names[f"hashed_for_long_on_{backend}"]
    blocker = one_slot.submit(gate.hold, pure=False)
    gate.entered()
    task = one_slot.submit(function, 0)
    pace.paced = True
    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(4) as threads:
        hashing = [threads.submit(one_slot.submit, function, n) for n in range(1, 5)]
        pace.gate.entered(4)
        gate.open()
        assert task.result() == work()
        eventually(lambda: one_slot.counters()["settled"] == 2)
        assert told(caplog) == 0
        pace.gate.open()
        one_slot.gather([future.result() for future in hashing])
        for n in range(5, 40):
            one_slot.submit(function, n).result()
    assert told(caplog) == 1
    blocker.result()


def test_nothing_is_said_where_the_task_outlasts_the_hashing(
    one_slot: Client, caplog: pytest.LogCaptureFixture
) -> None:
    pace = Paced()
    names: dict[str, Any] = {"WORDS": WORDS, "PACE": pace, "__name__": "__main__"}
    exec("def runs_for_long(n): return PACE.gate.hold(len(WORDS))", names)
    with caplog.at_level(logging.WARNING):
        task = one_slot.submit(names["runs_for_long"], 0)
        pace.gate.entered()
        meanwhile = [one_slot.submit(names["runs_for_long"], n) for n in range(1, 8)]
        one_slot.cancel(meanwhile)
        pace.gate.open()
        assert task.result() == len(WORDS)
        eventually(lambda: one_slot.counters()["live"] == 0)
        assert one_slot.submit(names["runs_for_long"], 8).result() == len(WORDS)
    assert told(caplog) == 0


def test_nothing_is_said_of_what_is_not_slow(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    names: dict[str, Any] = {"__name__": "__main__", "data": None}
    exec("def names_new_data(): return data[0]", names)
    with caplog.at_level(logging.WARNING):
        for number in range(70):
            names["data"] = (number,) * 100_000 if number % 2 else str(number) * 100_000
            assert client.submit(names["names_new_data"]).result() is not None
    assert told(caplog) == 0
