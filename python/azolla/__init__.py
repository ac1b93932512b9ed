"""Evolving workflows: task graphs that grow while they run.

The interface is that of Dask Futures, the engine is Rust. Submit functions to a `Client`, get
`Future`s, and submit more as results come in: from outside (`as_completed`, `await`) or from inside
a running task (`get_client`).

>>> from azolla import Client
>>> with Client() as client:
...     squares = client.map(lambda x: x * x, range(5))
...     client.gather(squares)
[0, 1, 4, 9, 16]
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version

from azolla import _moved
from azolla._azolla import ActorFuture, Future, tokenize
from azolla._base.annotations import annotate, get_annotations, span
from azolla._base.errors import (
    ActorLostError,
    AzollaError,
    Cancelled,
    CancelledByCloseError,
    CancelledError,
    ClosedClientError,
    EngineError,
    FutureCancelledError,
    FuturesCancelledError,
    KilledWorker,
    Reschedule,
    WaitCycleError,
)
from azolla._base.imports import once_imported as _once_imported
from azolla._client.as_completed import as_completed
from azolla._client.awaited import AsyncClient
from azolla._client.cancelling import cancelled, check_cancelled, shield, sleep
from azolla._client.client import Client
from azolla._client.executor import ClientExecutor
from azolla._client.functions import (
    DoneAndNotDoneFutures,
    default_client,
    fire_and_forget,
    futures_of,
    get_client,
    get_worker,
    rejoin,
    secede,
    wait,
)
from azolla._client.group import Group
from azolla._client.in_tasks import print, warn, worker_client
from azolla._client.task import TaskBuilder
from azolla._cluster.dashboard import performance_report
from azolla._cluster.everywhere import WorkerPlugin
from azolla._cluster.local import LocalCluster
from azolla._cluster.workers import Worker
from azolla._shared.actor import Actor
from azolla._shared.event import Event
from azolla._shared.multi_lock import MultiLock
from azolla._shared.queue import Queue
from azolla._shared.semaphore import Lock, Semaphore
from azolla._shared.variable import Variable
from azolla._watch.progress import progress
from azolla._watch.task_stream import get_task_metadata, get_task_stream

__version__ = _version("azolla")

BaseActorFuture = ActorFuture  # what Dask calls the kinds that it has

__all__ = [
    "Actor",
    "ActorFuture",
    "ActorLostError",
    "AsyncClient",
    "AzollaError",
    "BaseActorFuture",
    "Cancelled",
    "CancelledByCloseError",
    "CancelledError",
    "Client",
    "ClientExecutor",
    "ClosedClientError",
    "DoneAndNotDoneFutures",
    "EngineError",
    "Event",
    "Future",
    "FutureCancelledError",
    "FuturesCancelledError",
    "Group",
    "KilledWorker",
    "LocalCluster",
    "Lock",
    "MultiLock",
    "Queue",
    "Reschedule",
    "Semaphore",
    "TaskBuilder",
    "TimeoutError",
    "Variable",
    "WaitCycleError",
    "Worker",
    "WorkerPlugin",
    "annotate",
    "as_completed",
    "cancelled",
    "check_cancelled",
    "default_client",
    "fire_and_forget",
    "futures_of",
    "get_annotations",
    "get_client",
    "get_task_metadata",
    "get_task_stream",
    "get_worker",
    "performance_report",
    "print",
    "progress",
    "rejoin",
    "secede",
    "shield",
    "sleep",
    "span",
    "tokenize",
    "wait",
    "warn",
    "worker_client",
]

# Tracebacks show them by the names that users import.
for _public in (
    ActorLostError,
    AzollaError,
    Cancelled,
    CancelledByCloseError,
    ClosedClientError,
    EngineError,
    FutureCancelledError,
    FuturesCancelledError,
    KilledWorker,
    Reschedule,
    WaitCycleError,
):
    _public.__module__ = "azolla"

_moved.install()
_once_imported("joblib", lambda: _import_module("azolla.joblib"))  # registers the backend

TimeoutError = TimeoutError  # what waits raise: the builtin, importable from here as from Dask
