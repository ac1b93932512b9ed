"""Worker processes that come and go while the cluster runs: by hand, with the work, and while others are killed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azolla import (
    ActorLostError,
    Client,
    ClosedClientError,
    Future,
    KilledWorker,
    LocalCluster,
    Worker,
    WorkerPlugin,
    get_client,
    get_worker,
)
from azolla._cluster import scaling
from azolla._cluster.scaling import Standing, Steps, Work
from conftest import PATIENCE, Clusters, eventually
from gates import Gate, Journal
from processes import children, is_running

OPTIONS: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": None}


@pytest.fixture
def one() -> Iterator[Client]:
    with Client(n_workers=1, **OPTIONS) as client:
        yield client


@pytest.fixture
def two() -> Iterator[Client]:
    with Client(n_workers=2, **OPTIONS) as client:
        yield client


def names(client: Client) -> list[int]:
    return list(client.cluster.workers)


def name() -> int:
    return get_worker().name


def pids(client: Client) -> dict[int, int | None]:
    return {worker["name"]: worker.get("pid") for worker in client.scheduler_info()["workers"].values()}


# --- Up


def test_workers_that_come_are_seen_everywhere(one: Client) -> None:
    one.cluster.scale(3)
    one.wait_for_workers(3, timeout=PATIENCE)
    assert names(one) == [0, 1, 2]
    addresses = [worker.address for worker in one.cluster.workers.values()]
    info = one.scheduler_info()
    assert (info["n_workers"], info["total_threads"], list(info["workers"])) == (3, 3, addresses)
    assert None not in pids(one).values()
    assert len(set(pids(one).values())) == 3
    assert one.nthreads() == dict.fromkeys(addresses, 1)
    assert one.ncores() == one.nthreads()
    assert list(one.has_what()) == addresses
    assert list(one.processing()) == addresses
    assert "workers=3, threads=3" in repr(one.cluster)
    assert one.submit(name, workers=[2]).result() == 2
    assert one.run(name) == {address: number for number, address in enumerate(addresses)}
    assert one.get_executor()._max_workers == 3
    assert one.submit(lambda: list(get_client().cluster.workers)).result() == [0, 1, 2]


def test_what_waits_runs_on_workers_that_come(one: Client, gate: Gate) -> None:
    futures = [one.submit(gate.hold, pure=False) for _ in range(3)]
    gate.entered()
    one.cluster.scale(3)
    gate.entered()
    gate.entered()
    gate.open()
    one.gather(futures)


def test_names_go_on_counting(two: Client) -> None:
    two.cluster.scale(1)
    assert names(two) == [0]
    two.cluster.scale(3)
    assert names(two) == [0, 2, 3]
    assert two.submit(name, workers="3").result() == 3


class Marks(WorkerPlugin):
    name = "marks"

    def setup(self, worker: Worker) -> None:
        worker.mark = worker.name  # type: ignore[attr-defined]


def test_plugins_modules_and_resources_are_there_before_the_first_task(tmp_path: Path) -> None:
    (tmp_path / "comes_too.py").write_text("word = 'here'")
    with Client(n_workers=1, resources={"GPU": 1}, **OPTIONS) as client:
        client.register_plugin(Marks())
        client.upload_file(tmp_path / "comes_too.py")
        client.cluster.scale(2)

        def finds() -> Any:
            import comes_too  # type: ignore[import-not-found]

            return get_worker().mark, comes_too.word, get_worker().resources  # type: ignore[attr-defined]

        found = client.submit(finds, workers=[1], resources={"GPU": 1}).result(PATIENCE)
        assert found == (1, "here", {"GPU": 1})


def test_resources_that_were_given_for_each_apart_are_not_known_for_another() -> None:
    with Client(n_workers=2, resources=[{"GPU": 1}, {}], **OPTIONS) as client:
        with pytest.raises(ValueError, match="each worker apart"):
            client.cluster.scale(3)
        with pytest.raises(ValueError, match="each worker apart"):
            client.cluster.adapt(minimum=2)
        client.cluster.scale(1)
        assert len(names(client)) == 1


def test_a_task_waits_for_a_worker_that_is_yet_to_come(one: Client, caplog: pytest.LogCaptureFixture) -> None:
    waits = [one.submit(name, workers=[given], pure=False) for given in (2, "2", one.cluster._address("2"))]
    elsewhere = one.submit(name, workers=["7"], allow_other_workers=True, pure=False)
    never = one.submit(name, workers=["no such worker"], pure=False)
    assert elsewhere.result() == 0
    assert "or until the cluster is scaled" in caplog.text
    one.cluster.scale(2)
    assert one.submit(name, workers=[1], pure=False).result() == 1
    assert {future.status for future in waits} == {"pending"}
    one.cluster.scale(3)
    assert one.gather(waits) == [2, 2, 2]
    assert never.status == "pending"


def test_a_process_that_does_not_start_is_waited_for(one: Client) -> None:
    one.wait_for_workers(1, timeout=PATIENCE)
    with pytest.raises(TimeoutError, match="1/2 workers"):
        one.wait_for_workers(2, timeout="1ms")
    ended: list[BaseException] = []

    def waits() -> None:
        try:
            one.wait_for_workers(2)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=waits)
    thread.start()
    one.cluster.scale(2)
    thread.join(PATIENCE)
    assert (thread.is_alive(), ended) == (False, [])


def test_more_results_stay_in_memory_where_more_workers_are() -> None:
    """What may be in memory of results grows and shrinks with the workers."""
    with Client(n_workers=1, memory_limit="100MB", **OPTIONS) as client:
        held = [client.submit(bytes, 10**7 + number) for number in range(10)]
        client.gather([client.submit(len, future) for future in held])
        spilled = client.scheduler_info()["spilled_bytes"]
        assert spilled >= 3 * 10**7
        client.cluster.scale(3)
        held += [client.submit(bytes, 10**7 + number) for number in range(10, 14)]
        client.gather([client.submit(len, future) for future in held])
        assert client.scheduler_info()["spilled_bytes"] == spilled


# --- Down


def test_idle_workers_go_first_and_what_runs_ends(two: Client, gate: Gate) -> None:
    two.cluster.scale(4)
    busy = two.submit(gate.hold, 5, workers=[3], pure=False)
    gate.entered()
    two.cluster.scale(1)
    assert names(two) == [3]
    two.cluster.scale(0)
    assert names(two) == []
    waits = two.submit(name)
    assert busy.status == "pending"
    gate.open()
    busy.result(PATIENCE)
    assert waits.status == "pending"
    two.cluster.scale(1)
    assert waits.result(PATIENCE) == 4


def test_who_retires_is_told_and_waited_for(two: Client, gate: Gate) -> None:
    two.wait_for_workers(2, timeout=PATIENCE)
    there = pids(two)
    busy = two.submit(gate.hold, workers=[1], pure=False)
    gate.entered()
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(two.retire_workers(workers=["1"])))
    thread.start()
    eventually(lambda: names(two) == [0])
    assert busy.status == "pending"
    assert answers == []
    gate.open()
    thread.join(PATIENCE)
    busy.result()
    [(address, known)] = answers[0].items()
    assert (address, known["name"], known["pid"]) == (two.cluster._address("1"), 1, there[1])
    assert not is_running(there[1] or 0)
    assert is_running(there[0] or 0)


def test_the_idle_ones_retire_if_none_is_named(two: Client, gate: Gate) -> None:
    busy = two.submit(gate.hold, workers=[0], pure=False)
    gate.entered()
    two.cluster.scale(4)
    assert [worker["name"] for worker in two.retire_workers(n=1).values()] == [3]
    assert len(two.retire_workers()) == 2
    assert names(two) == [0]
    gate.open()
    busy.result()
    with pytest.raises(ValueError, match="there is no worker 1"):
        two.retire_workers([1])
    with pytest.raises(NotImplementedError, match="close_workers"):
        two.retire_workers([0], close_workers=False)
    with pytest.raises(TypeError, match="minimum_"):
        two.retire_workers([0], minimum_=3)


def test_results_outlive_their_worker(two: Client) -> None:
    large = two.submit(bytes, 10**6, workers=[1])
    small = two.submit(name, workers=[1])
    two.gather([large, small])
    two.retire_workers([1])
    assert two.submit(len, large).result() == 10**6
    assert (len(large.result()), small.result()) == (10**6, 1)


def test_a_task_for_a_worker_that_has_gone_waits_or_runs_elsewhere(two: Client) -> None:
    two.retire_workers([1])
    waits = two.submit(name, workers=[1], pure=False)
    elsewhere = two.submit(name, workers=[1], allow_other_workers=True, pure=False)
    assert elsewhere.result() == 0
    two.cluster.scale(2)
    two.wait_for_workers(2, timeout=PATIENCE)
    assert waits.status == "pending"
    with pytest.raises(ValueError, match="there is no worker 1"):
        two.run(name, workers=[1])


class Counts:
    def __init__(self) -> None:
        self.n = 0

    def add(self, gate: Gate | None = None) -> int:
        if gate is not None:
            gate.hold()
        self.n += 1
        return self.n


def test_an_actor_is_lost_with_its_worker(two: Client, gate: Gate) -> None:
    counts = two.submit(Counts, actor=True, workers=[1]).result()
    assert counts.add().result() == 1
    runs, waits = counts.add(gate), counts.add()
    gate.entered()
    two.cluster.scale(1)
    assert names(two) == [1], "one that has an actor goes last"
    two.cluster.scale(2)
    thread = threading.Thread(target=two.retire_workers, args=([1],))
    thread.start()
    with_calls = counts.add  # it may be made before the loss is known
    eventually(lambda: names(two) == [2])
    gate.open()
    thread.join(PATIENCE)
    assert runs.result() == 2
    with pytest.raises(ActorLostError, match="worker 1\\) was retired"):
        waits.result()
    with pytest.raises(ActorLostError, match="worker 1\\) was retired"):
        with_calls().result()


def test_an_actor_whose_worker_goes_before_it_is_made(two: Client, gate: Gate) -> None:
    busy = two.submit(gate.hold, workers=[1], pure=False)
    gate.entered()
    made = two.submit(Counts, actor=True, workers=[1])
    thread = threading.Thread(target=two.retire_workers, args=([1],))
    thread.start()
    with pytest.raises(ActorLostError, match="was retired before it was made"):
        made.result()
    gate.open()
    thread.join(PATIENCE)
    busy.result()


def test_a_worker_leaves_in_order(two: Client, tmp_path: Path) -> None:
    class Tears(WorkerPlugin):
        def teardown(self, worker: Worker) -> None:
            (tmp_path / f"{worker.name}-torn").touch()

    def opens() -> None:
        import atexit

        get_worker().file = (tmp_path / "open").open("w")  # type: ignore[attr-defined]
        get_worker().file.write("written")  # type: ignore[attr-defined]
        atexit.register((tmp_path / "atexit").touch)

    two.register_plugin(Tears())
    two.submit(opens, workers=[1]).result()
    two.retire_workers([1])
    assert (tmp_path / "open").read_text() == "written"
    assert (tmp_path / "atexit").exists()
    assert [path.name for path in tmp_path.glob("*-torn")] == ["1-torn"]


def test_a_worker_that_goes_leaves_in_order_at_the_end_of_the_cluster(gate: Gate, tmp_path: Path) -> None:
    def opens() -> None:
        get_worker().file = (tmp_path / "open").open("w")  # type: ignore[attr-defined]
        get_worker().file.write("written")  # type: ignore[attr-defined]
        gate.hold()

    with Client(n_workers=1, **OPTIONS) as client:
        future = client.submit(opens)
        gate.entered()
        client.cluster.scale(0)
    assert (tmp_path / "open").read_text() == "written"
    assert future.status == "cancelled"


def test_parents_that_wait_end_though_their_worker_goes(two: Client, gate: Gate) -> None:
    def child() -> int:
        gate.hold()
        return name()

    def parent() -> tuple[int, int]:
        inner = get_client().submit(child, pure=False).result()
        return name(), inner

    future = two.submit(parent, workers=[1], pure=False)
    gate.entered()
    two.cluster.scale(3)
    thread = threading.Thread(target=two.retire_workers, args=([1],))
    thread.start()
    eventually(lambda: 1 not in names(two))
    gate.open()
    outer, inner = future.result(PATIENCE)
    assert (outer, inner in (0, 1, 2)) == (1, True)
    thread.join(PATIENCE)


def test_a_coroutine_ends_before_its_worker_goes(two: Client, journal: Journal) -> None:
    event = two.submit(asyncio.sleep, 0).result()
    assert event is None

    async def waits() -> int:
        journal.append("begun")
        while "go" not in list(journal):
            await asyncio.sleep(0.01)
        return name()

    future = two.submit(waits, workers=[1])
    eventually(lambda: "begun" in list(journal))
    thread = threading.Thread(target=two.retire_workers, args=([1],))
    thread.start()
    eventually(lambda: names(two) == [0])
    journal.append("go")
    assert future.result() == 1
    thread.join(PATIENCE)


def test_what_ran_runs_elsewhere_if_its_worker_dies_as_it_goes(two: Client, gate: Gate, journal: Journal) -> None:
    def runs() -> int:
        journal.append(os.getpid())
        gate.hold()
        return name()

    future = two.submit(runs, workers=[1], allow_other_workers=True, pure=False)
    gate.entered()
    thread = threading.Thread(target=two.retire_workers, args=([1],))
    thread.start()
    eventually(lambda: names(two) == [0])
    os.kill(next(iter(journal)), signal.SIGKILL)
    gate.entered()
    thread.join(PATIENCE)
    gate.open()
    assert future.result() == 0


def test_a_restart_ends_what_goes_on_as_its_worker_goes(two: Client, gate: Gate) -> None:
    busy = two.submit(gate.hold, workers=[1], pure=False)
    gate.entered()
    two.cluster.scale(3)
    thread = threading.Thread(target=two.retire_workers, args=([1],))
    thread.start()
    eventually(lambda: names(two) == [0, 2])
    two.restart()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert busy.status == "cancelled"
    assert two.submit(name, workers=[2]).result() == 2


# --- Processes that are not there, or cannot be started


class Hangs(WorkerPlugin):
    """Its setup does not end, but in the first worker."""

    name = "hangs"

    def __init__(self, begun: Path) -> None:
        self.begun = begun

    def setup(self, worker: Worker) -> None:
        if worker.name:
            (self.begun / str(worker.name)).touch()
            threading.Event().wait()


def test_a_worker_that_is_not_fitted_out_goes_first(one: Client, tmp_path: Path) -> None:
    one.register_plugin(Hangs(tmp_path))
    one.cluster.scale(2)
    eventually((tmp_path / "1").exists)
    assert one.gather(one.map(pow, range(20), [2] * 20)) == [number**2 for number in range(20)]
    waits = one.submit(name, workers=[1], allow_other_workers=True, pure=False)
    assert waits.result(PATIENCE) == 0
    with pytest.raises(TimeoutError, match="1/2 workers"):
        one.wait_for_workers(2, timeout="1ms")
    good, hung = one.cluster._standings()
    assert (good.has_arrived, hung.has_arrived, hung.tasks) == (True, False, 0)
    one.cluster.scale(1)
    assert names(one) == [0]
    eventually(lambda: not one.cluster._leaving)
    one.cluster.scale(2)
    eventually((tmp_path / "2").exists)
    adaptive = one.cluster.adapt(minimum=1, maximum=2, interval="1ms")
    eventually(lambda: names(one) == [0])
    adaptive.stop()
    assert one.submit(name, pure=False).result(PATIENCE) == 0


def test_a_worker_that_is_not_fitted_out_retires_though_tasks_wait_for_it(one: Client, tmp_path: Path) -> None:
    one.register_plugin(Hangs(tmp_path))
    one.cluster.scale(2)
    eventually((tmp_path / "1").exists)
    waits = [one.submit(name, workers=[1], pure=False) for _ in range(3)]
    process = pids(one)[1]
    thread = threading.Thread(target=one.retire_workers, args=([1],))
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not is_running(process or 0)
    assert {future.status for future in waits} == {"pending"}
    one._check()


class Dies(WorkerPlugin):
    """Ends a process that is set up while there is such a file."""

    name = "dies"

    def __init__(self, file: Path) -> None:
        self.file = file

    def setup(self, worker: Worker) -> None:
        if self.file.exists():
            os._exit(3)


@pytest.fixture
def failed(one: Client, tmp_path: Path) -> Client:
    """A client whose worker could not be started. What has caused that is gone."""
    file = tmp_path / "dies"
    one.register_plugin(Dies(file))
    file.touch()
    os.kill(one.submit(os.getpid).result(), signal.SIGKILL)
    eventually(lambda: one.cluster._failed([0]) == [True])
    file.unlink()
    with pytest.raises(KilledWorker, match="no worker process can be started"):
        one.submit(name, pure=False).result(PATIENCE)
    return one


def test_a_worker_that_could_not_be_started_is_started_again(failed: Client) -> None:
    assert list(failed.unregister_worker_plugin("dies").values()) == [{"status": "OK"}]
    assert failed.restart_workers([0], timeout=PATIENCE) == {0: "OK"}
    assert failed.submit(name, pure=False).result(PATIENCE) == 0


def test_a_restart_starts_one_again_that_could_not_be_started(failed: Client) -> None:
    failed.restart(timeout=PATIENCE)
    assert failed.submit(name, pure=False).result(PATIENCE) == 0


def test_a_worker_that_could_not_be_started_does_not_count(failed: Client) -> None:
    failed.cluster.scale(1)
    assert names(failed) == [1]
    assert failed.submit(name, pure=False).result(PATIENCE) == 1


# --- At once, and at the end


def test_several_threads_scale_at_once(one: Client) -> None:
    def scales(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(6):
            one.cluster.scale(chance.randrange(5))

    threads = [threading.Thread(target=scales, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    futures = one.map(pow, range(200), [2] * 200)
    for thread in threads:
        thread.join(PATIENCE)
    one.cluster.scale(2)
    assert one.gather(futures) == [number**2 for number in range(200)]
    assert len(names(one)) == 2
    one._check()


def test_scaling_while_the_cluster_closes() -> None:
    for _ in range(3):
        cluster = LocalCluster(n_workers=1, **OPTIONS)
        ended: list[BaseException] = []

        def scales(cluster: LocalCluster = cluster, ended: list[BaseException] = ended) -> None:
            try:
                while True:
                    cluster.scale(3)
                    cluster.scale(1)
            except ClosedClientError as error:
                ended.append(error)

        thread = threading.Thread(target=scales)
        thread.start()
        cluster.close()
        thread.join(PATIENCE)
        assert len(ended) == 1
    with pytest.raises(ClosedClientError):
        cluster.scale(1)
    with pytest.raises(ClosedClientError):
        cluster.adapt()


def test_a_task_cannot_scale_its_cluster(one: Client) -> None:
    for call in (
        lambda: get_client().cluster.scale(2),
        lambda: get_client().cluster.adapt(),
        lambda: get_client().retire_workers([0]),
    ):
        with pytest.raises(NotImplementedError, match="process"):
            one.submit(call).result()


def test_threads_are_as_many_as_they_are() -> None:
    with Client(processes=False, n_workers=2, threads_per_worker=1) as client:
        client.cluster.scale(2)
        with pytest.raises(NotImplementedError, match="fixed"):
            client.cluster.scale(3)
        with pytest.raises(NotImplementedError, match="fixed"):
            client.cluster.adapt()
        with pytest.raises(NotImplementedError, match="fixed"):
            client.retire_workers([0])


def test_awaited() -> None:
    async def main() -> Any:
        async with LocalCluster(n_workers=1, asynchronous=True, **OPTIONS) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                await cluster.scale(2)
                cluster.scale(3)  # it need not be awaited
                await client.wait_for_workers(3, timeout=PATIENCE)
                retired = await client.retire_workers([1])
                return [worker["name"] for worker in retired.values()], list(cluster.workers)

    assert asyncio.run(main()) == ([1], [0, 2])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"n": -1}, ValueError), ({"n": 1.5}, TypeError), ({"n": "2"}, TypeError), ({"memory": "x"}, ValueError)],
)
def test_what_is_no_number_of_workers(one: Client, arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        one.cluster.scale(**arguments)
    assert names(one) == [0]


def test_cores_and_memory_stand_for_workers() -> None:
    with LocalCluster(n_workers=1, threads_per_worker=2, memory_limit="1GB", dashboard_address=None) as cluster:
        cluster.scale(cores=3)
        assert len(cluster.workers) == 2
        cluster.scale(memory="2.5GB")
        assert len(cluster.workers) == 3
    with LocalCluster(n_workers=1, memory_limit=None, **OPTIONS) as cluster:
        with pytest.raises(NotImplementedError, match="not limited"):
            cluster.scale(memory="2GB")


# --- With the work


def test_workers_come_and_go_with_the_work(one: Client, gate: Gate) -> None:
    adaptive = one.cluster.adapt(minimum=0, maximum=3, interval="10ms", wait_count=2, target_duration="100ms")
    futures = [one.submit(gate.hold, pure=False) for _ in range(5)]
    for _ in range(3):
        gate.entered()
    assert len(names(one)) == 3
    gate.open()
    one.gather(futures)
    eventually(lambda: names(one) == [])
    steps = [step["status"] for _, step in adaptive.log]
    assert steps[0] == "up"
    assert "down" in steps
    assert one.submit(pow, 3, 3).result(PATIENCE) == 27
    other = one.cluster.adapt(minimum=2, maximum=2, interval="10ms")
    assert (adaptive.state, other.state) == ("stopped", "running")
    eventually(lambda: len(names(one)) == 2)
    other.stop()
    one.cluster.scale(1)
    assert len(names(one)) == 1


def test_an_adaptive_cluster_is_closed_and_collected() -> None:
    cluster = LocalCluster(n_workers=1, **OPTIONS)
    adaptive = cluster.adapt(minimum=1, interval="1ms")
    cluster.close()
    assert adaptive.state == "stopped"
    assert not adaptive._thread.is_alive()
    again = LocalCluster(n_workers=1, **OPTIONS).adapt(minimum=1, interval="1ms")
    gc.collect()
    eventually(lambda: not again._thread.is_alive())
    assert again.cluster is None


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"minimum": 3, "maximum": 2}, ValueError),
        ({"minimum": -1}, ValueError),
        ({"maximum": 1.5}, TypeError),
        ({"interval": 0}, ValueError),
        ({"wait_count": 0}, ValueError),
        ({"foo": 1}, TypeError),
        ({"minimum": 10**30}, ValueError),
        ({"minimum": 65_536}, ValueError),
        ({"minimum_cores": -1}, ValueError),
        ({"maximum_cores": "many"}, TypeError),
        ({"minimum_memory": "1e40 GB"}, ValueError),
        ({"worker_key": id}, NotImplementedError),
    ],
)
def test_what_no_cluster_adapts_to(arguments: dict[str, Any], error: type[Exception]) -> None:
    with LocalCluster(n_workers=1, **OPTIONS) as cluster, pytest.raises(error):
        cluster.adapt(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"n": -1}, ValueError),
        ({"n": 65_536}, ValueError),
        ({"cores": -1}, ValueError),
        ({"cores": math.inf}, ValueError),
        ({"cores": "many"}, TypeError),
        ({"memory": "1e40 GB"}, ValueError),
    ],
)
def test_how_many_workers_there_cannot_be(one: Client, arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        one.cluster.scale(**arguments)
    assert names(one) == [0]


def test_how_many_workers_cannot_retire(one: Client) -> None:
    with pytest.raises(ValueError, match="n must be 0 or more"):
        one.retire_workers(n=-1)
    with pytest.raises(TypeError, match="whole number"):
        one.retire_workers(n=1.5)
    assert one.retire_workers(n=0) == {}


def worker(number: int, tasks: int = 0, actors: int = 0, arrived: bool = True, failed: bool = False) -> Standing:
    return Standing(tasks, actors, arrived, -number, failed)


def test_how_many_workers_work_asks_for() -> None:
    def target(tasks: int, seconds: float, *workers: Standing, stored: int = 0, threads: int = 1) -> int:
        return scaling.target(Work(tasks, seconds, stored, 100 * len(workers)), workers, threads, 5.0)

    assert target(0, 0.0) == 0
    assert target(1, 0.001) == 1
    assert target(100, 50.0, worker(0)) == 10
    assert target(100, 50.0, worker(0), threads=4) == 3
    assert target(2, 1000.0, worker(0)) == 2, "a task takes one thread"
    assert target(1, 1.0, worker(0, tasks=1), worker(1, tasks=1)) == 2, "who is busy stays"
    assert target(0, 0.0, worker(0), worker(1), stored=130) == 4


def test_who_goes_first() -> None:
    there = [worker(0), worker(1, tasks=2), worker(2), worker(3, actors=1)]
    workers = [*there, worker(4, arrived=False), worker(5, arrived=False, failed=True), worker(6, arrived=False)]
    assert scaling.first_to_go(workers, 7) == [5, 6, 4, 2, 0, 3, 1]


def test_a_worker_is_closed_when_it_could_have_been_several_times_in_a_row() -> None:
    steps, workers = Steps(), [worker(0, tasks=1), worker(1), worker(2)]
    assert steps.next(4, workers, 2) == {"status": "up", "n": 4}
    assert steps.next(2, workers, 2) == {"status": "same"}
    assert steps.next(3, workers, 2) == {"status": "same"}
    assert steps.next(2, workers, 2) == {"status": "same"}, "it was needed meanwhile"
    assert steps.next(2, workers, 2) == {"status": "down", "workers": [2]}
    assert steps.next(0, [worker(0, tasks=1)], 1) == {"status": "same"}, "it is busy"


def test_bounds_in_cores_and_memory() -> None:
    assert scaling.bounds((0, 5, None), (math.inf, 9, None), 2, 100) == (3, 4)
    assert scaling.bounds((1, None, 250), (math.inf, None, 350), 2, 100) == (3, 3)


# --- While processes are killed


def left_behind() -> tuple[int, int, set[int]]:
    """What this process has of clients: descriptors, mappings, and worker processes."""
    gc.collect()
    maps = Path("/proc/self/maps").read_text().count("memfd:azolla")
    return len(os.listdir("/proc/self/fd")), maps, children(os.getpid())


def grows(number: int) -> int:
    """A task that has tasks of its own."""
    client = get_client()
    return sum(client.gather(client.map(pow, [number] * 3, range(3), pure=False)))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("round_", range(3))
def test_processes_are_killed_while_workers_come_and_go(clusters: Clusters, round_: int) -> None:
    clusters.close()
    before = left_behind()
    scales_and_kills(random.Random(round_), before[2])
    eventually(lambda: all(now <= then for now, then in zip(left_behind(), before, strict=True)))  # type: ignore[operator]


def scales_and_kills(chance: random.Random, others: set[int]) -> None:
    with Client(n_workers=2, **OPTIONS) as client:
        futures: list[tuple[int, Future[int]]] = []
        for turn in range(15):
            futures += [(number, client.submit(grows, number, pure=False)) for number in range(turn, turn + 10)]
            client.cluster.scale(chance.randrange(1, 5))
            there = [process for process in children(os.getpid()) if process not in others]
            if there and chance.random() < 0.6:
                with contextlib.suppress(ProcessLookupError):  # it has just left
                    os.kill(chance.choice(there), signal.SIGKILL)
            if chance.random() < 0.3:
                client.cluster.scale(0)
        client.cluster.scale(2)
        for number, future in futures:
            assert future.result(PATIENCE) == 1 + number + number**2
        client._check()
        large = client.submit(bytes, 10**6)
        assert len(large.result()) == 10**6
        client.cluster.scale(0)
