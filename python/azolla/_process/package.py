"""Leaves the package `azolla` itself unimported in a worker process until a task asks for one of its names.

Its code takes far longer to import than all that the process needs to run a task. The program of the process puts an
empty module in the package's place (`azolla._cluster.processes`), so that the modules within it can be imported.
"""

import sys
import threading
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader

#: Held while the package is imported. The code of the package asks for names itself, on the same thread.
_importing = threading.RLock()

#: What runs the package's code, until it begins to.
_waiting: "list[Loader]" = []


class _Package(ModuleType):
    """The package before its code has run."""

    def __getattr__(self, name: str) -> Any:
        with _importing:
            if _waiting:
                loader = _waiting.pop()
                try:
                    loader.exec_module(self)
                except BaseException:
                    _waiting.append(loader)  # the next thread that asks tries again
                    raise
                self.__class__ = ModuleType  # type: ignore[assignment]
        return ModuleType.__getattribute__(self, name)


def defer() -> None:
    """Has the package imported when one of its names is asked for, if an empty module stands in its place."""
    package = sys.modules["azolla"]
    if package.__spec__ is None:
        folders = list(package.__path__)
        file = f"{folders[0]}/__init__.py"
        spec = spec_from_file_location("azolla", file, submodule_search_locations=folders)
        if spec is not None and spec.loader is not None:
            package.__spec__, package.__loader__, package.__file__ = spec, spec.loader, file
            _waiting.append(spec.loader)
            package.__class__ = _Package
