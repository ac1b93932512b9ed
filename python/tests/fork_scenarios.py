"""Programs that fork; `test_fork.py` runs each in a process of its own, which ends with 0 and in silence."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from azolla import Client, Future, as_completed, get_client, wait

# From Python 3.12 on a fork beside threads warns, and to fork beside threads is what these programs are for.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

#: How long a child may take, in seconds.
LIMIT = 20.0
SCENARIOS: dict[str, Callable[[], None]] = {}


def scenario(program: Callable[[], None]) -> Callable[[], None]:
    SCENARIOS[program.__name__] = program
    return program


def local(threads: int = 2) -> Client:
    return Client(processes=False, n_workers=1, threads_per_worker=threads)


def in_child(check: Callable[[], object], *, through_the_interpreter: bool = True) -> None:
    """Runs `check` in a forked child, which must end with 0."""
    pid = os.fork()
    if pid == 0:
        if through_the_interpreter:
            check()
            sys.exit(0)
        try:
            check()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    ended(pid)


def ended(pid: int) -> None:
    """Waits for a child, which must end with 0."""
    deadline = time.monotonic() + LIMIT
    while (status := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGABRT)
            os.waitpid(pid, 0)
            raise AssertionError("the child hangs")
        time.sleep(0.005)
    assert os.waitstatus_to_exitcode(status[1]) == 0, status


def refused(call: Callable[[], object]) -> None:
    """The parent's clients are dead in the child, and whoever uses one is told."""
    try:
        call()
    except RuntimeError as error:
        assert "fork" in str(error), error
        assert "new Client" in str(error), error
    else:
        raise AssertionError("nothing was raised")


def a_new_client_works() -> None:
    with local() as client:
        assert get_client() is client
        assert client.gather(client.map(abs, [-1, -2, -3])) == [1, 2, 3]
        assert sorted(future.result() for future in as_completed(client.map(abs, [-4, -5]))) == [4, 5]


@scenario
def the_parents_client_is_dead_in_the_child() -> None:
    client = local()
    finished, pending = client.submit(abs, -1), client.submit(time.sleep, 1.0)
    wait(finished)

    def check() -> None:
        assert client.status == "closed"
        for call in (
            lambda: client.submit(abs, -1),
            lambda: client.map(abs, [-1]),
            lambda: client.gather([pending]),
            lambda: client.scatter([1]),
            lambda: client.cancel(pending),
            lambda: client.sync(asyncio.sleep, 0),
            lambda: pending.result(),
            lambda: pending.exception(),
            lambda: pending.cancel(),
            lambda: pending.add_done_callback(print),
            lambda: wait(pending),
            lambda: next(as_completed([pending])),
        ):
            refused(call)
        repr(client), repr(pending), repr(finished)
        client.close()

    in_child(check)
    assert client.submit(abs, -7).result() == 7


@scenario
def a_new_client_in_the_child() -> None:
    client = local()
    futures = client.map(time.sleep, [0.5, 0.6, 0.7])
    in_child(a_new_client_works)
    client.gather(futures)


@scenario
def dropping_the_parents_futures_does_nothing() -> None:
    client = local()
    held: dict[str, Any] = {"futures": client.map(time.sleep, [0.02 + n / 10000 for n in range(50)]), "client": client}
    del client

    def check() -> None:
        held.clear()
        gc.collect()
        a_new_client_works()

    in_child(check)
    assert held["client"].submit(abs, -7).result() == 7


@scenario
def from_a_task() -> None:
    with local() as client:

        def parent(number: int) -> int:
            in_child(a_new_client_works, through_the_interpreter=False)
            return number

        assert client.gather(client.map(parent, range(4))) == [0, 1, 2, 3]


@scenario
def from_a_task_whose_child_leaves_through_the_task() -> None:
    with local() as client:

        def parent() -> str:
            pid = os.fork()
            if pid == 0:
                refused(lambda: client.submit(abs, -1))
                return "the child has nobody to tell"
            ended(pid)
            return "the parent"

        assert client.submit(parent).result() == "the parent"


@scenario
def from_a_coroutine_on_the_clients_loop() -> None:
    with local() as client:

        async def parent() -> str:
            in_child(a_new_client_works, through_the_interpreter=False)
            return "the parent"

        assert client.submit(parent).result() == "the parent"
        assert client.sync(parent) == "the parent"


@scenario
def from_a_loop_with_coroutine_tasks() -> None:
    """The child's copies of the parent's coroutine tasks are dropped there. Nothing reports to the parent's engine."""
    loop, begun = asyncio.new_event_loop(), asyncio.Event()

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def main() -> Client:
        client = await Client(asynchronous=True, processes=False, n_workers=1, threads_per_worker=2)
        futures.append(client.submit(endless))
        await begun.wait()
        return client

    def check() -> None:
        for task in asyncio.all_tasks(loop):
            task.get_coro().close()  # as the garbage collector does
        client._callers_loop.give_up()  # as the end of the loop does
        a_new_client_works()

    futures: list[Any] = []
    client: Any = loop.run_until_complete(main())
    in_child(check, through_the_interpreter=False)
    loop.run_until_complete(_closed(client))
    loop.close()


async def _closed(client: Client) -> None:
    await client.close()


@scenario
def from_a_done_callback() -> None:
    with local() as client:
        done = threading.Event()

        def callback(_: Future[int]) -> None:
            in_child(a_new_client_works, through_the_interpreter=False)
            done.set()

        future = client.submit(abs, -1)
        future.add_done_callback(callback)
        assert done.wait(LIMIT)


@scenario
def while_all_threads_use_the_client() -> None:
    """A lock that another thread holds at the fork is held for ever in the child, which must not care."""
    with local() as client:
        stop = threading.Event()

        def busy() -> None:
            while not stop.is_set():
                futures = client.map(abs, range(-20, 0), pure=False)
                for future in as_completed(futures[:10]):
                    future.result()
                client.cancel(futures[10:])

        threads = [threading.Thread(target=busy) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(15):
                in_child(a_new_client_works, through_the_interpreter=False)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert client.submit(abs, -7).result() == 7


@scenario
def a_child_of_a_child() -> None:
    client = local()
    pending = client.submit(time.sleep, 0.5)

    def check() -> None:
        with local() as own:
            future = own.submit(abs, -1)
            assert future.result() == 1

            def again() -> None:
                refused(lambda: own.submit(abs, -1))
                refused(pending.result)
                a_new_client_works()

            in_child(again)
            assert own.submit(abs, -2).result() == 2

    in_child(check)
    pending.result()


@scenario
def a_wait_that_the_child_inherits() -> None:
    """An `await` on the parent's future ends with the same clear error."""
    client = local()
    pending = client.submit(time.sleep, 1.0)

    async def main() -> None:
        await pending

    def check() -> None:
        refused(lambda: asyncio.run(main()))

    in_child(check)
    client.close()


if __name__ == "__main__":
    SCENARIOS[sys.argv[1]]()
