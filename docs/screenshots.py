"""Makes the pictures of the dashboard that the documents show: of the seed's workflow, in the middle of its run.

    make screenshots

Needs Chromium on the PATH.
"""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path

from azolla import Client
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))

import seed_workflow  # noqa: E402

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("needs Chromium: on Debian, apt-get install chromium")
    with Client(processes=False, threads_per_worker=6) as client, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        wide = browser.new_page(viewport={"width": 1280, "height": 1060})
        narrow = browser.new_page(viewport={"width": 400, "height": 900}, color_scheme="dark")
        for page in (wide, narrow):
            assert client.dashboard_link is not None
            page.goto(client.dashboard_link)
        work = threading.Thread(target=seed_workflow.use_as_completed, args=[client])
        work.start()
        wide.locator("#growth li[data-name=process_item]").wait_for()
        wide.wait_for_timeout(1_000)
        wide.screenshot(path=HERE / "dashboard.png")
        narrow.screenshot(path=HERE / "dashboard-narrow.png")
        work.join()
        browser.close()


if __name__ == "__main__":
    main()
