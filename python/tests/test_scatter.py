"""`Client.scatter`: futures on data that is there."""

from __future__ import annotations

import asyncio
from collections import namedtuple

import pytest
from azolla import Client
from backends import Reason, threads_only

Point = namedtuple("Point", "x y")


def test_lists_tuples_and_sets_fan_out(client: Client) -> None:
    for data in ([1, 2], (1, 2), Point(1, 2), {1, 2}, frozenset([1, 2])):
        futures = client.scatter(data)
        assert type(futures) is type(data)
        assert client.gather(futures) == data


def test_a_dictionarys_keys_become_the_futures(client: Client) -> None:
    futures = client.scatter({"a": 1, ("b", 0): [2]})
    assert {name: future.key for name, future in futures.items()} == {"a": "a", ("b", 0): ("b", 0)}
    assert client.gather(futures) == {"a": 1, ("b", 0): [2]}


class Several(dict[str, int]):
    """A class of its own, which a container of futures would not be."""


@pytest.mark.parametrize("value", [5, "text", None, Several(a=1), b"bytes"], ids=str)
def test_anything_else_is_one_value(client: Client, backend: str, value: object) -> None:
    future = client.scatter(value)
    assert future.result() == value
    assert future.type is type(value)
    again = client.scatter(value, hash=False).result()
    assert again is value or (backend == "processes" and again == value)


def test_a_hashed_key_stands_for_what_the_container_held(client: Client) -> None:
    value = Several(a=1)
    future = client.scatter(value)
    value["a"] = 2
    assert future.result() == {"a": 1}
    assert client.scatter(value).result() == {"a": 2}


def test_an_iterator_fans_out_as_a_list(client: Client) -> None:
    futures = client.scatter(iter([1, 2]))
    assert type(futures) is list
    assert client.gather(futures) == [1, 2]


def test_it_is_there_at_once(client: Client) -> None:
    future = client.scatter(5)
    assert future.status == "finished"
    assert future.done()
    assert future.result(timeout=0) == 5
    assert str(future.key).startswith("int-")


def test_equal_data_shares_a_key_unless_told_not_to(client: Client) -> None:
    first, second = client.scatter(5), client.scatter(5)
    assert first.key == second.key
    assert client.scatter(5, hash=False).key != first.key
    assert client.scatter(True).key != client.scatter(1).key


@threads_only(Reason.OBJECTS)
def test_the_value_is_not_copied(client: Client) -> None:
    value = [1, 2]
    [future] = client.scatter([value], hash=False)
    assert client.submit(lambda x: x, future).result() is value


def test_as_an_input(client: Client) -> None:
    assert client.submit(sum, client.scatter([1, 2, 3])).result() == 6
    assert client.submit(sum, client.scatter({"k": [1, 2]})["k"]).result() == 3


def test_broadcast_and_direct_are_taken(client: Client) -> None:
    assert client.scatter(1, broadcast=True, direct=True, timeout=3).result() == 1


def test_a_bad_key(client: Client) -> None:
    with pytest.raises(TypeError, match="key"):
        client.scatter({None: 1})


def test_it_goes_with_its_futures(client: Client) -> None:
    futures = client.scatter(list(range(100)))
    assert client.counters()["kept"] == 100
    del futures
    assert client.counters()["kept"] == 0


def test_it_can_be_cancelled(client: Client) -> None:
    future = client.scatter(5)
    future.cancel()
    assert future.status == "cancelled"
    assert client.scatter(5).result() == 5


def test_awaitable_when_asked(client: Client) -> None:
    async def run() -> int:
        future = await client.scatter(5, asynchronous=True)
        return await future

    assert asyncio.run(run()) == 5
    assert client.sync(client.scatter, [1])[0].result() == 1
