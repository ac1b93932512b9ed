"""Programs that end in the middle of something; `test_exit.py` runs each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from azolla import Client, as_completed, fire_and_forget, get_client, wait

#: Ten times as long as a program is given (`processes.LIMIT`): one that waits for its tasks is seen to hang.
LONG = 2500.0


class Scenarios(dict[str, tuple[Callable[[], None], int, str]]):
    """By name: the program, its exit code, and what alone may stand on stderr."""

    def scenario(self, code: int = 0, stderr: str = "") -> Callable[[Callable[[], None]], Callable[[], None]]:
        def register(program: Callable[[], None]) -> Callable[[], None]:
            self[program.__name__] = (program, code, stderr)
            return program

        return register


SCENARIOS = Scenarios()
scenario = SCENARIOS.scenario


def local(threads: int = 2, **options: Any) -> Client:
    return Client(processes=False, n_workers=1, threads_per_worker=threads, **options)


def naps(count: int) -> list[float]:
    """That many different long sleeps: equal ones would be one task."""
    return [LONG + number / 1000 for number in range(count)]


def leaving(*processes: int) -> None:
    """Says when the program begins to leave, and which processes it has."""
    print(time.monotonic(), time.process_time(), *processes, flush=True)


def begun(client: Client, count: int) -> None:
    """Waits until so many tasks run or wait inside."""
    deadline = time.monotonic() + 200
    while (counts := client.counters())["running"] + counts["parked"] < count:
        assert time.monotonic() < deadline, counts
        time.sleep(0.002)


# --- Tasks that run


@scenario()
def a_task_sleeps() -> None:
    client = local()
    future = client.submit(time.sleep, LONG)
    begun(client, 1)
    leaving()
    assert future.status == "pending"


@scenario(code=3)
def sys_exit() -> None:
    client = local()
    futures = client.map(time.sleep, naps(4))
    begun(client, 2)
    leaving()
    assert futures
    sys.exit(3)


@scenario(code=1, stderr=r"Traceback \(most recent call last\):\n(  .*\n)+ValueError: deliberate\n")
def an_exception() -> None:
    client = local()
    futures = client.map(time.sleep, naps(4))
    begun(client, 2)
    leaving()
    raise ValueError("deliberate" if futures else "")


@scenario()
def a_client_with_no_name_left() -> None:
    local().submit(time.sleep, LONG)
    leaving()


@scenario()
def futures_on_nothing() -> None:
    client = local()
    fire_and_forget(client.map(time.sleep, naps(100)))
    leaving()


@scenario()
def wakes_during_finalization() -> None:
    # The second that leaving waits for tasks is over at 1 s; what follows takes some 10 ms.
    client = local(8)
    futures = client.map(time.sleep, [0.99 + 0.005 * number for number in range(16)])
    begun(client, 8)
    leaving()
    assert futures


@scenario()
def short_sleeps() -> None:
    def work() -> None:
        while True:
            time.sleep(0.0005)

    client = local(4)
    futures = [client.submit(work, pure=False) for _ in range(4)]
    begun(client, 4)
    leaving()
    assert futures


@scenario()
def busy_tasks() -> None:
    def work() -> None:
        while True:
            sum(range(100))

    client = local(3)
    futures = [client.submit(work, pure=False) for _ in range(3)]
    begun(client, 3)
    leaving()
    assert futures


@scenario()
def tasks_that_go_on_submitting() -> None:
    def work() -> None:
        client = get_client()
        while True:
            with contextlib.suppress(BaseException):
                client.submit(sum, [1, 2, 3], pure=False).result()

    client = local(3)
    futures = [client.submit(work, pure=False) for _ in range(3)]
    begun(client, 3)
    leaving()
    assert futures


@scenario()
def tasks_that_go_on_with_everything() -> None:
    def work(number: int) -> None:
        client = get_client()
        ways: list[Callable[[], Any]] = [
            lambda: client.submit(lambda x: x, number).result(timeout=1),
            lambda: client.gather(client.map(str, range(20))),
            lambda: list(as_completed(client.map(abs, range(5)))),
            lambda: client.submit(int).add_done_callback(lambda future: None),
            lambda: wait(client.map(str, range(3)), timeout=1),
            lambda: client.scatter([1, 2, 3]),
            lambda: client.sync(asyncio.sleep, 0.001),
            lambda: client.submit(asyncio.sleep, 0.001, pure=False).result(timeout=1),
            lambda: client.submit(int).cancel(),
        ]
        while True:
            for way in ways:
                with contextlib.suppress(BaseException):
                    way()

    client = local(3)
    futures = client.map(work, range(3))
    begun(client, 3)
    time.sleep(0.05)
    leaving()
    assert futures


@scenario()
def a_generator_that_sleeps_is_mapped() -> None:
    def numbers() -> Iterator[int]:
        while True:
            time.sleep(0.001)
            yield 1

    def work() -> None:
        get_client().map(abs, numbers())

    client = local(2)
    futures = [client.submit(work, pure=False) for _ in range(2)]
    begun(client, 2)
    leaving()
    assert futures


@scenario()
def a_generator_that_sleeps_is_gathered() -> None:
    def numbers() -> Iterator[Any]:
        while True:
            time.sleep(0.001)
            yield get_client().submit(int)

    def work() -> None:
        get_client().gather(numbers())

    client = local(2)
    futures = [client.submit(work, pure=False) for _ in range(2)]
    begun(client, 2)
    leaving()
    assert futures


# --- Tasks that wait


@scenario()
def tasks_wait_for_children() -> None:
    def parent(number: int) -> Any:
        client = get_client()
        return client.gather([client.submit(time.sleep, LONG, pure=False) for _ in range(2)])

    client = local(2)
    futures = client.map(parent, range(30))
    begun(client, 3)
    leaving()
    assert futures


@scenario()
def a_task_iterates_as_completed() -> None:
    def parent() -> None:
        client = get_client()
        for _ in as_completed(client.map(time.sleep, [0.0, *naps(2)])):
            pass

    client = local(1)
    future = client.submit(parent)
    begun(client, 2)
    leaving()
    assert future


@scenario()
def tasks_that_ignore_the_end() -> None:
    def parent(number: int) -> None:
        client = get_client()
        while True:
            with contextlib.suppress(BaseException):
                client.submit(time.sleep, LONG, pure=False).result()
            time.sleep(0.001)

    client = local(2)
    futures = client.map(parent, range(20))
    begun(client, 4)
    leaving()
    assert futures


@scenario()
def seceded_tasks() -> None:
    from azolla import rejoin, secede

    def work(number: int) -> None:
        secede()
        time.sleep(0.9 + number * 0.02)
        rejoin()

    client = local(2)
    futures = client.map(work, range(10))
    time.sleep(0.05)
    leaving()
    assert futures


# --- Clients


@scenario()
def closed_twice() -> None:
    client = local()
    future = client.submit(time.sleep, LONG)
    begun(client, 1)
    leaving()
    client.close()
    client.close()
    assert future.cancelled()


@scenario()
def closed_and_left_in_a_with() -> None:
    with local() as client:
        futures = client.map(time.sleep, naps(5))
        begun(client, 2)
        leaving()
    assert futures


@scenario()
def several_clients() -> None:
    clients = [local(2) for _ in range(5)]
    futures = [client.submit(time.sleep, LONG) for client in clients]
    for client in clients:
        begun(client, 1)
    leaving()
    assert futures


@scenario()
def a_client_made_in_a_thread() -> None:
    kept: list[Any] = []

    def make() -> None:
        client = local()
        kept.extend(client.map(time.sleep, naps(3)))
        begun(client, 2)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    leaving()


@scenario()
def a_client_dropped_in_its_own_task() -> None:
    clients = [local(1)]

    def work() -> None:
        clients.clear()
        gc.collect()
        time.sleep(LONG)

    future = clients[0].submit(work, pure=False)
    while clients:
        time.sleep(0.001)
    leaving()
    assert future


@scenario()
def closed_by_its_own_task() -> None:
    client = local(2)
    future = client.submit(lambda: get_client().close(), pure=False)
    client.submit(time.sleep, LONG)
    with contextlib.suppress(BaseException):
        future.result()
    leaving()


@scenario()
def a_hundred_thousand_queued() -> None:
    client = local(2)
    futures = client.map(lambda number: time.sleep(LONG), range(100_000))
    begun(client, 2)
    leaving()
    assert futures


@scenario()
def a_hundred_thousand_queued_and_kept_for_ever() -> None:
    global kept
    client = local(2)
    kept = client.map(lambda number: time.sleep(LONG), range(100_000))
    begun(client, 2)
    leaving()


@scenario()
def a_long_chain() -> None:
    client = local(2)
    future = client.submit(time.sleep, LONG)
    for _ in range(20_000):
        future = client.submit(lambda x: x, future, pure=False)
    leaving()


# --- Callbacks


@scenario()
def callbacks_pending() -> None:
    client = local()
    for future in client.map(time.sleep, naps(100)):
        future.add_done_callback(lambda future: future.status)
    begun(client, 2)
    leaving()


@scenario()
def a_callback_blocks() -> None:
    client = local()
    futures = client.map(int, range(10))
    entered = threading.Event()

    def block(future: Any) -> None:
        entered.set()
        time.sleep(LONG)

    for future in futures:
        future.add_done_callback(block)
    entered.wait()
    leaving()


@scenario()
def a_callback_submits() -> None:
    client = local()
    futures = client.map(time.sleep, naps(10))

    def submit(future: Any) -> None:
        with contextlib.suppress(BaseException):
            client.submit(time.sleep, LONG).add_done_callback(submit)

    for future in futures:
        future.add_done_callback(submit)
    begun(client, 2)
    leaving()


# --- Other threads


@scenario()
def a_daemon_thread_waits() -> None:
    client = local()
    futures = client.map(time.sleep, naps(4))

    def block() -> None:
        while True:
            with contextlib.suppress(BaseException):
                futures[0].result()

    threading.Thread(target=block, daemon=True).start()
    time.sleep(0.05)
    leaving()


@scenario()
def a_daemon_thread_waits_without_a_client() -> None:
    # The wait cannot end: its client is closed, but not the future's task, which is another's.
    client = local()
    futures = client.map(time.sleep, naps(4))
    completed = as_completed(futures)

    def block() -> None:
        for _ in completed:
            time.sleep(0.01)
        while True:
            with contextlib.suppress(BaseException):
                client.gather(futures)

    for _ in range(5):
        threading.Thread(target=block, daemon=True).start()
    time.sleep(0.05)
    leaving()


@scenario()
def daemon_threads_go_on_submitting() -> None:
    client = local()

    def work() -> None:
        while True:
            with contextlib.suppress(BaseException):
                client.gather(client.map(lambda x: x, range(10)))

    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.05)
    leaving()


@scenario()
def a_timed_wait_ends_during_finalization() -> None:
    client = local(2)
    futures = client.map(time.sleep, naps(2))
    other = local(1)

    def block(number: int) -> None:
        with contextlib.suppress(BaseException):
            time.sleep(0.9)
            while True:
                wait(futures, timeout=0.001 * number)

    for number in range(5):
        threading.Thread(target=block, args=(number,), daemon=True).start()
    begun(client, 2)
    leaving()
    assert other


# --- Event loops


@scenario()
def an_async_program_ends() -> None:
    async def main() -> None:
        client = await Client(asynchronous=True, processes=False, n_workers=1, threads_per_worker=2)
        futures = client.map(time.sleep, naps(4))
        waiting = asyncio.ensure_future(client.gather(futures))
        await asyncio.sleep(0.05)
        leaving()
        assert not waiting.done()

    asyncio.run(main())


@scenario(code=-signal.SIGINT, stderr=r"Traceback \(most recent call last\):\n(.*\n)+KeyboardInterrupt\n")
def an_async_program_is_interrupted() -> None:
    async def main() -> None:
        async with Client(asynchronous=True, processes=False, n_workers=1, threads_per_worker=2) as client:
            futures = client.map(time.sleep, naps(4))
            await asyncio.sleep(0.05)
            leaving()
            asyncio.get_running_loop().call_later(0.05, _interrupt)
            async for _ in as_completed(futures):
                pass

    def _interrupt() -> None:
        raise KeyboardInterrupt

    asyncio.run(main())


@scenario(code=1, stderr=r"Traceback \(most recent call last\):\n(.*\n)+asyncio\.exceptions\.CancelledError\n")
def an_async_program_is_cancelled() -> None:
    async def main() -> None:
        client = await Client(asynchronous=True, processes=False, n_workers=1, threads_per_worker=2)
        future = client.submit(time.sleep, LONG)
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.05, task.cancel)
        leaving()
        await future

    asyncio.run(main())


@scenario()
def coroutine_tasks_on_the_callers_loop() -> None:
    async def work(number: int) -> None:
        try:
            await asyncio.sleep(LONG)
        finally:
            await asyncio.sleep(0.01)

    async def main() -> None:
        client = await Client(asynchronous=True, processes=False, n_workers=1, threads_per_worker=2)
        futures = client.map(work, range(1000))
        await asyncio.sleep(0.05)
        leaving()
        assert futures

    asyncio.run(main())


@scenario()
def coroutine_tasks() -> None:
    async def work(number: int) -> None:
        try:
            await asyncio.sleep(LONG)
        finally:
            await asyncio.sleep(0.01)

    client = local()
    futures = client.map(work, range(1000))
    time.sleep(0.2)
    leaving()
    assert futures


@scenario()
def coroutine_tasks_that_resist() -> None:
    async def work(number: int) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(LONG)

    client = local()
    futures = client.map(work, range(5))
    time.sleep(0.1)
    leaving()
    assert futures


@scenario()
def a_coroutine_task_blocks_its_loop() -> None:
    async def work() -> None:
        time.sleep(LONG)

    client = local()
    futures = [client.submit(work, pure=False) for _ in range(10)]
    time.sleep(0.1)
    leaving()
    assert futures


@scenario()
def tasks_wait_in_sync() -> None:
    def work(number: int) -> None:
        get_client().sync(asyncio.sleep, LONG)

    client = local()
    futures = client.map(work, range(10))
    time.sleep(0.1)
    leaving()
    assert futures


@scenario()
def a_loop_in_a_daemon_thread() -> None:
    client = local()
    futures = client.map(time.sleep, naps(3))

    async def main() -> None:
        await client.gather(futures, asynchronous=True)

    def run() -> None:
        with contextlib.suppress(BaseException):
            asyncio.run(main())

    threading.Thread(target=run, daemon=True).start()
    time.sleep(0.1)
    leaving()


# --- What is left to the interpreter


@scenario()
def futures_in_globals_and_cycles() -> None:
    global stranded

    class Node:
        def __init__(self, future: Any) -> None:
            self.future = future
            self.itself = self

    client = local()
    for future in client.map(int, range(100)):
        future.result()
        sys.modules[f"stranded_{future.key}"] = Node(future)  # type: ignore[assignment]
    stranded = [Node(future) for future in client.map(time.sleep, naps(100))]
    leaving()


class Finalizer:
    """Uses the client when it goes."""

    def __init__(self, client: Client, how: Callable[[Client], Any]) -> None:
        self.client, self.how = client, how
        self.itself = self

    def __del__(self) -> None:
        with contextlib.suppress(BaseException):
            self.how(self.client)


@scenario()
def finalizers_submit() -> None:
    global stranded
    client = local()
    stranded = [Finalizer(client, lambda client: client.submit(time.sleep, LONG)) for _ in range(100)]
    client.submit(lambda: Finalizer(get_client(), lambda client: client.submit(time.sleep, LONG)), pure=False).result()
    leaving()


@scenario()
def a_finalizer_submits_when_the_modules_are_gone() -> None:
    class Last:
        def __init__(self, client: Client) -> None:
            self.client = client

        def __del__(self) -> None:
            try:
                self.client.submit(abs, -1, pure=False)
            except Exception:
                return
            raise AssertionError("submitted after the end")

    sys.last = Last(local())  # type: ignore[attr-defined]
    leaving()


@scenario()
def finalizers_wait() -> None:
    global stranded
    client = local()
    blocked = client.submit(time.sleep, LONG)
    stranded = [Finalizer(client, lambda client: blocked.result()) for _ in range(100)]
    futures = [client.submit(lambda: Finalizer(get_client(), lambda client: blocked.result()), pure=False)]
    begun(client, 1)
    leaving()
    assert futures


@scenario()
def results_whose_finalizers_wait() -> None:
    client = local(1)
    blocked = client.submit(time.sleep, LONG, priority=-1)

    def make() -> Any:
        return Finalizer(get_client(), lambda client: blocked.result())

    futures = [client.submit(make, pure=False) for _ in range(10)]
    begun(client, 1)
    leaving()
    del futures


@scenario()
def finalizers_make_clients() -> None:
    global stranded
    client = local()
    stranded = [Finalizer(client, lambda client: local().submit(int).result()) for _ in range(3)]
    leaving()


@scenario()
def threads_that_start_late() -> None:
    def work() -> None:
        client = get_client()
        time.sleep(1.0)
        with contextlib.suppress(BaseException):
            client.submit(int).result()
        with contextlib.suppress(BaseException):
            local().submit(int).result()

    client = local()
    futures = [client.submit(work, pure=False) for _ in range(2)]
    begun(client, 2)
    leaving()
    assert futures


@scenario()
def an_atexit_function_uses_the_client() -> None:
    import atexit

    client = local()
    future = client.submit(time.sleep, LONG)

    def use() -> None:
        # The client is open yet: what was registered last is called first.
        with contextlib.suppress(TimeoutError):
            future.result(timeout=0.1)
        with contextlib.suppress(BaseException):
            client.submit(int)
        client.close()

    atexit.register(use)
    begun(client, 1)
    leaving()


if __name__ == "__main__":
    SCENARIOS[sys.argv[1]][0]()
