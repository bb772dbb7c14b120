"""An audit is committed by its inputs: repeated, continued and resumed audits give equal tables."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.audit import audit_views, take_snapshots
from featurestore.drift.audit_tables import AuditedView, history, read_snapshot
from featurestore.drift.episode import episodes
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.reporting.view_report import WORKSPACE, draw_report
from featurestore.errors import FeatureStoreError
from featurestore.lake.table import Table
from featurestore.timeline import Month, months_between

POLICY = DriftPolicy()
MONTHS = months_between(Month(2018, 1), Month(2022, 12))
ONSET = Month(2021, 8)


@dataclass
class Fake:
    """Snapshots of a calm feature and one that jumps; counts how often one is computed."""

    version: str = "a"
    computed: int = 0

    def name(self, month: Month) -> str:
        return f"{self.version}-{month}"

    def snapshot(self, month: Month) -> pa.Table:
        self.computed += 1
        rng = np.random.default_rng(month.year * 100 + month.month)
        jump = 0.8 if month >= ONSET else 0.0
        return pa.table(
            {
                "user_id": pa.array(np.arange(600)),
                "v__calm": rng.normal(size=600),
                "v__jumps": rng.normal(jump, 1, size=600),
            }
        )


def audited(root: Path) -> AuditedView:
    return AuditedView("v", ("user_id",), root / "snapshots", root / "sketches", root / "scores")


def whole(root: Path, source: Fake, months: list[Month], *, resets: dict | None = None) -> pa.Table:
    view = audited(root)
    take_snapshots(view, source, months)
    found = audit_views([view], months[-1], policy=POLICY, resets=resets or {})[view.view]
    return pa.concat_tables(found.values())


def test_a_planted_jump_enters_drift_and_is_the_only_episode(tmp_path) -> None:
    table = whole(tmp_path, Fake(), MONTHS)
    (found,) = episodes(table, lambda feature: ("prior",) if feature == "v__jumps" else ())
    assert (found.feature, found.since, found.calibrations) == ("v__jumps", ONSET, ("prior",))
    assert found.month <= ONSET.shift(1)
    assert str(found).startswith(f"{found.month}: v__jumps drifts since 2021-08")


def test_auditing_month_by_month_equals_auditing_all_at_once(tmp_path) -> None:
    at_once = whole(tmp_path / "once", Fake(), MONTHS)
    for month in MONTHS[42:]:
        months = [each for each in MONTHS if each <= month]
        whole(tmp_path / "monthly", Fake(), months)
    assert history(audited(tmp_path / "monthly")).equals(at_once)


def test_a_second_audit_computes_and_commits_nothing(tmp_path) -> None:
    source = Fake()
    first = whole(tmp_path, source, MONTHS)
    view = audited(tmp_path)
    versions = [Table.open(path).version for path in (view.snapshots, view.sketches, view.scores)]
    assert whole(tmp_path, source, MONTHS).equals(first)
    assert source.computed == len(MONTHS)
    assert [Table.open(path).version for path in (view.snapshots, view.sketches, view.scores)] == versions


def test_changed_inputs_replace_the_snapshots_of_their_months_alone(tmp_path) -> None:
    whole(tmp_path, Fake(), MONTHS)
    source = Fake(version="b")
    take_snapshots(audited(tmp_path), source, MONTHS[-3:])
    assert source.computed == 3
    assert len(Table.open(audited(tmp_path).snapshots).files()) == len(MONTHS)


def test_a_recalibration_unlatches_from_its_month_and_leaves_the_past_alone(tmp_path) -> None:
    before = whole(tmp_path, Fake(), MONTHS)
    reset = Month(2022, 1)
    after = whole(tmp_path, Fake(), MONTHS, resets={"v__jumps": [reset]})
    states = [
        {(row["month"], row["feature"]): row["state"] for row in table.to_pylist() if row["month"] < reset.first_day}
        for table in (before, after)
    ]
    assert states[0] == states[1]
    latched = [row["month"] for row in after.to_pylist() if row["state"] == "latched" and row["month"] >= reset.first_day]
    assert latched == []


def test_a_report_shows_the_month_against_the_months_it_was_compared_with(tmp_path) -> None:
    whole(tmp_path, Fake(), MONTHS)
    written = draw_report(audited(tmp_path), Month(2021, 9), folder=tmp_path / "reports")
    assert written.html.read_text().count("v__jumps")
    assert set(written.features) == {"v__jumps", "v__calm"}


def test_a_report_of_a_month_that_was_not_audited_says_what_to_do(tmp_path) -> None:
    with pytest.raises(FeatureStoreError, match=r"Call store.audit\('2021-09'\) first"):
        draw_report(audited(tmp_path), Month(2021, 9), folder=tmp_path)
    assert read_snapshot(audited(tmp_path), Month(2021, 9)) is None


def test_the_workspace_holds_one_run_a_month_with_our_scores_in_it(tmp_path) -> None:
    whole(tmp_path, Fake(), MONTHS)
    months = [Month(2021, 9), Month(2021, 10)]
    for month in [*months, months[-1]]:
        draw_report(audited(tmp_path), month, folder=tmp_path / "reports")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from evidently.ui.workspace import Workspace

    workspace = Workspace(str(tmp_path / "reports" / WORKSPACE))
    (project,) = workspace.list_projects()
    runs = [workspace.get_run(project.id, run) for run in workspace.list_runs(project.id)]
    assert project.name == "v"
    assert sorted(run.timestamp.date() for run in runs) == [month.first_day for month in months]
    assert sorted(tag for run in runs for tag in run.tags) == ["2021-09", "2021-10"]
    scores = {
        row["feature"]: row["score"] for row in history(audited(tmp_path)).to_pylist() if row["month"] == months[0].first_day
    }
    first = min(runs, key=lambda run: run.timestamp)
    shown = [getattr(result, "value", None) for result in first.metric_results.values()]
    assert any(value == pytest.approx(scores["v__jumps"]) for value in shown if isinstance(value, float))
    assert [panel.title for panel in project.dashboard.model().panels] == ["Scores", "Missing values"]
