"""What the client has this worker process do beside its tasks. Each order has a thread of its own.

An order is to be carried out soon, also where a task keeps the GIL for most of the time. So this imports little.
"""

import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from azolla._base import leave as _leave
from azolla._base.errors import ended_in_cancellation
from azolla._base.threads import LastingThread

if TYPE_CHECKING:
    from azolla._azolla import Order


#: What carries out orders of little need. What the others need stands on a floor above. A process does without it until then.
_HERE = {**dict.fromkeys(("stacks", "sample", "samples"), "azolla._process.stacks"), "leave": "azolla._process.leaving"}


def begin(order: "Order") -> None:
    """Starts the thread of an order."""
    _leave.start(LastingThread(partial(_obey, order), "azolla-run", partial(_escaped, order)))


def _obey(order: "Order") -> None:
    what = order.what()
    if what is None:  # something has escaped this function, and was answered
        return
    name, *args = what
    del what
    result = import_module(_HERE.get(name, "azolla._client.obeying")).obey(name, *args)
    if order.forked:
        _leave.child(None)
    order.done(result)


def _escaped(order: "Order", error: BaseException) -> None:
    if order.forked:
        _leave.child(error)
    # The client awaits the answer, which these would end otherwise.
    if isinstance(error, StopIteration):
        error = RuntimeError(repr(error))
    elif isinstance(error, getattr(sys.modules.get("asyncio.exceptions"), "CancelledError", ())):
        error = ended_in_cancellation(error)
    order.failed(error)
