"""Tasks in worker processes that use the interface: they submit tasks, wait for them, and share things by name."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azolla
import pytest
from azolla import Client, Event, Future, Lock, MultiLock, Queue, Semaphore, Variable, as_completed, get_client
from azolla._client.for_processes import Taken
from conftest import PATIENCE, _passed, eventually, nothing_is_kept
from test_dashboard import Reader


@pytest.fixture(scope="module")
def _processes() -> Iterator[Client]:
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


@pytest.fixture
def client(request: pytest.FixtureRequest, _processes: Client) -> Iterator[Client]:
    yield _processes
    _processes._check()
    if not request.node.stash.get(_passed, False):
        return  # its traceback holds the futures
    # A task that has failed is in a ring with its error, over there too.
    for worker in range(2):
        _processes.submit(gc.collect, workers=[worker], pure=False).result()
    eventually(lambda: nothing_is_kept(_processes))


class Box:
    """What azolla does not look into."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside


def killed_once(file: Path) -> None:
    """Kills the process that has written its number to this file, and waits until the next one has."""
    eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    os.kill(int(file.read_text()), signal.SIGKILL)
    eventually(lambda: len(file.read_text().split()) == 2)


def result(future: Future[Any]) -> Any:
    return future.result(timeout=PATIENCE)


def test_a_task_submits_tasks_and_gathers_them(client: Client) -> None:
    def grows(n: int) -> int:
        own = get_client()
        return sum(own.gather(own.map(abs, range(-n, 0), pure=False)))

    assert client.gather(client.map(grows, range(20))) == [n * (n + 1) // 2 for n in range(20)]


def test_a_recursion_deeper_than_there_are_slots(client: Client) -> None:
    def fib(n: int) -> int:
        if n < 2:
            return n
        one, other = get_client().submit(fib, n - 1), get_client().submit(fib, n - 2)
        both: list[int] = get_client().gather([one, other])
        return sum(both)

    assert result(client.submit(fib, 9)) == 34


def test_a_task_secedes_and_rejoins(client: Client) -> None:
    def grows(n: int) -> int:
        own = get_client()
        futures = own.map(abs, range(-n, 0), priority=10)
        azolla.secede()
        found = own.gather(futures)
        azolla.rejoin()
        return sum(found)

    def by_worker_client(n: int) -> int:
        with azolla.worker_client() as own:
            return sum(own.gather(own.map(abs, range(-n, 0))))

    for way in (grows, by_worker_client):
        assert client.gather(client.map(way, range(10), pure=False)) == [n * (n + 1) // 2 for n in range(10)]


def test_as_completed_in_a_task(client: Client) -> None:
    def collects(n: int) -> list[int]:
        own = get_client()
        found, coming = [], as_completed(own.map(abs, range(-n, 0), pure=False))
        for future in coming:
            found.append(future.result())
            if len(found) <= 3:
                coming.add(own.submit(abs, -100 - len(found), pure=False))
        return sorted(found)

    assert result(client.submit(collects, 5)) == [1, 2, 3, 4, 5, 101, 102, 103]


def test_waits_in_a_task_end_by_their_timeouts(client: Client) -> None:
    def waits() -> list[str]:
        event = Event("never")
        slow = get_client().submit(lambda: Event("never").wait(), pure=False)
        ended = []
        for wait in (slow.result, lambda timeout: next(as_completed([slow], timeout=timeout)), Queue("none").get):
            try:
                wait(timeout=0.01)
            except TimeoutError as error:
                ended.append(type(error).__name__)
        assert event.wait(timeout=0.01) is False and not slow.done()
        event.set()
        assert slow.result() is True and slow.done()
        event.clear()
        return ended

    assert result(client.submit(waits, pure=False)) == ["TimeoutError"] * 3


def test_errors_of_tasks_that_a_task_has_submitted(client: Client) -> None:
    def fails(n: int) -> int:
        return 1 // n

    def grows() -> int:
        future = get_client().submit(fails, 0)
        assert isinstance(future.exception(), ZeroDivisionError)
        assert future.status == "error"
        return future.result()

    future = client.submit(grows)
    with pytest.raises(ZeroDivisionError) as failed:
        result(future)
    assert any("fails" in note for note in failed.value.__notes__)


def test_retries_priorities_and_keys_travel(client: Client) -> None:
    def fails_once(folder: Path) -> str:
        (folder / "run").mkdir()
        raise ValueError

    def grows(folder: Path) -> tuple[Any, ...]:
        own = get_client()
        try:
            own.submit(fails_once, folder, retries=1).result()
        except FileExistsError:
            again = "again"
        keys = own.submit(abs, -1, key="mine").key, own.submit(abs, -1, key=("mine", 2)).key
        equal = own.submit(pow, 2, 5).key, own.submit(pow, 2, 5).key
        return again, keys, equal

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        again, keys, equal = result(client.submit(grows, Path(folder)))
    assert again == "again" and keys == ("mine", ("mine", 2))
    assert equal[0] == equal[1] == client.submit(pow, 2, 5).key


def test_futures_inside_anything_travel_both_ways(client: Client) -> None:
    def opens(box: Box) -> int:
        return box.inside.result() + 1

    def makes(n: int) -> Box:
        return Box(get_client().submit(abs, -n, pure=False))

    assert result(client.submit(opens, Box(client.submit(abs, -1, pure=False)))) == 2
    made = client.submit(makes, 5)
    assert result(client.submit(opens, made)) == 6
    box = result(made)
    del made
    assert box.inside.result(timeout=PATIENCE) == 5


def test_a_result_keeps_the_futures_in_it_alive(client: Client) -> None:
    def makes() -> Box:
        return Box([get_client().submit(abs, -n, pure=False) for n in range(10)])

    boxes = [client.submit(makes, pure=False) for _ in range(10)]
    azolla.wait(boxes)
    for _ in range(20):  # the tasks after them give up what is given up
        result(client.submit(abs, -1, pure=False))
    for box in boxes:
        assert client.gather(result(box).inside) == list(range(10))


def test_scatter_in_a_task(client: Client) -> None:
    def scatters() -> Any:
        own = get_client()
        data = own.scatter([1, 2, 3])
        return own.submit(sum, data).result(), own.scatter({"a": 1})["a"].result()

    assert result(client.submit(scatters)) == (6, 1)


def test_cancelling_in_a_task(client: Client) -> None:
    def cancels() -> tuple[Any, ...]:
        own = get_client()
        waits = own.submit(lambda: Event("go").wait(), pure=False)
        after = own.submit(abs, waits)
        after.cancel(reason="enough")
        Event("go").set()
        try:
            after.result()
        except azolla.FutureCancelledError as error:
            return after.status, error.reason, waits.result()
        return ()

    assert result(client.submit(cancels)) == ("cancelled", "enough", True)


def test_fire_and_forget_in_a_task(client: Client, tmp_path: Path) -> None:
    def fires(file: Path) -> None:
        azolla.fire_and_forget(get_client().submit(file.write_text, "there", pure=False))

    result(client.submit(fires, tmp_path / "file"))
    eventually((tmp_path / "file").exists)


def test_all_that_is_shared_by_name(client: Client) -> None:
    def uses(n: int) -> int:
        Queue("results").put(n)
        with Lock("one"), Semaphore(2, "some"), MultiLock(["a", "b"]):
            Variable("last").set(n)
        Event("begun").set()
        return Variable("last").get(timeout=PATIENCE)

    futures = client.map(uses, range(10))
    assert Event("begun").wait(timeout=PATIENCE)
    assert sorted(Queue("results").get(timeout=PATIENCE) for _ in range(10)) == list(range(10))
    assert set(client.gather(futures)) <= set(range(10))
    Variable("last").delete()


def test_a_future_in_a_queue(client: Client) -> None:
    def puts() -> None:
        Queue("futures").put(get_client().submit(abs, -3, pure=False))

    def gets() -> int:
        return Queue("futures").get(timeout=PATIENCE).result()

    result(client.submit(puts))
    assert result(client.submit(gets)) == 3


def test_what_the_cluster_keeps_is_found_in_tasks(client: Client) -> None:
    def uses() -> Any:
        own = get_client()
        own.set_metadata("seen", 3)
        own.log_event("found", {"n": 1})
        own.publish_dataset(own.submit(abs, -4), name="four")
        return own.get_dataset("four").result(), own.get_metadata("seen"), own.list_datasets()

    assert result(client.submit(uses)) == (4, 3, ["four"])
    assert client.get_metadata("seen") == 3 and [event for _, event in client.get_events("found")] == [{"n": 1}]
    assert client.get_dataset("four").result() == 4
    client.unpublish_dataset("four")


def test_a_task_knows_its_worker_and_its_key(client: Client) -> None:
    def asks() -> tuple[Any, ...]:
        worker = azolla.get_worker()
        return worker.name, worker.nthreads, worker.get_current_task(), worker.client is get_client()

    name, threads, key, same = result(client.submit(asks, key="asking"))
    assert name in (0, 1) and (threads, key, same) == (1, "asking", True)


def test_a_circle_of_waits_is_refused(client: Client) -> None:
    def waits_for(name: str) -> Any:
        other = Variable(name).get(timeout=PATIENCE)
        return other.result(timeout=PATIENCE)

    one = client.submit(waits_for, "two", pure=False)
    two = client.submit(waits_for, "one", pure=False)
    Variable("one").set(one)
    Variable("two").set(two)
    errors = [future.exception(timeout=PATIENCE) for future in (one, two)]
    assert any(isinstance(error, azolla.WaitCycleError) for error in errors)
    Variable("one").delete()
    Variable("two").delete()


def test_more_tasks_wait_than_there_are_slots(client: Client) -> None:
    def waits(n: int) -> int:
        Event("all").wait(timeout=PATIENCE)
        return n

    def sets() -> None:
        Event("all").set()

    futures = client.map(waits, range(12))
    result(client.submit(sets))
    assert client.gather(futures) == list(range(12))
    Event("all").clear()


def test_a_process_that_dies_while_its_task_waits_is_replaced_and_the_task_runs_again(
    client: Client, tmp_path: Path
) -> None:
    def waits(file: Path) -> int:
        with file.open("a") as pids:
            pids.write(f"{os.getpid()}\n")
        child = get_client().submit(abs, -1, pure=False)
        Event("later").wait(timeout=PATIENCE)
        return child.result()

    file = tmp_path / "pids"
    future = client.submit(waits, file)
    killed_once(file)
    Event("later").set()
    assert result(future) == 1
    Event("later").clear()


def test_what_cannot_be_done_says_so(client: Client) -> None:
    def tries() -> list[str]:
        own, said = get_client(), []
        for name in ("restart", "shutdown"):
            try:
                getattr(own, name)()
            except NotImplementedError as error:
                said.append(str(error).split("(")[0])
        own.close()  # the client is the program's
        return [*said, str(own.submit(abs, -1).result())]

    assert result(client.submit(tries)) == ["restart", "shutdown", "1"]


def test_what_a_task_had_taken_goes_back_when_its_process_dies(client: Client, tmp_path: Path) -> None:
    def takes(file: Path) -> tuple[list[int], int]:
        with Lock("held"), Semaphore(1, "one"), MultiLock(["x", "y"]):
            found = [Queue("work").get(timeout=PATIENCE), *Queue("work").get(batch=2)]
            with file.open("a") as pids:
                pids.write(f"{os.getpid()}\n")
            Event("let go").wait(timeout=PATIENCE)
        return found, Queue("work").qsize()

    for n in range(4):
        Queue("work", client=client).put(n)
    file = tmp_path / "pids"
    future = client.submit(takes, file)
    killed_once(file)
    Event("let go").set()
    assert result(future) == ([0, 1, 2], 1)
    Event("let go").clear()


def test_what_a_process_used_of_what_is_shared_goes_with_it(client: Client, tmp_path: Path) -> None:
    def uses(file: Path) -> None:
        queue: Queue = Queue("used")
        queue.put(1)
        with file.open("a") as pids:
            pids.write(f"{os.getpid()}\n")
        Event("used enough").wait(timeout=PATIENCE)

    def used() -> int:
        return sum(isinstance(thing, Queue) and thing.name == "used" for thing in gc.get_objects())

    file = tmp_path / "pids"
    future = client.submit(uses, file)
    killed_once(file)
    eventually(lambda: gc.collect() >= 0 and used() == 1)  # that of the second run
    Event("used enough").set()
    result(future)
    Event("used enough").clear()


def test_a_task_may_take_any_number_of_things_out_of_queues() -> None:
    taken = Taken()
    turns: list[Any] = [object() for _ in range(3 * Taken.MOST)]
    for turn in turns:
        taken.out_of(turn, 1)
        taken.note(10)
    assert [turn for turn, _, _ in taken._turns] == turns[2 * Taken.MOST :]
    last: Any = object()
    taken.out_of(last, 2)
    taken.note(2 * Taken.BYTES)
    assert [turn for turn, _, _ in taken._turns] == [last], "those that it has got last"


def test_tasks_of_tasks_count_by_their_functions() -> None:
    def grows() -> None:
        own = get_client()
        own.gather([own.submit(abs, -1, key="mine"), own.submit(abs, -2, pure=False), own.submit(abs, -3)])

    with Client(n_workers=1, threads_per_worker=1) as client:
        result(client.submit(grows))
        branches = Reader(client).json("/json/overview")["branches"]
        assert sorted(branch["name"] for branch in branches) == ["abs", "grows"]
