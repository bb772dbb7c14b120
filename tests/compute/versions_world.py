"""Events that arrive late and are corrected, and what of them was known when: a plain loop over all versions."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa

from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.layout import Layout
from featurestore.spec import EventSource
from tests.compute.oracle import first_instant, floor_step
from tests.compute.world import ARROW, SCHEMA, random_events

UTC = timezone.utc
LATE_SOURCE = EventSource(
    "late_events",
    schema={**SCHEMA, "ingested_at": "timestamp"},
    event_time="event_time",
    event_id="event_id",
    ingested_at="ingested_at",
)
LATE_ARROW = ARROW.append(pa.field("ingested_at", pa.timestamp("us", "UTC")))


def random_versions(seed: int, rows: int = 220, *, years: float = 1.2) -> list[dict]:
    """Draw deliveries of events: a third late, a few known before they happened, a third corrected, some delivered twice."""
    rng = np.random.default_rng(seed)
    found = []
    for event in random_events(seed, rows, years=years):
        event["weight"] = None if event["weight"] is None else round(event["weight"]) % 4096 / 4
        version = {**event, "ingested_at": event["event_time"] + _lateness(rng)}
        first = version
        found.append(version)
        for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.65, 0.2, 0.1, 0.05]))):
            version = {**version, **_change(rng, version), "ingested_at": version["ingested_at"] + _lateness(rng)}
            found.append(version)
            if rng.random() < 0.3:  # back to what was said first
                version = {**first, "ingested_at": version["ingested_at"] + _lateness(rng)}
                found.append(version)
        if rng.random() < 0.15:
            found.append({**version, "ingested_at": version["ingested_at"] + _lateness(rng)})
    return [found[i] for i in rng.permutation(len(found))]


def _lateness(rng: np.random.Generator) -> timedelta:
    scale = rng.choice([0.0, 0.001, 1.0, 20.0, 200.0, -0.5], p=[0.1, 0.45, 0.2, 0.15, 0.05, 0.05])
    return timedelta(microseconds=int(float(rng.exponential(1.0)) * scale * 86_400e6))


def _change(rng: np.random.Generator, version: dict) -> dict:
    kind = int(rng.integers(5))
    if kind == 0:
        return {"event_time": version["event_time"] + timedelta(days=float(rng.normal(0, 30)))}
    if kind == 1:
        return {"user_id": int(rng.integers(0, 16)), "category": str(rng.choice(["FRESH", "TOYS", "LATE"]))}
    if kind == 2:
        return {"amount_cents": int(rng.integers(-500, 10_000)), "weight": float(rng.integers(0, 100)) / 4}
    if kind == 3:
        return {"event_type": str(rng.choice(["view", "buy", "return"])), "ordered_at": version["event_time"]}
    return {"user_id": None, "event_time": version["event_time"] - timedelta(hours=float(rng.integers(0, 48)))}


def deliver(layout: Layout, versions: list[dict], *, source: EventSource = LATE_SOURCE) -> None:
    """Ingest deliveries."""
    ingest(layout, source, pa.Table.from_pylist(versions, schema=LATE_ARROW))


def known_events(
    versions: list[dict], as_of: datetime, *, grain: str, zone: str, load_until: datetime | None = None
) -> list[dict]:
    """The version that counts of each event, among those that were known before floor(as_of)."""
    floor = first_instant(floor_step(as_of, grain, zone), grain, zone)
    counts: dict[int, dict] = {}
    for version in in_order(versions):
        is_loaded = load_until is not None and version["ingested_at"] < load_until
        if (version["event_time"] if is_loaded else version["ingested_at"]) < floor:
            counts[version["event_id"]] = version
    return list(counts.values())


def in_order(versions: list[dict]) -> list[dict]:
    """Each content of each event once for its ``ingested_at``, by that and the place among the deliveries."""
    first: dict[tuple, dict] = {}
    for version in versions:
        first.setdefault(tuple(version.values()), version)
    return sorted(first.values(), key=lambda version: version["ingested_at"])
