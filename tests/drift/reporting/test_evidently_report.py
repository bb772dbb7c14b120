from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.monitor.monitor import DRIFT_SCHEMA
from featurestore.drift.reporting.evidently_report import MAX_FEATURES, write_report
from featurestore.errors import FeatureStoreError

HOSTILE = "</script><script>document.title='owned'</script>"


def rows_of(seed: int, *, rows: int = 300, all_missing: bool = False) -> pa.Table:
    rng = np.random.default_rng(seed)
    spend = np.exp(rng.normal(size=rows) + seed)
    spend[0] = np.inf
    return pa.table(
        {
            "spend": spend,
            "buys": pa.array([None, *rng.poisson(2, rows - 1).tolist()], pa.int64()),
            "colour": [None, HOSTILE, *rng.choice(["red", "blue"], rows - 2).tolist()],
            "is_new": (rng.random(rows) < 0.5).tolist(),
            "gone": pa.nulls(rows, pa.float64()) if all_missing else pa.array(rng.normal(size=rows)),
            "hours": pa.FixedSizeListArray.from_arrays(pa.array(rng.gamma(1.0, size=rows * 24)), 24),
            HOSTILE: rng.normal(size=rows),
            "retyped": pa.array(["a"] * rows) if all_missing else pa.array(np.arange(rows)),
        }
    )


def scores_of(**given: tuple[str, float | None]) -> pa.Table:
    rows = [
        {"month": date(2024, 8, 1), "feature": name, "state": state, "score": score, "reason": f"because <{name}>"}
        for name, (state, score) in given.items()
    ]
    return pa.Table.from_pylist(rows, schema=DRIFT_SCHEMA)


SCORES = scores_of(
    **{
        "spend": ("drift", 7.25),
        "buys": ("ok", 0.5),
        "colour": ("watch", 1.5),
        "is_new": ("ok", 0.1),
        "gone": ("latched", 20.0),
        "hours": ("ok", 0.9),
        HOSTILE: ("insufficient", None),
        "retyped": ("drift", 100.0),
        "absent": ("drift", 3.0),
    }
)


def test_the_report_is_evidentlys_own_and_holds_the_exact_scores(tmp_path: Path) -> None:
    arguments = {"folder": tmp_path / "new", "name": "user_activity-2024-08", "title": f"August {HOSTILE}"}
    written = write_report(rows_of(1, all_missing=True), rows_of(0), SCORES, **arguments)
    assert written.features == ("spend", "gone", "colour", "hours", "buys", "is_new", HOSTILE)
    text = written.json.read_text()
    found = {m["config"]["column"]: m["value"] for m in json.loads(text)["metrics"] if "ValueDrift" in m["metric_name"]}
    assert (found["spend"], found["colour"], found["buys"], found["hours"]) == (7.25, 1.5, 0.5, 0.9)
    assert "gone" not in found
    missing = {m["config"]["column"]: m["value"] for m in json.loads(text)["metrics"] if "MissingValue" in m["metric_name"]}
    assert missing["gone"]["share"] == 1
    failed = [test["name"] for test in json.loads(text)["tests"] if test["status"] == "FAIL" and "Drift" in test["name"]]
    assert failed == ["Value Drift for column spend"]

    html = written.html.read_text()
    assert "<script>document.title" not in html
    assert "because &lt;spend&gt;" in html
    again = write_report(rows_of(1, all_missing=True), rows_of(0), SCORES, **arguments)
    assert again.json.read_text() == text
    assert sorted(path.name for path in written.html.parent.iterdir()) == [
        "user_activity-2024-08.html",
        "user_activity-2024-08.json",
    ]


def test_rows_and_features_are_bounded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pa.table({f"f{i:02d}": rng.normal(size=500) for i in range(30)})
    scores = scores_of(**{f"f{i:02d}": ("ok", i / 100) for i in range(30)})
    written = write_report(table, table, scores, folder=tmp_path, name="many", title="many", max_rows=100)
    assert written.features == tuple(f"f{i:02d}" for i in range(29, 29 - MAX_FEATURES, -1))
    rows = [m["value"] for m in json.loads(written.json.read_text())["metrics"] if m["metric_name"] == "RowCount()"]
    assert rows == [100]


def test_a_month_with_nothing_to_draw_still_gives_a_report(tmp_path: Path) -> None:
    table = pa.table({"x": pa.nulls(5, pa.float64())})
    written = write_report(table, table, scores_of(x=("insufficient", None)), folder=tmp_path, name="empty", title="empty")
    assert written.features == ("x",)
    nothing = write_report(table, table, scores_of(), folder=tmp_path, name="nothing", title="nothing")
    assert nothing.features == ()


def test_wrong_names_and_several_months_are_refused(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0]})
    with pytest.raises(FeatureStoreError, match=r"'\.\./up' cannot name a report"):
        write_report(table, table, scores_of(x=("ok", 0.0)), folder=tmp_path, name="../up", title="")
    other = scores_of(x=("ok", 0.0)).set_column(0, DRIFT_SCHEMA.field("month"), pa.array([date(2024, 9, 1)]))
    with pytest.raises(FeatureStoreError, match="one month; the scores hold 2"):
        write_report(table, table, pa.concat_tables([scores_of(x=("ok", 0.0)), other]), folder=tmp_path, name="x", title="")
