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
    """Has this process find what is in a `.py`, `.zip` or `.egg` file; imports it too if `load` is true, or again."""
    place = place_of(path)
    if place not in sys.path:
        sys.path.insert(0, place)
    importlib.invalidate_caches()
    if load:
        for name in [path.stem] if path.suffix == ".py" else _modules(path):
            module = sys.modules.get(name)
            importlib.reload(module) if module is not None else importlib.import_module(name)


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
