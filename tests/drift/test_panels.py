"""What a panel is like decides what can be told of it: windows that fill up, few members, growth, a season that ends."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from featurestore.drift.monitor.monitor import monitor_drift, monitor_sketches, sketch_months
from tests.drift.monitor.test_monitor import ROWS, first, month, snapshots, states

MEMBERS = -0.95 * np.log(np.arange(1, 32))
"""Logarithms of the sizes of the members of a small panel, the same every month: a few large ones, many small ones."""


def test_bins_are_those_of_full_windows_and_not_of_the_months_before() -> None:
    def seasonal(t: int, rng: np.random.Generator) -> pa.Table:
        # Four weeks against a year: as long as there are only four weeks, all have the same.
        values = np.full(ROWS, 13.0) if t < 12 else np.exp(rng.normal(0.5 * (t >= 45), 0.4, ROWS))
        return pa.table({"x": values}, schema=pa.schema([pa.field("x", pa.float64(), metadata={"full_since": str(month(12))})]))

    found = monitor_drift((month(t), seasonal(t, np.random.default_rng(t))) for t in range(54))
    assert set(list(states(found).values())[:12]) == {"insufficient"}
    assert first(found, "drift") == month(46)


def panel(t: int, rng: np.random.Generator) -> dict:
    """Members that grow alike beyond what the first year has seen; in ``apart`` the large ones then leave the others behind."""
    growth = 1.6 * (1 - np.exp(-t / 30))
    together = MEMBERS + growth + rng.normal(0, 0.03, len(MEMBERS))
    return {"x": np.exp(together), "apart": np.exp(together + 0.9 * (t >= 60) * (MEMBERS > -2.2))}


def test_a_panel_whose_members_grow_alike_is_as_wide_as_before_until_some_leave_the_others_behind() -> None:
    found = monitor_drift(snapshots(panel, months=66)).to_pylist()
    assert [(row["feature"], row["kind"], row["month"]) for row in found if row["state"] == "drift"] == [
        ("apart", "spread", month(61))
    ]


def test_a_new_baseline_may_have_another_season() -> None:
    def congested(t: int, rng: np.random.Generator) -> dict:
        november = -2.0 * (t % 12 == 10) * (t < 40)
        return {"x": np.exp(rng.normal(0, 0.5, ROWS) + 1.5 * (t >= 40) + november)}

    found = monitor_sketches(list(sketch_months(snapshots(congested, months=66))), resets={"x": ["2019-08"]})
    assert [t for t, state in enumerate(states(found).values()) if state == "drift"] in ([40], [41])


def test_a_festival_that_falls_on_another_day_of_the_week_every_year_is_nothing_to_watch() -> None:
    def week(t: int, rng: np.random.Generator) -> dict:
        shares = np.full(7, 10.0)
        if t % 12 == 10:
            shares[(month(t).replace(day=11)).weekday()] += 20
        shares[2] += 8 * (t >= 70)
        drawn = rng.poisson(shares, (60, 7)).astype(float)
        return {"x": pa.FixedSizeListArray.from_arrays(pa.array(drawn.ravel()), 7)}

    found = list(states(monitor_drift(snapshots(week, months=76))).values())
    assert [found[t] for t in (46, 58)] == ["ok", "ok"]
    assert [t for t, state in enumerate(found) if state == "drift"] == [71]
