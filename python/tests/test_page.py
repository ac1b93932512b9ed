"""The dashboard's page, as it is seen in a real browser."""

from __future__ import annotations

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
from test_dashboard import HOSTILE, child, fail, root


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
