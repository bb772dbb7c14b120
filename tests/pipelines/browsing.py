"""Debian's chromium in front of a running Dagster."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.pipelines.service import Service

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium")
# It needs nothing of the network but loopback, and no sandbox of its own in a container.
QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update"
LIMIT_S = 180


@contextmanager
def opened_page(*, width_px: int = 1400, height_px: int = 900) -> Iterator[Page]:
    """Open an empty page of a browser, which waits patiently, until the block ends."""
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        page = browser.new_page(viewport={"width": width_px, "height": height_px})
        page.set_default_timeout(LIMIT_S * 1000)
        expect.set_options(timeout=LIMIT_S * 1000)
        yield page
        browser.close()


def close_month(service: Service, page: Page, month: str) -> None:
    """Launch the job that closes the last month, as a person does: by clicks."""
    from playwright.sync_api import expect

    page.goto(f"{service.url}/locations/definitions/jobs/month_close")
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Latest").click()
    expect(dialog.get_by_role("textbox")).to_have_value(month)
    dialog.get_by_role("button", name="Launch").click()
