"""What the dashboard's server withstands: hostile errors and keys, many connections, other sites, readers without the
token; and what it keeps.
"""

from __future__ import annotations

import ctypes
import gc
import http.client
import subprocess
import sys
import textwrap
import threading
import types
from pathlib import Path
from typing import Any, cast

import pytest
from azolla import Client, LocalCluster, get_client, performance_report, wait
from azolla._cluster import words
from backends import Reason, threads_only
from conftest import Gate, Journal, eventually
from test_dashboard import Reader

pytestmark = pytest.mark.own_cluster


@pytest.fixture
def reader(client: Client) -> Reader:
    return Reader(client)


class Hangs(Exception):
    """An exception whose text hangs until a gate opens."""

    gate: Gate

    def __str__(self) -> str:
        self.gate.hold()
        return "at last"


def fail(error: BaseException) -> None:
    raise error


@threads_only(Reason.PICKLES)
def test_an_exception_whose_text_hangs_stops_neither_the_server_nor_other_errors(
    client: Client, reader: Reader, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Hangs.gate = gate
    monkeypatch.setattr(words, "PATIENCE", 0.0)

    def texts() -> list[str]:
        reader.json("/json/overview")
        return [error["text"] for error in reader.json("/json/errors")]

    with performance_report(tmp_path / "report.html"):
        hanging = client.submit(fail, Hangs(), pure=False)
        wait(hanging)
        gate.entered()
        assert reader.json("/health") == {"status": "ok"}
        assert reader.ask("/metrics")[0] == 200
        eventually(lambda: texts() == ["Hangs, whose text takes too long to make"])
        monkeypatch.setattr(words, "PATIENCE", float("inf"))
        good = client.submit(fail, ValueError("well put"), pure=False)
        wait(good)
        eventually(lambda: any("ValueError: well put" in text for text in texts()))
    gate.open()
    hanging.exception()
    good.exception()


def test_an_error_that_is_found_twice_hangs_one_thread(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    class Told:
        def __init__(self) -> None:
            self.errors: dict[int, str] = {}

        def add_error(self, task: int, text: str) -> None:
            self.errors[task] = text

    Hangs.gate = gate
    hangs, told = Hangs(), Told()
    monkeypatch.setattr(words, "PATIENCE", 0.0)
    worded = words.Words(cast("Any", told), "found-twice")
    worded.add([(1, hangs)])
    gate.entered()
    worded.add([(1, hangs), (2, ValueError("well put"))])
    monkeypatch.setattr(words, "PATIENCE", float("inf"))
    worded.add([(1, hangs), (3, hangs)])
    eventually(lambda: len(told.errors) == 3)
    worded.stop()
    gate.open()
    slow = "Hangs, whose text takes too long to make"
    assert told.errors == {1: slow, 2: "ValueError: well put\n", 3: slow}


@threads_only(Reason.PICKLES)
def test_after_some_that_hang_errors_are_told_by_their_classes(
    client: Client, reader: Reader, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Hangs.gate = gate
    monkeypatch.setattr(words, "PATIENCE", 0.0)
    with performance_report(tmp_path / "report.html"):
        failed = [client.submit(fail, Hangs(), pure=False) for _ in range(words.MOST_GIVEN_UP)]
        wait(failed)
        eventually(lambda: len(reader.json("/json/errors")) == words.MOST_GIVEN_UP)
        last = client.submit(fail, Hangs(), key="last", pure=False)
        wait(last)
        eventually(lambda: len(reader.json("/json/errors")) == words.MOST_GIVEN_UP + 1)
        [text] = [error["text"] for error in reader.json("/json/errors") if error["key"] == "last"]
        assert text == "Hangs"
    names = [thread.name for thread in threading.enumerate() if thread.name.endswith("-words")]
    assert len(names) <= words.MOST_GIVEN_UP
    gate.open()
    assert all(future.status == "error" for future in [*failed, last])


FORKS = """
import os, queue
from azolla import Client, performance_report, wait

pids = queue.Queue()

class Forks(Exception):
    def __str__(self):
        pid = os.fork()
        if pid:
            pids.put(pid)
        return "forked"

def fail():
    raise Forks

if __name__ == "__main__":
    with Client(processes=False, threads_per_worker=1, dashboard_address=":0") as client:
        with performance_report("report.html"):
            future = client.submit(fail)
            wait(future)
            _, status = os.waitpid(pids.get(timeout=60), 0)
            assert status == 0, status
            future.status
    print("ended")
"""


def test_a_fork_on_the_thread_that_makes_texts_ends(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(FORKS))
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr


#: It is a program of its own, since CPython 3.11 may crash where tracing is stopped while other threads are at work
#: (https://github.com/python/cpython/issues/128679).
TRACED = """
import sys
import tracemalloc
from azolla._cluster import words

long, place = "x" * 20_000_000, sys.argv[1]
error = ValueError(long)
if place == "cause":
    error = RuntimeError("short")
    error.__cause__ = ValueError(long)
elif place == "note":
    error = RuntimeError("short")
    error.add_note(long)
elif place == "group":
    error = ExceptionGroup("some", [ValueError(long)])
tracemalloc.start()
text = words.in_words(error)
peak = tracemalloc.get_traced_memory()[1]
assert "cut here" in text and len(text) < 30_000
print(peak)
"""


@pytest.mark.parametrize("place", ["itself", "cause", "note", "group"])
def test_the_text_of_an_error_is_cut_before_it_is_copied(place: str) -> None:
    done = subprocess.run([sys.executable, "-c", TRACED, place], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 5_000_000


class Text(str):
    """Text that must not be asked for itself."""

    def __str__(self) -> str:
        raise AssertionError("no code of the user's is run")

    __repr__ = __format__ = __str__  # type: ignore[assignment]


class Number(int):
    def __repr__(self) -> str:
        raise AssertionError("no code of the user's is run")

    __str__ = __repr__


KEYS: list[tuple[Any, str]] = [
    (Text("odd"), "odd"),
    ((Text("odd"), 1, True, 1.5, b"b", ("x",)), "('odd', 1, True, 1.5, b'b', ('x',))"),
    (Number(7), "7"),
    ((Number(7),), "(7,)"),
]


@pytest.mark.parametrize(("key", "shown"), KEYS, ids=[shown for _, shown in KEYS])
def test_a_key_is_shown_without_its_own_str(client: Client, reader: Reader, key: Any, shown: str) -> None:
    future = client.submit(abs, -1, key=key)
    assert future.result() == 1
    assert repr(future).endswith(f"key: {shown}>")
    [task] = reader.json("/json/tasks?key=" + shown.split("'")[1 if "'" in shown else 0])["tasks"]
    assert task["key"] == shown
    failed = client.submit(fail, ValueError("no"), key=(key, "failed"))
    assert "in the azolla task (" in str(failed.exception().__notes__)  # type: ignore[union-attr]


@threads_only(Reason.PICKLES)
def test_lists_show_name_arguments_and_duration(client: Client, reader: Reader, gate: Gate, tmp_path: Path) -> None:
    def work(*args: Any, **kwargs: Any) -> None:
        gate.hold()

    with performance_report(tmp_path / "report.html"):
        one = client.submit(work, 1, "text", [1, 2, 3, 4, 5, 6], {"a": None}, Text("own"), Opaque(), n=2.5, key="one")
        other = client.submit(work, "x" * 1000, list(range(1000)), key="other")
        gate.entered(2)
        eventually(lambda: task_of(reader, "one")["seconds"] is not None)
        told = task_of(reader, "one")
        assert told["name"] == "work"
        assert told["arguments"] == "1, 'text', [1, 2, 3, 4, …], {'a': None}, 'own', <Opaque>, n=2.5"
        assert len(task_of(reader, "other")["arguments"]) < 150
        gate.open()
        wait([one, other])
    assert task_of(reader, "one")["arguments"] is None


class Opaque:
    def __repr__(self) -> str:
        raise AssertionError("no code of the user's is run")


def task_of(reader: Reader, key: str) -> dict[str, Any]:
    [task] = [task for task in reader.json(f"/json/tasks?key={key}")["tasks"] if task["key"] == key]
    return dict(task)


def connect(reader: Reader) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(reader.host, timeout=60)
    connection.connect()
    return connection


def test_idle_connections_make_room(client: Client, reader: Reader) -> None:
    idle = [connect(reader) for _ in range(300)]
    try:
        assert reader.json("/health") == {"status": "ok"}
        # The silent ones are closed: the server keeps 64.
        for connection in idle[: 300 - 64]:
            assert connection.sock.recv(1) == b""
    finally:
        for connection in idle:
            connection.close()


def test_event_streams_are_bounded(client: Client, reader: Reader) -> None:
    streams = [connect(reader) for _ in range(32)]
    try:
        for stream in streams:
            stream.request("GET", "/events")
            assert stream.getresponse().status == 200
        assert reader.ask("/events")[0] == 503
        assert reader.json("/health") == {"status": "ok"}
        streams.pop().close()
        eventually(lambda: opens(reader))
    finally:
        for stream in streams:
            stream.close()


def opens(reader: Reader) -> bool:
    connection = connect(reader)
    try:
        connection.request("GET", "/events")
        return connection.getresponse().status == 200
    finally:
        connection.close()


PATHS = ["/status", "/health", "/metrics", "/json/overview", "/json/errors", "/events", "/report", "/assets/app.mjs"]


@pytest.mark.parametrize("path", PATHS)
def test_pages_of_other_sites_are_refused(client: Client, reader: Reader, path: str) -> None:
    assert reader.ask(path, Sec_Fetch_Site="cross-site")[0] == 403
    with_token = f"{path}?token={reader.token}"
    assert reader.ask(with_token, Sec_Fetch_Site="cross-site")[0] == 403
    if path == "/status":
        for site in ("same-origin", "same-site", "none"):
            assert reader.ask(path, Sec_Fetch_Site=site)[0] == 200
        # A person follows the link that a page elsewhere shows.
        follows = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
        assert reader.ask(with_token, **follows)[0] == 200
        assert reader.ask(path, **follows)[0] == 403
        assert reader.ask(with_token, **{**follows, "Sec_Fetch_Dest": "iframe"})[0] == 403


def test_a_private_dashboard_answers_those_who_have_the_token() -> None:
    with Client(processes=False, threads_per_worker=1, dashboard_address=":0", dashboard_private=True) as client:
        reader = Reader(client)
        for path in PATHS:
            open_to_all = path.startswith("/assets/")
            assert reader.ask(path)[0] == (200 if open_to_all else 403), path
            assert reader.ask(f"{path}?token={'0' * 32}")[0] == (200 if open_to_all else 403), path
        for path in ("/status", "/health", "/metrics", "/json/overview"):
            assert reader.ask(f"{path}?token={reader.token}")[0] == 200
            assert reader.ask(path, x_azolla_token=reader.token)[0] == 200
    with (
        LocalCluster(processes=False, dashboard_address=":0", dashboard_private=True) as cluster,
        Client(cluster) as other,
    ):
        assert Reader(other).ask("/health")[0] == 403
        with pytest.raises(ValueError, match="dashboard_private"):
            Client(cluster, dashboard_private=True)


def test_the_token_is_in_the_link_alone(client: Client, reader: Reader, tmp_path: Path) -> None:
    cluster = client.cluster
    with performance_report(tmp_path / "report.html"):
        client.write_trace(tmp_path / "trace.json")
    shown = [repr(client), client._repr_html_(), repr(cluster), cluster._repr_html_(), str(client.scheduler_info())]
    shown += [(tmp_path / name).read_text() for name in ("report.html", "trace.json")]
    assert not [text for text in shown if reader.token in text]
    link = client.dashboard_link
    assert link is not None and reader.token in link
    assert f'href="{link.partition("?")[0]}"' in client._repr_html_()


def test_the_estimate_sees_that_growth_has_stopped(client: Client, reader: Reader, gate: Gate) -> None:
    leaves = Journal()

    def crawl(depth: int) -> list[Any]:
        if depth > 0:  # one generation after the other
            return [get_client().submit(crawl, depth - 1, priority=depth, pure=False) for _ in range(2)]
        leaves.append(1)
        return gate.hold([]) if len(leaves) > 400 else []

    root = client.submit(crawl, 9, priority=10, pure=False)
    # 511 tasks have grown two each, and 400 of the last 512 have ended: on the whole, each has grown more than one.
    gate.entered(2)

    def is_bounded() -> bool:
        estimate = reader.json("/json/overview")["estimate"]
        return estimate["unknown"] is None and 1023 <= estimate["tasks"]["high"] < 3000

    eventually(is_bounded)  # the client hears of several ends at once
    gate.open()
    del root


class _Allocated(ctypes.Structure):
    """What the C library tells of its memory (`mallinfo2`)."""

    _fields_ = [(name, ctypes.c_size_t) for name in ("a", "b", "c", "d", "mapped", "f", "g", "allocated", "i", "j")]


def allocated() -> int:
    """The bytes that native code has allocated: Rust's are among them, most of Python's are not."""
    gc.collect()
    tell = ctypes.CDLL(None).mallinfo2
    tell.restype = _Allocated
    told = tell()
    return int(told.allocated + told.mapped)


def test_function_names_and_clients_that_come_and_go_leave_nothing_behind() -> None:
    with LocalCluster(processes=False, threads_per_worker=1, dashboard_address=None) as cluster:

        def join_and_leave(times: int) -> None:
            for _ in range(times):
                Client(cluster, set_as_default=False).close()

        def call_new_names(first: int, last: int) -> None:
            with Client(cluster) as client:
                for number in range(first, last):
                    named = types.FunctionType((lambda: None).__code__, {}, f"name_{number}")
                    client.submit(named, pure=False).result()
                future = client.submit(named, pure=False)
                assert future.key.startswith(f"name_{last - 1}-")

        join_and_leave(500)
        call_new_names(0, 2_000)
        before = allocated()
        join_and_leave(5_000)
        assert allocated() - before < 5_000 * 20
        before = allocated()
        call_new_names(2_000, 7_000)
        assert allocated() - before < 5_000 * 20


def test_beyond_a_thousand_functions_a_task_still_has_its_name(client: Client, reader: Reader) -> None:
    futures = []
    for number in range(1_010):
        named = types.FunctionType((lambda: None).__code__, {}, f"name_{number}")
        futures.append(client.submit(named, pure=False))
    wait(futures)
    assert task_of(reader, futures[-1].key)["name"] == "name_1009"
    names = [branch["name"] for branch in reader.json("/json/overview")["branches"]]
    assert len(names) <= 1_000 and "(everything else)" in names
