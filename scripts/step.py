"""Runs one step of the build: prints its title, and ends it, children included, when it takes too long.

    step.py TITLE SECONDS COMMAND...

A step that succeeds adds nothing after its own output, so that a test runner's summary stays the last line.
"""

import contextlib
import os
import signal
import subprocess
import sys
from types import FrameType

GRACE_SECONDS = 5


def main() -> int:
    title, limit, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    print(f"\n=== {title}", flush=True)
    # Of its own session, so that its whole family can be ended at once; Ctrl-C therefore reaches only us.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        code = child.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        end(child, signal.SIGTERM)
        return report(title, f"did not end within {limit:.0f} seconds, and was stopped", 124)
    except KeyboardInterrupt:
        end(child, signal.SIGINT)
        return report(title, "was interrupted", 130)
    if code < 0:
        return report(title, f"was ended by {signal.Signals(-code).name}", 128 - code)
    if code > 0:
        return report(title, f"failed with exit code {code}", code)
    return 0


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def end(child: "subprocess.Popen[bytes]", first: signal.Signals) -> None:
    """Asks the step's process group to end, and makes it if it does not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, first)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=GRACE_SECONDS)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def report(title: str, what: str, code: int) -> int:
    print(f"\n=== {title}: {what}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
