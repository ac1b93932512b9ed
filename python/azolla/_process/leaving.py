"""What a worker process does at its end, if it has the time: what Python does at the end of a program.

Its tasks may still run, so the interpreter cannot end as it does otherwise. The client kills the process afterwards.
"""

import atexit
import gc
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

#: Files of these classes are written out. Others, such as `gzip.GzipFile`, write their last bytes when they are closed.
_TEXT, _BINARY = (io.TextIOWrapper,), (io.BufferedWriter, io.BufferedRandom)


def obey(what: str) -> None:
    """Does what the one order says that this module knows."""
    assert what == "leave", "there is no other"
    obeying = sys.modules.get("azolla._client.obeying")
    if obeying is not None:  # otherwise there are no plugins
        obeying.tear_all_down()
    _end_children()
    local = sys.modules.get("azolla._cluster.local")
    if local is not None:
        atexit.unregister(local._at_exit)  # it would wait for the threads that run tasks
    atexit._run_exitfuncs()
    _write_out()


def _end_children() -> None:
    """Ends the processes of `multiprocessing` that tasks have started: they would wait for their parent for ever."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        for child in processes.active_children():
            with suppress(Exception):  # it may be ending
                child.terminate()


def _write_out() -> None:
    """Writes out every open file, as closing it would. Pipes and the like come last: they may be full."""
    regular: list[Any] = []
    others: list[Any] = []
    for file in _files():
        (regular if _is_regular(file) else others).append(file)
    _write_all(regular)
    _write_all(others)


def _is_regular(file: Any) -> bool:
    with suppress(BaseException):  # it may be closed, or have no descriptor
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    return False


def _write_all(files: list[Any]) -> None:
    """Writes out these files. What is around others comes first."""
    for file in files:
        if isinstance(file, _TEXT):
            _try(file.flush)
    for file in files:
        if type(file).__module__ not in ("_io", "io"):
            _try(file.close)
    for file in files:
        if isinstance(file, _BINARY):
            _try(file.flush)


def _files() -> Iterator[Any]:
    is_file: dict[type, bool] = {}
    for thing in gc.get_objects():
        kind = type(thing)
        if kind not in is_file:
            is_file[kind] = issubclass(kind, io.IOBase)
        if is_file[kind]:
            yield thing


def _try(step: Any) -> None:
    with suppress(BaseException):  # it may be closed, and its class may be a program's own
        step()
