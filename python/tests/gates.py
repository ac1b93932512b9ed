"""What tests and their tasks tell each other, wherever the tasks run: a gate that holds tasks, and a journal of what they did.

Both pickle as the path of a folder. So worker processes import this file, and it imports little.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import select
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: How long a test waits for what must come. Nothing here takes a fraction of it.
PATIENCE = 120.0


#: The folders of this process, which go when it ends: a task that has the path of one may outlive what had it here.
_folders: list[tempfile.TemporaryDirectory[str]] = []


def _path() -> Path:
    """Returns a path for a new file or folder."""
    if not _folders:
        _folders.append(tempfile.TemporaryDirectory(prefix="azolla-tests-", ignore_cleanup_errors=True))
    return Path(_folders[0].name) / str(next(_numbers))


_numbers = itertools.count()


class Gate:
    """Tasks that call `hold` are held until it is opened."""

    def __init__(self) -> None:
        self._folder = _path()
        self._folder.mkdir()
        # Each pipe is kept open for both ways, so to open it never blocks and its bytes stay in it.
        self._entered = self._pipe("entered")
        self._opened = self._pipe("opened")
        weakref.finalize(self, _remove, self._folder, self._entered, self._opened)

    def _pipe(self, name: str) -> int:
        path = self._folder / name
        os.mkfifo(path)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def __reduce__(self) -> tuple[type[_Elsewhere], tuple[Path]]:
        return _Elsewhere, (self._folder,)

    def enter(self) -> None:
        """Tells `entered` of one more task, which goes on."""
        os.write(self._entered, b"e")

    def hold(self, value: Any = None) -> Any:
        self.enter()
        _await_byte(self._opened)
        return value

    def entered(self, tasks: int = 1) -> None:
        """Waits until so many more tasks are held."""
        for _ in range(tasks):
            while True:
                _await_byte(self._entered)
                try:
                    os.read(self._entered, 1)
                    break
                except BlockingIOError:  # another thread has read it
                    pass

    def open(self) -> None:
        # Nothing ever reads this byte: it stays for all that come.
        os.write(self._opened, b"o")


def _remove(folder: Path, *pipes: int) -> None:
    # The names go first. Who opens a pipe that nobody has open for writing would wait for ever.
    shutil.rmtree(folder, ignore_errors=True)
    for pipe in pipes:
        os.close(pipe)


class _Elsewhere:
    """A gate as the tasks of another process see it. One that is gone holds nobody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enter(self) -> None:
        self._use("entered", os.O_WRONLY, lambda entered: os.write(entered, b"e"))

    def hold(self, value: Any = None) -> Any:
        self.enter()
        self._use("opened", os.O_RDONLY, _await_byte)
        return value

    def open(self) -> None:
        self._use("opened", os.O_WRONLY, lambda opened: os.write(opened, b"o"))

    def _use(self, name: str, mode: int, use: Any) -> None:
        with contextlib.suppress(OSError):
            descriptor = os.open(self._folder / name, mode | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                use(descriptor)
            finally:
                os.close(descriptor)


def _await_byte(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(PATIENCE * 1000)


class Journal:
    """What tasks have noted, in the order in which they did: a list in a file."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or _path()

    def __reduce__(self) -> tuple[type[Journal], tuple[Path]]:
        return Journal, (self._path,)

    def append(self, entry: Any) -> None:
        entry = pickle.dumps(entry).hex() + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(descriptor, entry.encode())
        finally:
            os.close(descriptor)

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    def entries(self) -> list[Any]:
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return []
        return [pickle.loads(bytes.fromhex(line)) for line in lines]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.entries())

    def __len__(self) -> int:
        return len(self.entries())

    def __eq__(self, other: object) -> bool:
        return self.entries() == other

    def __repr__(self) -> str:
        return repr(self.entries())

    __hash__ = None  # type: ignore[assignment]
