"""Keys name one task each: text that differs in any place is another key."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from azolla import CancelledError, Client, Event, Future, as_completed, get_client, tokenize, wait
from backends import Reason, threads_only


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


def test_what_may_be_written_to_is_another_argument(client: Client, backend: str) -> None:
    free, locked = np.zeros(3), np.zeros(3)
    locked.flags.writeable = False
    assert client.gather([client.submit(writeable, free), client.submit(writeable, locked)]) == [True, False]
    if backend == "processes":  # there is no pickle of a memoryview: it travels as bytes
        return
    views = [memoryview(bytearray(3)), memoryview(bytes(3))]
    assert client.gather([client.submit(writeable, view) for view in views]) == [True, False]


@dataclass
class Settings:
    rate: Any
    shared: ClassVar[Any] = None


def read(settings: Settings) -> tuple[Any, Any, bool]:
    return settings.rate, type(settings).shared, "shared" in vars(settings)


@threads_only(Reason.OBJECTS)
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


# --- Data from outside


def colliding(begin: int) -> tuple[bytes, bytes]:
    """Two texts with one XXH3 digest under its public secret, if they come after `begin` other bytes.

    The parts of eight bytes that differ cancel what the secret multiplies by.
    """

    def made(first: bytes, second: bytes) -> bytes:
        text = bytearray(b"a" * 1000)
        text[448:456] = first + b"aa\xc3\x81:&L"
        text[896:904] = second + b"aaa\xcd\xb4Y1"
        return bytes(text[begin:])

    return made(b"a", b"b"), made(b"b", b"a")


#: How many bytes stand before the data: in a token, in a pure call, and in a key.
BEFORE_TOKEN, BEFORE_CALL, BEFORE_KEY = 19, 35, 9


def test_data_made_to_collide_gives_two_tasks(client: Client) -> None:
    left, right = colliding(BEFORE_TOKEN)
    assert tokenize(left) == tokenize(right), "then this test no longer knows how data is hashed"
    left, right = colliding(BEFORE_CALL)
    one, other = client.map(bytes.index, [left, right], [b"b", b"b"])
    assert one.key != other.key
    assert client.gather([one, other]) == [left.index(b"b"), right.index(b"b")]
    assert len({future.key for future in client.scatter([left, right])}) == 2


@pytest.mark.parametrize("kind", [bytes, bytes.decode])
def test_keys_made_to_collide_are_two_keys(client: Client, kind: Callable[[bytes], Any]) -> None:
    left, right = (kind(key) for key in colliding(BEFORE_KEY))
    one, other = client.submit(abs, -1, key=left), client.submit(abs, -2, key=right)
    assert client.gather([one, other]) == [1, 2]


def test_names_that_are_no_unicode_stay_as_they_are_in_made_keys(client: Client) -> None:
    def echo(value: int) -> int:
        return value

    one, other = client.map(echo, [1], key="p\ud800")[0], client.map(echo, [1], key="p\ud801")[0]
    assert one.key.startswith("p\ud800-") and other.key.startswith("p\ud801-")
    echo.__name__ = "e\udc00"
    for pure in (True, False):
        made = client.submit(echo, 2, pure=pure)
        assert made.key.startswith("e\udc00-")
        assert Future(made.key, client).result() == 2
        assert client.submit(echo, 3, key=made.key).result() == 2
        assert "e\ufffd" in repr(made) or "e\udc00" in repr(made)


class Derived(np.ndarray):  # type: ignore[type-arg]
    note: Any


class Slotted(np.ndarray):  # type: ignore[type-arg]
    __slots__ = ("note",)


class Number(np.float64):
    note: Any


def noted(make: Callable[[], Any], note: Any) -> Any:
    value = make()
    value.note = note
    return value


def typed(metadata: dict[str, int], kind: Any = "f8") -> Any:
    return np.zeros(2, np.dtype(kind, metadata=metadata))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (noted(lambda: np.arange(3.0).view(Derived), 1), noted(lambda: np.arange(3.0).view(Derived), 2)),
        (noted(lambda: np.arange(3.0).view(Slotted), 1), noted(lambda: np.arange(3.0).view(Slotted), 2)),
        (np.arange(3.0).view(Derived), np.arange(3.0).view(Slotted)),
        (np.asfortranarray(np.ones((2, 3))).view(Derived), np.ones((2, 3)).view(Derived)),
        (noted(lambda: Number(1), 1), noted(lambda: Number(1), 2)),
        (typed({"unit": 1}), typed({"unit": 2})),
        (typed({"unit": 1}), np.zeros(2)),
        (typed({"unit": 1}, [("x", "f8")]), typed({"unit": 2}, [("x", "f8")])),
        (typed({"unit": 1}, object), typed({"unit": 2}, object)),
        (typed({"unit": 1}).dtype, typed({"unit": 2}).dtype),
        (np.arange(6), np.arange(7)[:6]),
        (np.ma.array([1, 2], hard_mask=True), np.ma.array([1, 2], hard_mask=False)),
        (memoryview(b"ab"), memoryview(bytearray(b"ab")).toreadonly()),
    ],
)
def test_what_a_function_can_tell_of_an_array_is_in_its_key(client: Client, left: Any, right: Any) -> None:
    one, other = client.submit(type, left), client.submit(type, right)
    assert one.key != other.key
    assert (client.submit(type, left).key, client.submit(type, right).key) == (one.key, other.key)


def test_the_same_list_twice_is_another_call_than_two_equal_ones(client: Client) -> None:
    def grown(first: list[int], second: list[int]) -> list[int]:
        first.append(1)
        return second

    both: list[int] = []
    one, other = client.submit(grown, both, both), client.submit(grown, [], [])
    assert client.gather([one, other]) == [[1], []]


@pytest.mark.parametrize("within", [False, True])
def test_a_key_is_free_once_its_result_is_taken_and_no_future_is_left(client: Client, within: bool) -> None:
    def results() -> list[int]:
        submit = get_client().submit
        return [submit(abs, -number, key="a key of many tasks in turn").result() for number in range(200)]

    assert (client.submit(results).result() if within else results()) == list(range(200))


def test_a_key_is_free_also_if_a_task_needed_its_result_that_has_ended(client: Client) -> None:
    wrong: list[int] = []

    def use(key: str) -> None:
        for number in range(300):
            before = client.submit(abs, -number, key=key)
            after = client.submit(abs, before, pure=False)
            if after.result() != number:
                wrong.append(number)
            del after, before

    # While the workers have more to do, they tell of ends later.
    threads = [threading.Thread(target=use, args=(f"key {place}",)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_task_that_is_cancelled_by_its_key_and_submitted_again_is_one_task(client: Client) -> None:
    def submits() -> tuple[str, list[int]]:
        client = get_client()
        before = client.submit(Event("never").wait, key="twice")
        Event("submitted").set()
        Event("cancelled").wait()
        first, second = (client.submit(abs, -1, key="twice") for _ in range(2))
        assert wait([first, second]).not_done == set()
        third = client.submit(abs, -1, key="twice")
        results = [future.result() for future in as_completed([first, second, third])]
        with pytest.raises(CancelledError):
            before.result()
        return before.status, results

    future = client.submit(submits)
    Event("submitted").wait()
    client.cancel([Future("twice", client)], force=True)
    Event("cancelled").set()
    assert future.result() == ("cancelled", [1, 1, 1])
    Event("never").set()
