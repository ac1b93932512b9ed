"""Keys of pure tasks, as `submit` and `map` make them. What goes into a digest is in `test_token.py`."""

from __future__ import annotations

import pickle
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azolla import Client, Future, tokenize

PURE = re.compile(r".*-[0-9a-f]{32}")


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(processes=False, threads_per_worker=1) as client:
        yield client


def identity(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def notebook(source: str, **names: Any) -> Any:
    """Evaluates an expression as a notebook would, where these names are global."""
    return eval(source, {"__name__": "__main__", **names})


PLACES = [
    "it",
    "[it]",
    "(it, 1)",
    "{'a': it}",
    "{it}",
    "{it: 1}",
    "__import__('types').SimpleNamespace(a=it)",
    "__import__('functools').partial(len, it)",
    "lambda: it",
    "lambda a=it: a",
    "(lambda a: lambda: a)(it)",
]


@pytest.mark.parametrize("place", PLACES)
def test_futures_count_by_their_keys_wherever_they_are(client: Client, place: str) -> None:
    def key(future: Future[int]) -> str:
        return client.submit(identity, notebook(place, it=future)).key

    one, two = client.scatter([1, 2])
    again = pickle.loads(pickle.dumps(one))
    assert again is not one
    assert PURE.fullmatch(key(one))
    assert key(one) == key(again)
    assert key(one) != key(two)


def test_keys_that_differ_in_their_types_are_different_inputs(client: Client) -> None:
    futures = client.scatter({1: "number", "1": "text", (1,): "tuple", b"1": "bytes"})
    results = {key: client.submit(identity, future).result() for key, future in futures.items()}
    assert results == {key: ((value,), {}) for key, value in client.gather(futures).items()}


def test_a_future_is_not_its_key_nor_its_value(client: Client) -> None:
    future = client.scatter({"one": 1})["one"]
    keys = {client.submit(identity, argument).key for argument in (future, "one", 1)}
    assert len(keys) == 3


def test_a_future_has_a_token_of_its_own(client: Client) -> None:
    one, two = client.scatter([1, 2])
    assert tokenize(one) == tokenize(pickle.loads(pickle.dumps(one)))
    assert tokenize(one) != tokenize(two)
    assert one.__dask_tokenize__() == ("azolla.Future", one.key, 0)


def test_map_gives_the_keys_of_single_submits(client: Client) -> None:
    it = client.scatter(1)
    function = notebook("lambda x, **more: (x, it)", it=it)
    for more in ({}, {"y": it}):
        mapped = client.map(function, range(3), **more)
        assert [future.key for future in mapped] == [client.submit(function, x, **more).key for x in range(3)]
        assert len({future.key for future in mapped}) == 3


def test_what_cannot_be_hashed_has_an_impure_key_and_is_no_error(client: Client) -> None:
    lock = threading.Lock()
    for function, argument in ((identity, lock), (lock.acquire, False)):
        one, two = client.submit(function, argument), client.submit(function, argument)
        assert not PURE.fullmatch(one.key)
        assert one.key != two.key


class Leaving:
    def __reduce_ex__(self, protocol: Any) -> Any:
        sys.exit(3)

    def __call__(self) -> None: ...


def test_what_must_reach_the_user_does(client: Client) -> None:
    with pytest.raises(SystemExit):
        client.submit(identity, Leaving())
    with pytest.raises(SystemExit):
        client.submit(Leaving())


def test_a_function_of_a_notebook_that_names_its_client_has_a_pure_key(client: Client) -> None:
    def key(client: Client) -> str:
        return client.submit(notebook("lambda x: client.submit(abs, x).result()", client=client), -1).key

    assert PURE.fullmatch(key(client))
    assert key(client) == key(client)
    with Client(processes=False, threads_per_worker=1) as other:
        assert key(other) != key(client)
