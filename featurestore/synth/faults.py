"""Faults of the record: the world is as it was, but some events are written down wrongly or twice.

They look like drift and are none: prices a hundred times too high, a clock eight hours ahead, regions missing,
deliveries sent twice.
"""

from __future__ import annotations

import numpy as np

from featurestore.synth.chance import Stream, generator
from featurestore.synth.drift_plan import PlantedDrift, planted
from featurestore.synth.events import ABSENT, EVENT_TYPES, Columns, month_start_s
from featurestore.timeline import Month

SKEWED_WAREHOUSE = 3
_PRICES = ("list_price_cents", "amount_cents", "discount_cents")
_DAY_S = 86_400


def disturb(columns: Columns, *, seed: int, month: Month) -> Columns:
    """Apply the faults planned for a month to its events, which must carry their ids; other months stay as they are."""
    random = generator(seed, Stream.FAULTS, month=month)
    for name, fault in _FAULTS:
        drift = planted(name)
        if drift.first_month == month:
            columns = columns | fault(columns, drift, random, _during(columns, drift))
    return columns


def _raise_prices(columns: Columns, drift: PlantedDrift, random: np.random.Generator, during: np.ndarray) -> Columns:
    times = np.where(during, int(drift.magnitude), 1)
    return {name: np.where(columns[name] == ABSENT, ABSENT, columns[name] * times) for name in _PRICES}


def _skew_clock(columns: Columns, drift: PlantedDrift, random: np.random.Generator, during: np.ndarray) -> Columns:
    wrong = during & _is(columns, "ship") & (columns["warehouse_id"] == SKEWED_WAREHOUSE)
    return {"event_time": columns["event_time"] + wrong * int(drift.magnitude * 3600)}


def _lose_regions(columns: Columns, drift: PlantedDrift, random: np.random.Generator, during: np.ndarray) -> Columns:
    wrong = during & (random.random(len(during)) < drift.magnitude)
    return {"region_id": np.where(wrong, ABSENT, columns["region_id"])}


def _redeliver(columns: Columns, drift: PlantedDrift, random: np.random.Generator, during: np.ndarray) -> Columns:
    """Repeat some deliveries at the end of the month's log, received a day later, with the same id and content."""
    again = np.flatnonzero(during & _is(columns, "deliver") & (random.random(len(during)) < drift.magnitude))
    late = {"ingested_at": columns["ingested_at"][again] + _DAY_S}
    repeated = {name: late.get(name, values[again]) for name, values in columns.items()}
    return {name: np.concatenate([values, repeated[name]]) for name, values in columns.items()}


_FAULTS = (
    ("price_unit", _raise_prices),
    ("clock_skew", _skew_clock),
    ("region_missing", _lose_regions),
    ("redelivery", _redeliver),  # last: what is sent twice is sent with its other faults
)


def _is(columns: Columns, event_type: str) -> np.ndarray:
    return np.asarray(columns["event_type"] == EVENT_TYPES.index(event_type))


def _during(columns: Columns, drift: PlantedDrift) -> np.ndarray:
    """Tell which events happen from the drift's first to its last day; a fault stays inside one month."""
    start = month_start_s(drift.first_month)
    last = drift.last or drift.first
    day = (columns["event_time"] - start) // _DAY_S + 1
    return np.asarray((day >= drift.first.day) & (day <= last.day))
