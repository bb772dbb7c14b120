"""Made-up events: as many as asked for, the same each time, in months that fit together."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from benchmarks.law import Law, floor_days
from featurestore.synth import TIMEZONE
from featurestore.timeline import Month

LAW = Law(4_000, users=50, skus=20, first="2024-11-15", end="2025-03-10")


def _all(law: Law) -> pa.Table:
    return pa.concat_tables([law.between(*month) for month in law.months()])


def test_the_months_have_all_events_with_ids_in_sequence() -> None:
    ids = _all(LAW)["event_id"].to_numpy()
    assert (np.diff(ids) == 1).all()
    assert len(ids) == LAW.events


def test_events_lie_in_their_business_month_in_order_of_time() -> None:
    for first, end in LAW.months():
        moments = LAW.between(first, end)["event_time"].cast(pa.int64()).to_numpy()
        assert {str(Month.of(int(moment), TIMEZONE)) for moment in moments} == {f"{first:%Y-%m}"}
        assert (np.diff(moments) >= 0).all()


def test_the_day_behind_the_end_continues_it() -> None:
    day = LAW.between(date(2025, 3, 10), date(2025, 3, 11))
    assert day["event_id"][0].as_py() == _all(LAW)["event_id"][-1].as_py() + 1
    assert set(floor_days(day["event_time"].cast(pa.int64()).to_numpy())) == {(date(2025, 3, 10) - date(1970, 1, 1)).days}


def test_ids_in_no_order_are_still_unique_and_not_negative() -> None:
    ids = _all(Law(4_000, users=50, skus=20, has_random_ids=True))["event_id"].to_numpy()
    assert len(np.unique(ids)) == len(ids)
    assert ids.min() >= 0
    assert not (np.diff(ids) > 0).all()


def test_a_roll_call_names_every_user() -> None:
    called = _all(Law(100, users=5_000, skus=20, has_roll_call=True))
    assert len(called["user_id"].unique()) == 5_000
    assert len(called["event_id"].unique()) == len(called) == 5_100


def test_a_hot_sku_has_its_share() -> None:
    skus = _all(Law(20_000, users=50, skus=1_000, hot_share=0.3))["sku_id"].to_numpy()
    assert 0.28 < (skus == 0).mean() < 0.33
