from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.monitor.monitor import DRIFT_SCHEMA
from featurestore.drift.monitor.state import STATES
from featurestore.drift.reporting.timeline_picture import COLOURS, draw_timeline
from featurestore.errors import FeatureStoreError


def scores_of(features: int, months: int) -> pa.Table:
    rows = [
        {
            "month": date(2016 + t // 12, t % 12 + 1, 1),
            "feature": f"user_activity__f{i}_$x$" if i else "one with an extraordinarily long name that goes on " * 2,
            "segment": "region=<9>" if i % 2 else None,
            "state": STATES[(i + t) % len(STATES)],
        }
        for t in range(months)
        for i in range(features)
    ]
    return pa.Table.from_pylist(rows, schema=DRIFT_SCHEMA)


@pytest.mark.parametrize(("features", "months"), [(1, 1), (3, 13), (60, 120)])
def test_the_picture_shows_every_state_in_its_colour(tmp_path: Path, features: int, months: int) -> None:
    from matplotlib.image import imread

    planted = {"user_activity__f1_$x$": [date(2016, 3, 1), date(2030, 1, 1)], "unknown": [date(2016, 1, 1)]}
    path = draw_timeline(scores_of(features, months), tmp_path / "new" / "timeline.png", title="a $ decade", planted=planted)
    assert [file.name for file in path.parent.iterdir()] == ["timeline.png"]
    picture = (imread(path)[..., :3] * 255).round().astype(int)
    for state in STATES:
        colour = [int(COLOURS[state][i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(picture - colour).max(axis=-1) <= 1).sum() > 50, state


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    with pytest.raises(FeatureStoreError, match="no scores to draw"):
        draw_timeline(DRIFT_SCHEMA.empty_table(), tmp_path / "timeline.png")
