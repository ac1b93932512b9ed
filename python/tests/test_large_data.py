"""Large data of worker processes: it lies in shared memory, once, and each reader may write to its own."""

from __future__ import annotations

import functools
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from azolla import Client
from conftest import eventually, nothing_is_kept

#: What is copied when it is read, and what is mapped. In bytes.
COPIED, MAPPED = 200_000, 5_000_000


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


@pytest.fixture
def client(shared: Client) -> Iterator[Client]:
    """Two processes of one thread each."""
    yield shared
    shared._check()
    eventually(lambda: nothing_is_kept(shared))


def arenas() -> dict[int, int]:
    """The bytes of memory that each arena takes which this process has open, by inode."""
    found = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            if "memfd:azolla" in str(descriptor.readlink()):
                stat = os.stat(descriptor)
                found[stat.st_ino] = stat.st_blocks * 512
        except FileNotFoundError:  # the one by which the folder is read
            pass
    return found


def mapped() -> int:
    """How many mappings of arenas this process has, besides those of claims."""
    mappings = Path("/proc/self/maps").read_text().splitlines()
    return sum("memfd:azolla" in mapping and mapping.split()[1] == "rw-p" for mapping in mappings)


def same(value: Any) -> Any:
    return value


def filled(size: int, value: int) -> np.ndarray:
    return np.full(size, value, np.uint8)


def sum_after_writing(array: np.ndarray) -> int:
    array[0] += 1
    return int(array.sum())


ARRAYS: dict[str, Callable[[int], np.ndarray]] = {
    "bytes": lambda size: np.arange(size, dtype=np.uint8),
    "floats": lambda size: np.arange(size // 8, dtype=float),
    "matrix": lambda size: np.arange(size // 8).reshape(-1, 5),
    "columns first": lambda size: np.asfortranarray(np.arange(size // 8).reshape(-1, 5)),
    "every second": lambda size: np.arange(size // 4)[::2],
    "backwards": lambda size: np.arange(size // 8)[::-1],
    "records": lambda size: np.zeros(size // 16, [("a", "<i8"), ("b", "<f8")]),
    "nothing": lambda size: np.zeros((0, 3)),
    "objects": lambda size: np.array([str(n) for n in range(size // 100)], dtype=object),
}


@pytest.mark.parametrize("size", [COPIED, MAPPED])
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_all_kinds_arrive_as_they_are_and_can_be_written(client: Client, kind: str, size: int) -> None:
    array = ARRAYS[kind](size)
    results = [
        client.submit(same, array),
        client.submit(same, client.scatter(array)),
        client.submit(ARRAYS[kind], size),
    ]
    for result in (*client.gather(results), *client.gather(client.map(same, results))):
        np.testing.assert_array_equal(result, array)
        assert (result.dtype, result.flags.writeable) == (array.dtype, True)
        result[:0] = result[:0]


@pytest.mark.parametrize("size", [COPIED, MAPPED])
def test_what_is_read_only_stays_so(client: Client, size: int) -> None:
    array = np.ones(size, np.uint8)
    array.flags.writeable = False
    for result in (client.submit(same, array).result(), client.scatter(array).result()):
        assert not result.flags.writeable
    assert client.submit(lambda array: array.flags.writeable, array).result() is False


@pytest.mark.parametrize("size", [COPIED, MAPPED])
def test_bytes_and_what_holds_them(client: Client, size: int) -> None:
    contents = os.urandom(size)
    for value in (contents, bytearray(contents), {"a": [contents, 1]}, contents.hex()):
        assert client.submit(same, value).result() == value
        assert client.submit(same, client.scatter(value)).result() == value
        assert type(client.submit(same, value).result()) is type(value)
    assert bytes(client.submit(pickle.PickleBuffer, contents).result()) == contents


def test_frames_of_pandas(client: Client) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": np.arange(1_000_000), "b": np.ones(1_000_000), "c": ["text"] * 1_000_000})
    result = client.submit(same, client.submit(same, frame)).result()
    pandas.testing.assert_frame_equal(result, frame)
    result.loc[0, "a"] = 7
    assert frame["a"][0] == 0


@pytest.mark.parametrize("size", [COPIED, MAPPED])
def test_nothing_else_sees_what_is_written_to_an_array(client: Client, size: int) -> None:
    array = np.ones(size, np.uint8)
    for future in (client.scatter(array), client.submit(filled, size, 1)):
        sums = []
        for _ in range(3):
            for worker in (0, 1):
                chosen = client.submit(sum_after_writing, future, workers=[worker], pure=False)
                sums.append(chosen.result())
        assert sums == [size + 1] * 6
        first, second = future.result(), future.result()
        first[:] = 9
        assert second.sum() == future.result().sum() == size
    futures = [client.submit(sum_after_writing, array, pure=False) for _ in range(4)]
    assert client.gather(futures) == [size + 1] * 4
    assert array.sum() == size


def test_functions_may_hold_large_data(client: Client) -> None:
    array = np.ones(MAPPED, np.uint8)
    functions = [lambda n: int(array.sum()) + n, functools.partial(np.add, array), Adder(array)]
    for _ in range(2):
        for function in functions:
            results = client.gather(client.map(function, range(5), pure=False))
            assert [np.asarray(result).max() in (n + 1, MAPPED + n) for n, result in enumerate(results)] == [True] * 5
    array = array * 2
    assert client.submit(functions[0], 1).result() == 2 * MAPPED + 1


class Adder:
    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __call__(self, n: int) -> int:
        return int(self._array.sum()) + n


def test_large_errors_come_back(client: Client) -> None:
    def fail(contents: Any) -> None:
        raise ValueError(contents)

    with pytest.raises(ValueError) as raised:
        client.submit(fail, "x" * 3_000_000).result()
    assert str(raised.value).count("x") == 3_000_000
    with pytest.raises(ValueError) as raised:
        client.submit(fail, np.ones(300_000)).result()
    assert raised.value.args[0].sum() == 300_000


def test_memory_is_not_used_again_while_an_array_is_there(client: Client) -> None:
    kept = []
    for round in range(30):
        futures = [client.submit(filled, MAPPED, value, pure=False) for value in (round, round + 100)]
        arrays = client.gather(futures)
        del futures
        kept = [*kept[-8:], *arrays]
        for array in kept:
            assert (array == array[0]).all()
    assert [int(array[0]) for array in kept[-2:]] == [29, 129]


class Keeper:
    """Keeps arrays in a worker process, in a module that all tasks there share."""

    def __call__(self, array: np.ndarray) -> list[int]:
        kept = self.kept()
        kept.append(array)
        del kept[:-6]
        assert all((one == one[0]).all() for one in kept)
        return [int(one[0]) for one in kept]

    @staticmethod
    def kept() -> list[np.ndarray]:
        return vars(sys).setdefault("_kept_by_tests", [])


def test_nor_while_a_worker_process_has_it(client: Client) -> None:
    for value in range(20):
        array = client.submit(filled, MAPPED, value, workers=[value % 2], pure=False)
        if value % 3 == 0:
            array = client.scatter(np.full(MAPPED, value, np.uint8))
        elif value % 3 == 1:
            array = np.full(MAPPED, value, np.uint8)
        assert client.submit(Keeper(), array, workers=[0], pure=False).result()[-1] == value
    client.submit(lambda: Keeper.kept().clear(), workers=[0]).result()


def test_tasks_of_a_frame_share_what_they_get(client: Client) -> None:
    big = client.submit(filled, MAPPED, 3)
    small = client.submit(same, 4)
    futures = [
        client.submit(lambda parts, n: int(parts["a"][0][n]) + parts["b"], {"a": [big], "b": small}, n)
        for n in range(200)
    ]
    assert client.gather(futures) == [7] * 200


def test_results_outlive_their_process_and_so_do_arrays(client: Client) -> None:
    futures = [client.submit(filled, MAPPED, value, workers=[0]) for value in range(3)]
    pid = client.submit(os.getpid, workers=[0], pure=False).result()
    before = client.gather(futures)
    os.kill(pid, signal.SIGKILL)
    assert client.submit(os.getpid, workers=[0], pure=False).result() != pid
    for value, (old, new) in enumerate(zip(before, client.gather(futures), strict=True)):
        assert (old == value).all() and (new == value).all()
        assert client.submit(sum_after_writing, futures[value]).result() == MAPPED * value + 1
    for value in range(20):  # its place is not taken meanwhile
        assert client.submit(filled, MAPPED, value + 50, workers=[0]).result()[0] == value + 50
    assert [int(array.max()) for array in before] == [0, 1, 2]


class Fatal:
    """Kills the process that pickles it for the first time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._path.exists():
            self._path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return int, (7,)


def test_a_process_that_dies_while_it_pickles_leaves_nothing(client: Client, tmp_path: Path) -> None:
    future = client.submit(lambda path: [np.ones(MAPPED), Fatal(path)], tmp_path / "died")
    array, seven = future.result()
    assert (array.sum(), seven) == (MAPPED, 7)


def test_nothing_is_left_of_processes_that_have_ended(client: Client) -> None:
    descriptors = []
    client.gather([client.submit(os.getpid, workers=[worker], pure=False) for worker in (0, 1)])
    before, mapped_before = len(arenas()), mapped()  # other tests' clusters have arenas too
    for _ in range(6):
        future = client.submit(filled, MAPPED, 1, workers=[0], pure=False)
        client.submit(sum_after_writing, future, workers=[1], pure=False).result()
        array = future.result()
        pid = client.submit(os.getpid, workers=[0], pure=False).result()
        os.kill(pid, signal.SIGKILL)
        assert client.submit(os.getpid, workers=[0], pure=False).result() != pid
        del future
        assert (array == 1).all()
        del array
        eventually(lambda: len(arenas()) == before and mapped() == mapped_before)
        theirs = client.submit(lambda: len(os.listdir("/proc/self/fd")), workers=[1], pure=False).result()
        descriptors.append((len(os.listdir("/proc/self/fd")), theirs))
    assert descriptors[2] == descriptors[-1]


def test_a_closed_client_keeps_nothing_of_its_processes() -> None:
    before = set(arenas())
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None, set_as_default=False) as client:
        for _ in range(3):
            client.gather([client.submit(np.ones, MAPPED // 8, pure=False) for _ in range(4)])
    # What the client itself has stored is punched out, and goes with it.
    eventually(lambda: len(set(arenas()) - before) <= 1)
    assert sum(size for arena, size in arenas().items() if arena not in before) == 0
    del client


def test_memory_goes_back() -> None:
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        futures = [client.submit(filled, 50_000_000, 1, workers=[0], pure=False) for _ in range(6)]
        futures += client.scatter([filled(50_000_000, value) for value in range(6)])
        client.gather(client.map(len, futures))
        assert sum(arenas().values()) >= 600_000_000
        futures.clear()
        client.gather([client.submit(len, "", workers=[worker], pure=False) for worker in (0, 1)])
        eventually(lambda: sum(arenas().values()) <= 2 * 192 * 1024 * 1024)


def program(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_many_results_need_few_descriptors() -> None:
    said = program("""
        import os, resource
        from azolla import Client
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
            futures = client.map(lambda n: bytes([n % 256]) * 102_400, range(5000))
            results = client.gather(futures)
            assert results == [bytes([n % 256]) * 102_400 for n in range(5000)]
            print(len(os.listdir("/proc/self/fd")) < 64, [name for name in os.listdir("/dev/shm") if "azolla" in name])
    """)
    assert said == "True []\n"


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_the_child_of_a_fork_keeps_its_arrays() -> None:
    said = program("""
        import os
        import numpy as np
        from azolla import Client
        def filled(value):
            return np.full(5_000_000, value, np.uint8)
        def forks(array):
            (reads, writes), (child, parent) = os.pipe(), os.pipe()
            if os.fork() == 0:
                os.read(reads, 1)
                os.write(parent, b"as it was" if (array == 1).all() else b"changed")
                os._exit(0)
            return writes, child
        def asked(ends):
            os.write(ends[0], b"x")
            return os.read(ends[1], 99).decode()
        with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
            array = client.submit(filled, 1).result()
            here = forks(array)
            del array
            array = client.scatter(filled(1))
            there = client.submit(forks, array).result()
            del array
            for value in range(2, 6):
                client.gather([client.submit(filled, value), client.submit(len, filled(value))])
            print(asked(here), client.submit(asked, there).result())
    """)
    assert said == "as it was as it was\n"


def test_no_memory_in_a_worker_process_is_an_error_of_the_task() -> None:
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        pid = client.submit(os.getpid, pure=False).result()
        client.submit(limit_files, 1_000_000).result()
        for size in (COPIED, MAPPED):
            future = client.submit(filled, 4 * size, 1, pure=False)
            if size == COPIED:
                assert future.result().sum() == 4 * size
                continue
            with pytest.raises(MemoryError, match="no memory for large data"):
                future.result()
            with pytest.raises(RuntimeError, match=r"^ValueError\('x"):
                client.submit(fail_at_length, MAPPED).result()
        assert client.submit(os.getpid, pure=False).result() == pid


def fail_at_length(length: int) -> None:
    raise ValueError("x" * length)


def test_no_memory_to_map_in_a_worker_process_is_an_error_of_the_task() -> None:
    def limit() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000, used + 200_000_000))

    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        pid = client.submit(os.getpid, pure=False).result()
        client.submit(limit).result()
        large = client.scatter(np.ones(300_000_000, np.uint8))
        with pytest.raises(MemoryError):
            client.submit(len, large).result()
        with pytest.raises(MemoryError):
            client.submit(filled, 300_000_000, 1).result()
        assert client.submit(len, client.scatter(np.ones(MAPPED, np.uint8))).result() == MAPPED
        assert client.submit(os.getpid, pure=False).result() == pid


def test_no_memory_in_the_client_is_an_error_of_the_call() -> None:
    said = program("""
        import resource
        import numpy as np
        from azolla import Client
        with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
            large = client.submit(np.ones, 50_000_000)
            client.gather(client.submit(len, large))
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
            for call in (client.scatter, lambda array: client.submit(len, array)):
                try:
                    call(np.ones(1_000_000))
                except MemoryError:
                    print("no room")
            print(client.submit(len, np.ones(20_000)).result())
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, resource.RLIM_INFINITY))
            try:
                large.result()
            except MemoryError:
                print("no memory")
            print(client.submit(len, large).result())
    """)
    assert said.split("\n") == ["no room", "no room", "20000", "no memory", "50000000", ""]


def test_a_task_that_returns_its_input_holds_it_no_longer(client: Client) -> None:
    def stored() -> int:
        return sum(worker["metrics"]["managed_bytes"] for worker in client.scheduler_info()["workers"].values())

    for _ in range(3):
        future = client.submit(filled, MAPPED, 1, workers=[0], pure=False)
        same_again = client.submit(same, future, workers=[1], pure=False)
        assert same_again.result().sum() == MAPPED
        del future, same_again
        # No process needs another task to let go.
        eventually(lambda: stored() == 0)
