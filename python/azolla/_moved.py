"""Finds modules by the names that they had before this folder had folders. Pickles of that time use the old names.

An old name is looked up when such a pickle is loaded, and gives the module itself. Nothing else uses the old names.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

#: The old names, and the new ones.
MOVED = {
    "azolla._actor": "azolla._shared.actor",
    "azolla._annotations": "azolla._base.annotations",
    "azolla._as_completed": "azolla._client.as_completed",
    "azolla._dashboard": "azolla._cluster.dashboard",
    "azolla._dask": "azolla._client.collections",
    "azolla._datasets": "azolla._cluster.datasets",
    "azolla._event": "azolla._shared.event",
    "azolla._everywhere": "azolla._cluster.everywhere",
    "azolla._executor": "azolla._client.executor",
    "azolla._functions": "azolla._client.functions",
    "azolla._in_tasks": "azolla._client.in_tasks",
    "azolla._introspection": "azolla._watch.introspection",
    "azolla._metadata": "azolla._cluster.notes",
    "azolla._multi_lock": "azolla._shared.multi_lock",
    "azolla._profile": "azolla._watch.profile",
    "azolla._progress": "azolla._watch.progress",
    "azolla._queue": "azolla._shared.queue",
    "azolla._semaphore": "azolla._shared.semaphore",
    "azolla._sharing": "azolla._shared.named",
    "azolla._story": "azolla._watch.story",
    "azolla._task_stream": "azolla._watch.task_stream",
    "azolla._transfer": "azolla._client.transfer",
    "azolla._variable": "azolla._shared.variable",
    "azolla._workers": "azolla._cluster.workers",
}

#: Modules whose names are folders' now: where they are, and what pickles name of them.
FOLDERS = {
    "azolla._client": ("azolla._client.client", "Client"),
    "azolla._cluster": ("azolla._cluster.local", "LocalCluster"),
}


class _Finder(MetaPathFinder, Loader):
    """Imports the new module when code asks for the old one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        # What stands here once this returns is what the import gives.
        sys.modules[module.__name__] = import_module(MOVED[module.__name__])


def install() -> None:
    """Installs the finder after all others, so that it finds only names that they do not."""
    sys.meta_path.append(_Finder())
    for folder, (module, name) in FOLDERS.items():
        setattr(sys.modules[folder], name, getattr(sys.modules[module], name))
