"""As-known answers equal a plain loop over all versions ever delivered, and never see what was ingested later."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from featurestore.compute.materialize import materialize
from featurestore.lake.layout import Layout, create_or_open
from featurestore.spec import Entity, EventSource, FeatureView
from tests.compute import oracle
from tests.compute.test_oracle import CATEGORY, PAIR, USER, expected, make_view
from tests.compute.versions_world import LATE_SOURCE, deliver, known_events, random_versions
from tests.compute.world import ask, random_spine


def late_view(entity: Entity, grain: str, *, source: EventSource = LATE_SOURCE, **options) -> FeatureView:
    like = make_view(entity, grain)
    return FeatureView(
        "activity", entity=entity, source=source, grain=grain, aggregations=like.aggregations, derived=like.derived, **options
    )


def spine_around(seed: int, versions: list[dict], rows: int = 60) -> list[dict]:
    """Spine rows at random moments, and at or just behind moments at which something became known."""
    rng, spine = np.random.default_rng(seed), random_spine(seed, versions, rows)
    for row in spine:
        if row["as_of"] is not None and rng.random() < 0.6:
            version = versions[int(rng.integers(len(versions)))]
            row["as_of"] = version["ingested_at"] + timedelta(microseconds=int(rng.choice([-1, 0, 1, 86_400_000_000])))
            row |= {"user_id": version["user_id"], "category": version["category"] or "FRESH"}
    return spine


def fill(root: Path, view: FeatureView, versions: list[dict], zone: str, *, batches: int = 2) -> Layout:
    layout = create_or_open(root, timezone=zone)
    for batch in range(batches):
        deliver(layout, versions[batch::batches], source=view.source)
        materialize(layout, [view])
    return layout


def assert_as_known(
    layout: Layout, view: FeatureView, versions: list[dict], spine: list[dict], *, load_until: datetime | None = None
) -> None:
    got = ask(layout, view, spine, as_known=True).to_pylist()
    options = {"grain": view.grain, "zone": layout.timezone}
    for row, answer in zip(spine, got, strict=True):
        known = known_events(versions, row["as_of"], load_until=load_until, **options) if row["as_of"] else []
        stepped = oracle.steps_of(known, time=view.event_time, **options)
        for name, value in expected(view, stepped, row, layout.timezone).items():
            found = answer[f"activity__{name}"]
            is_close = isinstance(value, float) and found is not None and math.isclose(found, value, rel_tol=1e-9, abs_tol=1e-9)
            assert is_close or found == value, (row, name, found, value)


@pytest.mark.parametrize(
    ("entity", "grain", "zone", "options"),
    [
        (USER, "1d", "Europe/Berlin", {}),
        (USER, "1h", "Asia/Kolkata", {}),
        (CATEGORY, "event", "Asia/Shanghai", {}),
        (PAIR, "1d", "Asia/Shanghai", {"delay": "5d"}),
        (CATEGORY, "1d", "Asia/Shanghai", {"event_time": "ordered_at"}),
    ],
    ids=["user-day", "user-hour", "category-event", "pair-delay", "category-ordered"],
)
def test_every_aggregation_sees_what_was_known(tmp_path, entity, grain, zone, options) -> None:
    versions = random_versions(seed=20)
    view = late_view(entity, grain, **options)
    layout = fill(tmp_path / "store", view, versions, zone)
    assert_as_known(layout, view, versions, spine_around(1, versions))
