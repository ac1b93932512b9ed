"""Dask's collections within tasks: they compute on the task's client, and what they become travels as all else does."""

from __future__ import annotations

import gc
from operator import add
from typing import Any

import dask
import dask.array as da
import dask.bag as db
from azolla import Client, Future, as_completed, futures_of, get_client, get_worker, wait
from conftest import Journal
from dask._task_spec import Task, TaskRef


def name(_: Any = None) -> str:
    """Returns the name of the task in which this is called; outside tasks it is an error."""
    return str(get_worker().get_current_task()).rpartition("-")[0].split("-")[0]


def test_they_compute_on_the_tasks_client_by_themselves(one_slot: Client) -> None:
    def computes(n: int) -> Any:
        total = da.ones(n, chunks=2).sum()
        # In threads of Dask's own there is no task.
        return int(total.compute()), dask.compute(dask.delayed(name)(1), total)

    assert one_slot.submit(computes, 6).result() == (6, ("name", 6))


def test_by_the_methods_of_the_client(one_slot: Client) -> None:
    def computes(n: int) -> Any:
        client, total = get_client(), da.ones(n, chunks=2).sum()
        future, both = client.compute(total), client.compute([total, total + 1], sync=True)
        graph = {"x": [1, 2], "y": (sum, "x"), "z": (abs, "y")}
        return int(future.result()), [int(one) for one in both], client.get(graph, ["z", ["x", "y"]])

    assert one_slot.submit(computes, 6).result() == (6, [6, 7], [3, [[1, 2], 3]])


def test_persisted_ones_travel_and_are_computed_once(client: Client) -> None:
    def persists(n: int) -> Any:
        array = da.ones(n, chunks=2, name="theirs").persist()
        wait(array)
        return array + 1

    def grows(array: Any) -> Any:
        futures = futures_of(array)
        return len(list(as_completed(futures))), int(array.sum().compute())

    array = client.submit(persists, 6).result()
    assert len(futures_of(array)) == 3 and all(future.done() for future in futures_of(array))
    assert int(array.sum().compute()) == 12
    assert client.submit(grows, array).result() == (3, 12)


def test_futures_are_inputs_of_what_is_computed(client: Client) -> None:
    def computes(n: int) -> Any:
        client = get_client()
        future = client.submit(abs, -n)
        bag = db.from_sequence([1, 2], npartitions=2)
        there = client.get({"y": (sum, [future, 1])}, "y")
        return dask.delayed(sum)([future, 1]).compute(), there, client.persist(bag).compute()

    assert client.submit(computes, 4).result() == (5, 5, [1, 2])


def test_tasks_are_found_by_their_keys(client: Client) -> None:
    def computes() -> Any:
        client = get_client()
        future = client.submit(abs, -3, key="three")
        seven = client.get({"seven": Task("seven", add, TaskRef("three"), 4)}, "seven", sync=False)
        return future.result(), seven.key, seven.result()

    assert client.submit(computes).result() == (3, "seven", 7)


def test_errors_are_those_of_the_graph(client: Client) -> None:
    def error(key: str) -> str:
        try:
            return str(get_client().get({"x": (int, "seven")}, key))
        except (ValueError, KeyError) as error:
            return repr(error)
        finally:
            gc.collect()  # the error's traceback leads to frames that have the futures

    assert "invalid literal" in client.submit(error, "x").result()
    assert client.submit(error, "y").result() == "KeyError('y')"


def test_keys_may_be_any(client: Client) -> None:
    def puts() -> Any:
        client, key = get_client(), ("x", 0)
        future = client.scatter({key: "put"})[key]
        made = client.get({("y", 1): [1, 2]}, [("y", 1)], sync=False)
        found = Future(key, client)
        return future, found.result(), found.key, made[0].key, made

    future, *rest, made = client.submit(puts, pure=False).result()
    assert (rest, future.key, future.result()) == (["put", ("x", 0), ("y", 1)], ("x", 0), "put")
    assert (made[0].key, made[0].result()) == (("y", 1), [1, 2])


def test_annotations_reach_the_tasks_of_a_graph(client: Client, journal: Journal) -> None:
    def unsteady(journal: Journal) -> int:
        journal.append("tried")
        if len(journal) < 3:
            raise ValueError
        return len(journal)

    def computes(journal: Journal) -> Any:
        with dask.annotate(retries=2):
            value = dask.delayed(unsteady, pure=False)(journal)
        return value.compute(optimize_graph=False)

    assert client.submit(computes, journal).result() == 3
