"""The same small programs on azolla and on `dask.distributed`: what they come to is the same, exception types included,
but for the differences listed.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import azolla
import dask
import distributed
import pytest
from gates import Journal

PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {}


def program(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    PROGRAMS[function.__name__] = function
    return function


def inc(x: int) -> int:
    return x + 1


def hold(module: str, name: str) -> None:
    """Holds a task until the event of this name is set."""
    importlib.import_module(module).Event(name).wait()


def fail(message: str = "failed") -> None:
    raise OSError(message)


#: What Dask comes to, what azolla does, and why that is better.
DIFFERENT: dict[str, tuple[Any, Any, str]] = {
    "gather_skips_in_nested_lists": (
        "TypeError",
        [[2], [3]],
        "Dask crashes where a failed future lies in a nested list",
    ),
    "secede_twice": ("Exception", "seceded", "seceding is a state: to be in it already is no error"),
    "gather_knows_its_modes": ([2], "ValueError", "Dask looks at the mode only once something has failed"),
    "how_a_story_goes": (
        [("released", "waiting"), ("waiting", "processing"), ("processing", "memory")],
        [("released", "waiting"), ("waiting", "queued"), ("queued", "processing"), ("processing", "memory")],
        "all that is ready waits in one queue; Dask queues some tasks only, and shares the others out",
    ),
    "dataclasses_hold_futures": ("Future", "int", "futures are found in dataclasses too"),
}


@program
def a_result(module: Any, client: Any) -> Any:
    return client.submit(inc, 1).result()


@program
def arguments_are_resolved(module: Any, client: Any) -> Any:
    one = client.submit(inc, 0)
    return client.submit(lambda *a, **k: (a, k), one, [one, (one, {one.key: one})], k={"x": one}, pure=False).result()[
        0
    ][0]


@program
def containers_keep_their_types(module: Any, client: Any) -> Any:
    one = client.submit(inc, 0)
    return client.gather({"list": [one], "tuple": (one, 2), "dict": {"x": one}, "other": "text"})


@program
def map_stops_at_the_shortest(module: Any, client: Any) -> Any:
    return client.gather(client.map(lambda x, y: x + y, [1, 2, 3], [10, 20]))


@program
def equal_pure_calls_share_a_key(module: Any, client: Any) -> Any:
    a, b = client.submit(inc, 1), client.submit(inc, 1)
    return a.key == b.key, a is b, a == b


@program
def impure_calls_do_not(module: Any, client: Any) -> Any:
    return client.submit(inc, 1, pure=False).key == client.submit(inc, 1, pure=False).key


@program
def a_live_key_wins_over_the_function(module: Any, client: Any) -> Any:
    first = client.submit(inc, 1, key="mine")
    first.result()
    return client.submit(inc, 100, key="mine").result()


@program
def keys_begin_with_the_name(module: Any, client: Any) -> Any:
    return client.submit(inc, 5).key.split("-")[0], client.submit(inc, 1, key="own").key


@program
def an_error_is_raised(module: Any, client: Any) -> Any:
    return client.submit(fail, "the disk is full", pure=False).result()


@program
def an_errors_parts(module: Any, client: Any) -> Any:
    future = client.submit(fail, pure=False)
    error = future.exception()
    return type(error), error.args, future.status, future.done(), future.traceback() is not None


@program
def dependents_raise_the_same(module: Any, client: Any) -> Any:
    return client.submit(inc, client.submit(fail, pure=False)).result()


@program
def a_success_has_no_exception(module: Any, client: Any) -> Any:
    future = client.submit(inc, 1)
    return future.exception(), future.traceback()


@program
def a_timeout(module: Any, client: Any) -> Any:
    future = client.submit(hold, module.__name__, "result")
    try:
        return future.result(timeout=0.01)
    finally:
        module.Event("result").set()
        future.result()
        module.Event("result").clear()


@program
def waiting_times_out(module: Any, client: Any) -> Any:
    future = client.submit(hold, module.__name__, "wait")
    try:
        return module.wait(future, timeout=0.01)
    finally:
        module.Event("wait").set()
        future.result()
        module.Event("wait").clear()


@program
def a_cancelled_future(module: Any, client: Any) -> Any:
    future = client.submit(time.sleep, 0.2, pure=False)
    future.cancel()
    return future.result()


@program
def a_cancelled_futures_state(module: Any, client: Any) -> Any:
    future = client.submit(time.sleep, 0.2, pure=False)
    client.cancel(future)
    return future.status, future.done(), future.cancelled()


@program
def waiting_for_a_failed_future(module: Any, client: Any) -> Any:
    done, not_done = module.wait([client.submit(fail, pure=False), client.submit(inc, 1)])
    return len(done), len(not_done)


@program
def waiting_for_a_cancelled_future(module: Any, client: Any) -> Any:
    future = client.submit(time.sleep, 0.2, pure=False)
    future.cancel()
    return module.wait(future)


@program
def waiting_for_what_there_is_not(module: Any, client: Any) -> Any:
    return module.wait(client.submit(inc, 1), return_when="SOME_COMPLETED")


@program
def as_completed_yields_the_same_objects(module: Any, client: Any) -> Any:
    futures = client.map(inc, range(3))
    return {id(future) for future in module.as_completed(futures)} == {id(future) for future in futures}


@program
def as_completed_counts_what_was_added_twice(module: Any, client: Any) -> Any:
    future = client.submit(inc, 1)
    return len(list(module.as_completed([future, future])))


@program
def as_completed_raises_with_results(module: Any, client: Any) -> Any:
    return list(module.as_completed([client.submit(fail, pure=False)], with_results=True))


@program
def as_completed_can_hold_errors_back(module: Any, client: Any) -> Any:
    endings = module.as_completed([client.submit(fail, pure=False)], with_results=True, raise_errors=False)
    return [result[0] for _, result in endings]


@program
def as_completed_grows(module: Any, client: Any) -> Any:
    endings, seen = module.as_completed([client.submit(inc, 0)]), []
    for future in endings:
        seen.append(future.result())
        if len(seen) < 3:
            endings.add(client.submit(inc, seen[-1]))
    return seen


@program
def gather_skips_errors(module: Any, client: Any) -> Any:
    return client.gather([client.submit(inc, 1), client.submit(fail, pure=False)], errors="skip")


@program
def gather_skips_in_nested_lists(module: Any, client: Any) -> Any:
    bad = client.submit(fail, pure=False)
    return client.gather([[client.submit(inc, 1), bad], [client.submit(inc, 2)]], errors="skip")


@program
def gather_knows_its_modes(module: Any, client: Any) -> Any:
    return client.gather([client.submit(inc, 1)], errors="ignore")


@program
def scatter_fans_out(module: Any, client: Any) -> Any:
    return client.gather(client.scatter([1, 2])), client.gather(client.scatter({"a": 1})), client.scatter("x").result()


@program
def tasks_grow_tasks(module: Any, client: Any) -> Any:
    def grow(n: int) -> int:
        with module.worker_client() as inner:
            return sum(inner.gather(inner.map(inc, range(n))))

    return client.submit(grow, 4, pure=False).result()


@program
def get_client_finds_the_current_one(module: Any, client: Any) -> Any:
    return module.get_client() is client


@program
def get_worker_outside_a_task(module: Any, client: Any) -> Any:
    return module.get_worker()


@program
def secede_outside_a_task(module: Any, client: Any) -> Any:
    return module.secede()


@program
def secede_twice(module: Any, client: Any) -> Any:
    def twice() -> str:
        module.secede()
        module.secede()
        return "seceded"

    return client.submit(twice, pure=False).result()


@program
def retries(module: Any, client: Any) -> Any:
    journal = Journal()

    def unsteady() -> int:
        journal.append("run")
        if len(journal) < 3:
            raise OSError
        return 3

    return client.submit(unsteady, retries=2, pure=False).result()


@program
def a_future_is_retried(module: Any, client: Any) -> Any:
    journal = Journal()

    def unsteady() -> int:
        journal.append("run")
        if len(journal) < 2:
            raise OSError
        return 3

    future = client.submit(unsteady, pure=False)
    module.wait(future)
    future.retry()
    return future.result()


@program
def other_workers_need_workers(module: Any, client: Any) -> Any:
    return client.submit(inc, 1, allow_other_workers=True)


@program
def a_function_must_be_callable(module: Any, client: Any) -> Any:
    return client.submit(1)


@program
def coroutines_are_awaited(module: Any, client: Any) -> Any:
    async def later(x: int) -> int:
        await asyncio.sleep(0)
        return x

    return client.submit(later, 4, pure=False).result()


@program
def the_executor(module: Any, client: Any) -> Any:
    with client.get_executor() as executor:
        return list(executor.map(inc, [1, 2])), type(executor.submit(fail).exception())


@program
def a_graph(module: Any, client: Any) -> Any:
    return client.get({"x": 1, "y": (inc, "x"), "z": (sum, ["x", "y"])}, ["z", ["x"]])


@program
def rescheduled_tasks_run_again(module: Any, client: Any) -> Any:
    tries: list[int] = []

    def unready() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise module.Reschedule
        return len(tries)

    return client.submit(unready, pure=False).result()


@program
def dataclasses_hold_futures(module: Any, client: Any) -> Any:
    import dataclasses

    @dataclasses.dataclass
    class Pair:
        first: Any

    return client.submit(lambda pair: type(pair.first).__name__, Pair(client.submit(inc, 1)), pure=False).result()


@program
def a_span_is_seen_in_its_tasks(module: Any, client: Any) -> Any:
    with module.span("a"), module.span("b", "c"):
        return client.submit(lambda: dask.get_annotations()["span"]["name"], pure=False).result()


@program
def what_tasks_grow_is_in_their_span(module: Any, client: Any) -> Any:
    def parent() -> Any:
        child = module.get_client().submit(lambda: dask.get_annotations().get("span", {}).get("name"), pure=False)
        return child.result()

    with module.span("a"):
        return client.submit(parent, pure=False).result()


@program
def annotations_are_retries(module: Any, client: Any) -> Any:
    tries: list[int] = []

    def third_time_lucky() -> int:
        tries.append(1)
        assert len(tries) > 2
        return len(tries)

    with dask.annotate(retries=2):
        return client.submit(third_time_lucky, pure=False).result()


@program
def what_a_task_stream_says(module: Any, client: Any) -> Any:
    with module.get_task_stream(client) as stream:
        client.gather(client.map(inc, range(3), key=["s-1", "s-2", "s-3"]))
    wanted = {"key", "worker", "thread", "status", "nbytes", "type", "typename", "startstops"}
    run = stream.data[0]
    actions = [[each["action"] for each in run["startstops"]] for run in stream.data]
    kept = {name for name in wanted if name in run}
    return (
        sorted(run["key"] for run in stream.data),
        kept,
        actions,
        run["status"],
        pickle.loads(run["type"]),
        run["typename"],
    )


@program
def the_states_of_metadata(module: Any, client: Any) -> Any:
    with module.get_task_metadata() as tasks:
        one, failed = client.submit(inc, 1, key="m-1"), client.submit(fail, key="m-2", pure=False)
        dependent = client.submit(inc, failed, key="m-3")
        one.result(), dependent.exception()
    return sorted(tasks.state.items()), sorted(tasks.metadata)


numbers = itertools.count()


@program
def how_a_story_goes(module: Any, client: Any) -> Any:
    client.story()
    key = f"told-{next(numbers)}"
    future = client.submit(inc, 1, key=key, pure=False)
    future.result()
    rows = client.story(key)
    told = [row for row in rows if row[0] == "scheduler"] if module is distributed else rows
    assert all(len(row) == 7 and row[1] == key and isinstance(row[6], float) for row in told)
    return [(row[2], row[3]) for row in told]


@program
def what_a_profile_is_made_of(module: Any, client: Any) -> Any:
    client.profile()
    tree = client.profile(key="no such function")
    return tree, sorted(client.profile(merge_workers=False, key="no such function")) == sorted(client.nthreads())


@program
def duplicates_in_a_map(module: Any, client: Any) -> Any:
    one, other, third = client.map(inc, [1, 1, 2])
    again = client.map(inc, [1, 2])
    batches = len(client.map(inc, [1, 2, 3], batch_size=2))
    return one is other, one.key == third.key, again[0] is one, again[0].key == one.key, batches


class Counter:
    n = 0

    def add(self, by: int = 1) -> int:
        self.n += by
        return self.n

    def fail(self) -> None:
        raise OSError("the counter")


@program
def what_an_actor_does(module: Any, client: Any) -> Any:
    future = client.submit(Counter, actor=True)
    counter = future.result()
    calls = [counter.add() for _ in range(10)]
    added = [call.result() for call in calls]
    with pytest.raises(OSError, match="the counter"):
        counter.fail().result()
    in_a_task = client.submit(lambda counter: counter.add(5).result(), future, pure=False).result()
    return added, in_a_task, counter.n, type(counter).__name__, type(calls[0]).__name__, counter.add().done() in (0, 1)


@program
def an_actor_that_cannot_be_made(module: Any, client: Any) -> Any:
    return client.submit(Counter, 1, 2, actor=True, pure=False).result()


@program
def what_an_actor_does_not_have(module: Any, client: Any) -> Any:
    return client.submit(Counter, actor=True).result().nothing


@program
def workers_and_resources(module: Any, client: Any) -> Any:
    options = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with module.Client(resources={"GPU": 1}, set_as_default=False, **options) as other:
        first, second = (worker["name"] for worker in other.scheduler_info()["workers"].values())
        place = "get_worker().name"
        there = other.submit(lambda: eval(place, vars(module)), workers=[second], pure=False).result()
        by_wish = other.submit(lambda: 1, workers="nowhere", allow_other_workers=True, pure=False).result()
        taken = other.gather(other.map(inc, range(5), resources={"GPU": 1}, pure=False))
        never = other.submit(inc, 1, resources={"TPU": 1}, pure=False)
        pending = never.status
        return there == second, first == there, by_wish, taken, pending


@pytest.fixture(scope="module")
def theirs() -> Iterator[Any]:
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        yield client


def outcome(function: Callable[[Any, Any], Any], module: Any, client: Any) -> Any:
    try:
        return function(module, client)
    except Exception as error:
        return type(error).__name__


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_it_comes_to_is_the_same(name: str, client: azolla.Client, theirs: Any) -> None:
    ours, dasks = outcome(PROGRAMS[name], azolla, client), outcome(PROGRAMS[name], distributed, theirs)
    if name in DIFFERENT:
        assert (dasks, ours) == DIFFERENT[name][:2]
    else:
        assert ours == dasks


def test_the_differences_are_of_programs_that_there_are() -> None:
    assert DIFFERENT.keys() <= PROGRAMS.keys()
