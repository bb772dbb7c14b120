"""A drift that a person accepts: one file each, a new baseline, and the next change is found."""

from __future__ import annotations

import json

import pytest

from featurestore.drift.audit import audit_views
from featurestore.drift.audit_tables import HISTORY_SCHEMA, history
from featurestore.drift.reporting.acknowledge import Acknowledgement, acknowledge, acknowledgements
from featurestore.errors import DefinitionError, FeatureStoreError, StoreError
from featurestore.timeline import Month
from tests.drift.test_audit import MONTHS, POLICY, Fake, audited, whole

OPEN = Month(2021, 12)


def test_an_acknowledged_feature_is_unlatched_from_the_next_month_and_the_past_stays(tmp_path) -> None:
    before = whole(tmp_path, Fake(), MONTHS)
    scores = history(audited(tmp_path))
    written = acknowledge(tmp_path / "log", scores, "v__jumps", month=OPEN, segment=None, note="new tariff", now_us=1)
    assert str(written) == "v__jumps: acknowledged in 2021-12, new baseline from 2022-01: new tariff"
    resets = {(each.feature, each.segment): [each.reset] for each in acknowledgements(tmp_path / "log")}
    after = audit_views([audited(tmp_path)], MONTHS[-1], policy=POLICY, resets=resets)["v"]
    states = {
        month: dict(zip(rows["feature"].to_pylist(), rows["state"].to_pylist(), strict=True)) for month, rows in after.items()
    }
    assert states[OPEN]["v__jumps"] == "latched"
    assert {states[month]["v__jumps"] for month in MONTHS if month > OPEN} <= {"ok", "watch"}
    assert before.filter([day <= OPEN.first_day for day in before["month"].to_pylist()]).num_rows == sum(
        after[month].num_rows for month in MONTHS if month <= OPEN
    )


def test_acknowledging_twice_writes_once(tmp_path) -> None:
    whole(tmp_path, Fake(), MONTHS)
    scores = history(audited(tmp_path))
    first = acknowledge(tmp_path / "log", scores, "v__jumps", month=OPEN, segment=None, note="a", now_us=1)
    assert acknowledge(tmp_path / "log", scores, "v__jumps", month=OPEN, segment=None, note="b", now_us=2) == first
    assert acknowledgements(tmp_path / "log") == [first]


def test_what_is_not_open_is_refused_and_what_is_open_is_named(tmp_path) -> None:
    whole(tmp_path, Fake(), MONTHS)
    scores = history(audited(tmp_path))
    for month, segment in ((OPEN, None), (None, "region=9")):
        with pytest.raises(FeatureStoreError, match=r"no open drift in .* Open in 2022-12: v__jumps"):
            acknowledge(tmp_path / "log", scores, "v__calm", month=month, segment=segment, note="x")
    with pytest.raises(FeatureStoreError, match="no open drift in any audited month"):
        acknowledge(tmp_path / "log", HISTORY_SCHEMA.empty_table(), "v__calm", month=None, segment=None, note="x")
    assert not (tmp_path / "log").exists()


def test_a_note_is_needed_and_a_damaged_log_is_named(tmp_path) -> None:
    with pytest.raises(DefinitionError, match="has no note"):
        Acknowledgement("x", None, "2024-01", " ", 0)
    (tmp_path / "00000000.json").write_text(json.dumps({"feature": "x"}))
    with pytest.raises(StoreError, match="Restore it from a backup"):
        acknowledgements(tmp_path)
