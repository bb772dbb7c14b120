"""Fulfilment: warehouses, lanes, and when an order is shipped, delivered and returned.

    ordered --- ship hours ---> shipped --- transit hours ---> delivered --- days ---> returned (perhaps)

Ship hours are the wait until midnight of orders after 17:00 and the picking; transit hours grow with the distance.
Both vary lognormally, grow on crowded days and follow the planted changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from featurestore.synth.chance import Stream, generator
from featurestore.synth.drift_plan import REGIONS, factor, region_factors
from featurestore.synth.seasonality import congestion

WAREHOUSES = 8
CUTOFF_HOUR = 17
MAX_RETURN_DAYS = 40
"""Nothing comes back more than so many days after the order."""
HOUR_S, DAY_S = 3600, 86_400
_MAX_DELIVERY_DAYS = 25
_PICK_HOURS, _PICK_SPREAD = 7.0, 0.35
_TRANSIT_SPREAD = 0.22
_SECOND_CHOICE_SHARE = 0.1
_PROMISE_MARGIN = 1.45
_NEVER = -1


@dataclass(frozen=True, eq=False)
class Lanes:
    """Warehouses and the regions they serve.

    Attributes:
        choices: ``(2, REGIONS + 1)``, the nearest and the second nearest warehouse_id of each region.
        transit_hours: ``(WAREHOUSES + 1, REGIONS + 1)``, median hours on an ordinary day.
    """

    choices: np.ndarray
    transit_hours: np.ndarray


@dataclass(frozen=True, eq=False)
class Fulfilment:
    """What becomes of orders: arrays by order, instants as seconds since the orders' month began.

    Attributes:
        warehouse: warehouse_id that ships the order.
        promised: Last instant of the promised day.
        shipped: When it leaves the warehouse.
        delivered: When it arrives.
        returned: When it comes back; -1 where it is kept.
    """

    warehouse: np.ndarray
    promised: np.ndarray
    shipped: np.ndarray
    delivered: np.ndarray
    returned: np.ndarray


def draw_lanes(*, seed: int) -> Lanes:
    """Place regions on a map of side 1 and a warehouse in each of eight regions far from each other."""
    random = generator(seed, Stream.LANES)
    places = random.random((REGIONS + 1, 2))
    sites = [1]
    while len(sites) < WAREHOUSES:
        distances = np.linalg.norm(places[:, None] - places[sites], axis=2).min(axis=1)
        distances[0] = 0.0
        sites.append(int(distances.argmax()))
    distance = np.linalg.norm(places - places[sites][:, None], axis=2)
    transit = np.vstack([np.zeros(REGIONS + 1), 14 + 60 * distance])
    return Lanes(choices=np.argsort(distance, axis=0)[:2] + 1, transit_hours=transit)


def fulfil(
    random: np.random.Generator,
    *,
    lanes: Lanes,
    days: Sequence[date],
    ordered: np.ndarray,
    region: np.ndarray,
    return_probability: np.ndarray,
) -> Fulfilment:
    """Draw what becomes of a month's orders.

    Args:
        random: The month's generator for fulfilment.
        lanes: The shop's lanes.
        days: The month's days.
        ordered: Seconds since the month began.
        region: region_id of each order.
        return_probability: Of each order.
    """
    count = len(ordered)
    second_choice = random.random(count, np.float32) < _SECOND_CHOICE_SHARE
    warehouse = lanes.choices[second_choice.astype(np.int8), region]
    day = ordered // DAY_S
    crowded = np.array([congestion(each) for each in days])
    automation = np.array([factor("ship_hours", each) for each in days])
    ship_hours = _ship_hours(random, ordered) * (crowded * automation)[day]
    usual_hours = lanes.transit_hours[warehouse, region]
    slower = region_factors("transit_hours", days) * crowded[:, None]
    transit_hours = usual_hours * _spread(random, count, _TRANSIT_SPREAD) * slower[day, region]
    shipped = ordered + (ship_hours * HOUR_S).astype(np.int64)
    delivered = np.minimum(shipped + (transit_hours * HOUR_S).astype(np.int64) + 1, ordered + _MAX_DELIVERY_DAYS * DAY_S)
    return Fulfilment(
        warehouse=warehouse,
        promised=_promise(day, usual_hours=usual_hours, pick_hours=_PICK_HOURS * automation[day]),
        shipped=np.minimum(shipped, delivered - 1),
        delivered=delivered,
        returned=_returns(random, ordered=ordered, delivered=delivered, probability=return_probability),
    )


def _ship_hours(random: np.random.Generator, ordered: np.ndarray) -> np.ndarray:
    second = ordered % DAY_S
    wait = np.where(second >= CUTOFF_HOUR * HOUR_S, (DAY_S - second) / HOUR_S, 0.0)
    return wait + _PICK_HOURS * _spread(random, len(ordered), _PICK_SPREAD)


def _promise(day: np.ndarray, *, usual_hours: np.ndarray, pick_hours: np.ndarray) -> np.ndarray:
    """Promise the end of a day that orders at noon reach nearly always and late ones less often.

    The planner knows the lane and the warehouse, not the weather: planted delays do not move the promise.
    """
    hours = (pick_hours + usual_hours) * _PROMISE_MARGIN
    nights = np.maximum(np.ceil((hours - 12) / 24), 1).astype(np.int64)
    promised: np.ndarray = (day + nights + 1) * DAY_S - 1
    return promised


def _returns(random: np.random.Generator, *, ordered: np.ndarray, delivered: np.ndarray, probability: np.ndarray) -> np.ndarray:
    comes_back = random.random(len(ordered)) < probability
    days = random.gamma(2.0, 3.0, len(ordered))
    latest = ordered + MAX_RETURN_DAYS * DAY_S - HOUR_S
    return np.where(comes_back, np.minimum(delivered + HOUR_S + (days * DAY_S).astype(np.int64), latest), _NEVER)


def _spread(random: np.random.Generator, count: int, sigma: float) -> np.ndarray:
    return np.exp(sigma * random.standard_normal(count))
