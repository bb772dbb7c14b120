"""What people see: Debian's chromium in front of a running Dagster, from a click on "Materialize" to what a drift has started."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.pipelines.browsing import CHROMIUM, LIMIT_S, close_month, opened_page
from tests.pipelines.refunds import CALIBRATION, FEATURE, OPEN, prepare
from tests.pipelines.service import Service, running

if TYPE_CHECKING:
    from playwright.sync_api import Page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; on Debian: apt install chromium")
VIEW, MONTH = FEATURE.partition("__")[0], str(OPEN)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The store of a shop with an unanswered change, its last month still to be closed, and Dagster running on it."""
    settings = prepare(tmp_path / "shop")
    with running(tmp_path / "shop", **settings) as started:
        yield started


@pytest.fixture
def page() -> Iterator[Page]:
    with opened_page() as opened:
        yield opened


def test_a_month_is_closed_by_a_click_its_drift_is_seen_and_the_sensor_has_it_answered(service: Service, page: Page) -> None:
    """One test, since Dagster is to be started once."""
    service.turn_on("drift_calls_for_recalibration")
    close_month(service, page, MONTH)
    closed = service.wait_for("closed month", lambda: service.ended_run("month_close"), limit_s=LIMIT_S)
    see_a_green_month_with_plots(service, page, closed)
    see_the_drift(service, page)
    answered = service.wait_for("recalibration", lambda: service.ended_run("recalibration"), limit_s=LIMIT_S)
    see_the_answer(service, page, answered, month_run=closed)


def see_a_green_month_with_plots(service: Service, page: Page, run: dict[str, Any]) -> None:
    assert service.errors_of(run) == []
    assert (run["status"], tags_of(run)["dagster/partition"]) == ("SUCCESS", MONTH)
    page.goto(f"{service.url}/runs/{run['runId']}")
    sync_api.expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    page.goto(f"{service.url}/assets/features/{VIEW}?view=partitions&partition={MONTH}")
    sync_api.expect(page.get_by_text("Materialized", exact=True)).to_be_visible()
    page.goto(f"{service.url}/assets/events/events?view=overview")
    page.get_by_role("button", name="Plots").click()
    for plot in ("bytes", "rows_added"):
        sync_api.expect(page.get_by_text(plot, exact=True)).to_be_visible()
    sync_api.expect(page.locator("canvas").first).to_be_visible()


def see_the_drift(service: Service, page: Page) -> None:
    page.goto(f"{service.url}/assets/drift_report/{VIEW}_drift?view=checks")
    sync_api.expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    sync_api.expect(page.get_by_text(FEATURE).first).to_be_visible()
    page.goto(f"{service.url}/assets/audit?view=partitions&partition={MONTH}")
    sync_api.expect(page.get_by_text(f"Drift audit of {MONTH}")).to_be_visible()
    for place, name in enumerate(("distributions", "timeline")):
        page.get_by_text("[Show Markdown]").nth(place).click()
        picture = page.get_by_role("dialog").get_by_role("img", name=name)
        sync_api.expect(picture).to_be_visible()
        assert picture.evaluate("image => image.naturalWidth") > 0
        page.get_by_role("dialog").get_by_role("button", name="Close").click()


def see_the_answer(service: Service, page: Page, run: dict[str, Any], *, month_run: dict[str, Any]) -> None:
    tags = tags_of(run)
    assert service.errors_of(run) == []
    assert run["status"] == "SUCCESS"
    assert tags["dagster/sensor_name"] == "drift_calls_for_recalibration"
    assert tags["dagster/run_key"] == f"{MONTH}:{month_run['runId']}"
    page.goto(f"{service.url}/runs/{run['runId']}")
    sync_api.expect(page.get_by_text(re.compile("Launched by")).first).to_be_visible()
    page.goto(f"{service.url}/assets/calibration/{CALIBRATION}?view=partitions&partition={MONTH}")
    sync_api.expect(page.get_by_text(re.compile(f"^promoted, asked for by {VIEW}__"))).to_be_visible()


def tags_of(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}
