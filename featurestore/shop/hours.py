"""What planners look at on 11.11: orders, shipments, backlog and lateness by the hour, of regions and of warehouses."""

from __future__ import annotations

from featurestore.shop.events import events, region, warehouse
from featurestore.spec import Aggregation, Count, Derived, FeatureView, YearBefore
from featurestore.spec.season_windows import DeclaredWindow

OWNER = "fulfilment"
_RECENT: tuple[DeclaredWindow, ...] = ("2h", "6h", "24h")
_COMPARED: tuple[DeclaredWindow, ...] = (*_RECENT, *(YearBefore(str(window)) for window in _RECENT))
_DAY: tuple[DeclaredWindow, ...] = ("24h", YearBefore("24h"))
# All that was ever ordered, and shipped: their difference is what waits.
_EVER: tuple[DeclaredWindow, ...] = ("lifetime", YearBefore("lifetime"))

_COUNTS: tuple[Aggregation, ...] = (
    Count("orders", where="event_type = 'buy'", windows=(*_COMPARED, *_EVER)),
    Count("shipped", where="event_type = 'ship'", windows=(*_COMPARED, *_EVER)),
    Count("delivered", where="event_type = 'deliver'", windows=_DAY),
    Count("late", where="event_type = 'deliver' AND event_time > promised_at", windows=_DAY),
)
_DERIVED = (
    Derived("backlog", "orders_lifetime - shipped_lifetime"),
    Derived("backlog_year_before", "orders_lifetime_year_before - shipped_lifetime_year_before"),
    Derived("late_share_24h", "late_24h / nullif(delivered_24h, 0)"),
    Derived("late_share_24h_year_before", "late_24h_year_before / nullif(delivered_24h_year_before, 0)"),
)
_WHAT = (
    "by the hour: orders and shipments of 2, 6 and 24 hours, what is ordered and not shipped yet, the share of the day's "
    "deliveries that came late; each beside the same hour of the same day of the year before, by the retail calendar."
)

region_hours = FeatureView(
    "region_hours",
    entity=region,
    source=events,
    grain="1h",
    aggregations=_COUNTS,
    derived=_DERIVED,
    owner=OWNER,
    description=f"A region {_WHAT}",
)

warehouse_hours = FeatureView(
    "warehouse_hours",
    entity=warehouse,
    source=events,
    grain="1h",
    aggregations=_COUNTS,
    derived=_DERIVED,
    owner=OWNER,
    description=f"A warehouse {_WHAT}",
)
