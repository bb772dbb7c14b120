"""The end of an initial load, written without a zone: it is placed where the store is known, and recorded as an instant."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from pathlib import Path

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.lake.store_format import STORE_FILE

UTC = timezone.utc


def view(until: object, zone: str | None = None) -> fs.FeatureView:
    source = fs.EventSource(
        "events",
        schema={"event_id": "int64", "event_time": "timestamp", "ingested_at": "timestamp", "user_id": "int64"},
        event_time="event_time",
        event_id="event_id",
        ingested_at="ingested_at",
        initial_load_until=until,  # type: ignore[arg-type]
        timezone=zone,
    )
    entity = fs.Entity("user", key="user_id")
    return fs.FeatureView("seen", entity=entity, source=source, aggregations=[fs.Count("n", windows=("30d",))])


def recorded(root: Path) -> str:
    return json.loads((root / "registry.json").read_text())["source"][0]["initial_load_until"]


@pytest.mark.parametrize(
    ("until", "zone", "instant"),
    [
        ("2024-01-02", None, "2024-01-02T05:00:00+00:00"),
        (date(2024, 7, 2), None, "2024-07-02T04:00:00+00:00"),
        ("2024-11-03 01:30", None, "2024-11-03T05:30:00+00:00"),
        ("2024-01-02", "Asia/Shanghai", "2024-01-01T16:00:00+00:00"),
        ("2024-01-02T00:00+00:00", None, "2024-01-02T00:00:00+00:00"),
    ],
)
def test_it_is_a_time_of_the_source_or_else_of_the_store(tmp_path: Path, until: object, zone: str | None, instant: str) -> None:
    store = fs.FeatureStore(tmp_path / "store", timezone="America/New_York")
    store.apply([view(until, zone)])
    assert recorded(tmp_path / "store") == instant
    assert not store.plan([view(until, zone)]).changes
    assert not store.apply([view(until, zone)]).changes
    assert len(store.apply([view("2024-01-03", zone)]).changes) == 2


def test_the_object_that_was_applied_is_the_recorded_one_where_features_are_asked_for(tmp_path: Path) -> None:
    store = fs.FeatureStore(tmp_path / "store", timezone="America/New_York")
    applied = view("2024-01-02")
    store.apply([applied])
    moment = datetime(2024, 2, 1, tzinfo=UTC)
    row = {"event_id": [1], "event_time": [moment], "ingested_at": [moment], "user_id": [1]}
    store.ingest("events", pa.table(row))
    store.materialize()
    assert store.get_batch_features(datetime(2024, 2, 9, tzinfo=UTC), [applied]).num_rows == 1
    with pytest.raises(fs.DefinitionError, match="initial_load_until"):
        store.get_batch_features(datetime(2024, 2, 9, tzinfo=UTC), [view("2024-03-02")])


def test_a_record_of_a_store_of_before_stays_as_it_is(tmp_path: Path) -> None:
    store = fs.FeatureStore(tmp_path / "store", timezone="America/New_York")
    file = tmp_path / "store" / STORE_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "naive_times": "utc"}))
    store = fs.FeatureStore(tmp_path / "store")
    store.apply([view("2024-01-02T00:00+00:00")])
    assert not store.plan([view("2024-01-02")]).changes
    assert recorded(tmp_path / "store") == "2024-01-02T00:00:00+00:00"
