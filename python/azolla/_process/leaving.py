"""What a worker process does at its end, if it has the time: what Python does at the end of a program.

Its tasks may still run, so the interpreter cannot end as it does otherwise. The client kills the process afterwards.
"""

import atexit
import io
import os
import stat
import sys
from contextlib import suppress
from typing import Any

from azolla._azolla import leave, open_files

#: Files of these classes are written out. Others, such as `gzip.GzipFile`, write their last bytes when they are closed.
_TEXT, _BINARY = (io.TextIOWrapper,), (io.BufferedWriter, io.BufferedRandom)


def obey(what: str) -> None:
    """Does what the one order says that this module knows."""
    assert what == "leave", "there is no other"
    leave()
    _try(_imported("azolla._client.obeying", "tear_all_down"))
    _try(_end_children)
    _try(atexit._run_exitfuncs)
    _try(_write_out)


def _imported(module: str, name: str) -> Any:
    """Returns a function of a module. If another thread is still importing it, or none has, returns one that does nothing."""
    return getattr(sys.modules.get(module), name, list)


def _end_children() -> None:
    """Ends the processes of `multiprocessing` that tasks have started: they would wait for their parent for ever."""
    for child in _imported("multiprocessing.process", "active_children")():
        _try(child.terminate)


def _write_out() -> None:
    """Writes out every open file, as closing it would. Pipes and the like come last: they may be full."""
    regular: list[Any] = []
    others: list[Any] = []
    for file in open_files():
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


def _try(step: Any) -> None:
    """Calls a function that may be a program's own, or of something that is closed."""
    with suppress(BaseException):
        step()
