"""Take the README's pictures of Dagster: of a demo's store, and of a small shop in which a sensor has answered a drift.

featurestore demo --root data/shop
python -m docs.pictures data/shop

The peak day has a store of its own: ``python -m docs.peak_day``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.pipelines import refunds
from tests.pipelines.browsing import LIMIT_S, close_month, opened_page
from tests.pipelines.service import Service, running

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
WIDTH_PX, HEIGHT_PX = 1400, 800
DECADE = {"FEATURESTORE_FIRST_MONTH": "2016-01", "FEATURESTORE_LAST_MONTH": "2025-12"}


def main() -> None:
    """Start Dagster on each store, take the pictures, and stop it."""
    root = Path(sys.argv[1]).resolve()
    with TemporaryDirectory() as folder:
        small = Path(folder) / "shop"
        settings = refunds.prepare(small)
        with opened_page(height_px=HEIGHT_PX) as page:
            with running(root, **DECADE) as service:
                see_the_decade(service, page)
            with running(small, **settings) as service:
                see_the_drift(service, page)


def see_the_decade(service: Service, page: Page) -> None:
    """Take what a demo's store shows: all groups, a view's plots over ten years, checks."""
    make_room(service, page)
    page.get_by_role("button", name="panel_show").last.click()
    page.set_viewport_size({"width": WIDTH_PX, "height": 420})
    show(service, page, "/asset-groups", "calibration")
    page.get_by_text("fetching statuses").first.wait_for(state="detached")
    take(page, "assets")
    page.set_viewport_size({"width": WIDTH_PX, "height": HEIGHT_PX})
    show(service, page, "/assets/features/sku_demand?view=overview", "Plots")
    page.get_by_role("button", name="Plots").click()
    page.locator("canvas").nth(3).wait_for()
    page.get_by_role("button", name="Plots").evaluate("button => button.scrollIntoView({block: 'start'})")
    take(page, "feature")
    show(service, page, "/assets/events/events?view=checks", "quarantine_share")
    page.get_by_text("quarantine_share", exact=True).first.click()
    seen(page, "committed")
    take(page, "checks", height_px=610)


def see_the_drift(service: Service, page: Page) -> None:
    """Let a drift be found and answered, and take both."""
    make_room(service, page)
    service.turn_on("drift_calls_for_recalibration")
    close_month(service, page, str(refunds.OPEN))
    run = service.wait_for("recalibration", lambda: service.ended_run("recalibration"), limit_s=LIMIT_S)
    show(service, page, f"/assets/drift_report/{refunds.FEATURE.partition('__')[0]}_drift?view=checks", refunds.FEATURE)
    take(page, "drift", height_px=610)
    show(service, page, f"/runs/{run['runId']}", "Success")
    page.get_by_placeholder("Filter…").fill(f"Materialized value calibration {refunds.CALIBRATION}")
    seen(page, "decided")
    take(page, "recalibration", height_px=640)


def make_room(service: Service, page: Page) -> None:
    """Fold the bar of all pages."""
    show(service, page, "/asset-groups", "Hide navigation")
    page.get_by_text("Hide navigation").click()


def show(service: Service, page: Page, place: str, text: str) -> None:
    """Open a page and wait for a text on it."""
    page.goto(f"{service.url}{place}")
    seen(page, text)


def seen(page: Page, text: str) -> None:
    """Wait for a text, and for what the page still asks for."""
    page.get_by_text(text, exact=True).first.wait_for()
    page.wait_for_load_state("networkidle")


def take(page: Page, name: str, *, height_px: int = HEIGHT_PX) -> None:
    """Keep what is seen, or its upper part."""
    size = page.viewport_size
    assert size is not None
    part = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height_px)}
    page.screenshot(path=HERE / f"dagster-{name}.png", animations="disabled", clip=part)


if __name__ == "__main__":
    main()
