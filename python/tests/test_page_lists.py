"""The dashboard's page in a browser: its lists and figures, and that it reads with the token."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from azolla import Client, performance_report, wait
from conftest import Gate
from playwright.sync_api import Page, expect
from test_page import browser, child, fail, link, page

pytestmark = pytest.mark.own_cluster

__all__ = ["browser", "page"]  # fixtures


@pytest.mark.parametrize("width", [400, 1280])
def test_long_figures_do_not_run_together(client: Client, page: Page, tmp_path: Path, width: int) -> None:
    with performance_report(tmp_path / "report.html"):
        client.gather(client.map(child, range(10)))
        wait(client.submit(fail, "no"))
    report = (tmp_path / "report.html").read_text()
    long = re.sub(
        r'"(finished|failed|cancelled|submitted|held|ready|waiting|busy|parked)":\d+', r'"\1":1234567890123', report
    )
    assert long != report
    (tmp_path / "long.html").write_text(long)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"file://{tmp_path}/long.html")
    expect(page.locator("#progress li[data-name=child] .of")).to_contain_text(" · 1,234,567,890,123 failed")
    boxes = page.evaluate(
        """() => [...document.querySelectorAll(".numbers dd, #progress .of, #progress .mean, .headline > span")]
            .map((it) => { const range = document.createRange(); range.selectNodeContents(it);
                           const box = range.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom]; })"""
    )
    for at, one in enumerate(boxes):
        for other in boxes[at + 1 :]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_lists_show_the_call_and_how_long_it_took(client: Client, backend: str, page: Page, gate: Gate) -> None:
    page.goto(link(client))
    expect(page.locator("#connection")).to_have_text("live")
    held = client.submit(gate.hold, "text" * 100, key="held")
    gate.entered()
    page.locator("#growth li[data-name=hold] .list").click()
    task = page.locator("#growth .tasks .task")
    expect(task.locator(".key")).to_have_text("held")
    if backend == "threads":  # what went to a worker process is pickled, and is not unpickled to be shown
        expect(task.locator(".call")).to_contain_text("hold('texttext")
    expect(task.locator(".took")).to_have_text(re.compile(r"^[\d.]+ (ns|µs|ms|s)$"))
    gate.open()
    held.result()


def test_a_private_dashboards_page_brings_its_token_along(page: Page, gate: Gate) -> None:
    with Client(processes=False, threads_per_worker=1, dashboard_address=":0", dashboard_private=True) as client:
        page.goto(link(client))
        expect(page.locator("#connection")).to_have_text("live")
        held = client.submit(gate.hold, key="held")
        gate.entered()
        page.fill("#search input", "held")
        page.keyboard.press("Enter")
        page.locator("#search .found .key").click()
        expect(page.locator(".details #state")).to_have_text("running")
        gate.open()
        held.result()
