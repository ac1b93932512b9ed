"""The stacks of tasks in worker processes, now and in samples: whatever the processes are at, each question has its end."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azolla import Client, ClosedClientError, KilledWorker, get_client
from azolla._cluster import answers
from backends import OPTIONS
from conftest import PATIENCE, eventually
from gates import Gate, Journal


@pytest.fixture
def two() -> Iterator[Client]:
    """A client on two worker processes of its own: tests here kill them, and profiles go on."""
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


def stacks(client: Client) -> dict[Any, list[str]]:
    """Returns the functions of each task's stack, by the tasks' keys."""
    found = {key: lines for tasks in client.call_stack().values() for key, lines in tasks.items()}
    return {key: [line.split("\n")[0].rpartition(" in ")[2] for line in lines] for key, lines in found.items()}


def names(tree: dict[str, Any]) -> set[str]:
    """Returns the functions in a profile."""
    inner = [names(child) for child in tree["children"].values()]
    return {child["description"]["name"] for child in tree["children"].values()}.union(*inner)


def keeps_the_gil(fifo: Path, gate: Gate) -> int:
    """A native function that keeps the GIL until there is something to read."""
    descriptor = os.open(fifo, os.O_RDWR)
    gate.enter()
    return int(ctypes.PyDLL(None).read(descriptor, ctypes.create_string_buffer(1), 1))


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[int]:
    """What `keeps_the_gil` waits for, open for writing."""
    os.mkfifo(tmp_path / "fifo")
    descriptor = os.open(tmp_path / "fifo", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def held(gate: Gate) -> None:
    gate.hold()


# --- What is seen


def test_the_frames_are_the_users_and_their_lines_are_shown(two: Client, gate: Gate) -> None:
    future = two.submit(held, gate, key=("a", 1))
    gate.entered()
    [(address, tasks)] = two.call_stack().items()
    assert address in two.nthreads()
    assert (
        tasks[("a", 1)][0] == f'  File "{__file__}", line {held.__code__.co_firstlineno + 1}, in held\n\tgate.hold()\n'
    )
    assert stacks(two)[("a", 1)][:2] == ["held", "hold"]
    assert two.call_stack(keys=["another"]) == {}
    assert list(two.call_stack([future]).values()) == [tasks]
    gate.open()
    future.result(PATIENCE)
    assert two.call_stack() == {}


def test_what_waits_or_awaits_is_seen_where_it_does(backend: str, gate: Gate) -> None:
    class Counter:
        def counts(self) -> None:
            gate.hold()

        async def awaits(self) -> None:
            gate.enter()
            await asyncio.Event().wait()

    def parent() -> None:
        get_client().submit(held, gate, key="child").result()

    async def coroutine() -> None:
        await inner()

    async def inner() -> None:
        gate.enter()
        await asyncio.Event().wait()

    with Client(**(OPTIONS[backend] | {"n_workers": 2, "threads_per_worker": 3})) as client:
        plain, awaiting = (client.submit(Counter, actor=True).result(PATIENCE) for _ in range(2))
        waits = client.submit(parent, key="parent")
        gate.entered()
        endless = [client.submit(coroutine, key="coroutine"), awaiting.awaits()]
        gate.entered(2)
        calls = plain.counts()
        gate.entered()
        fixed = {"child": ["held", "hold"], "parent": ["parent"], "coroutine": ["coroutine", "inner", "wait"]}

        def all_there() -> bool:
            seen = stacks(client)
            known = {key: seen.pop(key)[: len(functions)] for key, functions in fixed.items()}
            calls = sorted(functions[:2] for functions in seen.values())
            return known == fixed and calls == [["awaits", "wait"], ["counts", "hold"]]

        eventually(all_there)  # what has entered the gate may not await yet
        del endless
        gate.open()
        client.gather([waits, calls])


def test_a_hundred_at_once(two: Client) -> None:
    async def meets(gate: Gate) -> None:
        gate.enter()
        await asyncio.Event().wait()

    gate = Gate()
    futures = two.map(meets, [gate] * 100, pure=False)
    gate.entered(100)
    eventually(lambda: stacks(two) == {future.key: ["meets", "wait"] for future in futures})
    assert sum(len(tasks) for tasks in two.call_stack(futures[:30]).values()) == 30
    two.cancel(futures)


def test_a_task_asks(two: Client) -> None:
    def looks() -> Any:
        own = get_client()
        return own.call_stack(), own.profile()["count"]

    async def awaits() -> Any:
        own = get_client()
        return await own.call_stack(), (await own.profile())["count"]

    for task in (looks, awaits):
        found, count = two.submit(task, key=task.__name__).result(PATIENCE)
        assert count >= 0
        [tasks] = found.values()
        assert task.__name__ in str(tasks[task.__name__][0])


def test_a_program_on_a_loop_awaits_it(gate: Gate) -> None:
    async def program() -> Any:
        options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
        async with Client(asynchronous=True, **options) as client:
            future = client.submit(held, gate, key="held")
            await asyncio.to_thread(gate.entered)
            found = await client.call_stack(future)
            gate.open()
            await future
            return found

    [tasks] = asyncio.run(program()).values()
    assert list(tasks) == ["held"]


def test_it_keeps_nothing_of_a_task(two: Client, gate: Gate, journal: Journal) -> None:
    class Local:
        """What a task holds in a local variable."""

    def keeps() -> None:
        gc.disable()
        local = Local()
        weakref.finalize(local, journal.append, "gone")
        gate.hold()

    two.profile()
    future = two.submit(keeps)
    gate.entered()
    eventually(lambda: "keeps" in names(two.profile()))
    assert next(iter(stacks(two).values()))[0] == "keeps"
    gate.open()
    future.result(PATIENCE)
    eventually(lambda: journal == ["gone"])


# --- Whatever the processes are at


def test_a_process_that_keeps_the_gil_is_left_out(
    two: Client, gate: Gate, fifo: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PATIENCE", 0.5)
    first, second = two.nthreads()
    two.profile()
    busy = two.submit(keeps_the_gil, tmp_path / "fifo", gate, workers=[first])
    gate.entered()
    other = two.submit(held, gate, workers=[second])
    gate.entered()
    eventually(lambda: list(two.call_stack()) == [second])
    eventually(lambda: two.profile(merge_workers=False)[second]["count"])
    # What has not answered is not waited for again.
    monkeypatch.setattr(answers, "PATIENCE", 10 * PATIENCE)
    assert list(two.call_stack()) == [second]
    assert two.profile(merge_workers=False)[first]["count"] == 0
    os.write(fifo, b"x")
    assert busy.result(PATIENCE) == 1
    again = two.submit(held, gate, workers=[first], pure=False)
    eventually(lambda: set(two.call_stack()) == {first, second})
    eventually(lambda: two.profile(merge_workers=False)[first]["count"])
    gate.open()
    assert two.gather([other, again]) == [None, None]


def test_a_question_ends_with_the_client(two: Client, gate: Gate, fifo: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(answers, "PATIENCE", 10 * PATIENCE)
    busy = two.submit(keeps_the_gil, tmp_path / "fifo", gate)
    gate.entered()
    ended: list[BaseException] = []

    def asks() -> None:
        try:
            two.call_stack()
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=asks)
    thread.start()
    eventually(lambda: two.cluster._helpers.get("loop"))
    two.cluster.close()
    thread.join(PATIENCE)
    assert [type(error) for error in ended] == [ClosedClientError]
    assert busy.cancelled()


def test_questions_beside_kills(two: Client, gate: Gate) -> None:
    """Each question has an answer, of those processes that have lived."""
    over = threading.Event()
    asked: list[Any] = []

    def asks() -> None:
        while not over.is_set():
            asked.append((two.call_stack(), two.profile()))

    threads = [threading.Thread(target=asks) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        before = len(asked)
        process = two.submit(os.getpid, pure=False).result(PATIENCE)
        os.kill(process, signal.SIGKILL)
        eventually(lambda before=before: len(asked) > before)
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    # Processes that have started since are sampled too.
    future = two.submit(held, gate)
    eventually(lambda: "held" in names(two.profile()))
    gate.open()
    future.result(PATIENCE)


def test_a_task_that_kills_its_process_while_it_is_asked(two: Client, gate: Gate) -> None:
    def dies() -> None:
        threading.Thread(target=lambda: (gate.enter(), os.kill(os.getpid(), signal.SIGKILL))).start()
        threading.Event().wait()

    future = two.submit(dies)
    while not future.done():
        assert {functions[0] for functions in stacks(two).values()} <= {"dies"}
    with pytest.raises(KilledWorker):
        future.result(PATIENCE)
