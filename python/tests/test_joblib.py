"""The joblib backend `"azolla"`, with the real joblib."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import azolla
import joblib
import numpy as np
import pytest
from azolla import Client, get_worker
from gates import Gate
from joblib import Parallel, delayed
from test_large_data import arenas


def where() -> str:
    """Returns the worker of a call."""
    return get_worker().address


def workers(client: Client) -> set[str]:
    return set(client.scheduler_info()["workers"])


def test_calls_run_on_the_current_client(client: Client) -> None:
    with joblib.parallel_backend("azolla"):
        assert Parallel(n_jobs=2)(delayed(pow)(n, 2) for n in range(100)) == [n * n for n in range(100)]
        assert workers(client).issuperset(Parallel()(delayed(where)() for _ in range(10)))


def test_a_client_can_be_given(client: Client) -> None:
    with Client(processes=False, threads_per_worker=2) as other:
        with joblib.parallel_config("azolla", client=client, priority=2):
            assert workers(client).issuperset(Parallel()(delayed(where)() for _ in range(10)))
        with joblib.parallel_config("azolla"):
            assert workers(other).issuperset(Parallel()(delayed(where)() for _ in range(10)))


@pytest.mark.parametrize("asked", [-1, 2])
def test_workers_come_for_calls_though_there_is_none(asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        client.cluster.scale(0)
        client.cluster.adapt(minimum=0, maximum=2, interval="10ms")
        with joblib.parallel_config("azolla", client=client):
            assert set(Parallel(n_jobs=asked)(delayed(where)() for _ in range(4))) <= {
                client.cluster._address(str(number)) for number in range(1, 20)
            }


@pytest.mark.parametrize(("asked", "had"), [(None, 2), (-1, 2), (-2, 1), (1, 1), (2, 2), (99, 2), (-99, 1)])
def test_jobs_at_once_are_at_most_the_threads(client: Client, asked: int | None, had: int) -> None:
    with joblib.parallel_config("azolla"):
        assert Parallel(n_jobs=asked)._effective_n_jobs() == had
    with joblib.parallel_config("azolla"), pytest.raises(ValueError, match="n_jobs == 0"):
        Parallel(n_jobs=0)(delayed(abs)(n) for n in [1])


def test_the_first_failure_is_raised_and_the_rest_dropped(client: Client) -> None:
    def fail(n: int) -> int:
        if n == 3:
            raise OSError("the disk is full")
        return n

    with joblib.parallel_config("azolla"):
        with pytest.raises(OSError, match="disk is full"):
            Parallel(batch_size=1)(delayed(fail)(n) for n in range(1000))
        assert Parallel()(delayed(abs)(n) for n in [-1]) == [1]


def test_results_can_be_drawn_as_they_come(client: Client) -> None:
    with joblib.parallel_config("azolla"):
        drawn = Parallel(return_as="generator")(delayed(abs)(n) for n in range(20))
        assert list(drawn) == list(range(20))
        unordered = Parallel(return_as="generator_unordered")(delayed(abs)(n) for n in range(20))
        assert sorted(unordered) == list(range(20))


def test_it_nests_without_a_deadlock(one_slot: Client) -> None:
    def inner(n: int) -> int:
        return sum(Parallel(n_jobs=2)(delayed(pow)(n, 2) for n in range(n)))

    def outer(n: int) -> int:
        return sum(Parallel(n_jobs=2)(delayed(inner)(n) for n in range(n)))

    with joblib.parallel_config("azolla"):
        assert Parallel(n_jobs=2)(delayed(outer)(n) for n in range(4)) == [0, 0, 0, 1]


def test_one_level_of_nesting_runs_on_threads_and_the_rest_in_sequence(client: Client) -> None:
    """What `test_nested_parallelism_limit` of joblib's own tests asks of a backend."""

    def levels(limit: int = 3) -> list[tuple[str, int]]:
        with Parallel(n_jobs=2) as parallel:
            here = [(type(parallel._backend).__name__, parallel._backend.nesting_level)]
            return here if limit == 0 else here + parallel(delayed(levels)(limit - 1) for _ in range(1))[0]

    for context in (joblib.parallel_config, joblib.parallel_backend):
        with context("azolla", n_jobs=2):
            assert levels() == [
                ("AzollaBackend", 0),
                ("ThreadingBackend", 1),
                ("SequentialBackend", 2),
                ("SequentialBackend", 2),
            ]


def test_endless_nesting_is_a_recursion_error(client: Client) -> None:
    """What `test_thread_bomb_mitigation` of joblib's own tests asks of a backend: no more threads than a few."""
    most: list[int] = []

    def nest() -> object:
        most.append(threading.active_count())
        return Parallel()(delayed(nest)() for _ in range(2))

    before = threading.active_count()
    with joblib.parallel_config("azolla", n_jobs=2), pytest.raises(RecursionError):
        nest()
    assert max(most) < before + 20


@pytest.mark.parametrize(
    "imports",
    [
        "import joblib, azolla; Client = azolla.Client",
        "from azolla import Client; import joblib",
        "import azolla.joblib; import joblib; Client = azolla.Client",
        "from azolla import Client; made = Client(processes=False); import joblib; made.close()",
    ],
)
def test_it_is_registered_in_whatever_order_things_are_imported(imports: str) -> None:
    program = f"""
{imports}
with Client(processes=False, threads_per_worker=2):
    with joblib.parallel_backend("azolla"):
        print(joblib.Parallel()(joblib.delayed(abs)(n) for n in [-1, -2]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=60)
    assert (done.stdout, done.stderr) == ("[1, 2]\n", "")


@pytest.mark.parametrize("imports", ["import joblib, azolla", "import azolla, joblib"])
def test_without_a_client_it_says_what_to_do(imports: str) -> None:
    """In a program that has never had a client too."""
    program = f"""
{imports}
for call in (joblib.parallel_config, joblib.parallel_backend, lambda name: joblib.Parallel(backend=name)):
    try:
        call("azolla")
    except ValueError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=60)
    assert done.stdout.count("joblib on azolla has no client: make one first") == 3, done.stdout + done.stderr
    assert not hasattr(azolla, "AzollaBackend")


@pytest.mark.parametrize("context", [joblib.parallel_config, joblib.parallel_backend])
def test_an_argument_that_it_does_not_have_is_refused(client: Client, context: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"has no argument 'bogus': .* takes client and priority"):
        context("azolla", bogus=1)
    with pytest.raises(TypeError, match="client must be a Client or None, not 3"):
        context("azolla", client=3)


@pytest.mark.parametrize("name", ["bogus", "client", "priority"])
def test_a_call_of_parallel_refuses_what_it_would_ignore(client: Client, backend: str, name: str) -> None:
    with pytest.raises(TypeError, match=f"has no argument '{name}'"):
        Parallel(backend="azolla", **{name: None})(delayed(abs)(n) for n in [-1])
    own: dict[str, object] = {
        "verbose": 0,
        "prefer": "threads",
        "require": "sharedmem" if backend == "threads" else None,
        "max_nbytes": "1M",
        "timeout": 60,
    }
    assert Parallel(backend="azolla", **own)(delayed(abs)(n) for n in [-1, -2]) == [1, 2]


def test_a_library_may_pass_what_is_meant_for_another_backend(client: Client) -> None:
    with joblib.parallel_config("azolla"):
        assert Parallel(n_jobs=2, idle_worker_timeout=3)(delayed(abs)(n) for n in [-1, -2]) == [1, 2]


def test_it_shares_memory_and_gives_up_in_time(client: Client, gate: Gate) -> None:
    """Where the calls run in other processes, those that need the program's memory run on joblib's threads."""
    seen: list[int] = []
    with joblib.parallel_config("azolla"):
        Parallel(require="sharedmem")(delayed(seen.append)(n) for n in range(3))
        assert sorted(seen) == [0, 1, 2]
        with pytest.raises(multiprocessing.TimeoutError):
            Parallel(timeout=0.001, batch_size=1)(delayed(gate.hold)() for _ in range(2))
    gate.open()


# --- In worker processes


@pytest.mark.parametrize("most", ["1M", None])
def test_a_large_array_goes_to_shared_memory_once(client: Client, backend: str, gate: Gate, most: str | None) -> None:
    array, calls, sizes = np.ones(1_000_000), 6, [sum(arenas().values())]

    def held(data: list[np.ndarray], n: int) -> float:
        data[0][n] += 1  # no other call sees it
        gate.hold()
        return float(data[0].sum())

    def all_calls() -> Iterator[Any]:
        yield from (delayed(held)([array], n) for n in range(calls))
        sizes.append(sum(arenas().values()))
        gate.open()

    if backend == "processes":
        with joblib.parallel_config("azolla"):
            sums = Parallel(batch_size=1, pre_dispatch="all", max_nbytes=most)(all_calls())
        assert sums == [array.sum() + 1] * calls
        if most is not None:
            assert sizes[1] - sizes[0] < 2 * array.nbytes
        array += 1
        with joblib.parallel_config("azolla"):
            assert Parallel(max_nbytes=most)(delayed(np.sum)(array) for _ in range(3)) == [array.sum()] * 3


def test_a_batch_that_cannot_travel_is_an_error(client: Client, backend: str) -> None:
    lock = threading.Lock()
    with joblib.parallel_config("azolla"):
        if backend == "threads":
            assert Parallel()(delayed(lock.locked)() for _ in range(2)) == [False, False]
            return
        with pytest.raises(TypeError, match="cannot pickle"):
            Parallel()(delayed(lock.locked)() for _ in range(2))
        assert Parallel()(delayed(abs)(n) for n in [-1]) == [1]
