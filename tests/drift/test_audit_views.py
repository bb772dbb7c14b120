"""The audit of several views: what they share is what is known of noise, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.audit import audit_views, take_snapshots
from featurestore.drift.audit_tables import AuditedView, last_snapshot, read_sketches
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.errors import FeatureStoreError
from featurestore.lake.table import Table
from featurestore.timeline import Month, months_between

POLICY = DriftPolicy()
MONTHS = months_between(Month(2018, 1), Month(2021, 12))
ONSET = Month(2021, 5)
FEATURES = {"orders": ("calm", "jumps"), "visits": ("noisy", "seasonal"), "skus": ("wanders",)}


@dataclass
class Made:
    """Snapshots of a view: each feature with noise of its own; ``jumps`` has a step."""

    view: str
    fails_in: Month | None = None

    def name(self, month: Month) -> str:
        return f"{self.view}-{month}"

    def snapshot(self, month: Month) -> pa.Table:
        if month == self.fails_in:
            raise FeatureStoreError(f"{self.view} cannot be computed in {month}.")
        rng = np.random.default_rng([month.year, month.month, sum(map(ord, self.view))])
        level = {
            "calm": 0.0,
            "jumps": 0.9 * (month >= ONSET),
            "noisy": 0.15 * rng.normal(),
            "seasonal": 0.5 * (month.month in (6, 11)),
            "wanders": 0.1 * np.sin(month.month + month.year),
        }
        columns = {f"{self.view}__{name}": rng.normal(level[name], 1, size=400) for name in FEATURES[self.view]}
        return pa.table({"key": np.arange(400), **columns})


def audited(root: Path, view: str) -> AuditedView:
    return AuditedView(view, ("key",), *(root / view / kind for kind in ("snapshots", "sketches", "scores")))


def taken(root: Path, views: tuple[str, ...] = tuple(FEATURES), months: list[Month] = MONTHS) -> list[AuditedView]:
    """Commit the snapshots of some views."""
    found = [audited(root, view) for view in views]
    for each in found:
        take_snapshots(each, Made(each.view), months)
    return found


def audit(views: list[AuditedView], last: Month = MONTHS[-1]) -> dict[str, pa.Table]:
    found = audit_views(views, last, policy=POLICY, resets={})
    return {view: pa.concat_tables(months.values()) for view, months in found.items() if months}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[AuditedView], dict[str, pa.Table]]:
    views = taken(tmp_path_factory.mktemp("together"))
    return views, audit(views)


def test_each_view_gets_its_own_features_in_all_its_months(together) -> None:
    _, tables = together
    assert list(tables) == list(FEATURES)
    for view, names in FEATURES.items():
        assert set(tables[view]["view"].to_pylist()) == {view}
        assert set(tables[view]["feature"].to_pylist()) == {f"{view}__{name}" for name in names}
        assert tables[view].num_rows == len(names) * len(MONTHS)


def test_the_order_of_the_views_does_not_matter(together, tmp_path: Path) -> None:
    _, tables = together
    assert audit(taken(tmp_path)[::-1]) == tables


def test_noise_is_pooled_over_the_views_and_nothing_else_is(together, tmp_path: Path) -> None:
    views, tables = together
    columns = ["month", "feature", "state", "since", "reference_months"]
    differing = set()
    for view in views:
        (alone,) = taken(tmp_path, (view.view,))
        table = audit([alone])[view.view]
        # The same sketches, edges, seasons and pools; the same drift. Only how likely each noise is comes from all of them.
        assert read_sketches(alone) == read_sketches(view)
        assert table.select(columns) == tables[view.view].select(columns)
        scores = table["score"].to_pylist(), tables[view.view]["score"].to_pylist()
        assert [score is None for score in scores[0]] == [score is None for score in scores[1]]
        differing |= {view.view} if scores[0] != scores[1] else set()
    assert differing


def test_only_what_was_planted_enters_drift(together) -> None:
    _, tables = together
    rows = [row for table in tables.values() for row in table.to_pylist() if row["state"] == "drift"]
    assert [(row["feature"], Month.parse(row["since"])) for row in rows] == [("orders__jumps", ONSET)]


def test_a_view_without_snapshots_has_no_rows_and_changes_nothing(together, tmp_path: Path) -> None:
    _, tables = together
    empty = AuditedView("empty", ("key",), *(tmp_path / "empty" / kind for kind in ("snapshots", "sketches", "scores")))
    views = taken(tmp_path)
    found = audit_views([views[0], empty, *views[1:]], MONTHS[-1], policy=POLICY, resets={})
    assert found["empty"] == {}
    assert {view: pa.concat_tables(months.values()) for view, months in found.items() if months} == tables
    assert last_snapshot([empty]) is None
    assert last_snapshot([empty, *views]) == MONTHS[-1]


def test_a_view_that_begins_later_has_rows_from_then_on_alone(tmp_path: Path) -> None:
    old, young = taken(tmp_path, ("orders",))[0], audited(tmp_path, "skus")
    take_snapshots(young, Made("skus"), MONTHS[30:])
    tables = audit([old, young])
    assert min(tables["skus"]["month"].to_pylist()) == MONTHS[30].first_day
    assert set(tables["skus"]["state"].to_pylist()) == {"insufficient"}
    assert tables["orders"].num_rows == 2 * len(MONTHS)


def test_a_view_that_fails_leaves_the_others_and_is_made_up_for(together, tmp_path: Path) -> None:
    _, tables = together
    views = [audited(tmp_path, view) for view in FEATURES]
    for each in views[:2]:
        take_snapshots(each, Made(each.view), MONTHS)
    with pytest.raises(FeatureStoreError, match="skus cannot be computed in 2020-03"):
        take_snapshots(views[2], Made("skus", fails_in=Month(2020, 3)), MONTHS)
    assert last_snapshot(views[2:]) is None
    assert set(audit(views)) == {"orders", "visits"}
    take_snapshots(views[2], Made("skus"), MONTHS)
    assert audit(views) == tables


def test_a_month_twice_counts_once(together, tmp_path: Path) -> None:
    _, tables = together
    views = [audited(tmp_path, view) for view in FEATURES]
    for each in views:
        assert take_snapshots(each, Made(each.view), [*MONTHS, *MONTHS[-2:]]) == 400 * len(MONTHS)
        assert len(Table.open(each.snapshots).files()) == len(MONTHS)
    assert audit(views) == tables


def test_months_that_come_out_of_order_give_the_same_answer(together, tmp_path: Path) -> None:
    _, tables = together
    views = [audited(tmp_path, view) for view in FEATURES]
    for months in (MONTHS[12:], MONTHS[:3], MONTHS[3:12][::-1]):
        for each in views:
            take_snapshots(each, Made(each.view), months)
        found = audit(views, last_snapshot(views))
    assert found == tables


def test_auditing_views_again_reads_what_is_committed(together) -> None:
    views, tables = together
    before = {path: path.stat().st_mtime_ns for view in views for path in view.scores.rglob("*.parquet")}
    assert audit(views) == tables
    assert {path: path.stat().st_mtime_ns for view in views for path in view.scores.rglob("*.parquet")} == before
