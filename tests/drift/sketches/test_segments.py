"""Segments of a view: local drifts are found and named, what moves everywhere is told once, and rare values have no place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.audit import audit_views, take_snapshots
from featurestore.drift.audit_tables import AuditedView, history
from featurestore.drift.episode import Episode, episodes
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.reporting.acknowledge import acknowledge, acknowledgements
from featurestore.drift.reporting.drift_alerts import Answers, alerts
from featurestore.drift.reporting.portrait import portrait
from featurestore.drift.sketches.places import PLACES, Places
from featurestore.lake.table import Table
from featurestore.spec import Count, Entity, EventSource, FeatureView, Last, Registry
from featurestore.timeline import Month, months_between

POLICY = DriftPolicy(release_months=12)
MONTHS = months_between(Month(2018, 1), Month(2022, 12))
ONSET = Month(2021, 8)
REGIONS = ["north"] * 240 + ["south"] * 240 + ["east"] * 160 + ["west"] * 60 + ["island"] * 12
LOCAL, EVERYWHERE = ("east",), ("north", "south", "east", "west", "island")


@dataclass
class Regional:
    """A feature that jumps in some regions, and a calm one."""

    moved: tuple[str, ...]

    def name(self, month: Month) -> str:
        return f"{'-'.join(self.moved)}-{month}"

    def snapshot(self, month: Month) -> pa.Table:
        rng = np.random.default_rng(month.year * 100 + month.month)
        jump = 0.9 * np.isin(REGIONS, self.moved) if month >= ONSET else 0.0
        rows = len(REGIONS)
        return pa.table(
            {
                "user_id": pa.array(np.arange(rows)),
                "v__calm": rng.normal(size=rows),
                "v__jumps": rng.normal(jump, 1, size=rows),
                "v__region": pa.array(REGIONS),
            }
        )


def audited(root: Path, segments: tuple[tuple[str, str], ...] = (("region", "v__region"),)) -> AuditedView:
    return AuditedView("v", ("user_id",), root / "snapshots", root / "sketches", root / "scores", segments)


def audit(root: Path, moved: tuple[str, ...], *, until: Month = MONTHS[-1], **changes) -> pa.Table:
    view = audited(root)
    take_snapshots(view, Regional(moved), [month for month in MONTHS if month <= until])
    found = audit_views([view], until, policy=POLICY, **{"resets": {}, **changes})["v"]
    return pa.concat_tables(found.values())


def entered(table: pa.Table) -> list[Episode]:
    return list(episodes(table, lambda feature: ()))


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("local")
    audit(root, LOCAL)
    return root


def test_a_local_drift_is_found_and_named_and_the_other_segments_stay_quiet(local) -> None:
    table = history(audited(local))
    segments = {each.segment for each in entered(table)}
    assert "region=east" in segments
    assert segments <= {None, "region=east"}
    first = min((each for each in entered(table) if each.segment), key=lambda each: each.month)
    assert (first.feature, first.since) == ("v__jumps", ONSET)
    assert first.month <= ONSET.shift(1)
    assert first.name == f"v__jumps[region=east]@{first.month}"


def test_what_all_rows_show_is_one_episode_and_its_segments_are_watched(tmp_path) -> None:
    table = audit(tmp_path, EVERYWHERE)
    (found,) = entered(table)
    assert (found.feature, found.segment, found.since) == ("v__jumps", None, ONSET)
    watched = {row["segment"]: row["reason"] for row in table.to_pylist() if row["state"] == "watch" and row["segment"]}
    assert any("all rows show a change as well" in reason for reason in watched.values())


def test_a_value_with_few_rows_has_no_place(local) -> None:
    segments = set(history(audited(local))["segment"].to_pylist())
    assert segments == {None, "region=north", "region=south", "region=east", "region=west"}


def test_auditing_month_by_month_with_segments_equals_auditing_all_at_once(local, tmp_path) -> None:
    for month in [each for each in MONTHS if each >= Month(2021, 6)]:
        audit(tmp_path, LOCAL, until=month)
    assert history(audited(tmp_path)).equals(history(audited(local)))


def test_other_segments_are_other_sketches_of_the_same_snapshots(tmp_path) -> None:
    audit(tmp_path, LOCAL, until=Month(2018, 6))
    snapshots = Table.open(audited(tmp_path).snapshots).version
    bare = audited(tmp_path, ())
    found = audit_views([bare], Month(2018, 6), policy=POLICY, resets={})["v"]
    assert {segment for rows in found.values() for segment in rows["segment"].to_pylist()} == {None}
    assert Table.open(bare.snapshots).version == snapshots


def test_an_acknowledged_segment_has_a_new_baseline_and_an_alert_says_so(local, tmp_path) -> None:
    scores = history(audited(local))
    found = min((each for each in entered(scores) if each.segment), key=lambda each: each.month)
    month = found.month.shift(2)
    written = acknowledge(
        tmp_path / "log", scores, found.feature, month=month, segment=found.segment, note="new depot", now_us=1
    )
    resets = {(each.feature, each.segment): [each.reset] for each in acknowledgements(tmp_path / "log")}
    view = replace(audited(local), scores=tmp_path / "scores", sketches=tmp_path / "sketches")
    after = audit_views([view], MONTHS[-1], policy=POLICY, resets=resets)["v"]
    own = [row for month, rows in after.items() if month > written.reset for row in rows.to_pylist()]
    states = {row["state"] for row in own if (row["feature"], row["segment"]) == (found.feature, found.segment)}
    assert states <= {"ok", "watch"}
    answers = Answers(acknowledgements=acknowledgements(tmp_path / "log"))
    told = [alert for alert in alerts(scores, registry(), answers) if alert.segment == "region=east"]
    assert [alert.state for alert in told][:2] == ["opened", "acknowledged"]
    assert "--segment region=east" in told[0].next


def test_a_segment_is_drawn_then_and_now(local) -> None:
    drawn = portrait(audited(local), "v__jumps", "region=east", month=Month(2021, 9), reference=[Month(2020, 9)])
    assert drawn is not None
    assert drawn.rows == (160, 160)


def test_places_are_kept_and_bounded() -> None:
    def rows(values: list[str | None]) -> pa.Table:
        return pa.table({"v__code": pa.array(values, pa.string())})

    segments = {"code": "v__code"}
    first = Places().filled(rows(["b"] * 3 + ["a"] * 2 + ["c", None]), segments, min_rows=2)
    assert first.values == (("code", ("b", "a")),)
    later = first.filled(rows(["c"] * 9 + ["a"]), segments, min_rows=2)
    assert later.values == (("code", ("b", "a", "c")),)
    assert Places.from_json(later.to_json()) == later
    many = later.filled(rows([f"n{i}" for i in range(100) for _ in range(2)]), segments, min_rows=2)
    assert len(many.values[0][1]) == PLACES
    assert first.columns(rows(["c", "a", None]), segments)["code"].to_pylist() == [None, "a", None]


def registry() -> Registry:
    source = EventSource(
        "events",
        schema={"event_id": "int64", "event_time": "timestamp", "user_id": "int64", "region": "string"},
        event_time="event_time",
        event_id="event_id",
    )
    user = Entity("user", key="user_id")
    view = FeatureView(
        "v",
        entity=user,
        source=source,
        aggregations=[Count("jumps"), Count("calm"), Last("region", "region")],
        segments=("region",),
    )
    return Registry().merged([source, user, view])
