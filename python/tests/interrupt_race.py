"""Interrupts short tasks at random moments, and looks whether another task, or the loop of a thread, is hit.

A program of its own, so that it runs on every Python that is there (`scripts/wheels.py`).

    interrupt_race.py [TASKS]
"""

import random
import sys
import threading
import time

from azolla import Client

stop = threading.Event()


def short(number: int, steps: int) -> int:
    """Takes some 10 to 200 µs."""
    for _ in range(steps):
        pass
    return number


def main(tasks: int) -> int:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    wrong = []
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        for begin in range(0, tasks, 100):
            futures = [client.submit(short, n, rng.randrange(200, 4000), pure=False) for n in range(begin, begin + 100)]
            doomed = set(rng.sample(range(100), 30))
            for place in sorted(doomed):
                time.sleep(rng.random() / 10_000)
                futures[place].cancel(interrupt=True)
            for place, future in enumerate(futures):
                if place not in doomed and future.exception() is not None:
                    wrong.append((begin + place, future.exception()))
        client._check()  # type: ignore[attr-defined]
    print(f"seed {seed}: {wrong}" if wrong else "no wrong hit")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000))
