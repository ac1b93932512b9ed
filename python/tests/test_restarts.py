"""Restarts of worker processes: what begins meanwhile, when the wait for a restart is cut off, and what they do to tasks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from azolla import Client, KilledWorker, Worker, WorkerPlugin, get_client, wait
from gates import PATIENCE, Gate


@pytest.fixture
def one() -> Iterator[Client]:
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield client


@pytest.fixture
def two() -> Iterator[Client]:
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


def process(_: object = None) -> int:
    return os.getpid()


def restart_workers(client: Client) -> None:
    assert client.restart_workers([0], timeout="1us", raise_for_error=False) == {0: "timed out"}


def restart(client: Client) -> None:
    with pytest.raises(TimeoutError):
        client.restart(timeout="1us")


@pytest.mark.parametrize("cut_off", [restart_workers, restart])
def test_what_comes_after_a_restart_that_is_cut_off_runs_in_the_new_process(
    one: Client, cut_off: Callable[[Client], None]
) -> None:
    for _ in range(5):
        old = one.submit(process, pure=False).result(PATIENCE)
        cut_off(one)
        one.wait_for_workers(1, timeout=PATIENCE)
        lock = one.submit(threading.Lock, pure=False)
        wait(lock, timeout=PATIENCE)
        assert one.submit(process, lock, pure=False).result(PATIENCE) != old


@pytest.mark.parametrize("cut_off", [restart_workers, restart])
def test_nothing_begins_in_a_process_that_is_restarted(one: Client, cut_off: Callable[[Client], None]) -> None:
    for _ in range(5):
        old = one.submit(process, pure=False).result(PATIENCE)
        cut_off(one)
        [new] = one.run(process).values()
        assert one.submit(process, pure=False).result(PATIENCE) == new != old


def test_others_run_what_comes_while_a_process_is_restarted(two: Client, gate: Gate) -> None:
    two.register_plugin(Holds(gate))
    old = two.submit(process, workers=[0]).result(PATIENCE)
    restart_workers(two)
    gate.entered()
    assert old not in two.gather(two.map(process, range(20), pure=False))
    gate.open()


class Holds(WorkerPlugin):
    """Takes longer to be torn down than a process has for its end."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def teardown(self, worker: Worker) -> None:
        self.gate.hold()
        time.sleep(PATIENCE)


def test_a_process_that_does_not_leave_is_killed_though_nobody_waits(one: Client, gate: Gate) -> None:
    one.register_plugin(Holds(gate), name="holds")
    old = one.submit(process, pure=False).result(PATIENCE)
    restart_workers(one)
    gate.entered()
    one.wait_for_workers(1, timeout=PATIENCE)
    assert one.submit(process, pure=False).result(PATIENCE) != old


def test_a_restart_is_no_death_of_a_task(one: Client, gate: Gate) -> None:
    future = one.submit(gate.hold, 7)
    for _ in range(6):
        gate.entered()
        one.restart_workers([0])
    gate.entered()
    gate.open()
    assert future.result(PATIENCE) == 7


def test_errors_say_that_a_process_was_restarted(one: Client) -> None:
    lock = one.submit(threading.Lock)
    wait(lock, timeout=PATIENCE)
    one.restart_workers([0])
    with pytest.raises(
        KilledWorker, match=r"worker 0\) was restarted\. To have it made again, drop every future on it"
    ):
        one.submit(process, lock).result(PATIENCE)


def test_a_task_does_not_restart_its_own_process(two: Client) -> None:
    def restarts(worker: int | str) -> object:
        return get_client().restart_workers([worker])

    address = two.cluster.workers[0].address
    for name in (0, address):
        with pytest.raises(NotImplementedError, match="the process of this task"):
            two.submit(restarts, name, workers=[0]).result(PATIENCE)
    assert two.submit(restarts, 1, workers=[0]).result(PATIENCE) == {1: "OK"}


def test_where_there_is_no_worker_the_message_says_so(one: Client) -> None:
    one.cluster.scale(0)
    with pytest.raises(ValueError, match="there is no worker 0; there are none now"):
        one.restart_workers([0])
