"""The exceptions of tasks as bytes, so that the client raises what a task in a worker process has raised.

What is packed is a list of exceptions, the task's own first. They name each other by their places in the list: causes,
contexts and the members of groups. Each is pickled by itself (`parts.py`), so one that cannot travel takes no other
with it.
"""

import ast
import pickle
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from types import CodeType, FunctionType, TracebackType
from typing import NamedTuple, TypeAlias

from azolla._process.parts import (
    attributes,
    builtin,
    field,
    made,
    members,
    of_builtin,
    pickled,
    plain,
    set_field,
    words,
)

#: How the note begins that tells which task has raised an exception.
NOTE = "in the azolla task "

#: The most exceptions that travel together, and the most frames of each.
_EXCEPTIONS = 100
_FRAMES = 200

#: Where an exception was raised: in a line, which may go on for lines, and there from a column to another.
_Place: TypeAlias = tuple[int, int, int, int]

#: A file, a module, a function and a place.
_Frame: TypeAlias = tuple[str, str, str, _Place]


#: An exception as bytes: the program's own, or a view of shared memory if they are many.
Bytes: TypeAlias = bytes | memoryview


class _Packed(NamedTuple):
    """An exception on its way. It consists of the interpreter's own types, so it can always be pickled."""

    #: The exception; None if it cannot be pickled.
    pickle: bytes | None
    #: What is raised if the client cannot unpickle it: one of the interpreter's own classes, with a text.
    builtin: str
    text: str
    cause: int | None
    context: int | None
    suppress_context: bool
    notes: list[str] | None
    frames: list[_Frame]
    #: For a group: its message and its members.
    message: str
    members: list[int]


def pack(error: BaseException, key: str | None = None) -> bytes:
    """Returns an exception as bytes, with a note that the task of this key has raised it."""
    if key is not None:
        error = _instead_of_cancellation(error)
    found, places = _found(error)
    packed = [_packed(one, places) for one in found]
    notes, frames = packed[0].notes, _users(packed[0].frames)
    if key is not None and not any(note.startswith(NOTE) for note in notes or ()):
        notes = [*(notes or ()), NOTE + key]
    packed[0] = packed[0]._replace(notes=notes, frames=frames)
    return pickle.dumps([tuple(one) for one in packed], 5)


def unpack(packed: Bytes) -> BaseException:
    """Returns the exception of these bytes. Raises nothing but the Ctrl-C that comes meanwhile."""
    loaded = pickle.loads(packed)
    if isinstance(loaded, str):  # there was no memory for more
        return RuntimeError(loaded)
    nodes = [_Packed(*node) for node in loaded]
    errors: dict[int, BaseException] = {}
    for place in range(len(nodes)):
        _unpack_one(place, nodes, errors)
    for place, node in enumerate(nodes):
        error = errors[place]
        set_field(error, "__cause__", None if node.cause is None else errors[node.cause])
        set_field(error, "__context__", None if node.context is None else errors[node.context])
        set_field(error, "__suppress_context__", node.suppress_context)
        set_field(error, "__traceback__", _traceback(node.frames))
        if node.notes is not None:
            attributes(error)["__notes__"] = list(node.notes)
    return errors[0]


def _instead_of_cancellation(error: BaseException) -> BaseException:
    """Returns what a task fails with. Of one that azolla has cancelled nobody sees how it ends."""
    # Where nothing has imported a module, nothing raises its exceptions.
    of_asyncio = getattr(sys.modules.get("asyncio.exceptions"), "CancelledError", ())
    own = getattr(sys.modules.get("azolla._base.errors"), "Cancelled", ())
    if issubclass(type(error), (of_asyncio, own)):
        from azolla._base.errors import ended_in_cancellation

        return ended_in_cancellation(error)
    return error


def _found(error: BaseException) -> tuple[list[BaseException], dict[int, int]]:
    """Returns an exception and those that it leads to, the nearest first, and their places by their identities."""
    found, places = [error], {id(error): 0}
    for one in found:  # it grows meanwhile
        for other in (*members(one), field(one, "__cause__"), field(one, "__context__")):
            if other is not None and id(other) not in places and len(found) < _EXCEPTIONS:
                places[id(other)] = len(found)
                found.append(other)
    return found, places


def _packed(error: BaseException, places: dict[int, int]) -> _Packed:
    text, notes = words(error), attributes(error).get("__notes__")
    inner = [places[id(member)] for member in members(error) if id(member) in places]
    return _Packed(
        pickle=pickled(error, text),
        builtin=builtin(error),
        text=text,
        cause=places.get(id(field(error, "__cause__"))),
        context=places.get(id(field(error, "__context__"))),
        suppress_context=field(error, "__suppress_context__"),
        notes=[plain(note) for note in notes if isinstance(note, str)] if type(notes) is list else None,
        frames=_short(list(_frames(field(error, "__traceback__")))),
        message=plain(field(error, "message", BaseExceptionGroup)) if inner else "",
        members=inner,
    )


def _unpack_one(place: int, nodes: list[_Packed], errors: dict[int, BaseException]) -> BaseException:
    """Returns the exception at this place. A group cannot change once it is made, so its members come first."""
    if place not in errors:
        node = nodes[place]
        group = tuple(_unpack_one(member, nodes, errors) for member in node.members)
        errors[place] = _made(node, group)
    return errors[place]


def _made(node: _Packed, group: tuple[BaseException, ...]) -> BaseException:
    try:
        error = made(node.pickle, group, node.message) if node.pickle is not None else None
        if isinstance(error, BaseException):
            return error
    except KeyboardInterrupt:
        raise
    except BaseException:  # its class is not there, or raises this here
        pass
    return of_builtin(node.builtin, node.text, group)


def _frames(traceback: TracebackType | None) -> Iterator[_Frame]:
    while traceback is not None:
        code, names = traceback.tb_frame.f_code, traceback.tb_frame.f_globals
        module = dict.get(names, "__name__")  # the globals of a function may be of a class of the user's
        found = next(islice(code.co_positions(), traceback.tb_lasti // 2, None), (None,) * 4)
        _, *rest = _ordered(found)
        place = _ordered((traceback.tb_lineno, *rest))
        yield code.co_filename, plain(module) if isinstance(module, str) else "", code.co_name, place
        traceback = traceback.tb_next


def _ordered(place: Iterable[int | None]) -> _Place:
    """Returns a place with its line, the line where it ends, and its columns: 0 for what is not known."""
    line, end_line, column, end_column = (number or 0 for number in place)
    return line, max(line, end_line), column, end_column


def _short(frames: list[_Frame]) -> list[_Frame]:
    """Leaves out frames in the middle, where a recursion has gone too deep, say."""
    left_out = len(frames) - _FRAMES
    if left_out <= 0:
        return frames
    half = _FRAMES // 2
    return [*frames[:half], ("...", "", f"{left_out} frames that are left out", (0, 0, 0, 0)), *frames[-half:]]


def _users(frames: list[_Frame]) -> list[_Frame]:
    """Returns the frames from the first that is not azolla's own. The loop that runs a coroutine is azolla's affair too."""
    modules = [module for _, module, _, _ in frames]
    start = 0
    while start < len(frames) and modules[start].startswith("azolla."):
        start += 1
    while 0 < start < len(frames) and modules[start].startswith("asyncio."):
        start += 1
    return frames[start:]


def _traceback(frames: list[_Frame]) -> TracebackType | None:
    """Returns a traceback of these frames. Each is that of a generator that has not begun: it refers to no other frame."""
    traceback: TracebackType | None = None
    for file, module, function, place in reversed(frames):
        with suppress(SyntaxError, ValueError):  # no file is that long
            code, lasti = _known_code(file, function, place)
            frame = FunctionType(code, {"__name__": module})().gi_frame
            traceback = TracebackType(traceback, frame, lasti, place[0])
    return traceback


def _code(file: str, function: str, place: _Place) -> tuple[CodeType, int]:
    """Returns the code of a generator, and which of its instructions is at this place in a file."""
    line, end_line, column, end_column = place
    where = ast.Pass(lineno=line, end_lineno=end_line, col_offset=column, end_col_offset=end_column)
    tree = ast.parse("def f(): yield name")
    for node in ast.walk(tree):
        ast.copy_location(node, where)
    code = next(code for code in compile(tree, file, "exec").co_consts if isinstance(code, CodeType))
    at = next((at for at, found in enumerate(code.co_positions()) if _ordered(found) == place), 0)
    return code.replace(co_name=function, co_qualname=function), 2 * at


#: Many tasks may fail at one place.
_known_code = lru_cache(256)(_code)
