"""Programs with worker processes that end in the middle of something; `test_exit.py` runs each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import sys
import threading
import time
from typing import Any

import exit_scenarios
from azolla import Client, KilledWorker, as_completed, fire_and_forget, get_client
from exit_scenarios import LONG, Scenarios, begun, naps
from processes import children

SCENARIOS = Scenarios()
scenario = SCENARIOS.scenario

INTERRUPTED = r"(?s)Traceback \(most recent call last\):\n.*KeyboardInterrupt\n"


def local(workers: int = 2, **options: Any) -> Client:
    return Client(n_workers=workers, threads_per_worker=1, **options)


def leaving() -> None:
    """Says when the program begins to leave, and which worker processes it has."""
    exit_scenarios.leaving(*children(os.getpid()))


def interrupt_all(after: float) -> None:
    """Interrupts the program and its processes after so many seconds, as Ctrl-C in a terminal does."""
    timer = threading.Timer(after, os.killpg, [os.getpgrp(), signal.SIGINT])
    timer.daemon = True
    timer.start()


# --- What the processes do


@scenario()
def processes_run_many_tasks() -> None:
    client = local()
    futures = client.map(time.sleep, naps(500))
    begun(client, 2)
    leaving()
    assert futures


@scenario()
def processes_are_busy_in_python() -> None:
    def work() -> None:
        while True:
            sum(range(100))

    client = Client(n_workers=1, threads_per_worker=2)
    futures = [client.submit(work, pure=False) for _ in range(2)]
    begun(client, 2)
    leaving()
    assert futures


@scenario()
def processes_are_busy_in_c() -> None:
    client = local()
    futures = client.map(lambda n: re.match(r"(a+)+$", "a" * 50 + "b"), range(2))
    begun(client, 2)
    leaving()
    assert futures


@scenario()
def processes_were_stopped() -> None:
    client = local()
    futures = client.map(time.sleep, naps(10))
    begun(client, 2)
    leaving()
    for process in children(os.getpid()):
        os.kill(process, signal.SIGSTOP)
    assert futures


@scenario()
def processes_that_ignore_what_they_can() -> None:
    def work() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            with contextlib.suppress(BaseException):
                time.sleep(LONG)

    client = local()
    futures = [client.submit(work, pure=False) for _ in range(4)]
    begun(client, 2)
    leaving()
    assert futures


@scenario()
def processes_have_just_been_started() -> None:
    client = local()
    leaving()
    assert client


@scenario()
def eight_processes_have_just_been_started_on_one_processor() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    client = local(8)
    futures = client.map(time.sleep, naps(20))
    leaving()
    assert futures


@scenario()
def eight_processes_on_one_processor() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    client = local(8)
    assert client.gather(client.map(abs, range(-2000, 0))) == list(range(2000, 0, -1))
    futures = client.map(time.sleep, naps(20))
    begun(client, 8)
    leaving()
    assert futures


@scenario()
def large_data_is_on_its_way() -> None:
    client = local()

    def goes_on() -> None:
        while True:
            with contextlib.suppress(BaseException):
                client.gather(client.map(bytes.upper, [bytes(3_000_000)] * 3, pure=False))

    for _ in range(3):
        threading.Thread(target=goes_on, daemon=True).start()
    begun(client, 1)
    leaving()


@scenario(stderr=r"(?s)(task .* failed, and no future shows it: .*)?")
def processes_go_on_dying() -> None:
    client = local()
    futures = client.map(os._exit, range(50))
    with contextlib.suppress(KilledWorker):
        futures[0].result()
    leaving()


@scenario()
def several_clients_with_processes() -> None:
    clients = [local(1) for _ in range(4)]
    futures = [client.submit(time.sleep, LONG) for client in clients]
    for client in clients:
        begun(client, 1)
    leaving()
    assert futures


@scenario()
def tasks_in_processes_wait_for_others() -> None:
    def parent(number: int) -> Any:
        client = get_client()
        return client.gather([client.submit(time.sleep, LONG, pure=False) for _ in range(2)])

    client = local()
    futures = client.map(parent, range(10))
    begun(client, 3)
    leaving()
    assert futures


@scenario()
def tasks_in_processes_go_on_submitting() -> None:
    def work() -> None:
        client = get_client()
        while True:
            with contextlib.suppress(BaseException):
                client.gather(client.map(abs, range(10), pure=False))

    client = local()
    futures = [client.submit(work, pure=False) for _ in range(3)]
    begun(client, 3)
    leaving()
    assert futures


@scenario()
def nobody_waits_for_the_processes() -> None:
    client = local()
    fire_and_forget(client.map(time.sleep, naps(100)))
    leaving()


@scenario()
def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    client = local(dashboard_address=None)
    futures = client.map(bytes, [100_000 + number for number in range(300)])
    assert [len(made) for made in client.gather(futures)] == [100_000 + number for number in range(300)]
    sleeping = client.map(time.sleep, naps(10))
    begun(client, 2)
    leaving()
    assert sleeping


# --- How the program ends


@scenario(code=3)
def sys_exit_with_processes() -> None:
    client = local()
    futures = client.map(time.sleep, naps(4))
    begun(client, 2)
    leaving()
    assert futures
    sys.exit(3)


@scenario(code=1, stderr=r"Traceback \(most recent call last\):\n(  .*\n)+ValueError: deliberate\n")
def an_exception_with_processes() -> None:
    client = local()
    futures = client.map(time.sleep, naps(4))
    begun(client, 2)
    leaving()
    raise ValueError("deliberate" if futures else "")


@scenario(code=-signal.SIGINT, stderr=INTERRUPTED)
def interrupted_in_a_gather() -> None:
    client = local()
    futures = client.map(time.sleep, naps(20))
    begun(client, 2)
    interrupt_all(0.05)
    leaving()
    client.gather(futures)


@scenario(code=-signal.SIGINT, stderr=INTERRUPTED)
def interrupted_twice() -> None:
    with local() as client:
        futures = client.map(time.sleep, naps(20))
        begun(client, 2)
        interrupt_all(0.05)
        interrupt_all(0.052)
        leaving()
        client.gather(futures)


@scenario(code=-signal.SIGINT, stderr=INTERRUPTED)
def interrupted_while_processes_start() -> None:
    interrupt_all(0.04)
    leaving()
    client = local()
    client.submit(time.sleep, LONG).result()


@scenario(code=-signal.SIGINT, stderr=INTERRUPTED)
def interrupted_in_a_coroutine() -> None:
    async def main() -> None:
        async with Client(asynchronous=True, n_workers=2, threads_per_worker=1) as client:
            assert await client.submit(abs, -1) == 1
            futures = client.map(time.sleep, naps(4))
            leaving()
            interrupt_all(0.05)
            async for _ in as_completed(futures):
                pass

    asyncio.run(main())


@scenario()
def interrupted_and_used_again() -> None:
    client = local()
    futures = client.map(time.sleep, naps(2))
    begun(client, 2)
    interrupt_all(0.05)
    with contextlib.suppress(KeyboardInterrupt):
        client.gather(futures)
    client.cancel(futures)
    for process in children(os.getpid()):
        os.kill(process, signal.SIGKILL)
    assert client.submit(abs, -1).result() == 1
    leaving()


@scenario()
def the_child_of_a_fork_ends_first() -> None:
    client = local()
    assert client.submit(abs, -1).result() == 1
    child = os.fork()
    if not child:
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.submit(abs, -2).result() == 2
    futures = client.map(time.sleep, naps(4))
    begun(client, 2)
    leaving()
    assert futures


@scenario()
def the_child_of_a_fork_outlives_the_program() -> None:
    client = local()
    assert client.submit(abs, -1).result() == 1
    if not os.fork():
        # It has the ends of all lines. The processes end with the program all the same.
        for stream in (0, 1, 2):
            os.close(stream)
        while os.getppid() != 1:
            time.sleep(0.001)
        time.sleep(0.5)
        os._exit(0)
    leaving()


if __name__ == "__main__":
    os.setpgid(0, 0)
    SCENARIOS[sys.argv[1]][0]()
