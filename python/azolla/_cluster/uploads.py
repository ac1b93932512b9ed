"""Uploaded modules: how they become importable, and where a cluster of worker processes keeps them."""

import importlib
import os
import shutil
import sys
import tempfile
import weakref
import zipfile
from itertools import count
from pathlib import Path

#: What a module can come in.
MODULES = (".py", ".zip", ".egg")


def importable(path: Path, load: bool) -> None:
    """Has this process find what is in a `.py`, `.zip` or `.egg` file; imports it too if `load` is true, or again. If that fails,
    everything stays as it was.
    """
    place = place_of(path)
    is_new = place not in sys.path
    if is_new:
        sys.path.insert(0, place)
    importlib.invalidate_caches()
    names = [path.stem] if path.suffix == ".py" else _modules(path)
    before = {name: (module, dict(vars(module))) for name in names if (module := sys.modules.get(name)) is not None}
    try:
        for name in names if load else ():
            importlib.reload(before[name][0]) if name in before else importlib.import_module(name)
    except BaseException:
        if is_new:
            sys.path.remove(place)
        for name in set(names) - set(before):
            sys.modules.pop(name, None)
        for module, variables in before.values():
            vars(module).clear()
            vars(module).update(variables)
        raise


def forget(path: Path) -> None:
    """Has this process not find what is in a file any more, and import anew what it has found there."""
    place = place_of(path)
    if place in sys.path:
        sys.path.remove(place)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(place + os.sep):
            del sys.modules[name]


def place_of(path: Path) -> str:
    """Returns what `sys.path` must hold for a file."""
    return str(path.parent if path.suffix == ".py" else path)


def _modules(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        names = [Path(name) for name in archive.namelist()]
    modules = {name.stem for name in names if len(name.parts) == 1 and name.suffix == ".py"}
    packages = {name.parts[0] for name in names if len(name.parts) == 2 and name.name == "__init__.py"}
    return sorted((modules | packages) - {"setup", "__main__"})


class Uploads:
    """A folder of copies of files, as they were when they were uploaded. It goes with this object."""

    def __init__(self) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="azolla-"))
        self._numbers = count(1)
        self.remove = weakref.finalize(self, _remove, self._path, os.getpid())

    def copy(self, file: Path) -> Path:
        """Returns a copy, in a folder of its own: so no process takes a compiled older one for it."""
        folder = self._path / str(next(self._numbers))
        folder.mkdir()
        return Path(shutil.copyfile(file, folder / file.name))


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:  # not in a fork
        shutil.rmtree(path, ignore_errors=True)
