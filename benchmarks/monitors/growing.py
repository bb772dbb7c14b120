"""A shop that grows while its customers stay as they are: features that move by construction must be quiet.

Customers come in growing numbers and stay; each orders at a rate of its own that never changes, with Double 11 and 618 in it.
Lifetime and ten-year sums of the customers rise for ever all the same. Their raw levels are given to ``monitor_drift`` beside
the snapshots of the audit, which take such a feature's inflow; both see the same panel.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

import featurestore as fs
from benchmarks.monitors.alarms import Alarms, of_table
from benchmarks.monitors.worlds import FIRST_SCORED, MONTHS
from featurestore.drift.audit_tables import read_snapshot
from featurestore.operations.auditing import POLICY
from featurestore.operations.panels import audited_view
from featurestore.synth import TIMEZONE

WINDOWS = ("90d", "1y", "10y", "lifetime")
GROWTH = 4.0
ORDERS_A_MONTH = 1.0
FESTIVALS = {6: 1.3, 11: 1.8}


def score_growing(users: int, seed: int) -> list[dict[str, Any]]:
    """Let a shop grow for ten years -> per feature the months judged, and episodes and months in alarm of both ways.

    Args:
        users: At the end; a fifth of them were there at the beginning.
        seed: Of the orders.
    """
    with tempfile.TemporaryDirectory() as root:
        store = fs.FeatureStore(root, timezone=TIMEZONE)
        store.apply([grown_view()])
        store.ingest("orders", pa.concat_tables(list(orders(users, seed))))
        store.materialize()
        scored = store.audit(MONTHS).table
        raw = fs.monitor_drift(raw_levels(store), policy=POLICY)
    levels = of_table(raw)
    inflows = of_table(scored)
    months = len(MONTHS) - FIRST_SCORED
    return [
        {"feature": name, "months": months, "raw": _counts(levels[name]), "scored": _counts(inflows[name])}
        for name in sorted(inflows)
    ]


def grown_view() -> fs.FeatureView:
    """Return the view of customers: orders and spend over windows of which some are never full."""
    schema = {"event_id": "int64", "event_time": "timestamp", "user_id": "int64", "amount": "int64"}
    source = fs.EventSource("orders", schema=schema, event_time="event_time", event_id="event_id")
    return fs.FeatureView(
        "customer",
        entity=fs.Entity("user", key="user_id"),
        source=source,
        aggregations=[fs.Count("orders", windows=WINDOWS), fs.Sum("spend", "amount", windows=WINDOWS)],
    )


def orders(users: int, seed: int) -> Iterator[pa.Table]:
    """Draw the orders of each month: customers join evenly, so that their number grows fivefold."""
    rng = np.random.default_rng((seed, 97))
    rate = rng.gamma(2.0, ORDERS_A_MONTH / 2.0, users)
    first = int(users / (1 + GROWTH))
    joined = np.concatenate([np.zeros(first), np.sort(rng.uniform(0, len(MONTHS), users - first))])
    after = 0
    for t, month in enumerate(MONTHS):
        interval = month.interval(TIMEZONE)
        count = rng.poisson(rate * FESTIVALS.get(month.month, 1.0) * np.clip(t + 1 - joined, 0, 1))
        who = np.repeat(np.arange(users), count)
        start = np.clip(joined[who] - t, 0, 1)
        moments = interval.start_us + (start + (1 - start) * rng.random(len(who))) * (interval.end_us - interval.start_us - 1)
        amount = np.exp(rng.normal(8.0, 0.8, len(who))).astype(np.int64) + 1
        stamp = pa.array(moments.astype(np.int64), pa.timestamp("us", "UTC"))
        yield pa.table({"event_id": np.arange(after, after + len(who)), "event_time": stamp, "user_id": who, "amount": amount})
        after += len(who)


def raw_levels(store: fs.FeatureStore) -> Iterator[tuple[date, pa.Table]]:
    """Yield the features of the audit's panels as they are served, at the ends of the months."""
    names = [f"customer:{measure}_{window}" for measure in ("orders", "spend") for window in WINDOWS]
    audited = audited_view(store.layout, store.registry.views["customer"])
    for month in MONTHS:
        snapshot = read_snapshot(audited, month)
        if snapshot is None:
            continue
        end_us = month.interval(TIMEZONE).end_us
        stamps = pa.array([end_us] * len(snapshot), pa.timestamp("us", "UTC"))
        spine = pa.table({"user_id": snapshot["user_id"], "as_of": stamps})
        yield month.first_day, store.get_historical_features(spine, names).drop_columns(["user_id", "as_of"])


def _counts(alarms: list[Alarms]) -> tuple[int, int]:
    return sum(len(own.entered) for own in alarms), sum(len(own.standing) for own in alarms)
