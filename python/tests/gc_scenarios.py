"""Programs whose every allocation may collect garbage; `test_gc.py` runs each in a process of its own.

A collection runs finalizers wherever it happens to come: in the middle of a submit, while futures are dropped, on a
worker's thread. None may find a lock held, and nothing may stay behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from azolla import Client, Future, as_completed, fire_and_forget, get_client, wait

THREADS = 4
LIMIT = 60.0
SCENARIOS: dict[str, Callable[[Client, int], None]] = {}

#: Every `Node` that lives.
nodes: weakref.WeakSet[Node] = weakref.WeakSet()


def scenario(round_: Callable[[Client, int], None]) -> Callable[[Client, int], None]:
    SCENARIOS[round_.__name__] = round_
    return round_


class Node:
    """Something that only the garbage collector can free."""

    def __init__(self, *held: Any) -> None:
        self.held = held
        self.itself = self
        nodes.add(self)


class Finalized(Node):
    """One whose finalizer does something."""

    def __init__(self, last: Callable[[], object], *held: Any) -> None:
        super().__init__(*held)
        self.last = last

    def __del__(self) -> None:
        self.last()


@scenario
def map_cancel_gather_and_drop(client: Client, number: int) -> None:
    futures = client.map(lambda n: [n], range(number, number + 40), pure=False)
    client.cancel(futures[30:])
    assert client.gather(futures[:30]) == [[n] for n in range(number, number + 30)]


@scenario
def results_and_arguments_in_cycles(client: Client, number: int) -> None:
    sources = client.map(lambda n: Node(n), range(number, number + 10), pure=False)
    cycles = [client.submit(Node, source, Node(source), pure=False) for source in sources]
    wait(cycles)
    kept = Node(sources, cycles)
    del sources, cycles, kept


@scenario
def errors_in_cycles(client: Client, number: int) -> None:
    def fail(node: Node) -> None:
        error = ValueError(number)
        node.held = (error, node)
        raise error

    failed = client.map(fail, [Node() for _ in range(8)], pure=False)
    for future in failed:
        with contextlib.suppress(ValueError):
            future.result()
    for future in as_completed(failed):
        assert future.status == "error"


@scenario
def arguments_that_lead_to_their_own_futures(client: Client, number: int) -> None:
    def fail(node: Node, *, other: Node) -> None:
        raise ValueError(number)

    nodes = [Node() for _ in range(6)]
    futures = [client.submit(fail, node, other=node, pure=False) for node in nodes[:3]]
    futures += client.map(lambda node: node.missing, nodes[3:], pure=False)  # type: ignore[attr-defined]
    for node, future in zip(nodes, futures, strict=True):
        node.held = future
    wait(futures)


@scenario
def errors_that_dependents_share(client: Client, number: int) -> None:
    def fail(node: Node) -> None:
        raise ValueError(node)

    failed = client.map(fail, [Node() for _ in range(8)], pure=False)
    dependents = client.map(lambda failed: failed, failed, pure=False)
    for future in [*failed, *dependents]:
        with contextlib.suppress(ValueError):
            future.result()


@scenario
def futures_that_hold_their_own_client(client: Client, number: int) -> None:
    own = Client(processes=False, n_workers=1, threads_per_worker=1, set_as_default=False)
    kept: dict[str, Any] = {"futures": own.map(lambda n: Node(n), range(8), pure=False), "client": own}
    kept["itself"] = kept
    own.gather(kept["futures"][:4])
    own.close()


@scenario
def finalizers_that_submit_cancel_and_gather(client: Client, number: int) -> None:
    first = client.submit(abs, -number, pure=False)
    Finalized(lambda: client.submit(abs, -1, pure=False))
    Finalized(lambda: client.cancel(first))
    Finalized(lambda: fire_and_forget(client.submit(abs, -2, pure=False)))
    Finalized(lambda: client.map(abs, range(5), pure=False))
    pending = client.map(lambda n: Node(n), range(10), pure=False)
    Finalized(lambda: pending[0].done(), pending)
    client.gather(pending[:5])


@scenario
def finalizers_that_use_the_loop(client: Client, number: int) -> None:
    async def slow(n: int) -> Node:
        await asyncio.sleep(0)
        return Node(n)

    futures = client.map(slow, range(number, number + 5), pure=False)
    Finalized(lambda: client.submit(slow, 1, pure=False))
    Finalized(lambda: futures[0].add_done_callback(lambda future: future.status))
    assert len(client.gather(futures)) == 5

    async def main() -> list[Any]:
        return [await future for future in futures]

    assert len(asyncio.run(main())) == 5


@scenario
def tasks_that_wait_for_tasks(client: Client, number: int) -> None:
    def parent(n: int) -> int:
        children = get_client().map(lambda c: Node(c, n), range(3), pure=False)
        return len(get_client().gather(children))

    assert client.gather(client.map(parent, range(6), pure=False)) == [3] * 6


@scenario
def callbacks_and_pure_keys(client: Client, number: int) -> None:
    called = threading.Semaphore(0)

    def callback(future: Future[int]) -> None:
        called.release()

    futures = client.map(lambda n: (n, number), range(10))
    for future in futures:
        future.add_done_callback(callback)
    again = client.map(lambda n: (n, number), range(10))
    assert client.gather(futures) == client.gather(again)
    for _ in futures:
        assert called.acquire(timeout=LIMIT)


def main(name: str, rounds: int) -> None:
    client = Client(processes=False, n_workers=1, threads_per_worker=2)
    errors: list[BaseException] = []

    def run(first: int) -> None:
        try:
            for number in range(rounds):
                SCENARIOS[name](client, 1000 * first + number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[first]) for first in range(THREADS)]
    gc.set_threshold(1)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.set_threshold(700, 10, 10)
    if errors:
        raise errors[0]
    settled(client)
    client.close()


def settled(client: Client) -> None:
    """Nothing is left: no task, and none of the objects that went through them."""
    deadline = time.monotonic() + LIMIT
    while True:
        gc.collect()
        counters = client.counters()
        if not (counters["live"] or counters["kept"] or nodes):
            break
        assert time.monotonic() < deadline, (counters, len(nodes))
        time.sleep(0.01)
    client._check()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
