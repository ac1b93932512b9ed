"""What worker processes answer when they are asked how their tasks stand. One that does not answer is left out."""

import asyncio
from contextlib import suppress
from typing import Any

from azolla import _azolla
from azolla._azolla import Parcel
from azolla._base.errors import KilledWorker
from azolla._cluster.orders import Ordered
from azolla._cluster.workers import Worker

#: How long a process may take to answer, in seconds. It cannot answer while a native function keeps the GIL.
PATIENCE = 5.0


async def answers(cluster: Any, workers: list[Worker], *what: Any) -> dict[str, Any]:
    """Returns what the workers answer, by their addresses.

    One that has not answered in time is left out, and is not asked again until it has. So is one whose process has ended
    meanwhile, or cannot be started.
    """
    late: dict[int, _azolla.Ordered] = cluster._helpers.setdefault("late", {})
    asked = [worker for worker in workers if not _is_late(late, worker.name)]
    ordered = Ordered(cluster, Parcel(cluster, what), asked)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await ordered.outcomes()
    silent = ordered.silent(asked)
    late.update(silent)
    found = {}
    for worker, outcome in zip(asked, ordered.so_far, strict=True):
        if isinstance(outcome, BaseException):
            if not isinstance(outcome, ConnectionError | KilledWorker):
                raise outcome
        elif worker.name not in silent:
            found[worker.address] = outcome
    return found


def _is_late(late: dict[int, _azolla.Ordered], worker: int) -> bool:
    """Returns whether a worker has not answered yet what it was asked before."""
    order = late.get(worker)
    if order is None:
        return False
    # An answer that comes late may be an error, and another thread may have taken it.
    with suppress(BaseException):
        if order.now() is None:
            return True
    late.pop(worker, None)
    return False
