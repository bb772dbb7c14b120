"""The plan of planted drifts: what changes in the shop, when and by how much.

The plan is the single source of the changes: the generator reads its magnitudes from here, and the ground truth
returns the same rows, so that a detector is scored against what was really planted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.timeline import Month, months_between

REGIONS = 31
KINDS = ("sudden", "gradual", "temporary", "recurring", "quality")
QUANTITIES = {
    "orders": "orders per day",
    "ship_hours": "hours from the order to the dock",
    "transit_hours": "hours from the dock to the door",
    "share": "a category's share of the orders",
    "live_share": "the live channel's share of the orders (a level, not a factor)",
    "pre_sale_wave": "orders per day from 21 October to 3 November",
    "evening_weight": "weight of the hours 20-23 in the day",
    "elasticity": "exponent of the acceptance of a price",
    "double12_peak": "orders on 12 December",
    "return_probability": "probability that an order comes back",
    "sku_return_probability": "the same, of one SKU in a hundred, each from a month of its own",
    "redeem_probability": "probability that an order redeems a coupon",
    "ring_redemptions": "redemptions of an account of the coupon ring",
    "record": "nothing in the world: the event is written down wrongly",
}
CONTROL_MONTHS = (Month(2017, 6), Month(2019, 9), Month(2021, 9))
"""Months without planted drift: no change starts, ends or is temporary, and gradual ones pause."""


@dataclass(frozen=True)
class PlantedDrift:
    """One planted change.

    Attributes:
        number: Its row in the catalogue; a row that changes several quantities has several drifts.
        name: Unique among the drifts.
        kind: ``sudden`` and ``recurring`` (a change of the calendar) stay; ``gradual`` advances month by month until
            ``last`` and stays at what it has reached; ``temporary`` and ``quality`` (a wrong record) are over after ``last``.
        moves: What changes, one of ``QUANTITIES``.
        first: First day of the change.
        last: Last day of the change; None when it stays or goes on.
        magnitude: Factor on the quantity, per year for a gradual share. For records: the factor, hours or rate of the fault.
        category: The only category hit, or None for all.
        region: The only region hit, or None for all.
        features: Columns of the reference definitions (``shop``) that it should move, ``column[segment]`` in one segment alone; of
            a fault, columns of the source.

    Raises:
        DefinitionError: unknown kind or quantity, or the change ends before it starts.
    """

    number: int
    name: str
    kind: str
    moves: str
    first: date
    last: date | None
    magnitude: float
    category: str | None = None
    region: int | None = None
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DefinitionError(f"Planted drift {self.name!r} is of kind {self.kind!r}.{did_you_mean(self.kind, KINDS)}")
        if self.moves not in QUANTITIES:
            raise DefinitionError(f"Planted drift {self.name!r} moves {self.moves!r}.{did_you_mean(self.moves, QUANTITIES)}")
        if self.last is not None and self.last < self.first:
            raise DefinitionError(f"Planted drift {self.name!r} must not end on {self.last}, before its start {self.first}.")

    @property
    def first_month(self) -> Month:
        """The month in which the change starts."""
        return Month.parse(self.first)

    @property
    def last_month(self) -> Month | None:
        """The month in which the change ends; None when it stays or goes on."""
        return None if self.last is None else Month.parse(self.last)

    def is_active(self, day: date) -> bool:
        """Tell whether the change is in force on a day; a gradual one stays in force after its last day."""
        return self.first <= day and (self.last is None or day <= self.last or self.kind == "gradual")

    def years_advanced(self, month: Month) -> float:
        """Count the years that a gradual change has advanced by a month, control months left out."""
        end = month if self.last_month is None else min(month, self.last_month)
        return sum(passed not in CONTROL_MONTHS for passed in months_between(self.first_month, end)) / 12


_ROWS: tuple[tuple[int, str, str, str, str, str | None, float, str | None, int | None], ...] = (
    (1, "warehouse_automation", "sudden", "ship_hours", "2018-01-01", None, 1 / 1.6, None, None),
    (2, "live_channel", "gradual", "live_share", "2019-05-01", "2021-12-31", 0.38, None, None),
    (3, "covid_orders", "temporary", "orders", "2020-01-23", "2020-02-24", 0.68, None, None),
    (3, "covid_delay", "temporary", "transit_hours", "2020-01-23", "2020-02-24", 2.4, None, None),
    (4, "covid_fresh", "temporary", "share", "2020-02-01", "2020-06-30", 1.8, "FRESH", None),
    (5, "fresh_growth", "gradual", "share", "2018-01-01", None, 1.35, "FRESH", None),
    (5, "apparel_decline", "gradual", "share", "2018-01-01", None, 0.965, "APPAREL", None),
    (6, "pre_sale_wave", "recurring", "pre_sale_wave", "2020-10-21", None, 1.4, None, None),
    (7, "new_warehouse", "sudden", "transit_hours", "2021-05-01", None, 0.6, None, 9),
    (8, "evening_shopping", "sudden", "evening_weight", "2022-03-01", None, 1.6, None, None),
    (9, "lockdown_orders", "temporary", "orders", "2022-04-01", "2022-05-31", 0.55, None, 1),
    (9, "lockdown_delay", "temporary", "transit_hours", "2022-04-01", "2022-05-31", 3.0, None, 1),
    (10, "reopening_pharma", "temporary", "share", "2022-12-01", "2023-01-31", 4.0, "PHARMA", None),
    (10, "reopening_delay", "temporary", "transit_hours", "2022-12-01", "2023-01-31", 1.7, None, None),
    (11, "careful_consumers", "sudden", "elasticity", "2023-07-01", None, 1.25, None, None),
    (12, "double12_vanishes", "recurring", "double12_peak", "2023-12-01", None, 0.34, None, None),
    (13, "floods", "sudden", "transit_hours", "2024-07-01", None, 1.35, None, None),
    (14, "refund_only", "sudden", "return_probability", "2024-08-01", None, 1.6, None, None),
    (15, "trade_in_subsidy", "sudden", "share", "2024-09-01", None, 1.5, "ELECTRONICS", None),
    (16, "ai_coupons", "sudden", "redeem_probability", "2025-10-01", None, 1.15, None, None),
    (17, "sku_incidents", "sudden", "sku_return_probability", "2016-01-01", None, 3.7, None, None),
    (18, "price_unit", "quality", "record", "2021-02-02", "2021-02-04", 100.0, None, None),
    (18, "clock_skew", "quality", "record", "2021-02-22", "2021-02-23", 8.0, None, None),
    (18, "region_missing", "quality", "record", "2023-05-08", "2023-05-14", 0.2, None, None),
    (18, "redelivery", "quality", "record", "2023-05-01", "2023-05-31", 0.03, None, None),
    (20, "coupon_ring", "temporary", "ring_redemptions", "2022-06-01", "2022-06-30", 20.0, None, 4),
)


_HOURS = ("region_hours__orders_lifetime", "region_hours__shipped_lifetime")  # scored on the month
_ORDERS = ("category_demand__orders_28d", "region_service__orders_28d", "sku_demand__orders_28d", *_HOURS)
_DELIVERY = (
    "region_service__on_time_rate_28d",
    "region_service__on_time_rate_28d.calibration",
    "region_service__on_time_deliveries_28d",
    "region_cutoff__on_time_share_91d",
    "region_cutoff__cutoff_hour",
)
_RETURNS = (
    "sku_returns__return_rate_90d",
    "sku_returns__return_probability",
    "sku_returns__return_probability.calibration",
    "sku_returns__returns_90d",
    "sku_returns__returns_1y",
)


def _skus_of(category: str) -> tuple[str, ...]:
    return tuple(
        f"sku_demand__{feature}[category={category}]" for feature in ("views_28d", "orders_28d", "units_7d", "units_28d")
    )


_FEATURES: dict[str, tuple[str, ...]] = {
    "warehouse_automation": ("region_service__fast_ship_rate_28d", "region_service__fast_shipments_28d", *_DELIVERY),
    "live_channel": ("category_demand__live_share_28d", "category_demand__live_orders_28d"),
    "covid_orders": (
        *_ORDERS,
        "category_demand__season_28d",  # four weeks against their year
        "user_activity__since_buy",
        "user_activity__spend_cents_90d",
        "user_activity__views_30d",  # who orders has looked before, and who does not order looks less
    ),
    "covid_delay": _DELIVERY,
    "covid_fresh": _skus_of("FRESH"),
    "fresh_growth": ("category_demand__orders_364d",),
    "apparel_decline": ("category_demand__orders_364d",),
    "pre_sale_wave": _ORDERS,
    "new_warehouse": _DELIVERY,
    "evening_shopping": (
        "region_service__order_profile_28d",
        "region_service__order_profile_182d",
        "region_cutoff__orders_91d",
        "region_cutoff__on_time_91d",  # on-time orders by the hour in which they were made
    ),
    "lockdown_orders": (
        "region_service__orders_28d",
        "region_service__shipments_28d",  # what is not ordered is neither shipped nor delivered
        "region_service__deliveries_28d",
        *_HOURS,
        "sku_places__units_28d[region_id=1]",
    ),
    "lockdown_delay": _DELIVERY,
    "reopening_pharma": _skus_of("PHARMA"),
    "reopening_delay": _DELIVERY,
    "careful_consumers": ("category_demand__discount_share_28d",),
    "double12_vanishes": _ORDERS,
    "floods": _DELIVERY,
    "refund_only": _RETURNS,
    "trade_in_subsidy": (
        *_skus_of("ELECTRONICS"),
        # The largest of the 40 categories but one grows by half, at the others' cost: they differ more, in forecasts as well.
        "category_demand__orders_364d",
        "category_demand__double11_orders",
        "category_demand__mid_year_orders",
        "category_demand__spring_festival_orders",
        # It is the dearest category: baskets cost more.
        "user_activity__basket_cents_1y",
        "user_activity__spend_cents_90d",
    ),
    "ai_coupons": ("category_demand__coupon_share_28d", "user_activity__coupon_share_1y"),
    "sku_incidents": ("sku_returns__return_rate_90d", "sku_returns__return_probability"),
    "price_unit": ("events.list_price_cents", "events.amount_cents", "events.discount_cents"),
    "clock_skew": ("events.event_time",),
    "region_missing": ("events.region_id",),
    "redelivery": ("events.rows",),
    "coupon_ring": ("user_activity__coupon_share_1y",),
}
"""Columns of the reference definitions that each change should move, ``column[segment]`` in one segment alone,
``column.calibration`` for how reliable a forecast is; of faults, columns of the source (``source.column``)."""


def _planted() -> tuple[PlantedDrift, ...]:
    drifts = []
    for number, name, kind, moves, first, last, magnitude, category, region in _ROWS:
        start = date.fromisoformat(first)
        end = None if last is None else date.fromisoformat(last)
        drifts.append(PlantedDrift(number, name, kind, moves, start, end, magnitude, category, region, _FEATURES[name]))
    return tuple(drifts)


PLANTED = _planted()


def planted(name: str) -> PlantedDrift:
    """Return the planted drift of that name.

    Raises:
        DefinitionError: there is none.
    """
    for drift in PLANTED:
        if drift.name == name:
            return drift
    raise DefinitionError(f"No drift named {name!r} is planted.{did_you_mean(name, (drift.name for drift in PLANTED))}")


def factor(moves: str, day: date) -> float:
    """Multiply the magnitudes of the changes of a quantity that are in force on a day and hit the whole shop.

    >>> factor("ship_hours", date(2017, 12, 31)), factor("ship_hours", date(2018, 1, 1))
    (1.0, 0.625)
    """
    product = 1.0
    for drift in PLANTED:
        if drift.moves == moves and drift.region is None and drift.is_active(day):
            product *= drift.magnitude
    return product


def region_factors(moves: str, days: Sequence[date]) -> np.ndarray:
    """Multiply the magnitudes of the changes of a quantity by day and region.

    Returns:
        Floats ``(days, REGIONS + 1)``, by region_id; column 0 belongs to no region.
    """
    factors = np.ones((len(days), REGIONS + 1))
    for drift in PLANTED:
        if drift.moves == moves:
            active = np.array([drift.is_active(day) for day in days])
            columns = slice(None) if drift.region is None else slice(drift.region, drift.region + 1)
            factors[active, columns] *= drift.magnitude
    return factors
