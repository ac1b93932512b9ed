"""The dashboard: what its server answers, and to whom. The page is seen in `test_page.py`."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import threading
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from azolla import Client, ClosedClientError, get_client, performance_report, span, wait
from backends import Reason, threads_only
from conftest import PATIENCE, Gate, eventually
from prometheus_client.openmetrics.parser import text_string_to_metric_families

pytestmark = pytest.mark.own_cluster

HOSTILE = '<script>document.title="taken"</script>"\'&<img src=x onerror=alert(1)>'


class Reader:
    """Asks a client's dashboard."""

    def __init__(self, client: Client) -> None:
        assert client.dashboard_link is not None
        link = urllib.parse.urlsplit(client.dashboard_link)
        self.host, self.token = link.netloc, urllib.parse.parse_qs(link.query)["token"][0]

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=given)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        code, text = self.ask(path)
        assert code == 200, text
        return json.loads(text)

    def task(self, key: str) -> str:
        [task] = self.json(f"/json/tasks?key={urllib.parse.quote(key)}")["tasks"]
        return str(task["task"])


@pytest.fixture
def reader(client: Client) -> Reader:
    return Reader(client)


def fail(text: str) -> None:
    raise ValueError(text)


def child(x: int) -> int:
    return x


def root(children: int) -> int:
    client = get_client()
    return sum(client.gather([client.submit(child, x, pure=False) for x in range(children)]))


def test_the_link_is_shown(client: Client) -> None:
    link = client.dashboard_link
    assert link is not None and "/status?token=" in link
    # Where it may be kept, the link is shown without the token.
    bare = link.partition("?")[0]
    assert bare in repr(client) and f'href="{bare}"' in client._repr_html_()
    with Client(processes=False, dashboard_address=None) as none:
        assert none.dashboard_link is None
        assert "Dashboard" not in none._repr_html_()


def test_a_client_without_a_dashboard_records_all_the_same(tmp_path: Path) -> None:
    report, trace = tmp_path / "report.html", tmp_path / "trace.json"
    with Client(processes=False, threads_per_worker=2, dashboard_address=None) as client:
        with performance_report(report):
            client.submit(child, 1, key="a-child").result()
            client.write_trace(trace)
        assert client.dashboard_link is None
        assert "Dashboard" not in client._repr_html_()
        assert any(event["name"] == "child" for event in json.loads(trace.read_text())["traceEvents"])
        assert "child" in report.read_text() and report.read_text().startswith("<!doctype html>")
        name = client.cluster.name
        assert f"{name}-dashboard" in [thread.name for thread in threading.enumerate()]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(f"{name}-")]

    with Client(processes=False, dashboard_address=None) as client:
        pass
    with pytest.raises(ClosedClientError, match="write_trace"):
        client.write_trace(trace)


def test_threads_that_record_at_once_share_what_records(tmp_path: Path) -> None:
    with Client(processes=False, threads_per_worker=2, dashboard_address=None) as client:
        ready = threading.Barrier(4)

        def records(number: int) -> None:
            ready.wait(PATIENCE)
            with performance_report(tmp_path / str(number)):
                client.submit(child, number).result()

        threads = [threading.Thread(target=records, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        ours = f"{client.cluster.name}-dashboard"
        assert [thread.name for thread in threading.enumerate()].count(ours) == 1
    assert len(list(tmp_path.iterdir())) == 4


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Client(processes=False, dashboard_address="nonsense:port")


def test_the_port_is_free_once_the_client_is_closed() -> None:
    with Client(processes=False, threads_per_worker=1, dashboard_address=":0") as client:
        reader = Reader(client)
        assert reader.json("/health") == {"status": "ok"}
    with pytest.raises(ConnectionError):
        reader.ask("/health")


def test_counts_are_exact_though_nobody_looked(client: Client, reader: Reader) -> None:
    futures = client.map(root, [3] * 10, pure=False)
    failed = client.submit(fail, "no", pure=False)
    client.gather(futures)
    wait(failed)
    eventually(lambda: reader.json("/json/overview")["counts"]["live"] == 0)
    told = reader.json("/json/overview")
    branches = {branch["id"]: branch for branch in told["branches"]}
    of_root, of_child = (next(b for b in branches.values() if b["name"] == name) for name in ("root", "child"))
    assert (of_root["submitted"], of_root["finished"], of_root["parent"]) == (10, 10, 0)
    assert (of_child["submitted"], of_child["finished"], of_child["parent"]) == (30, 30, of_root["id"])
    assert told["counts"]["failed"] == 1


def test_what_grows_from_outside_hangs_on_its_input(client: Client, reader: Reader) -> None:
    one = client.submit(child, 1, key="one")
    assert client.submit(abs, one).result() == 1
    by_name = {branch["name"]: branch for branch in reader.json("/json/overview")["branches"]}
    assert by_name["abs"]["parent"] == by_name["child"]["id"]


def test_a_task_is_found_by_its_key(client: Client, reader: Reader, gate: Gate) -> None:
    held = client.submit(gate.hold, 1, key="held")
    gate.entered()
    after = client.submit(abs, held, key="after")
    details = reader.json(f"/json/task/{reader.task('after')}")
    assert details["state"] == "waiting for inputs" and [task["key"] for task in details["inputs"]] == ["held"]
    details = reader.json(f"/json/task/{reader.task('held')}")
    assert details["state"] == "running" and [task["key"] for task in details["dependents"]] == ["after"]
    assert details["span"] is None
    with span("crawl"), span("parse", "pages"):
        spanned = client.submit(gate.hold, 2, key="spanned")
    assert reader.json(f"/json/task/{reader.task('spanned')}")["span"] == "crawl / parse / pages"
    gate.open()
    assert after.result() == 1
    assert spanned.result() == 2


def test_cancelling_needs_the_token_and_no_other_site_may_ask(client: Client, reader: Reader, gate: Gate) -> None:
    held = client.submit(gate.hold, 1, key="held")
    gate.entered()
    after = client.submit(abs, held, key="after")
    path = f"/json/cancel/{reader.task('after')}"
    refused = [
        reader.ask(path, "POST"),
        reader.ask(path, "POST", x_azolla_token="0" * 32),
        reader.ask(f"{path}?token={reader.token}", "POST"),
        reader.ask(path, "POST", x_azolla_token=reader.token, Origin="http://evil.example"),
        reader.ask("/json/overview", Host="evil.example"),
        reader.ask("/json/overview", Origin="null"),
    ]
    assert [code for code, _ in refused] == [403] * len(refused)
    assert after.status == "pending"
    # A notebook's proxy has another host name: the token lets its user in, and what the page is made of is no secret.
    assert reader.ask("/assets/app.mjs", Host="hub.example")[0] == 200
    proxied = {"Host": "127.0.0.1:1", "Origin": "https://hub.example"}
    assert reader.ask(f"/health?token={reader.token}", **proxied)[0] == 403
    assert reader.ask(f"/health?token={reader.token}", **proxied, X_Forwarded_Host="hub.example")[0] == 200
    assert reader.ask(f"/health?token={reader.token}", Host="hub.example")[0] == 200
    assert reader.ask(path, "POST", x_azolla_token=reader.token) == (200, '{"cancelled":1}')
    assert after.status == "cancelled"
    gate.open()
    assert held.result() == 1


def test_a_whole_subtree_is_cancelled(one_slot: Client, gate: Gate) -> None:
    reader = Reader(one_slot)

    def grow() -> list[Any]:
        futures = [get_client().submit(child, n, key=f"below-{n}") for n in range(3)]
        gate.hold()
        return futures

    grown = one_slot.submit(grow, key="above")
    gate.entered()
    other = one_slot.submit(child, 7, key="other")
    path = f"/json/cancel/{reader.task('above')}?subtree=true"
    assert json.loads(reader.ask(path, "POST", x_azolla_token=reader.token)[1]) == {"cancelled": 4}
    gate.open()
    assert grown.status == "cancelled" and other.result() == 7


def test_metrics_are_what_a_parser_expects(client: Client, reader: Reader) -> None:
    hostile = child.__class__(child.__code__, {}, HOSTILE + "\n\\")
    client.gather(client.map(hostile, range(5)))
    client.gather(client.map(root, [2] * 3, pure=False))

    def families() -> dict[str, Any]:
        return {family.name: family for family in text_string_to_metric_families(reader.ask("/metrics")[1])}

    submitted = {s.labels["function"]: s.value for s in families()["azolla_tasks_submitted"].samples}
    assert submitted == {"root": 3, "child": 6, HOSTILE + "\n\\": 5}

    def ended() -> float:
        durations = families()["azolla_task_duration_seconds"].samples
        return sum(s.value for s in durations if s.name.endswith("_count"))

    eventually(lambda: ended() == 14)  # the last end may be told a little after its result is there


def test_a_trace_has_slots_and_arrows(client: Client, reader: Reader, tmp_path: Path) -> None:
    with performance_report(tmp_path / "report.html"):
        client.gather(client.map(root, [1, 1], pure=False))
        client.write_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    check_trace(events)
    numbers = {event["args"]["number"]: event for event in events if event["ph"] == "X"}
    grown = [event for event in numbers.values() if event["args"]["parent"]]
    assert {event["name"] for event in grown} == {"child"}
    assert {event["name"] for event in numbers.values()} == {"root", "child"}
    starts = {event["id"] for event in events if event["ph"] == "s"}
    assert starts == {event["id"] for event in events if event["ph"] == "f"} and len(starts) == len(grown)


def check_trace(events: list[dict[str, Any]]) -> None:
    """That these are events as the Trace Event Format has them, and that viewers can make something of them."""
    tracks: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        assert event["ph"] in "MXsf" and event["name"] and {"pid", "tid"} <= event.keys()
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index") and len(event["args"]) == 1
        else:
            assert isinstance(event["ts"], (int, float)) and event["ts"] >= 0 and event["cat"]
        if event["ph"] == "X":
            assert event["dur"] >= 0
            tracks.setdefault(event["tid"], []).append(event)
    named = {event["tid"] for event in events if event["name"] == "thread_name"}
    assert tracks.keys() <= named
    for track in tracks.values():
        track.sort(key=lambda event: event["ts"])
        for one, next_one in itertools.pairwise(track):
            # To a nanosecond, in microseconds: what overlaps would be drawn as if one had called the other.
            assert one["ts"] + one["dur"] <= next_one["ts"] + 0.001
    arrows = {event["id"]: event for event in events if event["ph"] == "s"}
    for end in (event for event in events if event["ph"] == "f"):
        begin = arrows[end["id"]]
        assert begin["ts"] <= end["ts"] and end["bp"] == "e"
        for event in (begin, end):
            # An arrow is tied to the slice of its track that lies there.
            around = [one for one in tracks[event["tid"]] if one["ts"] <= event["ts"] <= one["ts"] + one["dur"] + 0.001]
            assert around, event


async def wait_for(event: asyncio.Event) -> int:
    await event.wait()
    return 1


@threads_only(Reason.OBJECTS)
def test_async_work_is_timed_and_has_lanes(client: Client, reader: Reader, tmp_path: Path) -> None:
    loop = client.loop
    event = asyncio.run_coroutine_threadsafe(_event(), loop).result()
    with performance_report(tmp_path / "report.html"):
        held = client.map(wait_for, [event] * 3, pure=False)
        eventually(lambda: reader.json("/json/overview")["counts"]["detached"] == 3)
        assert "wait_for" in reader.json("/json/overview")["estimate"]["unknown"]
        ended, running = reader.json("/json/runs")
        # Each has given up its slot, and goes on in a lane of its own.
        assert [run[5] for run in ended] == ["detached"] * 3 and {run[1] for run in ended} <= {0, 1}
        assert {run[1] for run in running} == {-1, -2, -3}
        loop.call_soon_threadsafe(event.set)
        client.gather(held)
        eventually(lambda: len(reader.json("/json/runs")[0]) == 6)
        trace = tmp_path / "trace.json"
        client.write_trace(trace)
    [branch] = [b for b in reader.json("/json/overview")["branches"] if b["name"] == "wait_for"]
    assert branch["finished"] == 3 and branch["mean"] > 0
    names = {e["args"]["name"] for e in json.loads(trace.read_text())["traceEvents"] if e["name"] == "thread_name"}
    assert {"off slot 1", "off slot 2", "off slot 3"} <= names


async def _event() -> asyncio.Event:
    return asyncio.Event()


@threads_only(Reason.PICKLES)
def test_bytes_of_results_are_told_where_they_are_known(client: Client, reader: Reader) -> None:
    def results() -> dict[str, Any]:
        told: dict[str, Any] = reader.json("/json/overview")["results"]
        return told

    million = client.submit(bytes, 1_000_000)
    array = client.submit(np.zeros, 1000)
    nested = client.submit(list, ["x" * 1000] * 500)
    wait([million, array, nested])
    # A sample is good for a second.
    eventually(lambda: results()["looked_at"] == 3)
    told = results()
    assert (told["known"], told["all"]) == (1.0, True)
    assert 1_500_000 < told["bytes"] < 1_600_000
    opaque = client.submit(Opaque)
    wait(opaque)
    eventually(lambda: results()["looked_at"] == 4)
    assert results()["known"] == 0.75
    del million, array, nested
    eventually(lambda: results()["looked_at"] == 1)
    assert results()["bytes"] is None


class Opaque:
    """Nobody but itself could say how big it is, and it is not asked."""

    def __sizeof__(self) -> int:
        raise AssertionError("a dashboard runs no code of the user's")

    nbytes = property(__sizeof__)


def test_only_what_listens_makes_it_record(client: Client, reader: Reader) -> None:
    """A program that asks now and then sees counts, and no runs or errors. One that listens sees kept errors too."""

    def seen() -> tuple[int, list[str]]:
        errors = [error["key"] for error in reader.json("/json/errors")]
        return len(reader.json("/json/runs?after=0")[0]), errors

    assert seen() == (0, [])
    failed = client.submit(fail, "before", key="before")
    wait(failed)
    assert (seen(), reader.json("/json/overview")["counts"]["failed"]) == ((0, []), 1)
    connection = http.client.HTTPConnection(reader.host, timeout=60)
    try:
        connection.request("GET", "/events")
        listening = connection.getresponse()
        assert listening.readline().startswith(b"data: ")
        later = client.submit(fail, "while", key="while")
        wait(later)
        eventually(lambda: seen() == (1, ["before", "while"]))
    finally:
        connection.close()
