"""The dashboard: what the server answers, to whom, and the page in a real browser."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azolla import Client, get_client, performance_report, wait
from conftest import Gate
from playwright.sync_api import Browser, Page, expect, sync_playwright
from prometheus_client.openmetrics.parser import text_string_to_metric_families

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
    assert link in repr(client) and link in client._repr_html_()
    with Client(processes=False, dashboard_address=None) as none:
        assert none.dashboard_link is None
        assert "Dashboard" not in none._repr_html_()


def test_a_client_without_a_dashboard_says_so(tmp_path: Path) -> None:
    with Client(processes=False, dashboard_address=None) as client:
        with pytest.raises(RuntimeError, match="dashboard"):
            client.write_trace(tmp_path / "trace.json")
        with pytest.raises(RuntimeError, match="dashboard"), performance_report(tmp_path / "report.html"):
            pass
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
    told = reader.json("/json/overview")
    branches = {branch["id"]: branch for branch in told["branches"]}
    of_root, of_child = (next(b for b in branches.values() if b["name"] == name) for name in ("root", "child"))
    assert (of_root["submitted"], of_root["finished"], of_root["parent"]) == (10, 10, 0)
    assert (of_child["submitted"], of_child["finished"], of_child["parent"]) == (30, 30, of_root["id"])
    assert told["counts"]["failed"] == 1 and told["counts"]["live"] == 0


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
    gate.open()
    assert after.result() == 1


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
    # A notebook's proxy has another host name: the token lets its user in.
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
    families = {family.name: family for family in text_string_to_metric_families(reader.ask("/metrics")[1])}
    submitted = {s.labels["function"]: s.value for s in families["azolla_tasks_submitted"].samples}
    assert submitted == {"root": 3, "child": 6, HOSTILE + "\n\\": 5}
    durations = families["azolla_task_duration_seconds"].samples
    assert sum(s.value for s in durations if s.name.endswith("_count")) == 14


def test_a_trace_has_slots_and_arrows(client: Client, reader: Reader, tmp_path: Path) -> None:
    with performance_report(tmp_path / "report.html"):
        client.gather(client.map(root, [1, 1], pure=False))
        client.write_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    numbers = {event["args"]["number"]: event for event in events if event["ph"] == "X"}
    grown = [event for event in numbers.values() if event["args"]["parent"]]
    assert {event["name"] for event in grown} == {"child"}
    assert {event["name"] for event in numbers.values()} == {"root", "child"}
    starts = {event["id"] for event in events if event["ph"] == "s"}
    assert starts == {event["id"] for event in events if event["ph"] == "f"} and len(starts) == len(grown)


# --- The page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(install, check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        path = shutil.which("chromium")
    assert path is not None, "the dashboard's tests need a browser: apt-get install chromium"
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    # That a server does not answer is what some tests are about.
    page.on(
        "console",
        lambda message: (
            wrong.append(message.text) if message.type == "error" and "net::ERR" not in message.text else None
        ),
    )
    yield page
    page.close()
    assert wrong == []


def link(client: Client) -> str:
    assert client.dashboard_link is not None
    return client.dashboard_link


def test_the_page_shows_what_grows(client: Client, page: Page, gate: Gate) -> None:
    page.goto(link(client))
    expect(page.locator("#progress .empty")).to_have_text("No task has been submitted yet.")
    futures = client.map(root, [3] * 10, pure=False)
    client.gather(futures)
    tree = page.locator("#growth .tree")
    expect(tree.locator("> li[data-name=root] > .node b")).to_have_text("10")
    expect(tree.locator("> li[data-name=root] > ul > li[data-name=child] > .node b")).to_have_text("30")
    expect(page.locator("#progress li[data-name=child] .of")).to_have_text("30 / 30")
    page.reload()
    expect(page.locator("#progress li[data-name=root] .of")).to_have_text("10 / 10")
    tree.locator("> li[data-name=root] > .node .list").click()
    expect(tree.locator("> li[data-name=root] > .tasks li")).to_have_count(10)


def test_an_error_is_shown_as_text_whatever_is_in_it(client: Client, page: Page) -> None:
    page.goto(link(client))
    expect(page.locator("#connection")).to_have_text("live")
    hostile = fail.__class__(fail.__code__, {"ValueError": ValueError}, HOSTILE)
    failed = client.submit(hostile, HOSTILE + "x" * 1_000_000 + "\udcff")
    wait(failed)
    page.locator("#errors summary b.bad").click()
    expect(page.locator("#errors pre")).to_contain_text("Traceback")
    expect(page.locator("#errors pre")).to_contain_text("<script>")
    expect(page.locator("#errors pre")).to_contain_text("bytes in all")
    assert page.title() == "azolla" and page.locator("img").count() == 0


def test_a_task_is_found_and_cancelled_on_the_page(client: Client, page: Page, gate: Gate) -> None:
    held = client.submit(gate.hold, 1, key="held")
    gate.entered()
    after = client.submit(abs, held, key="after")
    page.goto(link(client))
    page.locator("#search input").fill("aft")
    page.locator("#search input").press("Enter")
    page.locator("#search .tasks button").click()
    expect(page.locator(".details #state")).to_have_text("waiting for inputs")
    page.locator("#cancel").click()
    expect(page.locator(".details #state")).to_have_text("cancelled")
    assert after.status == "cancelled"
    gate.open()
    assert held.result() == 1


def test_a_server_that_goes_away_and_comes_back(page: Page) -> None:
    with Client(processes=False, threads_per_worker=1, dashboard_address=":0") as client:
        address = link(client)
        page.goto(address)
        expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#connection")).to_contain_text("disconnected")
    port = urllib.parse.urlsplit(address).port
    with Client(processes=False, threads_per_worker=1, dashboard_address=f":{port}") as client:
        assert client.submit(child, 1).result() == 1
        expect(page.locator("#connection")).to_have_text("live")
        expect(page.locator("#progress li[data-name=child] .of")).to_have_text("1 / 1")


def test_a_hundred_thousand_tasks_do_not_freeze_the_page(client: Client, page: Page) -> None:
    page.goto(link(client))
    expect(page.locator("#connection")).to_have_text("live")
    page.evaluate(
        """() => { window.longest = 0; let last = performance.now();
        setInterval(() => { const now = performance.now(); window.longest = Math.max(window.longest, now - last);
        last = now; }, 10); }"""
    )
    client.gather(client.map(child, range(100_000), pure=False))
    expect(page.locator("#progress li[data-name=child] .of")).to_have_text("100,000 / 100,000")
    expect(page.locator("#sampling")).to_contain_text("one in 64")
    assert page.evaluate("window.longest") < 5_000


def test_the_report_is_one_file(client: Client, page: Page, tmp_path: Path) -> None:
    with performance_report(tmp_path / "report.html"):
        client.gather(client.map(root, [3] * 10, pure=False))
    page.goto(f"file://{tmp_path}/report.html")
    expect(page.locator("#connection")).to_have_text("report")
    expect(page.locator("#progress li[data-name=child] .of")).to_have_text("30 / 30")


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_its_window(client: Client, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(link(client))
    client.gather(client.map(root, [3] * 10, pure=False))
    expect(page.locator("#progress li[data-name=child] .of")).to_have_text("30 / 30")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
