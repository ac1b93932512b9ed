"""Keys name one task each: text that differs in any place is another key."""

import contextlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from azolla import Client, Future, get_client


def shout(text: str) -> str:
    return text.upper()


HASH = "0123456789abcdef" * 2


def test_keys_that_end_in_one_digest_are_two_tasks(client: Client) -> None:
    load = client.submit(int, "1", key=f"load-{HASH}")
    train = client.submit(int, "2", key=f"train-{HASH}")
    assert client.gather([load, train]) == [1, 2]
    assert client.gather(client.map(abs, [-1, -2], key=[f"a-{HASH}", f"b-{HASH}"])) == [1, 2]
    assert client.gather(client.scatter({f"c-{HASH}": 1, f"d-{HASH}": 2})) == {f"c-{HASH}": 1, f"d-{HASH}": 2}


@pytest.mark.parametrize("pure", [True, False])
def test_a_key_made_of_a_tasks_key_is_another_key(client: Client, pure: bool) -> None:
    first = client.submit(shout, "fern", pure=pure)
    after = client.submit(len, first, key="post-" + first.key)
    assert client.gather([first, after]) == ["FERN", 4]
    assert client.gather(client.map(len, [first], key=["post-post-" + first.key])) == [4]
    assert client.gather(client.scatter({"more-" + first.key: 7})) == {"more-" + first.key: 7}


@pytest.mark.parametrize("pure", [True, False])
def test_a_tasks_own_key_finds_it(client: Client, pure: bool) -> None:
    first = client.submit(shout, "moss", pure=pure)
    assert Future(first.key, client).result() == "MOSS"
    assert client.submit(len, "anything", key=first.key).result() == "MOSS"
    assert client.gather(client.map(len, ["other", "more"], key=[first.key, "free"])) == ["MOSS", 4]
    assert client.scatter({first.key: 7})[first.key].result() == "MOSS"


@pytest.mark.parametrize("pure", [True, False])
def test_a_future_on_another_key_is_lost(client: Client, pure: bool) -> None:
    first = client.submit(shout, "duckweed", pure=pure)
    digest = first.key.removeprefix("shout-")
    assert Future("other-" + digest, client).status == "lost"


def test_a_key_that_reads_as_a_gone_tasks_is_a_key_all_the_same(client: Client) -> None:
    gone = client.submit(shout, "azolla", pure=False)
    gone.result()
    key = gone.key
    del gone
    again = client.submit(int, "1", key=key)
    assert client.submit(int, "2", key=key).result() == 1
    assert again.result() == 1


def test_texts_that_are_no_unicode_are_different_keys(client: Client) -> None:
    texts = ["\ud800", "\ud801", "\ufffd", f"\ud800-{HASH}", f"\udfff-{HASH}", f"\ufffd-{HASH}"]
    futures = [client.submit(int, str(number), key=text) for number, text in enumerate(texts)]
    assert client.gather(futures) == list(range(6))
    assert [Future(text, client).result() for text in texts] == list(range(6))


def test_scattered_values_and_calls_of_one_digest_are_apart(client: Client) -> None:
    data = client.scatter(np.arange(3))
    other = client.submit(int, "5", key="sum-" + data.key.rpartition("-")[2])
    assert other.result() == 5
    assert data.result().tolist() == [0, 1, 2]


def test_the_graph_of_a_collection_has_a_task_for_each_of_its_names(client: Client) -> None:
    graph = {f"x-{HASH}": 1, f"y-{HASH}": (lambda x: x + 1, f"x-{HASH}")}
    assert client.get(graph, [f"x-{HASH}", f"y-{HASH}"]) == [1, 2]


def unravelled(array: Any) -> list[float]:
    return array.ravel(order="K").tolist()


def test_arrays_that_lie_otherwise_in_memory_are_other_arguments(client: Client) -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    columns = np.asfortranarray(rows)
    assert client.submit(unravelled, rows).result() == [1, 2, 3, 4]
    assert client.submit(unravelled, columns).result() == [1, 3, 2, 4]
    large = np.zeros((200, 200))
    assert client.submit(unravelled, large).key != client.submit(unravelled, np.asfortranarray(large)).key
    fields = np.zeros((2, 2), dtype=[("a", "i4")])
    assert client.submit(id, fields).key != client.submit(id, np.asfortranarray(fields)).key


def writeable(array: Any) -> bool:
    with contextlib.suppress(AttributeError):
        return bool(array.flags.writeable)
    return not array.readonly


def test_what_may_be_written_to_is_another_argument(client: Client) -> None:
    free, locked = np.zeros(3), np.zeros(3)
    locked.flags.writeable = False
    assert client.gather([client.submit(writeable, free), client.submit(writeable, locked)]) == [True, False]
    views = [memoryview(bytearray(3)), memoryview(bytes(3))]
    assert client.gather([client.submit(writeable, view) for view in views]) == [True, False]


@dataclass
class Settings:
    rate: Any
    shared: ClassVar[Any] = None


def read(settings: Settings) -> tuple[Any, Any, bool]:
    return settings.rate, type(settings).shared, "shared" in vars(settings)


def test_a_class_variable_is_no_field(client: Client) -> None:
    future = client.submit(int, "3")
    Settings.shared = [future]
    try:
        rate, shared, copied = client.submit(read, Settings(future), pure=False).result()
    finally:
        Settings.shared = None
    assert rate == 3
    assert shared[0] is future
    assert not copied


def test_a_task_finds_by_the_key_it_was_given(client: Client) -> None:
    def outer() -> int:
        inner = get_client().submit(int, "4", key=f"inner-{HASH}")
        return inner.result() + get_client().submit(int, "5", key=f"other-{HASH}").result()

    assert client.submit(outer, pure=False).result() == 9
