"""Datasets: published by one client, there for all, and held."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from types import MappingProxyType

import pytest
from azolla import Client, LocalCluster
from conftest import eventually

pytestmark = pytest.mark.own_cluster


def inc(x: int) -> int:
    return x + 1


def test_a_published_future_is_held_after_its_client_has_left() -> None:
    with LocalCluster(processes=False, threads_per_worker=1) as cluster:
        with Client(cluster) as one:
            one.publish_dataset([one.submit(inc, 1, pure=False), "as it is"], name="mine")
        gc.collect()
        with Client(cluster) as other:
            assert other.list_datasets() == ["mine"]
            future, text = other.get_dataset("mine")
            assert (future.result(), text, future.client is other) == (2, "as it is", True)
            other.unpublish_dataset("mine")
            del future
            eventually(lambda: other.counters()["kept"] == 0)


def test_a_name_that_is_taken(client: Client) -> None:
    client.publish_dataset(a=1, b=2)
    with pytest.raises(KeyError, match="Dataset b already exists"):
        client.publish_dataset({"c": 0, "b": 3})
    assert client.list_datasets() == ["a", "b"]
    client.publish_dataset(3, name="b", override=True)
    assert client.get_dataset("b") == 3
    client.unpublish_dataset("a")
    client.unpublish_dataset("never there")
    assert dict(client.datasets) == {"b": 3}


def test_what_is_not_there(client: Client) -> None:
    with pytest.raises(KeyError, match="Dataset 'no' not found"):
        client.get_dataset("no")
    with pytest.raises(KeyError, match="not found"):
        client.datasets["no"]
    assert client.get_dataset("no", default=None) is None
    with pytest.raises(ValueError, match="name"):
        client.publish_dataset(1)


def test_as_a_mapping(client: Client) -> None:
    client.datasets["x"] = client.submit(inc, 1)
    assert "x" in client.datasets
    assert (list(client.datasets), len(client.datasets), client.datasets["x"].result()) == (["x"], 1, 2)
    assert "x" in repr(client.datasets)
    del client.datasets["x"]
    assert len(client.datasets) == 0


def test_awaited() -> None:
    async def main() -> object:
        async with Client(processes=False, threads_per_worker=1, asynchronous=True) as client:
            await client.publish_dataset(x=client.submit(inc, 1))
            assert await client.list_datasets() == ["x"]
            future = await client.get_dataset("x")
            await client.unpublish_dataset("x")
            return await future

    assert asyncio.run(main()) == 2


def test_several_values_mappings_and_lists_of_names(client: Client) -> None:
    client.publish_dataset(1, 2, name="pair")
    client.publish_dataset(MappingProxyType({("a", 1): 3}), b=4)
    client.publish_dataset()
    assert client.list_datasets() == [("a", 1), "b", "pair"]
    assert client.get_dataset(["pair", "b", "no"], default=None) == [(1, 2), 4, None]
    client.unpublish_dataset([("a", 1), "b", "never there"])
    assert client.list_datasets() == ["pair"]
    with pytest.raises(ValueError, match="a value"):
        client.publish_dataset(name="alone")
    with pytest.raises(ValueError, match="mapping"):
        client.publish_dataset([1])
    with pytest.raises(ValueError, match="mapping"):
        client.publish_dataset({"x": 1}, {"y": 2})
    with pytest.raises(ValueError, match="twice"):
        client.publish_dataset({"x": 1}, x=2)


def test_the_mapping_of_an_asynchronous_client() -> None:
    async def main() -> None:
        async with Client(processes=False, threads_per_worker=1, asynchronous=True) as client:
            await client.publish_dataset(x=client.submit(inc, 1), y=3)
            assert await client.datasets["y"] == 3
            assert await (await client.datasets["x"]) == 2
            assert [name async for name in client.datasets] == ["x", "y"]
            blocking: list[Callable[[], object]] = [
                lambda: len(client.datasets),
                lambda: list(client.datasets),
                lambda: client.datasets.__setitem__("z", 1),
                lambda: client.datasets.__delitem__("x"),
                lambda: "x" in client.datasets,
            ]
            for ask in blocking:
                with pytest.raises(TypeError, match="asynchronous"):
                    ask()

    asyncio.run(main())


def test_the_mapping_of_a_blocking_client_is_not_iterated_by_async_for(client: Client) -> None:
    with pytest.raises(TypeError, match="synchronous"):
        aiter(client.datasets)
