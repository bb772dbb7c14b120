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

from collections.abc import Iterable, Sequence

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
        share = empty / rows
        logs = np.log10([np.abs(mean), sd])
    for t in sound:
        start = max([t - REFERENCE_MONTHS, *(baseline for baseline in baselines if baseline <= t)])
        past = np.array([s for s in sound if start <= s < t and s not in faults])
        if len(past) < MIN_MONTHS:
            continue
        usual = float(share[past].max())
        noise = np.sqrt(max(usual * (1 - usual), 1 / rows[t]) / rows[t])
        if share[t] > usual + max(BURST_SHARE, BURST_Z * noise):
            faults[t] = NULLS, f"missing values {np.median(share[past]):.1%} -> {share[t]:.1%} ({empty[t]:,} rows)"
            continue
        same = [s for s in sound if s < t - REFERENCE_MONTHS // 2 and seasons[s] == seasons[t]]
        shift = _shift(logs, t, past, (_since_before(logs, s, sound, faults) for s in same if s not in faults))
        if shift is not None and is_unit_change(*shift) and not any(faults.get(s, ("",))[0] == UNIT for s in same):
            faults[t] = (
                UNIT,
                f"values times {10.0 ** round(shift[0]):g}, of the same shape: a change of unit ({rows[t] - empty[t]:,} rows)",
            )
    return faults


def _shift(logs: np.ndarray, t: int, past: np.ndarray, seasonal: Iterable[np.ndarray]) -> tuple[float, float] | None:
    """Return how far the logarithms of a month's mean and spread are from what was to be expected; ``None`` if that is unknown.

    Args:
        logs: [2, M] of the mean and of the spread.
        t: The month.
        past: Months before it.
        seasonal: Per earlier month of its season, [2] how far that was from the median of the months before it; asked for only
            where the months before differ.
    """
    if not np.isfinite(logs[:, [*past, t]]).all():
        return None
    usual = np.median(logs[:, past], axis=1)
    if (np.abs(logs[0, past] - usual[0]) < STEADY).all():
        shift = logs[:, t] - np.median(logs[:, past[-MIN_MONTHS:]], axis=1)
    else:
        own = np.array([each for each in seasonal if np.isfinite(each).all()][-POOL_YEARS:])
        if len(own) < MIN_YEARS or (np.abs(own - np.median(own, axis=0))[:, 0] >= STEADY).any():
            return None
        shift = logs[:, t] - usual - np.median(own, axis=0)
    return float(shift[0]), float(shift[1])


def _since_before(logs: np.ndarray, t: int, sound: list[int], faults: dict[int, tuple[str, str]]) -> np.ndarray:
    """Return how far a month was from the median of the twelve before it -> [2]; NaN without enough of them."""
    past = [s for s in sound if t - REFERENCE_MONTHS <= s < t and s not in faults]
    if len(past) < REFERENCE_MONTHS // 2 or not np.isfinite(logs[:, [*past, t]]).all():
        return np.full(2, np.nan)
    return np.asarray(logs[:, t] - np.median(logs[:, past], axis=1))


def lasting(kinds: dict[int, tuple[str, str]], t: int) -> int:
    """Return the month in which the fault of month ``t`` began: the first of an unbroken run."""
    while t - 1 in kinds:
        t -= 1
    return t
