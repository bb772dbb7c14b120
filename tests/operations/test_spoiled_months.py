"""Which months of which features hold so much of a data fault that they say nothing about the feature."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from featurestore import (
    Count,
    Decayed,
    Derived,
    Entity,
    EventSource,
    FeatureView,
    Last,
    Offset,
    Outcome,
    SeasonWindow,
    Sum,
    YearBefore,
)
from featurestore.drift.data_faults.source_fault import EVENT, SourceFault
from featurestore.operations.spoiled_months import SPOILED_SHARE, spoiled
from featurestore.spec import Registry
from featurestore.timeline import Month, months_between

ORDERS = EventSource(
    "orders",
    schema={"event_id": "int64", "event_time": "timestamp", "user_id": "int64", "cents": "int64", "label": "string"},
    event_time="event_time",
    event_id="event_id",
)
USER, TIMEZONE, LAST = Entity("user", key="user_id"), "Asia/Shanghai", Month(2026, 12)
FAULT_DAYS = date(2024, 3, 10), date(2024, 3, 12)


def fault(*, factor: float = 100.0, column: str = "cents", days: tuple[date, date] = FAULT_DAYS) -> SourceFault:
    """Every row of some days is wrong, 40 a day: as many as on any other day."""
    rows = 40 * ((days[1] - days[0]).days + 1)
    return SourceFault("orders", column, "unit", ("buy",), *days, rows, factor, 40.0, "values times 100")


def months(name: str, *aggregations, given: SourceFault | None = None, **options) -> list[str]:
    """Return the spoiled months of one feature of a view of these aggregations."""
    view = FeatureView("v", entity=USER, source=ORDERS, aggregations=aggregations, **options)
    found = spoiled(Registry().merged([view]), [given or fault()], LAST, timezone=TIMEZONE)
    return [str(month) for month in sorted(found.get(f"v__{name}", {}))]


def between(first: str, last: str) -> list[str]:
    return [str(month) for month in months_between(Month.parse(first), Month.parse(last))]


def test_a_window_is_spoiled_as_long_as_it_holds_the_fault() -> None:
    assert months("spend_90d", Sum("spend", "cents", windows=("90d",))) == between("2024-03", "2024-05")
    assert months("spend_30d", Sum("spend", "cents", windows=("30d",))) == ["2024-03"]
    assert months("spend_1y", Sum("spend", "cents", windows=("1y",))) == between("2024-03", "2025-02")


@pytest.mark.parametrize("window", ["lifetime", "10y", "ytd", SeasonWindow("618", years=3)])
def test_a_window_that_is_scored_on_its_inflow_is_spoiled_in_the_month_itself(window) -> None:
    name = window if isinstance(window, str) else window.text
    assert months(f"spend_{name}", Sum("spend", "cents", windows=(window,))) == ["2024-03"]


def test_a_window_that_lies_a_year_back_is_spoiled_a_year_later_and_not_now() -> None:
    assert months("spend_30d_offset_1y", Sum("spend", "cents", windows=(Offset("30d", by="1y"),))) == ["2025-03"]
    assert months("spend_90d_offset_30d", Sum("spend", "cents", windows=(Offset("90d", by="30d"),))) == between(
        "2024-04", "2024-06"
    )


def test_a_window_a_year_before_by_the_calendar_is_spoiled_where_its_counterpart_holds_the_fault() -> None:
    before = Sum("spend", "cents", windows=(YearBefore("30d"),))
    assert months("spend_30d_year_before", before) == ["2025-03"]
    festival = fault(days=(date(2024, 2, 9), date(2024, 2, 10)))  # its eve and its first day; in 2025 it begins on 29 January
    assert months("spend_2d_year_before", Sum("spend", "cents", windows=(YearBefore("2d"),)), given=festival) == []
    assert months("spend_30d_year_before", before, given=festival)[0] == "2025-01"


def test_what_has_no_monthly_score_has_no_month_to_spoil() -> None:
    hourly = Sum("spend", "cents", windows=("24h", "30d"))
    assert months("spend_24h", hourly, grain="1h") == []
    assert months("spend_30d", hourly, grain="1h") == ["2024-03"]


def test_what_fades_is_spoiled_as_long_as_enough_of_the_fault_remains() -> None:
    found = months("faded", Decayed("faded", "cents", half_life="30d"))
    assert found == between("2024-03", found[-1])
    # Day by day: 100 times a usual day on each of the three, against all days that count, each at the weight of its age.
    for month in months_between(Month(2024, 3), Month(2025, 6)):
        ages = np.arange(1, 301)
        days = [month.next().first_day - timedelta(days=int(age)) for age in ages]
        weights = 2.0 ** (-ages / 30)
        share = 100 * weights[[FAULT_DAYS[0] <= day <= FAULT_DAYS[1] for day in days]].sum() / weights.sum()
        assert (str(month) in found) == (share >= SPOILED_SHARE), (month, share)
    small = months("faded", Decayed("faded", "cents", half_life="30d"), given=fault(factor=1.0))
    assert small == between("2024-03", "2024-04"), "three usual days: a twentieth at the end of March, a fortieth in April"


def test_only_so_much_counts_as_lies_inside_the_window() -> None:
    days = date(2024, 3, 1), date(2024, 3, 20)
    spend = Sum("spend", "cents", windows=("12d",))
    assert months("spend_12d", spend, given=fault(factor=1.0, days=days)) == ["2024-03"]
    assert months("spend_11d", Sum("spend", "cents", windows=("11d",)), given=fault(factor=1.0, days=days)) == []


def test_a_small_share_of_a_window_spoils_nothing() -> None:
    assert months("spend_365d", Sum("spend", "cents", windows=("365d",)), given=fault(factor=1.0)) == []


def test_a_value_carried_from_one_event_is_spoiled_in_the_month_and_as_long_as_the_fault_weighs_enough() -> None:
    last = Last("last", "cents", windows=("lifetime",))
    assert months("last_lifetime", last, given=fault(factor=1.0)) == ["2024-03"]
    assert months("last_lifetime", last) == between("2024-03", "2025-02")


def test_a_delay_moves_what_is_spoiled() -> None:
    spend = Sum("spend", "cents", windows=("30d",))
    assert months("spend_30d", spend, delay="45d") == ["2024-04"]


def test_the_hour_is_as_good_a_grain_as_the_day() -> None:
    spend = Sum("spend", "cents", windows=("90d", Offset("30d", by="1y"), "lifetime"))
    assert months("spend_90d", spend, grain="1h") == between("2024-03", "2024-05")
    assert months("spend_30d_offset_1y", spend, grain="1h") == ["2025-03"]
    assert months("spend_lifetime", spend, grain="1h") == ["2024-03"]


def test_a_feature_that_does_not_read_the_column_is_not_spoiled_but_by_events_as_a_whole() -> None:
    aggregations = (Count("orders", windows=("30d",)), Sum("spend", "cents", windows=("30d",)))
    derived = [Derived("basket", "spend_30d / nullif(orders_30d, 0)")]
    assert months("orders_30d", *aggregations, derived=derived) == []
    assert months("basket", *aggregations, derived=derived) == ["2024-03"]
    assert months("orders_30d", *aggregations, given=fault(column=EVENT)) == ["2024-03"]
    assert months("orders_30d", *aggregations, given=fault(column="user_id")) == ["2024-03"], "its key"


def test_a_derived_feature_is_spoiled_where_one_of_those_is_that_read_the_column() -> None:
    aggregations = (
        Sum("spend", "cents", windows=("30d", Offset("30d", by="1y"))),
        Count("orders", windows=("180d",)),
    )
    derived = [Derived("growth", "spend_30d / nullif(spend_30d_offset_1y, 0) + orders_180d")]
    assert months("growth", *aggregations, derived=derived) == ["2024-03", "2025-03"]


def test_a_forecast_is_spoiled_where_its_outcomes_are_or_what_it_was_made_from() -> None:
    aggregations = (
        Count("trials", windows=("1y",)),
        Count("hits", where="label = 'hit'", windows=("1y",)),
        Sum("spend", "cents", windows=("90d",)),
    )
    derived = [
        Derived("chance", "1 / (1 + exp(-spend_90d / 1000.0))", outcome=Outcome("hits_1y", trials="trials_1y")),
    ]
    made_from = months("chance.calibration", *aggregations, derived=derived)
    assert made_from == between("2024-04", "2024-06"), "forecasts of the month's first instant, from the 90 days before it"
    assert months("chance.calibration", *aggregations, derived=derived, given=fault(column="label")) == ["2024-03"]
