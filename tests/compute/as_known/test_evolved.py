"""A source that gained a column and a wider type between two deliveries answers like the plain loop over all versions."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.verification.verify import verify
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.layout import create_or_open
from featurestore.lake.table import Table
from featurestore.spec import EventSource
from featurestore.spec.evolution import evolved
from tests.compute.as_known.test_as_known import assert_as_known, late_view, spine_around
from tests.compute.versions_world import LATE_ARROW, LATE_SOURCE, random_versions
from tests.compute.windows.test_oracle import USER

FEW = {**{column: kind for column, kind in LATE_SOURCE.schema if column != "weight"}, "amount_cents": "int32"}
BEFORE = EventSource("late_events", schema=FEW, event_time="event_time", event_id="event_id", ingested_at="ingested_at")
FEW_ARROW = pa.schema(
    [pa.field(each.name, pa.int32()) if each.name == "amount_cents" else each for each in LATE_ARROW if each.name != "weight"]
)


def test_every_aggregation_sees_what_was_known_across_a_change_of_the_source(tmp_path: Path) -> None:
    drawn = {(each["event_id"], each["ingested_at"]): each for each in random_versions(seed=31, rows=60)}  # no ties
    versions = list(drawn.values())
    half = len(versions) // 2
    older = [{**each, "weight": None} for each in versions[:half]]
    # What the older files could not say, later versions of their events do not repeat: else they would be other contents.
    known = {each["event_id"] for each in older}
    newer = [{**each, "weight": None if each["event_id"] in known else each["weight"]} for each in versions[half:]]
    layout = create_or_open(tmp_path / "store", timezone="Asia/Shanghai")
    ingest(layout, BEFORE, pa.Table.from_pylist(older, schema=FEW_ARROW))
    materialize(layout, [late_view(USER, "1d", source=evolved(LATE_SOURCE, {**FEW, "weight": None}))])
    now = evolved(LATE_SOURCE, {**FEW, "weight": None})
    view = late_view(USER, "1d", source=now)
    assert_as_known(layout, view, older, spine_around(1, older, rows=15))
    ingest(layout, now, pa.Table.from_pylist(newer, schema=LATE_ARROW))
    assert ingest(layout, now, pa.Table.from_pylist(older, schema=FEW_ARROW)).corrections == 0
    materialize(layout, [view])
    assert Table.open(layout.superseded("late_events")).files()
    assert_as_known(layout, view, [*older, *newer], spine_around(2, versions, rows=15))
    assert verify(layout, [view]).is_equal
