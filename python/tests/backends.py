"""Where tests run: on threads of this process and in worker processes, but for those that say why they do not.

A test that takes the fixture `backend`, by `client` or `one_slot` mostly, runs on both. `threads_only` gives it, or a whole
file (`pytestmark = threads_only(...)`), a reason to run on threads alone.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

import pytest

BACKENDS = ("threads", "processes")

#: What `Client` takes for two slots.
OPTIONS: dict[str, dict[str, Any]] = {
    "threads": {"processes": False, "n_workers": 1, "threads_per_worker": 2, "dashboard_address": None},
    "processes": {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None},
}


class Reason(enum.Enum):
    """Why a test runs on threads alone."""

    THREADS = "looks at threads, frames, descriptors or memory of this process, or stops its threads"
    OBJECTS = "tasks and program share objects: which object a result is, or one that cannot be pickled"
    FRAMES = (
        "tasks go to a worker process several at a time, so what becomes ready meanwhile waits, however urgent it is"
    )
    CONTEXT = "context variables do not travel, as with Dask"
    PICKLES = (
        "what crosses as a pickle is otherwise: its methods are called, its depth is limited, its size is the pickle's"
    )
    CYCLES = "what leads through the program and a process back to itself stays: no garbage collector sees both"


#: Reasons that hold no more: what gives one of them runs on both backends.
LIFTED: frozenset[Reason] = frozenset()


def threads_only(reason: Reason) -> pytest.MarkDecorator:
    """Returns the mark of a test that runs on threads alone."""
    return pytest.mark.threads_only(reason)


def runs_on(backend: str, reasons: Iterable[Reason]) -> bool:
    """Returns whether a test with these reasons runs on a backend."""
    return backend == "threads" or LIFTED.issuperset(reasons)
