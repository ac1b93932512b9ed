"""Every argument of Dask's is azolla's, with the same name, place and default, but for the differences listed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import azolla
import distributed
from test_compatibility import PARTS

Parameter = inspect.Parameter

#: By owner and argument: why it differs. `*` stands for every function that has the argument.
DIFFERENT: dict[str, str] = {
    "*.priority": "None: a task has that of the task that submits it",
    "*.fifo_timeout": "there is one user: it ranks nothing, and None says so",
    "Client.submit.allow_other_workers": "None is False",
    "Client.submit.actor": "None is False",
    "Client.submit.actors": "None is False",
    "Client.map.allow_other_workers": "None is False",
    "Client.map.actor": "None is False",
    "Client.map.actors": "None is False",
    "Client.register_plugin.idempotent": "azolla's own: Dask takes it from the plugin alone",
    "LocalCluster.adapt.Adaptive": "azolla's own class",
    "wait.grown": "azolla's own: waits for what has grown too",
    "Client.cancel.subtree": "azolla's own: cancels what has grown too",
    "Client.cancel.interrupt": "azolla's own: raises Cancelled in what runs",
    "Future.cancel.subtree": "as with the client's",
    "Future.cancel.interrupt": "as with the client's",
    "Future.cancel.force": "Dask has it in the keywords that it passes on",
    "Future._id": "internal",
    "Future.state": "internal",
    "Lock.client": "Dask has it as well, and says that it is not used",
    "Semaphore.client": "as with the others that are shared by name",
    "performance_report.filename": "the file has azolla's name",
}

#: What is made in another way: by keywords, and of the arguments that mean something only between processes each is
#: refused with its reason (`test_cluster.py`).
MADE_OTHERWISE = {"ActorFuture", "BaseActorFuture", "Client", "KilledWorker", "LocalCluster", "Worker", "WorkerPlugin"}


def functions() -> Iterator[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    """What both have, and can be called, by its name."""
    for name in azolla.__all__:
        if hasattr(distributed, name) and callable(getattr(azolla, name)):
            yield name, getattr(azolla, name), getattr(distributed, name)
    for part in PARTS:
        if part == "The package":
            continue
        ours, theirs = getattr(azolla, part), getattr(distributed, part)
        for name in PARTS[part]:
            ours_too, theirs_too = getattr(ours, name, None), getattr(theirs, name, None)
            if callable(ours_too) and callable(theirs_too):
                yield f"{part}.{name}", ours_too, theirs_too


def parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """Those with names, by their names."""
    try:
        all_of_them = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # exceptions have none
        return {}
    variable = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    return {each.name: each for each in all_of_them if each.kind not in variable and each.name != "self"}


def default(parameter: Parameter) -> Any:
    """The default; None where there is one that says that nothing was given."""
    given = parameter.default
    return None if type(given) is object or type(given).__name__ == "_NoDefault" else given


def differences(name: str, ours: Callable[..., Any], theirs: Callable[..., Any]) -> Iterator[str]:
    here, there = parameters(ours), parameters(theirs)
    for argument in here.keys() ^ there.keys():
        yield f"{name}.{argument}"
    for argument in here.keys() & there.keys():
        same = default(here[argument]) == default(there[argument]) and here[argument].kind == there[argument].kind
        if not same:
            yield f"{name}.{argument}"
    both = [argument for argument in there if argument in here]
    if both != [argument for argument in here if argument in there]:
        yield f"{name}: the order"


def test_arguments_and_defaults_are_dasks() -> None:
    found = [
        difference
        for name, ours, theirs in functions()
        if name not in MADE_OTHERWISE
        for difference in differences(name, ours, theirs)
    ]
    everywhere = {each.removeprefix("*.") for each in DIFFERENT if each.startswith("*.")}
    unlisted = [each for each in found if each not in DIFFERENT and each.rsplit(".", 1)[-1] not in everywhere]
    assert unlisted == []
    assert {each for each in DIFFERENT if not each.startswith("*.")} <= set(found), "some are the same by now"


def test_what_is_compared_is_most_of_it() -> None:
    compared = [name for name, ours, theirs in functions() if parameters(ours) and parameters(theirs)]
    assert len(compared) > 80
    assert {"Client.submit", "Client.profile", "as_completed.next_batch", "get_task_stream"} <= set(compared)
