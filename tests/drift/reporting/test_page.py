"""The page of an audit: whole, self-contained, the same when written again; nothing in it escapes its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.audit import audit_views, take_snapshots
from featurestore.drift.audit_tables import HISTORY_SCHEMA, history
from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.reporting.drift_alerts import Answers, anchor_of, digest_of
from featurestore.drift.reporting.fault_alerts import fault_alerts
from featurestore.drift.reporting.overview import audit_page
from featurestore.drift.reporting.page import AuditPage, render_page, render_sheet
from featurestore.drift.reporting.page.figure import figure
from featurestore.drift.reporting.portrait import Portrait, portrait
from featurestore.errors import FeatureStoreError
from featurestore.spec import Registry
from featurestore.timeline import Month
from tests.drift.test_audit import MONTHS, ONSET, POLICY, Fake, audited

VOID = {"meta", "rect", "line", "path", "br", "img"}
AT = Month(2021, 12)
FAULTS = [
    DataFault("orders", "cents", Month(2021, 10), Month(2021, 10), "unit", "values times 100 on 2021-10-03 (70 rows)"),
    DataFault("orders", "rows", Month(2021, 11), Month(2021, 11), "stopped", "events stay away on 2021-11-29 (90 rows)"),
    DataFault("orders", "rows", AT, Month(2021, 11), "stopped", "events stay away on 2021-12-01 (90 rows)"),
]


class Wellformed(HTMLParser):
    """Checks that every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def parsed(text: str) -> Wellformed:
    parser = Wellformed()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("page")
    take_snapshots(audited(found), Fake(), MONTHS)
    audit_views([audited(found)], MONTHS[-1], policy=POLICY, resets={})
    return found


def put_together(root: Path, *, month: Month = AT, faults: Sequence[DataFault] = ()) -> AuditPage:
    view = audited(root)
    return audit_page(
        month=month, title="Store <b>",
        history=history(view), faults=faults, registry=Registry(), answers=Answers(),
        audited=lambda _: view,
    )  # fmt: skip


def written(root: Path, *, month: Month = AT, faults: Sequence[DataFault] = ()) -> str:
    return render_page(put_together(root, month=month, faults=faults))


def test_a_page_shows_the_open_episode_with_its_distribution_then_and_now(root) -> None:
    text = written(root)
    parsed(text)
    episode = re.search(r'<article class=card id="([^"]+)">', text)
    assert episode is not None
    assert episode[1].startswith("v__jumps-2021-")
    assert text.count("<article") == 1
    assert f"now: {AT}, 600 rows" in text
    assert "then: 2018-12, 2019-12, 2020-12" in text
    assert f"<dd>{ONSET}, found in the audit of" in text
    assert "v__calm: ok, " in text


def test_a_page_shows_data_faults_apart_from_drift_while_they_last_and_when_they_end(root) -> None:
    december, november = (written(root, month=month, faults=FAULTS) for month in (AT, Month(2021, 11)))
    assert re.findall(r'<article class=card id="(orders[^"]+)">', december) == ["orders-rows-2021-11"]
    assert "orders.rows: drift, 2021-11" in december, "below the features, in the years"
    assert re.findall(r'<article class=card id="(orders[^"]+)">', november) == ["orders-rows-2021-11", "orders-cents-2021-10"]
    assert "the record is right again" in november
    assert "Data faults in the sources" not in written(root, month=Month(2021, 6), faults=FAULTS)


def test_a_page_needs_nothing_from_outside_and_is_the_same_when_written_again(root) -> None:
    text = written(root)
    assert text == written(root)
    page = parsed(text)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "base"})
    assert {name for name, _ in page.attributes}.isdisjoint({"src", "href", "onclick", "onload"})
    assert "url(" not in text
    assert "prefers-color-scheme:dark" in text
    assert "default-src &#x27;none&#x27;" in text


def test_a_page_of_a_month_shows_nothing_after_it(root) -> None:
    early = written(root, month=Month(2021, 6))
    assert "Nothing is open." in early
    assert "2021-07" not in early


def test_a_month_without_an_audit_says_what_to_do(root) -> None:
    with pytest.raises(FeatureStoreError, match=r"Call store.audit\('2030-01'\) first"):
        written(root, month=Month(2030, 1))


def test_the_distributions_are_one_picture_with_nothing_from_outside(root) -> None:
    page = put_together(root)
    sheet = render_sheet(page)
    assert sheet == render_sheet(page)
    picture = ElementTree.fromstring(sheet)
    texts = ["".join(each.itertext()) for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "v__jumps" in texts
    assert f"blue: {AT}, 600 rows; grey: 2018-12, 2019-12, 2020-12, 1,800 rows" in texts
    assert "href" not in sheet
    quiet = ElementTree.fromstring(render_sheet(put_together(root, month=Month(2021, 6))))
    assert "Nothing is open." in "".join(quiet.itertext())


def test_a_distribution_is_that_of_the_rows(root) -> None:
    found = portrait(audited(root), "v__jumps", None, month=AT, reference=[Month(2019, 12), Month(2020, 12), Month(1999, 1)])
    assert found is not None
    assert found.reference == (Month(2019, 12), Month(2020, 12))
    assert found.rows == (1200, 600)
    assert found.missing == (0.0, 0.0)
    assert found.now.sum() == pytest.approx(1)
    assert found.then.sum() == pytest.approx(1)
    middle = np.cumsum(found.then).searchsorted(0.5)
    assert found.now[middle + 1 :].sum() > 0.7
    assert portrait(audited(root), "v__none", None, month=AT, reference=[Month(2019, 12)]) is None
    assert portrait(audited(root), "v__jumps", "region=9", month=AT, reference=[Month(2019, 12)]) is None
    assert portrait(audited(root), "v__jumps", None, month=AT, reference=[]) is None


def test_names_and_categories_are_escaped() -> None:
    evil = "<script>alert(1)</script>"
    row = {
        "view": "v", "month": AT.first_day, "feature": evil, "segment": f"region={evil}", "score": 2.0, "kind": "category",
        "state": "drift", "reason": f"share of {evil!r} up", "reference_months": [evil], "since": AT.first_day,
    }  # fmt: skip
    table = pa.Table.from_pylist([row, row | {"segment": None, "state": "watch"}], schema=HISTORY_SCHEMA)
    fault = DataFault(evil, evil, AT, AT, evil, evil)
    story = fault_alerts([fault], Registry(), audited=[AT])
    text = render_page(AuditPage(evil, AT, table, [fault], digest_of(table, [fault], AT), [], [story], {}, {}))
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 7
    one = Portrait(
        "category", (evil, "OTHER", "NEW"), np.array([0.5, 0.5, 0]), np.array([1.0, 0, 0]), AT, (AT,), (0, 0), (1, 1)
    )
    assert "<script" not in figure(one)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", anchor_of(evil))
