"""Tasks that damage their worker process: each of them ends in some way, and so do all that come after it."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

import pytest
from azolla import Client, KilledWorker
from conftest import PATIENCE


def raises(*_args: object) -> NoReturn:
    raise ValueError("from a hook")


def closes_all_descriptors() -> None:
    os.closerange(3, 1000)


def closes_all_descriptors_and_opens_others() -> None:
    global held
    os.closerange(3, 1000)
    held = [open(os.devnull, "rb+") for _ in range(20)]  # noqa: SIM115 (they take the numbers of the lines)


def becomes_another_program() -> None:
    os.execv("/bin/sleep", ["sleep", "1000"])


def forks_and_ends() -> None:
    if os.fork():
        os._exit(3)
    subprocess.run(["sleep", "1"])
    os._exit(0)


def ends_its_thread() -> None:
    ctypes.CDLL(None).pthread_exit(None)


def ends_the_main_thread() -> None:
    main = ctypes.c_ulong(threading.main_thread().ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(main, ctypes.py_object(SystemExit))


def traces() -> None:
    threading.settrace(raises)
    sys.settrace(raises)


def profiles() -> None:
    threading.setprofile(raises)
    sys.setprofile(raises)


def sets_hooks() -> None:
    threading.excepthook = sys.excepthook = sys.unraisablehook = raises


class Exits:
    """A stream that ends what uses it."""

    def write(self, _text: str) -> None:
        raise SystemExit

    def flush(self) -> None:
        raise SystemExit


def replaces_its_output() -> None:
    sys.stdout = sys.stderr = Exits()  # type: ignore[assignment]


def closes_its_output() -> None:
    sys.stdout.close()
    sys.stderr.close()


def has_no_descriptors_left() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def allows_no_recursion() -> None:
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + 8)


def forgets_all_modules() -> None:
    sys.modules.clear()


def blocks_all_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def freezes_the_collector() -> None:
    gc.freeze()
    gc.disable()


def is_ended_by_a_timer() -> None:
    signal.raise_signal(signal.SIGALRM)


def finds_no_folder() -> None:
    here = f"/tmp/azolla-{os.getpid()}"
    os.mkdir(here)
    os.chdir(here)
    os.rmdir(here)


DAMAGE: list[Callable[[], None]] = [
    closes_all_descriptors,
    closes_all_descriptors_and_opens_others,
    becomes_another_program,
    forks_and_ends,
    ends_its_thread,
    ends_the_main_thread,
    traces,
    profiles,
    sets_hooks,
    replaces_its_output,
    closes_its_output,
    has_no_descriptors_left,
    allows_no_recursion,
    forgets_all_modules,
    blocks_all_signals,
    freezes_the_collector,
    is_ended_by_a_timer,
    finds_no_folder,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_comes_after_a_damage_ends_well(damage: Callable[[], None]) -> None:
    with Client(n_workers=1, threads_per_worker=2, dashboard_address=None, set_as_default=False) as client:
        damaged = client.submit(damage, pure=False)
        error = damaged.exception(timeout=PATIENCE)
        assert error is None or isinstance(error, KilledWorker | ValueError), error
        after = client.map(abs, range(-60, 0), pure=False)
        assert client.gather(after) == list(range(60, 0, -1))
        client._check()
