"""The dashboard's page, as it is seen in a real browser."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azolla import Client, get_client, performance_report, wait
from conftest import Gate
from playwright.sync_api import Browser, Page, expect, sync_playwright
from test_dashboard import HOSTILE, child, fail, root

pytestmark = pytest.mark.own_cluster


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
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
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
    expect(page.locator("#errors pre")).to_contain_text("characters in all")
    assert page.title() == "azolla" and page.locator("img").count() == 0


def test_a_task_is_found_and_cancelled_on_the_page(client: Client, page: Page, gate: Gate) -> None:
    held = client.submit(gate.hold, 1, key="held")
    gate.entered()
    after = client.submit(abs, held, key="after")
    page.goto(link(client))
    page.locator("#search input").fill("aft")
    page.locator("#search input").press("Enter")
    page.locator("#search .tasks .key").click()
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


def test_groups_are_shown_and_cancelled(client: Client, page: Page, gate: Gate) -> None:
    page.goto(link(client))
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#groups")).to_have_count(0)
    left = threading.Event()

    def work() -> None:
        with client.group("site <b>", on_error="collect"):
            client.map(fail, range(3), pure=False)
            with client.group("pages"):
                client.map(gate.hold, range(5), pure=False)
        left.set()

    thread = threading.Thread(target=work)
    thread.start()
    rows = page.locator("#groups li")
    expect(rows.nth(0).locator(".name")).to_have_text("site <b>")
    expect(rows.nth(0).locator(".of")).to_have_text("5 live of 8 · 3 failed")
    expect(rows.nth(1).locator(".name")).to_have_text("pages waits for its end")
    expect(rows.nth(1).locator(".of")).to_have_text("5 live of 5")
    assert not left.is_set()
    page.get_by_role("button", name="cancel the group site <b>").click()
    thread.join()
    expect(page.locator("#groups")).to_have_count(0)
    gate.open()


def test_a_hundred_thousand_tasks_do_not_freeze_the_page(client: Client, page: Page, gate: Gate) -> None:
    page.goto(link(client))
    expect(page.locator("#connection")).to_have_text("live")
    held = client.submit(gate.hold, key="held")
    gate.entered()
    futures = client.map(child, range(100_000), pure=False)
    # While they run, and with one slot of two held, the page finds a task, shows it, and closes it again.
    page.locator("#search input").fill("hel")
    page.locator("#search input").press("Enter")
    page.locator("#search .key", has_text="held").click()
    expect(page.locator(".details #state")).to_have_text("running")
    page.keyboard.press("Escape")
    expect(page.locator(".details")).to_have_count(0)
    gate.open()
    client.gather([held, *futures])
    expect(page.locator("#progress li[data-name=child] .of")).to_have_text("100,000 / 100,000")
    expect(page.locator("#sampling")).to_contain_text("one in 64")
    # However many there are, what is drawn for them does not grow.
    assert page.evaluate("document.querySelectorAll('*').length") < 400
    assert page.evaluate("performance.getEntriesByType('resource').length") < 100


def test_single_tasks_unfold_below_their_parents(client: Client, page: Page) -> None:
    kept = client.submit(keep, 3, key="keep")
    wait(kept)
    page.goto(link(client))
    page.locator("#growth li[data-name=keep] > .node .list").click()
    tasks = page.locator("#growth li[data-name=keep] > .tasks")
    tasks.get_by_label("unfold keep").click()
    expect(tasks.locator(".tasks .key")).to_have_text(["kept-0", "kept-1", "kept-2"])
    tasks.get_by_text("kept-1").click()
    expect(page.locator(".details #parent")).to_have_text("keep")
    # The parent's own page, and from there its children.
    page.locator(".details #parent button").click()
    expect(page.locator(".details .tasks .key")).to_have_text(["kept-0", "kept-1", "kept-2"])


def keep(children: int) -> list[Any]:
    return [get_client().submit(child, n, key=f"kept-{n}") for n in range(children)]


def test_the_report_is_one_file(client: Client, page: Page, tmp_path: Path) -> None:
    with performance_report(tmp_path / "report.html"):
        client.gather(client.map(root, [3] * 10, pure=False))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(True)
    page.goto(f"file://{tmp_path}/report.html")
    expect(page.locator("#connection")).to_have_text("report")
    expect(page.locator("#progress li[data-name=child] .of")).to_have_text("30 / 30")
    expect(page.locator("#stream .legend")).to_contain_text("child")
    assert {urllib.parse.urlsplit(url).scheme for url in asked} <= {"file", "data"}


def test_a_failure_is_red_and_told_with_its_traceback(client: Client, page: Page) -> None:
    page.goto(link(client))
    failed = client.submit(fail, "no title", key="bad-one")
    wait(failed)
    expect(page.locator("#numbers dd.bad")).to_have_text("1")
    page.locator("#errors summary").click()
    expect(page.locator("#errors pre")).to_contain_text("ValueError: no title")
    page.locator("#errors button.key").click()
    expect(page.locator(".details #state.bad")).to_have_text("error")
    expect(page.locator(".details pre")).to_contain_text("Traceback")


def test_everything_can_be_done_with_the_keyboard(client: Client, page: Page, gate: Gate) -> None:
    page.goto(link(client))
    held = client.submit(gate.hold, key="held")
    gate.entered()
    expect(page.locator("#growth .node")).to_have_count(1)
    page.keyboard.press("/")
    page.keyboard.type("held")
    page.keyboard.press("Enter")
    expect(page.locator("#search .key")).to_have_text("held")
    for _ in range(3):  # the button, the fold, the task
        page.keyboard.press("Tab")
    expect(page.locator("#search .key")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".details #state")).to_have_text("running")
    expect(page.locator(".details")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#search .key")).to_be_focused()
    canvas = page.locator("#stream canvas[tabindex]")
    canvas.focus()
    follow = page.locator("#stream .controls button", has_text="follow")
    expect(follow).to_be_disabled()
    for key in ("+", "ArrowLeft", "-"):
        page.keyboard.press(key)
    expect(follow).to_be_enabled()
    page.keyboard.press("Home")
    expect(follow).to_be_disabled()
    gate.open()
    held.result()


def test_hovering_tells_key_duration_and_parent(one_slot: Client, page: Page, gate: Gate) -> None:
    page.goto(link(one_slot))
    expect(page.locator("#connection")).to_have_text("live")

    def grow() -> Any:
        return get_client().submit(gate.hold, key="grown")

    grown = one_slot.submit(grow, key="grower")
    gate.entered()
    expect(page.locator("#stream .legend")).to_contain_text("hold")
    # It runs now, up to the right edge.
    page.locator("#stream canvas[tabindex]").scroll_into_view_if_needed()
    box = page.locator("#stream canvas[tabindex]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 10)
    tip = page.locator("#stream .tip")
    expect(tip.locator(".key")).to_have_text("grown")
    expect(tip).to_contain_text("submitted by grower")
    expect(tip).to_contain_text("running")
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + 10)
    expect(page.locator(".details #parent")).to_have_text("grower")
    gate.open()
    grown.result().result()


#: Text and what lies below it, 4.5 to 1; what carries a meaning without words, 3 to 1.
CONTRASTS = [
    *[(ink, ground, 4.5) for ink in ("ink", "dim", "leaf", "bad") for ground in ("card", "paper", "lane")],
    *[
        (shade, ground, 3.0)
        for shade in ("running", "async", "parked", "ready", "waiting", "cancelled", "edge")
        for ground in ("card", "lane")
    ],
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_what_wcag_asks_for(client: Client, page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(link(client))
    expect(page.locator("#connection")).to_have_text("live")
    shades: dict[str, list[float]] = page.evaluate(
        """async () => {
            const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
            const shade = (text) => { context.fillStyle = text; context.fillRect(0, 0, 1, 1);
              return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3); };
            const style = getComputedStyle(document.documentElement), shades = {};
            for (const name of ["ink", "dim", "leaf", "bad", "card", "paper", "lane", "running", "async", "parked", "ready",
                                "waiting", "cancelled", "edge"]) shades[name] = shade(style.getPropertyValue("--" + name));
            const { colour, learn } = await import("format");
            const names = Array.from({ length: 40 }, (_, i) => "f" + i);
            learn(names, true);
            for (const name of names) shades[name] = shade(colour(name));
            return shades;
        }"""
    )
    names = [name for name in shades if name[0] == "f" and name[1:].isdigit()]
    assert len(names) == 40
    functions = [(name, ground, 3.0) for name in names for ground in ("card", "lane")]
    poor = {
        (one, other): round(contrast(shades[one], shades[other]), 2)
        for one, other, least in [*CONTRASTS, *functions]
        if contrast(shades[one], shades[other]) < least
    }
    assert poor == {}


def contrast(one: list[float], other: list[float]) -> float:
    """As the Web Content Accessibility Guidelines define it."""

    def luminance(shade: list[float]) -> float:
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (x / 255 for x in shade)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_it_works_behind_a_proxy_with_a_prefix(client: Client, page: Page) -> None:
    address = urllib.parse.urlsplit(link(client))
    with Proxy(address.netloc) as proxy:
        page.goto(f"{proxy.url}/user/fern/proxy/8787/status?{address.query}")
        failed = client.submit(fail, "no", key="behind")
        wait(failed)
        expect(page.locator("#connection")).to_have_text("live")
        page.locator("#search input").fill("behind")
        page.locator("#search input").press("Enter")
        page.locator("#search .key").click()
        expect(page.locator(".details #state")).to_have_text("error")
        page.locator("#cancel-subtree").click()
        expect(page.locator(".details .note")).to_contain_text("Asked to cancel")
        assert all(path.startswith("/user/fern/proxy/8787/") for path in proxy.asked)
        kinds = {path.removeprefix("/user/fern/proxy/8787/").split("/")[0].split("?")[0] for path in proxy.asked}
        assert {"status", "assets", "events", "json"} <= kinds


class Proxy:
    """Passes on what comes below a prefix, without it, to another server, as a notebook's does, under a name of its own."""

    def __init__(self, to: str) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                # The page may go in the middle of it.
                with contextlib.closing(http.client.HTTPConnection(to)) as connection, contextlib.suppress(OSError):
                    self.pass_on(connection)
                self.close_connection = True

            def pass_on(self, connection: http.client.HTTPConnection) -> None:
                path = self.path.removeprefix("/user/fern/proxy/8787")
                connection.request(self.command, path, headers={**self.headers, "Host": "hub.example"} | self.origin())
                answer = connection.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() != "transfer-encoding":
                        self.send_header(name, value)
                self.end_headers()
                while part := answer.read1():
                    self.wfile.write(part)
                    self.wfile.flush()

            do_POST = do_GET

            def origin(self) -> dict[str, str]:
                return {"Origin": "http://hub.example"} if "Origin" in self.headers else {}

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_its_window(client: Client, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(link(client))
    client.gather(client.map(root, [3] * 10, pure=False))
    expect(page.locator("#progress li[data-name=child] .of")).to_have_text("30 / 30")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_worker_processes_are_shown(page: Page) -> None:
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=":0") as client:
        page.goto(link(client))
        pids = {client.submit(os.getpid, workers=[worker], pure=False).result() for worker in (0, 1)}
        client.submit(bytes, 1_000_000, workers=[1], key="kept").result()
        rows = page.locator("#workers tbody tr")
        expect(rows).to_have_count(2)
        for pid in pids:
            expect(rows.filter(has_text=str(pid))).to_have_count(1)
    with Client(processes=False, dashboard_address=":0") as client:
        page.goto(link(client))
        expect(page.locator("#queue")).to_be_visible()
        expect(page.locator("#workers")).to_have_count(0)
