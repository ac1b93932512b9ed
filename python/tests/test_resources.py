"""`workers=`, `resources=` and `allow_other_workers=`: where tasks run, and what they take meanwhile."""

import asyncio
import concurrent.futures
import itertools
import logging

import azolla
import pytest
from azolla import Client, LocalCluster, WaitCycleError, get_client, get_worker, rejoin, secede
from azolla._base.annotations import annotate
from conftest import Journal, eventually

PATIENCE = 30


@pytest.fixture
def two(backend):
    with Client(
        processes=backend == "processes",
        n_workers=2,
        threads_per_worker=2,
        resources=[{"GPU": 1}, {}],
        dashboard_address=None,
    ) as client:
        yield client
        client._check()


def name():
    return get_worker().name


class Most:
    """Counts how many are in it at once."""

    def __init__(self):
        self.journal = Journal()

    def __enter__(self):
        self.journal.append(1)

    def __exit__(self, *exc_info):
        self.journal.append(-1)

    @property
    def most(self):
        return max(itertools.accumulate(self.journal))


def test_tasks_run_on_the_workers_that_they_name_by_name_or_address(two):
    address = two.cluster.workers[1].address
    for workers in (1, "1", [1], [address], address, {1}, two.cluster.workers[1]):
        assert set(two.gather(two.map(lambda _: name(), range(8), workers=workers, pure=False))) == {1}
    assert set(two.gather(two.map(lambda _: name(), range(40), workers=[0, 1], pure=False))) <= {0, 1}


def test_a_worker_is_the_same_wherever_one_looks(two, gate):
    def look():
        gate.hold()
        worker = get_worker()
        return worker.name, worker.address, worker.resources

    future = two.submit(look, workers=1, key="look")
    gate.entered()
    address = two.cluster.workers[1].address
    assert two.processing()[address] == ["look"]
    gate.open()
    assert future.result(PATIENCE) == (1, address, {})
    info = two.scheduler_info()["workers"]
    assert [worker["resources"] for worker in info.values()] == [{"GPU": 1}, {}]
    assert two.nthreads() == dict.fromkeys(info, 2)


def test_the_stack_of_a_task_is_its_workers(two, gate):
    future = two.submit(gate.hold, workers=1)
    gate.entered()
    assert list(two.call_stack([future])) == [two.cluster.workers[1].address]
    gate.open()
    future.result(PATIENCE)


def test_a_coroutine_task_knows_the_worker_that_it_began_on(two):
    async def where():
        return get_worker().name

    assert two.submit(where, workers=1, pure=False).result(PATIENCE) == 1
    assert two.submit(where, workers=0, pure=False).result(PATIENCE) == 0


@pytest.mark.parametrize("each, at_once", [(1, 2), (1.5, 1), (0.5, 4)])
def test_no_more_run_at_once_than_there_are_resources_for(backend, gate, each, at_once):
    most = Most()

    def work(_):
        with most:
            gate.hold()

    with Client(
        processes=backend == "processes",
        n_workers=1,
        threads_per_worker=5,
        resources={"GPU": 2},
        dashboard_address=None,
    ) as client:
        held = client.map(work, range(40), resources={"GPU": each}, pure=False)
        gate.entered(at_once)
        # A task without a need runs beside them: there are slots, and still no more of these begin.
        client.submit(int, pure=False).result(PATIENCE)
        eventually(lambda: client.counters()["settled"] == 1)
        counts = client.counters()
        assert (counts["running"], counts["ready"]) == (at_once, 40 - at_once)
        gate.open()
        client.gather(held)
    assert most.most == at_once


def test_other_workers_run_what_only_wishes_for_one_that_is_busy(two, gate):
    busy = [two.submit(gate.hold, workers=1, pure=False) for _ in range(2)]
    assert two.submit(name, workers=1, allow_other_workers=True, pure=False).result(PATIENCE) == 0
    gate.open()
    two.gather(busy)


def test_what_no_worker_can_run_stays_pending_and_is_told_once(two, caplog):
    with caplog.at_level(logging.WARNING, logger="azolla"):
        futures = [two.submit(int, workers="nowhere", pure=False) for _ in range(2)]
        futures += [
            two.submit(int, resources={"GPU": 2}, pure=False),
            two.submit(int, resources={"TPU": 1}, pure=False),
        ]
    assert two.submit(int, pure=False).result(PATIENCE) == 0
    assert {future.status for future in futures} == {"pending"}
    assert two.counters()["unrunnable"] == 4
    assert {state for _, state, _ in two._tasks() if state != "memory"} == {"no-worker"}
    assert len(caplog.records) == len(two.get_events("no-worker")) == 3
    two.cancel(futures)
    assert {future.status for future in futures} == {"cancelled"}
    assert two.submit(int, workers=["nowhere"], allow_other_workers=True, pure=False).result(PATIENCE) == 0


def test_a_task_that_waits_for_what_needs_its_own_resources_is_told_so(two):
    def parent():
        return get_client().submit(name, resources={"GPU": 1}, pure=False).result(PATIENCE)

    with pytest.raises(WaitCycleError):
        two.submit(parent, resources={"GPU": 1}, pure=False).result(PATIENCE)

    def seceded():
        secede()
        child = parent()
        rejoin()
        return child

    assert two.submit(seceded, resources={"GPU": 1}, pure=False).result(PATIENCE) == 0


def test_dask_annotations_and_executors_place_tasks_too(two):
    with two.get_executor(workers=[1]) as executor:
        assert executor.submit(name).result(PATIENCE) == 1
    with annotate(workers=[1]):
        assert two.submit(name, pure=False).result(PATIENCE) == 1
        assert two.submit(name, workers=0, pure=False).result(PATIENCE) == 0

    def grows():
        return get_client().submit(name, resources=None, pure=False).result(PATIENCE)

    with annotate(resources={"GPU": 1}):
        assert two.submit(grows, pure=False).result(PATIENCE) in (0, 1), "they are its own, not its children's"
    dask = pytest.importorskip("dask")
    with dask.annotate(resources={"GPU": 1}):
        delayed = dask.delayed(name, pure=False)()
    assert two.compute(delayed, optimize_graph=False).result(PATIENCE) == 0
    assert two.compute(dask.delayed(name, pure=False)(), workers=[1]).result(PATIENCE) == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"resources": {"GPU": -1}}, ValueError),
        ({"resources": {"GPU": float("nan")}}, ValueError),
        ({"resources": {"GPU": "1"}}, TypeError),
        ({"resources": 3}, TypeError),
        ({"workers": 1.5}, TypeError),
        ({"workers": [None]}, TypeError),
        ({"allow_other_workers": True}, ValueError),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_call(two, options, error):
    with pytest.raises(error):
        two.submit(name, **options)
    with pytest.raises(error):
        two.map(lambda _: 1, [1], **options)


@pytest.mark.parametrize("resources", [{"GPU": -1}, {"GPU": "many"}, [{"GPU": 1}], "GPU", {1: 1}])
def test_a_cluster_refuses_resources_that_are_none(resources):
    with pytest.raises((TypeError, ValueError)):
        LocalCluster(n_workers=2, processes=False, resources=resources, dashboard_address=None)


def test_restart_and_plugins_know_each_worker(two):
    class Names(azolla.WorkerPlugin):
        def setup(self, worker):
            worker.own = f"worker {worker.name}"

    two.register_plugin(Names(), name="names")
    assert [two.submit(lambda: get_worker().own, workers=n, pure=False).result(PATIENCE) for n in (0, 1)] == [
        "worker 0",
        "worker 1",
    ]
    waiting = two.submit(name, workers="nowhere", pure=False)
    two.restart()
    assert waiting.status == "cancelled"
    assert two.submit(name, workers=1, pure=False).result(PATIENCE) == 1
    two.wait_for_workers(2)


def executor():
    return get_client().get_executor()


def leave_an_executor(hold):
    with executor() as entered:
        entered.submit(hold)


async def await_a_task(hold):
    await get_client().submit(hold, pure=False)


async def call(hold):
    hold()


#: Waits of a task by other means than azolla's futures, and how many slots what it waits for takes.
WAITS = {
    "result": (1, lambda hold: executor().submit(hold).result()),
    "exception": (1, lambda hold: executor().submit(hold).exception()),
    "map": (1, lambda hold: list(executor().map(hold, [1]))),
    "wait": (1, lambda hold: concurrent.futures.wait([executor().submit(hold)])),
    "as_completed": (1, lambda hold: list(concurrent.futures.as_completed([executor().submit(hold)]))),
    "with": (1, leave_an_executor),
    "asyncio.run": (1, lambda hold: asyncio.run(await_a_task(hold))),
    "run": (0, lambda hold: get_client().run(hold)),
    "run_on_scheduler": (0, lambda hold: get_client().run_on_scheduler(hold)),
    "sync": (0, lambda hold: get_client().sync(call, hold)),
}


@pytest.mark.parametrize("name", WAITS)
def test_a_task_keeps_its_resources_however_it_waits(name, gate):
    slots, wait = WAITS[name]
    with Client(
        processes=False, n_workers=1, threads_per_worker=1 + slots, resources={"GPU": 1}, dashboard_address=None
    ) as client:
        parent = client.submit(wait, gate.hold, resources={"GPU": 1}, pure=False)
        gate.entered()
        eventually(lambda: client.counters()["running"] == slots)
        begun = Journal()
        other = client.submit(begun.append, 1, resources={"GPU": 1}, pure=False)
        # The slot that the waiting task has lent would be the other's before it is this one's.
        assert client.submit(abs, -1).result(timeout=PATIENCE) == 1
        assert begun == []
        gate.open()
        parent.result(timeout=PATIENCE)
        other.result(timeout=PATIENCE)
        client._check()


def test_a_task_that_waits_so_for_what_needs_its_own_resources_is_told(two):
    gpu = {"GPU": 1}

    async def awaits():
        return await get_client().submit(int, resources=gpu, pure=False)

    for wait in (
        lambda: get_client().get_executor(resources=gpu).submit(int).result(),
        lambda: concurrent.futures.wait([get_client().get_executor(resources=gpu).submit(int)]),
        lambda: asyncio.run(awaits()),
    ):
        with pytest.raises(WaitCycleError):
            two.submit(wait, resources=gpu, pure=False).result(timeout=PATIENCE)
