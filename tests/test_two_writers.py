"""Two writers of definitions at once: neither loses the other's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import featurestore as fs

SOURCE = fs.EventSource(
    "events", schema={"id": "int64", "time": "timestamp", "user_id": "int64"}, event_time="time", event_id="id"
)


def test_definitions_that_are_applied_at_the_same_time_are_all_recorded(tmp_path) -> None:
    fs.FeatureStore(tmp_path / "store")

    def apply(i: int) -> None:
        view = fs.FeatureView(
            f"view_{i}", entity=fs.Entity("user", key="user_id"), source=SOURCE, aggregations=[fs.Count("events")]
        )
        fs.FeatureStore(tmp_path / "store").apply([view])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(apply, range(24)))
    assert len(fs.FeatureStore(tmp_path / "store").registry.views) == 24
