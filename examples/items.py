"""The items of a text file, and where each may lead: the grammar of docs/items.md in Python.

Nothing here looks at the file system. `findings/items.rs` beside this file says the same in Rust.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

TEXT_ENDINGS = (".md", ".rst", ".html", ".rs", ".py", ".txt")
BLANKS = " \t"
NAME = r"[A-Za-z_\x80-\U0010ffff][0-9A-Za-z_\x80-\U0010ffff]*"
DOTTED = rf"{NAME}(?:\.{NAME})*"


class Item(NamedTuple):
    """Something in a file that leads somewhere."""

    line: int
    kind: str
    written: str
    paths: tuple[str, ...] = ()
    """What `path` attributes say about a Rust module."""


def items_of(path: str, text: str) -> list[Item]:
    """All items of a file, in the order of its lines."""
    lines = enumerate((line.removesuffix("\r") for line in text.split("\n")), 1)
    match path.rpartition(".")[2]:
        case "md":
            return list(markdown_items(lines))
        case "html":
            return [Item(number, "link", target) for number, line in lines for target in html_links(line)]
        case "rst":
            return [Item(number, kind, target) for number, line in lines for kind, target in rst_items(line)]
        case "py":
            return [Item(number, "import", module) for number, line in lines for module in imports(line)]
        case "rs":
            return list(rust_items(lines))
    return []


def must_exist(item: Item) -> bool:
    """Whether the form of the item says that its target is in the folder."""
    return item.kind in ("link", "include", "mod") or (item.kind == "import" and item.written.startswith("."))


def candidates(path: str, item: Item) -> list[str] | None:
    """The paths, best first, that the item may stand for; None if its form leads outside.

    A candidate that ends in `.*` stands for any file whose name begins with what comes before the `*`.
    """
    match item.kind:
        case "link" | "include" | "reference":
            return link_candidates(path, item.written)
        case "import":
            return import_candidates(path, item.written)
        case "mod" | "inner mod":
            return mod_candidates(path, item)
        case _:
            return use_candidates(path, item.written)


# Markdown

FENCE = re.compile(r"[ \t]*(```+(?!.*`)|~~~+)")
CODE = re.compile(r"(?<!`)(`++).*?(?<!`)\1(?!`)")
DEFINITION = re.compile(r"[ \t]*\[(?!\^)[^\]]*\]:")
INLINE = re.compile(r"\]\(")


def markdown_items(lines: Iterable[tuple[int, str]]) -> Iterator[Item]:
    """The links outside fences and code spans."""
    fence = ""
    for number, line in lines:
        run = FENCE.match(line)
        if fence:
            if run and run[1].startswith(fence):
                fence = ""
        elif run:
            fence = run[1]
        else:
            for target in markdown_links(CODE.sub("", line)):
                yield Item(number, "link", target)


def markdown_links(line: str) -> Iterator[str]:
    """`[name]: destination "title"`, `[text](destination "title")`, and HTML."""
    if definition := DEFINITION.match(line):
        target, after = destination(line, definition.end())
        if target and after in ("", '"', "'", "("):
            yield target
    for opening in INLINE.finditer(line):
        target, after = destination(line, opening.end())
        if target and after in ("", '"', "'", "(", ")"):
            yield target
    yield from html_links(line)


def destination(line: str, start: int) -> tuple[str, str]:
    """The destination that begins there, and the first character after it that is no blank."""
    start = past_blanks(line, start)
    if line.startswith("<", start):
        start += 1
        end = line.find(">", start)
        after = end + 1
    else:
        end = after = end_of_destination(line, start)
    after = past_blanks(line, after)
    return line[start:end] if end >= 0 else "", line[after : after + 1]


def end_of_destination(line: str, start: int) -> int:
    """Where a blank comes, or a closing bracket that was not opened since the start."""
    opened = 0
    for end in range(start, len(line)):
        character = line[end]
        if character == "(":
            opened += 1
        elif character == ")":
            opened -= 1
        if opened < 0 or character in BLANKS:
            return end
    return len(line)


def past_blanks(line: str, start: int) -> int:
    while line.startswith((" ", "\t"), start):
        start += 1
    return start


# HTML

LINK_ATTRIBUTE = re.compile(r"""(?<![^ \t])(?:href|HREF|src|SRC)[ \t]*=[ \t]*(?:"([^"]*)"|'([^']*)')""")


def html_links(line: str) -> Iterator[str]:
    """The values of `href` and `src`."""
    for attribute in LINK_ATTRIBUTE.finditer(line):
        target = (attribute[1] or attribute[2] or "").strip(BLANKS).replace("&amp;", "&")
        if target:
            yield target


# reStructuredText

INCLUDE = re.compile(r"[ \t]*\.\. (?:include|literalinclude|image|figure)::(.*)")
EXPLICIT_TARGET = re.compile(r"[ \t]*\.\. _(?:(?!: ).)*: [ \t]*([^ \t]*[^ \t_])[ \t]*")
EMBEDDED_TARGET = re.compile(r"<([^<> \t]*[^<> \t_])>`_")


def rst_items(line: str) -> Iterator[tuple[str, str]]:
    """The directives that include a file, and the targets of references."""
    if include := INCLUDE.match(line):
        target = include[1].strip(BLANKS)
        if target:
            yield "include", target
    elif explicit := EXPLICIT_TARGET.fullmatch(line):
        yield "reference", explicit[1]
    else:
        for embedded in EMBEDDED_TARGET.finditer(line):
            yield "reference", embedded[1]


# Python

IMPORT = re.compile(r"import[ \t](.*)")
FROM = re.compile(rf"from[ \t]+(\.*{DOTTED}|\.+)[ \t]+import(?![^ \t(*])(.*)")
IMPORTED = re.compile(rf"({DOTTED})(?:[ \t]+as[ \t]+{NAME})?")
TAKEN = re.compile(rf"({NAME}|\*)(?:[ \t]+as[ \t]+{NAME})?")


def imports(line: str) -> list[str]:
    """The modules of an import line: `module`, or `module:name` for each name taken from it."""
    line = line.lstrip(BLANKS)
    if not line.startswith(("import", "from")):
        return []
    line = line.partition("#")[0].partition(";")[0].rstrip(BLANKS).removesuffix("\\")
    if plain := IMPORT.fullmatch(line):
        return parts(IMPORTED, plain[1]) or []
    if taking := FROM.fullmatch(line):
        module, rest = taking.groups()
        names = parts(TAKEN, rest.strip(BLANKS).removeprefix("(").removesuffix(")"))
        if names is not None:
            return [f"{module}:{name}" for name in names if name != "*"] or [module]
    return []


def parts(part: re.Pattern[str], text: str) -> list[str] | None:
    """The parts between commas, without what they are renamed to; None if one does not fit."""
    trimmed = (piece.strip(BLANKS) for piece in text.split(","))
    matches = [part.fullmatch(piece) for piece in trimmed if piece]
    return [match[1] for match in matches if match] if all(matches) else None


# Rust

ATTRIBUTE = re.compile(r"#\[([^\]]*)\][ \t]*")
PATH = re.compile(r'path[ \t]*=[ \t]*"([^"]*)"')
VISIBILITY = re.compile(r"pub(?:\([^)]*\)[ \t]*|[ \t]+)")
MOD = re.compile(rf"mod[ \t]+(?:r#)?({NAME})[ \t]*;")
USE = re.compile(rf"use[ \t]+((?:::)?(?:r#)?{NAME}(?:::(?:r#)?{NAME})*)(?:::)?(?:[ \t]*[;{{*]|[ \t]+as[ \t])")


def rust_items(lines: Iterable[tuple[int, str]]) -> Iterator[Item]:
    """The modules that stand in files of their own, and the paths in use."""
    paths: list[str] = []
    for number, line in lines:
        start = past_blanks(line, 0)
        inner = start > 0
        while attribute := ATTRIBUTE.match(line, start):
            paths += PATH.findall(attribute[1])
            start = attribute.end()
        if line.startswith("#[", start):
            paths += PATH.findall(line, start)
        elif start < len(line) and not line.startswith("//", start):
            if visibility := VISIBILITY.match(line, start):
                start = visibility.end()
            if module := MOD.match(line, start):
                yield Item(number, "inner mod" if inner else "mod", module[1], tuple(paths))
            elif used := USE.match(line, start):
                yield Item(number, "use", used[1])
            paths.clear()


# Where items lead

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")


def link_candidates(path: str, target: str) -> list[str] | None:
    if target.startswith("/") or SCHEME.match(target) or any(mark in target for mark in ("{", "}", "<", ">", "::")):
        return None
    target = target.partition("#")[0].partition("?")[0]
    if target == "":
        return [path]
    decoded = unquote_to_bytes(target)
    try:
        place = joined(folder_of(path), decoded.decode())
    except UnicodeDecodeError:
        return []
    if b"\0" in decoded:
        return []
    return None if place is None else [place]


def import_candidates(path: str, written: str) -> list[str] | None:
    module, _, name = written.partition(":")
    names = module.lstrip(".")
    dots = len(module) - len(names)
    package = joined(folder_of(path), "../" * (dots - 1)) if dots else ""
    if package is None:
        return None
    stem = below(package, names.replace(".", "/"))
    stems = [below(stem, name)] if name else []
    places = [place for whole in stems for place in (f"{whole}/__init__.py", f"{whole}.py", whole)]
    if names:
        stems.append(stem)
        places += [f"{stem}/__init__.py", f"{stem}.py", stem]
    else:
        places.append(below(package, "__init__.py"))
    return places + [f"{compiled}.*" for compiled in stems] if dots else places


def mod_candidates(path: str, module: Item) -> list[str]:
    folder, own = folder_of(path), module_folder(path)
    places = [place for written in module.paths if (place := joined(folder, written)) is not None]
    for above in [own] if own == folder else [own, folder]:
        stem = below(above, module.written)
        places += [f"{stem}.rs", f"{stem}/mod.rs"]
    return places


def use_candidates(path: str, written: str) -> list[str] | None:
    first, *names = (name.removeprefix("r#") for name in written.split("::"))
    base: str | None
    match first:
        case "crate":
            base = source_folder(path)
        case "self":
            base = module_folder(path)
        case "super":
            base = joined(module_folder(path), "..")
        case _:
            return None
    while names and names[0] == "super" and base is not None:
        base = joined(base, "..")
        del names[0]
    if base is None:
        return None
    stems = [below(base, "/".join(names[:length])) for length in range(len(names), 0, -1)]
    return [place for stem in stems for place in (f"{stem}.rs", f"{stem}/mod.rs")]


def source_folder(path: str) -> str | None:
    """The nearest folder above the file that is named `src`."""
    above = path.split("/")[:-1]
    while above and above[-1] != "src":
        above.pop()
    return "/".join(above) or None


def module_folder(path: str) -> str:
    """The folder in which the modules of a Rust file stand."""
    stem = path.removesuffix(".rs")
    return folder_of(path) if stem.rpartition("/")[2] in ("lib", "main", "mod") else stem


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def below(folder: str, rest: str) -> str:
    return f"{folder}/{rest}" if folder and rest else folder or rest


def joined(folder: str, written: str) -> str | None:
    """The path `written`, as seen from the folder; None if it leaves the top."""
    names = folder.split("/") if folder else []
    for name in written.split("/"):
        if name == "..":
            if not names:
                return None
            names.pop()
        elif name not in ("", "."):
            names.append(name)
    return "/".join(names)
