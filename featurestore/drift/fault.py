"""Data faults: the world is as it was, but the record of it is wrong. They are no drift and start no recalibration.

    schema       a column is absent or of another type
    unit         numbers are a power of ten larger or smaller, their shape is the same: cents for yuan
    nulls        values are missing at once and in masses
    clock        events lie behind the instant at which they were recorded, or their hours are shifted
    stopped      events of a kind stay away for days
    duplicates   events were delivered again; ingest has dropped them

A feature's own record shows the first three. A fault alerts in the month in which it is seen, is no evidence about the feature,
and is over when the record is right again.
"""

from __future__ import annotations

import numpy as np

SCHEMA, UNIT, NULLS, CLOCK, STOPPED, DUPLICATES = "schema", "unit", "nulls", "clock", "stopped", "duplicates"
FAULT_KINDS = (SCHEMA, UNIT, NULLS, CLOCK, STOPPED, DUPLICATES)
REFERENCE_MONTHS = 12
LEAST_MONTHS = 3
BURST_SHARE = 0.3
BURST_Z = 6.0
UNIT_TOLERANCE = 0.12
STEADY = 0.3


def is_unit_change(shift: float, log_ratio: float, *, tolerance: float = UNIT_TOLERANCE) -> bool:
    """Say whether a shift of log10 is a whole number other than zero, and the spread's logarithm agrees with it.

    >>> is_unit_change(2.02, 1.97), is_unit_change(0.3, 0.3), is_unit_change(1.0, 0.1)
    (True, False, False)
    """
    power = round(shift)
    return power != 0 and abs(shift - power) < tolerance and abs(log_ratio - power) < 2 * tolerance


def feature_faults(
    *, rows: np.ndarray, empty: np.ndarray, mean: np.ndarray, sd: np.ndarray, is_sound: np.ndarray, baselines: list[int]
) -> dict[int, tuple[str, str]]:
    """Find the months of one feature in which its values are in another unit, or missing in masses.

    A month is held against the last twelve sound ones; a fault that lasts longer has become normal.

    Args:
        rows: [M] all rows.
        empty: [M] rows without a value.
        mean: [M] of its finite values; NaN where it has none.
        sd: [M] their standard deviation.
        is_sound: [M] months that can be compared.
        baselines: Months from which the feature has a new baseline, ascending.

    Returns:
        Month index to kind and words.
    """
    found: dict[int, tuple[str, str]] = {}
    sound = [int(t) for t in np.flatnonzero(is_sound)]
    with np.errstate(divide="ignore", invalid="ignore"):
        share, log_mean, log_sd = empty / rows, np.log10(np.abs(mean)), np.log10(sd)
    for t in sound:
        start = max([t - REFERENCE_MONTHS, *(baseline for baseline in baselines if baseline <= t)])
        past = np.array([s for s in sound if start <= s < t and s not in found])
        if len(past) < LEAST_MONTHS:
            continue
        usual = float(share[past].max())
        noise = np.sqrt(max(usual * (1 - usual), 1 / rows[t]) / rows[t])
        if share[t] > usual + max(BURST_SHARE, BURST_Z * noise):
            found[t] = NULLS, f"missing values {np.median(share[past]):.1%} -> {share[t]:.1%} ({empty[t]:,} rows)"
            continue
        if not np.isfinite([log_mean[[*past, t]], log_sd[[*past, t]]]).all():
            continue
        recent = past[-LEAST_MONTHS:]
        shift, ratio = (float(own[t] - np.median(own[recent])) for own in (log_mean, log_sd))
        is_steady = bool((np.abs(log_mean[past] - np.median(log_mean[past])) < STEADY).all())
        if is_steady and is_unit_change(shift, ratio):
            found[t] = (
                UNIT,
                f"values times {10.0 ** round(shift):g}, of the same shape: a change of unit ({rows[t] - empty[t]:,} rows)",
            )
    return found


def lasting(kinds: dict[int, tuple[str, str]], t: int) -> int:
    """Return the month in which the fault of month ``t`` began: the first of an unbroken run."""
    while t - 1 in kinds:
        t -= 1
    return t
