"""Groups, and waits for all that has grown from a task."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import azolla
import pytest
from azolla import Client, ClosedClientError, Future, WaitCycleError, fire_and_forget, get_client, shield, wait
from conftest import Gate, Journal, eventually, nothing_is_kept, what_is_kept


def grow(depth: int) -> int:
    for _ in range(depth):
        get_client().submit(grow, depth - 1, pure=False)
    return depth


def size(depth: int) -> int:
    """How many tasks `grow` is and grows."""
    return 1 + depth * size(depth - 1) if depth else 1


def fail(what: Any) -> None:
    raise ValueError(what)


def test_a_group_ends_when_all_that_has_grown_in_it_has(client: Client) -> None:
    for depth in range(5):
        with client.group() as group:
            client.submit(grow, depth, pure=False)
        assert group.counts() == {"live": 0, "finished": size(depth), "failed": 0, "cancelled": 0}
    assert nothing_is_kept(client)


#: Pages and their links, which lead in circles.
LINKS = {"fern": ["moss", "pond"], "moss": ["fern"], "pond": ["fern", "moss", "sedge", "pond"], "sedge": []}


class Seen:
    """An actor that knows which pages were met."""

    def __init__(self, first: str) -> None:
        self.pages = {first}

    def new(self, links: list[str]) -> set[str]:
        new = set(links) - self.pages
        self.pages |= new
        return new


def visit(page: str, seen: Any, journal: Journal) -> None:
    journal.append(page)
    for link in seen.new(LINKS[page]).result():
        get_client().submit(visit, link, seen, journal, pure=False)


def read(page: str, journal: Journal) -> Any:
    journal.append(page)
    return [get_client().submit(read, link, journal, key=("read", link)) for link in LINKS[page]]


def test_a_crawl_in_circles_visits_each_page_once(client: Client, journal: Journal) -> None:
    seen = client.submit(Seen, "fern", actor=True, pure=False).result()
    with client.group():
        client.submit(visit, "fern", seen, journal, pure=False)
    assert sorted(journal.entries()) == sorted(LINKS)


def test_a_key_has_each_page_read_once_where_the_results_keep_the_futures(client: Client, journal: Journal) -> None:
    with client.group() as group:
        root = client.submit(read, "fern", journal, key=("read", "fern"))
    assert sorted(journal.entries()) == sorted(LINKS)
    assert group.counts()["finished"] == len(LINKS)
    todo, found = [root], {}
    while todo:
        future = todo.pop()
        if future.key not in found:
            found[future.key] = future
            todo += future.result()
    client.cancel(list(found.values()))  # its circles go by nothing else
    del root, future
    found.clear()
    eventually(lambda: nothing_is_kept(client), lambda: what_is_kept(client))


def fails_beside(parent: Any) -> list[Future[Any]]:
    return get_client().map(fail, parent, pure=False)


def test_a_failure_whose_future_is_kept_is_counted_only(client: Client) -> None:
    with client.group(on_error="collect") as group:
        kept = client.submit(fails_beside, "abc", pure=False)
    assert (group.counts()["failed"], group.failed) == (3, [])
    assert [str(future.exception()) for future in kept.result()] == list("abc")


def test_it_waits_for_no_other_work(client: Client, gate: Gate) -> None:
    other = client.submit(gate.hold)
    with client.group() as group:
        client.submit(grow, 2, pure=False)
    assert not other.done()
    assert group.counts()["finished"] == size(2)
    gate.open()


def by_a_group(depth: int) -> dict[str, int]:
    with get_client().group("inner") as group:
        get_client().submit(grow, depth, pure=False)
    return group.counts()


async def by_an_async_group(depth: int) -> dict[str, int]:
    async with get_client().group("inner") as group:
        get_client().submit(grow, depth, pure=False)
    return group.counts()


@pytest.mark.parametrize("function", [by_a_group, by_an_async_group])
def test_a_group_inside_a_task_is_a_branch_of_it(client: Client, function: Any) -> None:
    with client.group() as outer:
        inner = client.submit(function, 3, pure=False)
    assert inner.result()["finished"] == size(3)
    assert outer.counts()["finished"] == 1 + size(3)


def test_groups_nest(client: Client) -> None:
    with client.group() as outer:
        client.submit(grow, 1, pure=False)
        with client.group() as inner:
            client.submit(grow, 2, pure=False)
        assert inner.counts()["finished"] == size(2)
        client.submit(grow, 1, pure=False)
    assert outer.counts()["finished"] == 2 * size(1) + size(2)


def test_it_is_entered_on_an_event_loop(client: Client) -> None:
    async def main() -> None:
        async with Client(client.cluster, asynchronous=True) as own:
            async with own.group() as group:
                own.submit(grow, 3, pure=False)
            assert group.counts()["finished"] == size(3)

    asyncio.run(main())


def test_coroutines_are_in_the_group_that_each_has_entered(client: Client) -> None:
    async def main() -> None:
        async with Client(client.cluster, asynchronous=True) as own:

            async def counted(depth: int) -> int:
                async with own.group() as group:
                    own.submit(grow, depth, pure=False)
                    await asyncio.sleep(0)
                    own.submit(grow, depth, pure=False)
                return group.counts()["finished"]

            assert await asyncio.gather(*map(counted, range(4))) == [2 * size(depth) for depth in range(4)]

    asyncio.run(main())


def test_the_first_failure_cancels_the_rest(client: Client) -> None:
    with pytest.raises(ExceptionGroup, match="1 of the tasks of the group 'search' failed") as caught:
        with client.group("search") as group:
            held = client.submit(azolla.sleep, None, pure=False)
            client.submit(fail, "first", pure=False)
            rest = client.map(grow, [held] * 20, pure=False)
    assert [type(error) for error in caught.value.exceptions] == [ValueError]
    assert all(future.cancelled() for future in rest)
    assert group.counts()["live"] == 0


def test_a_failure_in_the_outer_group_is_raised_there(client: Client) -> None:
    with pytest.raises(ExceptionGroup) as caught, client.group("outer") as outer:
        failed = client.submit(fail, "outer", pure=False)
        with client.group("inner") as inner:
            held = client.submit(azolla.sleep, None, pure=False)
            client.map(gate_then, [held] * 5, range(5), pure=False)
            eventually(lambda: failed.done() and inner.counts()["cancelled"] == 6)
    assert [str(error) for error in caught.value.exceptions] == ["outer"]
    assert outer.counts() == {"live": 0, "finished": 0, "failed": 1, "cancelled": 6}


def test_a_cancelled_group_lets_the_one_in_it_be_left(client: Client) -> None:
    with client.group("outer") as outer:
        with client.group("inner") as inner:
            held = client.submit(azolla.sleep, None, pure=False)
            client.map(gate_then, [held] * 5, range(5), pure=False)
            outer.cancel()
    assert (outer.counts()["cancelled"], inner.counts()["cancelled"]) == (6, 6)


def again(journal: Journal) -> str:
    journal.append("again")
    if len(journal.entries()) < 2:
        raise ValueError("at first")
    return "done"


def test_what_has_failed_in_a_group_can_be_retried(client: Client, journal: Journal) -> None:
    with client.group(on_error="collect") as group:
        client.submit(again, journal, pure=False)
    [failed] = group.failed
    failed.retry()
    assert failed.result() == "done"


def never_leaves() -> None:
    get_client().group("left open").__enter__()
    get_client().submit(grow, 2, pure=False)


def test_a_group_that_a_task_has_not_left_ends_with_the_task(client: Client) -> None:
    with client.group() as group:
        client.submit(never_leaves, pure=False)
    assert group.counts()["finished"] == 1 + size(2)


def leaves_a_copy() -> None:
    get_client().group("left open").__enter__()
    copies.append(contextvars.copy_context())


#: Contexts, in the process in which they were copied.
copies: list[contextvars.Context] = []


def test_a_copied_context_keeps_no_group_that_a_task_has_not_left(client: Client) -> None:
    client.submit(leaves_a_copy, pure=False).wait_grown()
    eventually(lambda: nothing_is_kept(client), lambda: what_is_kept(client))
    client.run(copies.clear)


def test_a_group_that_a_task_has_not_left_leaves_no_garbage(client: Client) -> None:
    gc.disable()
    client.run(gc.disable)
    try:
        client.submit(never_leaves, pure=False).wait_grown()
        eventually(lambda: client.counters()["kept"] == 0, lambda: what_is_kept(client))
    finally:
        client.run(gc.enable)
        gc.enable()


def test_leaving_a_group_elsewhere_leaves_no_other(client: Client) -> None:
    other = client.group("other")
    thread = threading.Thread(target=other.__enter__)
    thread.start()
    thread.join()
    with client.group() as group:
        other.__exit__(None, None, None)
        client.submit(grow, 1, pure=False)
    assert group.counts()["finished"] == size(1)
    with pytest.raises(RuntimeError, match="the group 'other' is not entered, so it cannot be left"):
        other.__exit__(None, None, None)


def test_a_group_that_collects_runs_all(client: Client) -> None:
    with client.group(on_error="collect") as group:
        client.map(fail, "abc", pure=False)
        client.submit(grow, 2, pure=False)
    assert sorted(str(future.exception()) for future in group.failed) == ["a", "b", "c"]
    assert group.counts() == {"live": 0, "finished": size(2), "failed": 3, "cancelled": 0}


def handles() -> int:
    children = get_client().map(fail, "abc", pure=False)
    return sum(child.exception() is not None for child in children)


def test_a_failure_that_a_parent_has_seen_is_its_own_affair(client: Client) -> None:
    with client.group():
        count = client.submit(handles, pure=False)
    assert count.result() == 3


def loses() -> None:
    fire_and_forget(get_client().submit(fail, "lost", pure=False))


def leaves() -> None:
    get_client().submit(fail, "left", pure=False)


@pytest.mark.parametrize("parent", [loses, leaves])
def test_a_failure_that_nobody_can_see_counts(client: Client, parent: Any) -> None:
    with pytest.raises(ExceptionGroup) as caught, client.group():
        client.submit(parent, pure=False)
    assert str(caught.value.exceptions[0]) in ("lost", "left")


def inherits() -> Any:
    client = get_client()
    return client.submit(len, client.submit(fail, "inherited", pure=False), pure=False)  # its caller may take the error


def test_a_failure_that_a_dependent_has_inherited_counts_as_that_one(client: Client) -> None:
    with client.group() as group:
        kept = client.submit(inherits, pure=False)
    assert isinstance(kept.result().exception(), ValueError)
    assert group.counts()["failed"] == 2


def test_an_exception_in_the_block_cancels_the_group(client: Client) -> None:
    with pytest.raises(KeyError):
        with client.group() as group:
            held = client.submit(azolla.sleep, None, pure=False)
            futures = client.map(grow, [held] * 20, pure=False)
            raise KeyError
    assert all(future.cancelled() for future in futures)
    assert group.counts()["live"] == 0


def clean_up(gate: Gate, journal: Journal) -> None:
    try:
        journal.append("begun")
        azolla.sleep(None)
    finally:
        with shield():
            journal.append("cleans up")
            azolla.sleep(0.1)
        gate.hold()
        journal.append("has cleaned up")


async def clean_up_on_a_loop(gate: Gate, journal: Journal) -> None:
    try:
        journal.append("begun")
        await asyncio.sleep(3600)
    finally:
        journal.append("cleans up")
        await asyncio.sleep(0.1)
        gate.enter()
        journal.append("has cleaned up")


@pytest.mark.parametrize("function", [clean_up, clean_up_on_a_loop])
def test_it_is_left_when_cancelled_tasks_have_come_to_their_ends(
    client: Client, gate: Gate, journal: Journal, function: Callable[..., Any]
) -> None:
    def let_them() -> None:
        gate.entered(2)
        gate.open()

    helper = threading.Thread(target=let_them)
    with client.group() as group:
        client.map(function, [gate] * 2, [journal] * 2, pure=False)
        helper.start()
        eventually(lambda: len(journal) == 2)
        group.cancel()
    assert sorted(journal) == ["begun"] * 2 + ["cleans up"] * 2 + ["has cleaned up"] * 2
    helper.join()


def test_what_is_submitted_after_the_cancel_is_cancelled(client: Client) -> None:
    with client.group() as group:
        group.cancel()
        late = client.submit(grow, 3, pure=False)
    assert late.cancelled()
    assert client.submit(grow, 0, pure=False).result() == 0


def test_a_group_that_is_cancelled_before_it_is_entered_cancels_what_is_submitted(client: Client) -> None:
    group = client.group()
    group.cancel()
    with group:
        futures = [client.submit(grow, 3, pure=False), *client.map(grow, range(3), pure=False)]
    assert all(future.cancelled() for future in futures)
    assert group.counts() == {"live": 0, "finished": 0, "failed": 0, "cancelled": 4}
    assert client.submit(grow, 0, pure=False).result() == 0


def cancels_first() -> dict[str, int]:
    group = get_client().group()
    group.cancel()
    with group:
        get_client().submit(grow, 3, pure=False)
    return group.counts()


async def awaits_one_that_was_cancelled_first() -> dict[str, int]:
    group = get_client().group()
    group.cancel()
    async with group:
        get_client().submit(grow, 3, pure=False)
    return group.counts()


@pytest.mark.parametrize("function", [cancels_first, awaits_one_that_was_cancelled_first])
def test_a_task_cancels_a_group_before_it_enters_it(client: Client, function: Any) -> None:
    counts = client.submit(function, pure=False).result()
    assert counts == {"live": 0, "finished": 0, "failed": 0, "cancelled": 1}


def test_a_group_is_cancelled_before_it_is_entered_on_an_event_loop(client: Client) -> None:
    async def main() -> None:
        async with Client(client.cluster, asynchronous=True) as own:
            group = own.group()
            group.cancel()
            async with group:
                late = own.submit(grow, 3, pure=False)
            assert late.cancelled()
            assert group.counts()["cancelled"] == 1

    asyncio.run(main())


def test_what_somebody_outside_needs_goes_on(client: Client, gate: Gate) -> None:
    group = client.group()
    with group:
        held = client.submit(gate.hold, pure=False)
        needed, shared, other = (client.submit(gate_then, held, number, key=f"{number}-of") for number in range(3))
        context = contextvars.Context()  # which has entered no group
        dependent = context.run(client.submit, abs, needed, pure=False)
        again = context.run(client.submit, abs, 0, key="1-of")
        group.cancel()
        gate.open()
    assert (dependent.result(), again.result(), shared.result()) == (0, 1, 1)
    assert other.cancelled()


def gate_then(_: Any, number: int) -> int:
    return number


def test_what_another_thread_submits_does_not_belong_to_it(client: Client, gate: Gate) -> None:
    others: list[Future[Any]] = []
    with client.group() as group:
        thread = threading.Thread(target=lambda: others.append(client.submit(gate.hold)))
        thread.start()
        thread.join()
        client.submit(grow, 0, pure=False)
    assert group.counts()["finished"] == 1
    assert not others[0].done()
    gate.open()


def enters() -> str:
    """Waits for a group in which one waits for this task."""
    with get_client().group():
        get_client().submit(waits_for, get_client().get_metadata("key"), pure=False)
    return "ended"


def waits_for(key: str) -> Any:
    return Future(key, get_client()).result()


def test_a_circle_of_waits_through_a_group_is_told(client: Client) -> None:
    client.set_metadata("key", "enters-key")
    with pytest.raises((ExceptionGroup, WaitCycleError)) as caught:
        client.submit(enters, key="enters-key").result()
    assert not isinstance(caught.value, ExceptionGroup) or caught.group_contains(WaitCycleError)


def test_a_group_is_entered_once(client: Client) -> None:
    with client.group("once") as group:
        pass
    with pytest.raises(RuntimeError, match="the group 'once' was entered already"), group:
        pass


def test_what_a_group_takes(client: Client) -> None:
    with pytest.raises(ValueError, match="on_error must be 'cancel' or 'collect', not 'stop'"):
        client.group(on_error="stop")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="name must be a text, not 7"):
        client.group(7)  # type: ignore[arg-type]
    assert repr(client.group("pages")) == "<Group 'pages': not entered>"
    assert client.group().counts() == {"live": 0, "finished": 0, "failed": 0, "cancelled": 0}


def test_a_group_cannot_be_pickled(client: Client) -> None:
    with pytest.raises(
        TypeError, match=r"the Group 'pages' cannot be pickled: a task ends it by raising an error, and the pro"
    ):
        pickle.dumps(client.group("pages"))
    collecting = client.group("pages", on_error="collect")
    with pytest.raises(TypeError, match=r"the Group 'pages' cannot be pickled: the program ends it by its cancel\(\)"):
        pickle.dumps(collecting)
    if client.cluster._has_processes:
        with pytest.raises(TypeError, match="the Group 'pages' cannot be pickled"):
            client.submit(lambda: collecting.cancel())
    else:
        assert client.submit(lambda: collecting.name).result() == "pages"


def test_a_group_of_a_closed_client() -> None:
    client = Client(processes=False)
    client.close()
    with pytest.raises(ClosedClientError), client.group():
        pass


@pytest.mark.parametrize("processes", [False, True])
def test_a_client_that_is_closed_in_the_block_says_so(processes: bool, gate: Gate) -> None:
    client = Client(processes=processes, n_workers=1, threads_per_worker=1)
    early = client.submit(gate.hold, pure=False)
    with pytest.raises(ClosedClientError, match="the group 'closing': the client is closed"):
        with client.group("closing"):
            early.release()
            client.map(gate_then, [client.submit(gate.hold, pure=False)] * 9, range(9), pure=False)
            threading.Thread(target=client.close).start()
    gate.open()


def hold_below(gate: Gate) -> None:
    fire_and_forget(get_client().submit(gate.hold, pure=False))


@pytest.mark.parametrize("processes", [False, True])
def test_a_wait_for_growth_says_that_the_client_was_closed(processes: bool, gate: Gate) -> None:
    client = Client(processes=processes, n_workers=1, threads_per_worker=2)
    root = client.submit(hold_below, gate, pure=False)
    root.result()
    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(root.wait_grown), pool.submit(wait, [root], grown=True)]
        closes = threading.Thread(target=client.close)
        closes.start()
        for ended in waits:
            with pytest.raises(ClosedClientError, match=r"hold_below.*the client is closed"):
                ended.result()
        gate.open()
        closes.join()
    with pytest.raises(ClosedClientError, match=r"hold_below.*the client is closed"):
        root.wait_grown()


def test_awaited_growth_says_that_the_client_was_closed(gate: Gate) -> None:
    async def main() -> None:
        client = await Client(processes=False, n_workers=1, threads_per_worker=2, asynchronous=True)
        root = client.submit(hold_below, gate, pure=False)
        await root
        waits = [asyncio.ensure_future(root.wait_grown()), asyncio.ensure_future(wait([root], grown=True))]
        await asyncio.sleep(0)
        closes = asyncio.ensure_future(client.close())
        for ended in waits:
            with pytest.raises(ClosedClientError, match=r"hold_below.*the client is closed"):
                await ended
        gate.open()
        await closes

    asyncio.run(main())


def test_a_wait_for_growth(client: Client) -> None:
    root = client.submit(grow_kept, 4, pure=False)
    assert root.wait_grown() is None  # type: ignore[func-returns-value]
    assert client.counters()["live"] == 0
    done, not_done = wait([root, client.submit(grow_kept, 2, pure=False)], grown=True)
    assert (len(done), len(not_done)) == (2, 0)


def grow_kept(depth: int) -> int:
    for _ in range(depth):
        fire_and_forget(get_client().submit(grow_kept, depth - 1, pure=False))
    return depth


def test_a_wait_for_growth_is_awaited(client: Client, gate: Gate) -> None:
    async def main() -> None:
        async with Client(client.cluster, asynchronous=True) as own:
            root = own.submit(grow_kept, 4, pure=False)
            await root.wait_grown()
            assert (await wait([root], grown=True)).done == {root}
            with pytest.raises(TimeoutError):
                await own.submit(hold_below, gate).wait_grown(0.01)
            gate.open()

    asyncio.run(main())


def test_a_wait_for_growth_ends_in_time(client: Client, gate: Gate) -> None:
    root = client.submit(hold_below, gate, pure=False)
    root.result()
    with pytest.raises(TimeoutError):
        root.wait_grown(0.01)
    with pytest.raises(TimeoutError):
        wait([root], 0.01, grown=True)
    gate.open()
    root.wait_grown("10s")


def test_the_future_of_a_failed_task_is_waited_for_too(client: Client) -> None:
    failed = client.submit(fail, "alone", pure=False)
    failed.wait_grown()
    assert isinstance(failed.exception(), ValueError)


def test_a_builder_leaves_all_names_to_the_function(client: Client) -> None:
    urgent = client.task(priority=10, retries=1)
    assert urgent.submit(dict, key=1, priority=2, workers=3).result() == {"key": 1, "priority": 2, "workers": 3}
    assert client.gather(client.task(key="row").map(dict, [[("a", 1)]], key=2)) == [{"a": 1, "key": 2}]
    keyed = client.task(key="seven").submit(int, "7")
    assert (keyed.key, keyed.result()) == ("seven", 7)
    assert client.gather(client.task().map(abs, (number for number in range(-300, 0)))) == list(range(300, 0, -1))
    assert repr(urgent) == "<tasks with retries=1, priority=10>"


def test_a_builder_keeps_what_it_submits(client: Client, gate: Gate) -> None:
    held, before = client.submit(gate.hold, pure=False), client.counters()["cancelled"]
    client.task(keep=True).map(gate_then, [held] * 3, range(3))
    del held
    gate.open()
    eventually(lambda: client.counters()["live"] == 0)
    assert client.counters()["cancelled"] == before


def test_what_a_builder_takes(client: Client) -> None:
    with pytest.raises(TypeError, match="priority must be a number or None, not 'high'"):
        client.task(priority="high")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="retries must be a whole number, 0 or more, not -1"):
        client.task(retries=-1)
    with pytest.raises(TypeError, match="bogus"):
        client.task(bogus=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes a function first"):
        client.task().submit(7)  # type: ignore[call-overload]
