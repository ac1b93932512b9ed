"""A folder of text files, and the demo's tasks on it: read a file, resolve an item.

Whatever is wrong with a file is a finding, never an exception. `findings/mod.rs` beside this file says the
same in Rust.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from items import TEXT_ENDINGS, Item, candidates, items_of, must_exist

NOT_LISTED = ("__pycache__", "site-packages", "dist-packages")


class Finding(NamedTuple):
    """What became of a file (line 0) or of an item. Findings sort in the order in which they are printed."""

    file: str
    line: int
    kind: str
    written: str
    outcome: str
    target: str = ""

    def __str__(self) -> str:
        if self.line == 0:
            return f"{self.file}: {self.outcome}"
        item = f"{self.file}:{self.line}: {self.kind} {self.written} -> {self.outcome}"
        return f"{item} {self.target}" if self.outcome == "inside" else item


class Read(NamedTuple):
    """A file that was read, or that could not be."""

    file: str
    items: list[Item]
    finding: Finding


class Resolved(NamedTuple):
    """An item that was followed, and the file that it asks to be read."""

    finding: Finding
    to_read: str | None = None


class Folder:
    """Paths are relative to the folder's top, with `/` between their parts; the top itself is the empty one."""

    def __init__(self, top: str) -> None:
        self.top = os.path.realpath(top)

    def listing(self) -> tuple[list[str], list[Finding]]:
        """All text files, sorted, and what could not be listed. Raises OSError if the top cannot be."""
        files: set[str] = set()
        problems: list[Finding] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                entries = list(os.scandir(self._absolute(folder)))
            except OSError:
                if folder == "":
                    raise
                problems.append(about_file(folder, "unreadable"))
                continue
            for entry in entries:
                kind, path = self._kind(entry, f"{folder}/{entry.name}" if folder else entry.name)
                match kind:
                    case "folder":
                        folders.append(path)
                    case "text":
                        files.add(path)
                    case "not listed":
                        pass
                    case _:
                        problems.append(about_file(path, kind))
        return sorted(files), problems

    def read(self, file: str) -> Read:
        """A task: read a file and find its items."""
        try:
            with open(self._absolute(file), "rb") as opened:
                content = opened.read()
        except OSError:
            return Read(file, [], about_file(file, "unreadable"))
        if b"\0" in content:
            return Read(file, [], about_file(file, "binary"))
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return Read(file, [], about_file(file, "not UTF-8"))
        items = items_of(file, text.removeprefix("\ufeff"))
        return Read(file, items, about_file(file, f"read, items: {len(items)}"))

    def resolve(self, file: str, item: Item) -> Resolved:
        """A task: find where an item of a file leads."""
        places = candidates(file, item)
        for place in places or ():
            for path in self._alternatives(item, place):
                match self._look(path):
                    case None:
                        continue
                    case "leads outside", _:
                        return Resolved(about_item(file, item, "outside"))
                    case kind, target:
                        found = about_item(file, item, "inside", target or ".")
                        return Resolved(found, target if kind == "text" else None)
        missing = places is not None and must_exist(item)
        return Resolved(about_item(file, item, "missing" if missing else "outside"))

    def _kind(self, entry: os.DirEntry[str], path: str) -> tuple[str, str]:
        """What an entry of a folder is, and the path under which to read or report it."""
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and (entry.name.startswith(".") or entry.name in NOT_LISTED):
            return "not listed", path
        if not is_folder and not entry.name.endswith(TEXT_ENDINGS):
            return "not listed", path
        if not is_utf8(entry.name):
            return "name not UTF-8", path
        if is_folder:
            return "folder", path
        if entry.is_file(follow_symlinks=False):
            return "text", path
        kind, target = self._look(path) or ("unreadable", path)
        match kind:
            case "folder" | "other":
                return "not listed", path
            case "text":
                return kind, target
            case _:
                return kind, path

    def _alternatives(self, item: Item, place: str) -> list[str]:
        """The paths that a candidate stands for."""
        if item.kind != "import" or not place.endswith(".*"):
            return [place]
        folder, _, pattern = place.rpartition("/")
        try:
            names = os.listdir(self._absolute(folder))
        except (OSError, ValueError):
            return []
        beginning = pattern.removesuffix("*")
        names = sorted(name for name in names if name.startswith(beginning) and is_utf8(name))
        return [f"{folder}/{name}" if folder else name for name in names]

    def _look(self, path: str) -> tuple[str, str] | None:
        """What lies at a path, and its canonical path; None if nothing does."""
        absolute = self._absolute(path)
        try:
            mode = os.stat(absolute).st_mode
        except OSError:
            return None
        real = os.path.realpath(absolute)
        above = self.top.rstrip("/") + "/"
        if not f"{real}/".startswith(above) or not is_utf8(real[len(above) :]):
            return "leads outside", path
        target = real[len(above) :]
        if stat.S_ISDIR(mode):
            return "folder", target
        if not stat.S_ISREG(mode):
            return "not a regular file", target
        return "text" if target.endswith(TEXT_ENDINGS) else "other", target

    def _absolute(self, path: str) -> str:
        return f"{self.top}/{path}"


def about_file(file: str, outcome: str) -> Finding:
    return Finding(shown(file), 0, "", "", outcome)


def about_item(file: str, item: Item, outcome: str, target: str = "") -> Finding:
    return Finding(shown(file), item.line, item.kind, shown(item.written), outcome, shown(target))


def is_utf8(name: str) -> bool:
    """Whether a file name, as Python hands it out, is UTF-8 on the disk."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def shown(text: str) -> str:
    """The text as it is printed: no control characters, and no bytes that are not UTF-8."""
    if text.isprintable():
        return text
    text = os.fsencode(text).decode(errors="replace")
    return "".join("?" if c < " " or "\x7f" <= c <= "\x9f" else c for c in text)
