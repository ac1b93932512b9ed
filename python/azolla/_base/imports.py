"""Calls a function once a module has been imported. So azolla serves Dask and joblib without importing them itself."""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

#: What to call when a module has been imported, by the module's name.
_waiting: dict[str, Callable[[], object]] = {}


def once_imported(name: str, call: Callable[[], object]) -> None:
    """Calls `call` when the module `name` has been imported: now, if it has been. The latest `call` of a name counts."""
    if name in sys.modules:
        call()
        return
    _waiting[name] = call
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


class _Finder:
    """The first of the finders that Python asks for a module. It has the others find the module, and learns of its import."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _waiting:
            return None
        others = [finder for finder in sys.meta_path if finder is not _Finder]
        found = (finder.find_spec(name, path, target) for finder in others if hasattr(finder, "find_spec"))
        spec = next((spec for spec in found if spec is not None), None)
        loader = spec.loader if spec is not None else None
        if hasattr(loader, "exec_module") and hasattr(loader, "__dict__"):
            _watch(loader, name)
        return spec


def _watch(loader: object, name: str) -> None:
    """Has the loader of a module call what waits for it. The loader keeps its class, which tools ask for the source."""
    execute = loader.exec_module  # type: ignore[attr-defined]

    def execute_and_call(module: ModuleType) -> None:
        if module.__name__ == name:
            loader.__dict__.pop("exec_module", None)
        execute(module)
        if module.__name__ == name and (call := _waiting.pop(name, None)) is not None:
            call()

    loader.__dict__["exec_module"] = execute_and_call
