"""The annotations of tasks, and the spans made of them.

The annotations are a context variable. A task runs in a copy of the context that submitted it, so the tasks that it
submits have its annotations too. Annotations made with Dask's own `dask.annotate` count as well.
"""

import contextlib
import numbers
import sys
import uuid
from collections.abc import Iterator
from contextvars import Context, ContextVar
from typing import Any

from azolla._base.arguments import shown

_own: "ContextVar[dict[str, Any] | None]" = ContextVar("azolla_annotations", default=None)

#: In a worker process: what is noted on the task whose context this is.
_of_task: "ContextVar[dict[str, Any] | None]" = ContextVar("azolla_annotations_of_task", default=None)


def get_annotations() -> dict[str, Any]:
    """Returns the annotations that tasks submitted here will have. In a task, these are the task's own.

    >>> with annotate(stage="parse"):
    ...     get_annotations()
    {'stage': 'parse'}
    """
    return dict(current() or {})


def current() -> dict[str, Any] | None:
    """Returns the annotations of the current context. Tasks keep the same dictionary, so it must not be changed."""
    own, theirs = _own.get(), _dasks()
    given = theirs.get() if theirs is not None else None
    # `annotate` sets both variables. Where they differ, `dask.annotate` was entered later, and is the inner one.
    return own if not given else {**own, **given} if own else given


def of(context: Context) -> dict[str, Any]:
    """Returns the annotations in a given context."""
    own, theirs = context.get(_own), _dasks()
    given = context.get(theirs) if theirs is not None else None
    return {**(own or {}), **(given or {})}


def note(annotations: dict[str, Any]) -> None:
    """Makes this the context of a task that was sent to this process with these annotations."""
    for variable in (_own, _of_task, _dasks()):
        if variable is not None:
            variable.set(annotations)


def of_task() -> dict[str, Any] | None:
    """Returns the annotations of the task that was sent to this process and whose context this is."""
    return _of_task.get()


@contextlib.contextmanager
def annotate(**annotations: Any) -> Iterator[None]:
    """Notes something on the tasks that are submitted within a `with` statement, and on what they grow.

    Annotations show in `get_task_stream` and `get_task_metadata`. Tasks that are submitted without a `priority` or
    `retries` of their own take these from the annotations. In nested statements both count, and the inner one wins.

    Args:
        **annotations: Names and values. A `priority` is a number, and `retries` a whole number; other values may be
            anything.

    Raises:
        TypeError: The `priority` or `retries` is no such number.

    >>> with annotate(stage="parse", priority=10):
    ...     client.submit(get_annotations, pure=False).result()
    {'stage': 'parse', 'priority': 10}
    """
    for name, kind in (("priority", numbers.Real), ("retries", numbers.Integral)):
        if annotations.get(name) is not None and not isinstance(annotations[name], kind):
            raise TypeError(f"annotate({name}={shown(annotations[name])}): it must be a number")
    here = {**(current() or {}), **annotations}
    variables = [variable for variable in (_own, _dasks()) if variable is not None]
    tokens = [(variable, variable.set(here)) for variable in variables]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


@contextlib.contextmanager
def span(*tags: str) -> Iterator[str]:
    """Marks the tasks that are submitted within a `with` statement, and what they grow, as belonging together.

    The mark is the annotation `span`: a dictionary of the `name`, a tuple of the tags of this span and of those around
    it, and of their `ids`, which no other span has.

    Args:
        *tags: The span's name. Several tags make as many spans, each inside the one before.

    Yields:
        The span's id.

    Raises:
        ValueError: There is no tag.

    >>> with span("crawl"), span("parse") as id:
    ...     found = client.submit(get_annotations, pure=False).result()["span"]
    >>> found["name"], found["ids"][-1] == id
    (('crawl', 'parse'), True)
    """
    if not tags:
        raise ValueError("span() takes one tag or more")
    around = (current() or {}).get("span", {"name": (), "ids": ()})
    ids = tuple(str(uuid.uuid4()) for _ in tags)
    with annotate(span={"name": (*around["name"], *tags), "ids": (*around["ids"], *ids)}):
        yield ids[-1]


def _dasks() -> "ContextVar[dict[str, Any] | None] | None":
    """Returns Dask's own context variable, if the program has loaded Dask."""
    return getattr(sys.modules.get("dask.base"), "_annotations", None)
