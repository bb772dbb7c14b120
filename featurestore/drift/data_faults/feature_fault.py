"""Data faults: the world is as it was, but the record of it is wrong. They are no drift and start no recalibration.

    schema       a column is absent or of another type
    unit         numbers are a power of ten larger or smaller, their shape is the same: cents for yuan
    nulls        values are missing at once and in masses
    clock        events lie after the instant at which they were recorded, or their hours are shifted
    stopped      events of a kind stay away for days
    duplicates   events were delivered again; ingest has dropped them

A feature's own record shows the first three. A fault alerts in the month in which it is seen, is no evidence about the feature,
and is over when the record is right again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np

SCHEMA, UNIT, NULLS, CLOCK, STOPPED, DUPLICATES = "schema", "unit", "nulls", "clock", "stopped", "duplicates"
FAULT_KINDS = (SCHEMA, UNIT, NULLS, CLOCK, STOPPED, DUPLICATES)
REFERENCE_MONTHS = 12
MIN_MONTHS = 3
BURST_SHARE = 0.3
BURST_Z = 6.0
UNIT_TOLERANCE = 0.12
STEADY = 0.3
MIN_YEARS, POOL_YEARS = 2, 3


def is_unit_change(shift: float, log_ratio: float, *, tolerance: float = UNIT_TOLERANCE) -> bool:
    """Say whether a shift of log10 is a whole number other than zero, and the spread's logarithm agrees with it.

    >>> is_unit_change(2.02, 1.97), is_unit_change(0.3, 0.3), is_unit_change(1.0, 0.1)
    (True, False, False)
    """
    power = round(shift)
    return power != 0 and abs(shift - power) < tolerance and abs(log_ratio - power) < 2 * tolerance


def feature_faults(
    *,
    rows: np.ndarray,
    empty: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    is_sound: np.ndarray,
    baselines: list[int],
    seasons: Sequence[str],
) -> dict[int, tuple[str, str]]:
    """Find the months of one feature in which its values are in another unit, or missing in masses.

    A month is held against the last twelve sound ones; a fault that lasts longer has become normal. Where these differ from each
    other, it is held against how its season differed from the months before it in earlier years.

    Args:
        rows: [M] all rows.
        empty: [M] rows without a value.
        mean: [M] mean of its finite values; NaN where it has none.
        sd: [M] their standard deviation.
        is_sound: [M] months that can be compared.
        baselines: Months from which the feature has a new baseline, ascending.
        seasons: [M] label that months of the same season share.

    Returns:
        Month index to the kind of fault and the reason in words.
    """
    faults: dict[int, tuple[str, str]] = {}
    sound = [int(t) for t in np.flatnonzero(is_sound)]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (empty / rows).tolist()
        logs: _Logs = np.log10([np.abs(mean), sd]).tolist()
    for k, t in enumerate(sound):
        start = max([t - REFERENCE_MONTHS, *(baseline for baseline in baselines if baseline <= t)])
        past = [s for s in sound[max(0, k - REFERENCE_MONTHS) : k] if s >= start and s not in faults]
        if len(past) < MIN_MONTHS:
            continue
        usual = max(share[s] for s in past)
        noise = math.sqrt(max(usual * (1 - usual), 1 / rows[t]) / rows[t])
        if share[t] > usual + max(BURST_SHARE, BURST_Z * noise):
            before = median([share[s] for s in past])
            faults[t] = NULLS, f"missing values {before:.1%} -> {share[t]:.1%} ({empty[t]:,} rows)"
            continue
        same = [s for s in sound[:k] if s < t - REFERENCE_MONTHS // 2 and seasons[s] == seasons[t]]
        shift = _shift(logs, t, past, (_since_before(logs, s, sound, faults) for s in same if s not in faults))
        if shift is not None and is_unit_change(*shift) and not any(faults.get(s, ("",))[0] == UNIT for s in same):
            faults[t] = (
                UNIT,
                f"values times {10.0 ** round(shift[0]):g}, of the same shape: a change of unit ({rows[t] - empty[t]:,} rows)",
            )
    return faults


# Plain lists of a dozen numbers: their medians cost a fortieth of what an array's do.
_Logs = list[list[float]]  # of the mean and of the spread, month by month


def _shift(logs: _Logs, t: int, past: list[int], seasonal: Iterable[list[float] | None]) -> tuple[float, float] | None:
    """Return how far the logarithms of a month's mean and spread are from what was to be expected; ``None`` if that is unknown.

    Args:
        logs: Of the mean and of the spread.
        t: The month.
        past: Months before it.
        seasonal: Per earlier month of its season, how far that was from the median of the months before it; asked for only
            where the months before differ.
    """
    if not _are_finite(logs, [*past, t]):
        return None
    usual = _usual(logs, past)
    if all(abs(logs[0][s] - usual[0]) < STEADY for s in past):
        expected = _usual(logs, past[-MIN_MONTHS:])
    else:
        own = [each for each in seasonal if each is not None][-POOL_YEARS:]
        if len(own) < MIN_YEARS:
            return None
        middle = [median(values) for values in zip(*own, strict=True)]
        if any(abs(each[0] - middle[0]) >= STEADY for each in own):
            return None
        expected = [sum(pair) for pair in zip(usual, middle, strict=True)]
    return logs[0][t] - expected[0], logs[1][t] - expected[1]


def _since_before(logs: _Logs, t: int, sound: list[int], faults: dict[int, tuple[str, str]]) -> list[float] | None:
    """Return how far a month was from the median of the twelve before it; ``None`` without enough of them."""
    past = [s for s in sound if t - REFERENCE_MONTHS <= s < t and s not in faults]
    if len(past) < REFERENCE_MONTHS // 2 or not _are_finite(logs, [*past, t]):
        return None
    return [log[t] - usual for log, usual in zip(logs, _usual(logs, past), strict=True)]


def _usual(logs: _Logs, past: list[int]) -> list[float]:
    return [median([log[s] for s in past]) for log in logs]


def _are_finite(logs: _Logs, months: list[int]) -> bool:
    return all(math.isfinite(log[s]) for log in logs for s in months)


def lasting(kinds: dict[int, tuple[str, str]], t: int) -> int:
    """Return the month in which the fault of month ``t`` began: the first of an unbroken run."""
    while t - 1 in kinds:
        t -= 1
    return t
