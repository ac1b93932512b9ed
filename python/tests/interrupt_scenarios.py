"""Programs that are interrupted in the middle of a wait; `test_interrupt.py` runs each in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from azolla import Client, Future, as_completed, get_client, wait

LONG = 60.0
#: From the signal until the wait has ended, in seconds: a machine that does much else is slow.
LIMIT = 10.0

#: What waits for these futures, of tasks that take a minute.
WAITS: dict[str, Callable[[Client, list[Future[Any]]], Any]] = {
    "gather": lambda client, futures: client.gather(futures),
    "gather that skips": lambda client, futures: client.gather(futures, errors="skip"),
    "result": lambda client, futures: futures[0].result(),
    "result in time": lambda client, futures: futures[0].result(timeout=LONG),
    "exception": lambda client, futures: futures[0].exception(),
    "traceback": lambda client, futures: futures[0].traceback(),
    "wait": lambda client, futures: wait(futures),
    "wait for one": lambda client, futures: wait(futures, return_when="FIRST_COMPLETED"),
    "as_completed": lambda client, futures: next(as_completed(futures)),
    "batches of as_completed": lambda client, futures: next(as_completed(futures).batches()),
    "sync": lambda client, futures: client.sync(asyncio.sleep, LONG),
    "asyncio.run": lambda client, futures: asyncio.run(_awaiting(futures[0])),
}


async def _awaiting(future: Future[Any]) -> Any:
    return await future


def interrupted_after(seconds: float) -> None:
    """Has this process interrupted, as by Ctrl-C."""
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


def main(name: str) -> None:
    client = Client(processes=False, n_workers=1, threads_per_worker=2)
    futures = client.map(time.sleep, [LONG, LONG + 1, LONG + 2])
    begun = time.monotonic()
    interrupted_after(0.2)
    try:
        WAITS[name](client, futures)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("it was not interrupted")
    assert time.monotonic() - begun < LIMIT
    # Nothing was lost, and the client works.
    assert [future.status for future in futures] == ["pending"] * 3
    client.cancel(futures[2])
    assert futures[2].cancelled()
    assert client.submit(abs, -3).status == "pending"
    client._check()
    # And again: the first interrupt has left nothing behind.
    interrupted_after(0.1)
    try:
        client.gather(futures[:2])
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("it was not interrupted again")


def a_client_that_still_works() -> None:
    """The tasks come to their end after the interrupt, and their results are there."""
    client = Client(processes=False, n_workers=1, threads_per_worker=2)
    gate = threading.Event()
    futures = client.map(lambda number: (gate.wait(LONG), number)[1], range(4))
    interrupted_after(0.1)
    try:
        client.gather(futures)
    except KeyboardInterrupt:
        gate.set()
    assert client.gather(futures) == [0, 1, 2, 3]
    assert client.submit(lambda: get_client().submit(abs, -1).result()).result() == 1
    client._check()
    client.close()


if __name__ == "__main__":
    if sys.argv[1] == "works":
        a_client_that_still_works()
    else:
        main(sys.argv[1])
