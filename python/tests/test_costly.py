"""Pure functions that name large values: what is too large is not looked at, and the user is told what takes long."""

from __future__ import annotations

import logging
import tracemalloc
from typing import Any

import numpy as np
import pytest
from azolla import Client

OBJECTS = np.array([str(number) for number in range(300_000)], dtype=object)
WORDS = tuple(frozenset(range(start, start + 4_000)) for start in range(0, 80_000, 4_000))


def names_objects(value: int) -> int:
    return value + len(OBJECTS)


def names_words(value: int) -> bool:
    return any(value in words for words in WORDS)


# As in a notebook: what these name is part of what they are.
names_objects = type(names_objects)(names_objects.__code__, {"OBJECTS": OBJECTS, "__name__": "__main__"})
names_words = type(names_words)(names_words.__code__, {"WORDS": WORDS, "__name__": "__main__"})


def test_what_is_too_large_is_not_taken_apart(client: Client) -> None:
    client.submit(names_objects, 0).result()
    tracemalloc.start()
    try:
        future = client.submit(names_objects, 1)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert future.result() == 300_001
    assert most < 8 * len(OBJECTS) / 2, "a list of all that is in it was made"


def test_a_user_is_told_once_of_a_function_that_takes_longer_to_hash_than_to_run(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[Any]:
        return [record for record in caplog.records if "to hash names_words takes" in record.message]

    with caplog.at_level(logging.WARNING):
        for number in range(40):
            assert client.submit(names_words, number).result() is True
    assert len(told()) == 1


def test_nothing_is_said_of_what_is_not_slow(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    names: dict[str, Any] = {"__name__": "__main__", "data": None}
    exec("def names_new_data(): return data[0]", names)
    with caplog.at_level(logging.WARNING):
        for number in range(70):
            names["data"] = (number,) * 100_000 if number % 2 else str(number) * 100_000
            assert client.submit(names["names_new_data"]).result() is not None
    assert not [record for record in caplog.records if "to hash" in record.message]
