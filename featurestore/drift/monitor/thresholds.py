"""Which changes matter: thresholds for the tests, gates for the sizes.

The thresholds were set for one false episode in about a hundred feature-years and are checked by ``benchmarks/drift.py``: a step
today must show more (it may be a campaign) than an older one, a ramp of the location less, shares more, since a feature has
many of them. A young series pays for the little that is known of its noise: z must pass
``sqrt(threshold^2 + 6 (60 / months - 1))``, the second term only below 60 months.

Segments pay for their number, and for what few rows tell of their noise: all of them together are to alarm much less often than
all rows. A noise that was learned from ``v`` months makes z a Student's t with ``v`` degrees of freedom, and so far out its tail
is not a normal's: for an alarm that is ``p`` times rarer, ``1 + z^2 / v`` must be ``p^(2 / (v + 1))`` times larger.

No test can tell a campaign from a step on the day. So a change whose likeliest beginning is this very month waits for the
next one, unless it is larger than campaigns are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.drift.monitor.changes.change import AGES, IS_RAMP, Evidence
from featurestore.drift.monitor.changes.fit import FIT_MONTHS
from featurestore.drift.monitor.changes.statistic import LOCATION, MISSING, SHARE, SPREAD
from featurestore.drift.reliability import CALIBRATION

STEP_NOW, STEP_BEFORE, RAMP = 0, 1, 2
THRESHOLDS = {
    LOCATION: (5.2, 4.4, 3.9),
    SPREAD: (5.4, 5.2, 5.2),
    MISSING: (5.2, 5.0, 5.0),
    SHARE: (5.4, 5.4, 5.4),
    CALIBRATION: (5.2, 4.4, 3.9),
}
GATES = {LOCATION: 0.10, SPREAD: 0.10, MISSING: 0.06, SHARE: 0.10, CALIBRATION: 0.06}
EXTREME_Z = 10.0
EXTREME_SIZES = {LOCATION: 2.0, SPREAD: 1.5, MISSING: 0.7, SHARE: 1.2, CALIBRATION: 0.5}
MAX_SCORE = 100.0
YOUTH = 6.0
SEGMENT_PRICE = 64.0
_CLASS = np.where(IS_RAMP, RAMP, np.where(AGES == 0, STEP_NOW, STEP_BEFORE))


@dataclass(frozen=True, eq=False)
class Alarms:
    """One month's verdict on ``S`` series of a kind.

    Attributes:
        score: [S] distance in units of its threshold: one where both the test and the size pass.
        age: [S] months since the likeliest change began; 0 is this month.
        is_ramp: [S] whether the likeliest change is a ramp.
        z: [S] its likelihood ratio, signed.
        size: [S] its estimated size until now, in the statistic's own measure.
        is_extreme: [S] whether it is too large to wait for another month.
    """

    score: np.ndarray
    age: np.ndarray
    is_ramp: np.ndarray
    z: np.ndarray
    size: np.ndarray
    is_extreme: np.ndarray


def rarer(limits: np.ndarray, times: np.ndarray, months: np.ndarray) -> np.ndarray:
    """Raise limits of z, so that noise known from ``months`` months passes them ``times`` times more rarely.

    >>> rarer(np.array([4.4, 4.4]), np.array([1.0, 2560.0]), np.array([60, 60])).round(1)
    array([4.4, 6.5])
    """
    return np.asarray(np.sqrt(months * ((1 + np.square(limits) / months) * times ** (2 / (months + 1)) - 1)))


def raise_alarms(
    evidence: Evidence, kind: str, *, segments: np.ndarray, months: np.ndarray, oldest: np.ndarray | float = np.inf
) -> Alarms:
    """Hold the tests of a month against thresholds and gates.

    Args:
        evidence: Of ``S`` series.
        kind: Kind of statistic.
        segments: [S] number of segments among which each series is one; 0 for all rows.
        months: [S] months in which each series has been seen.
        oldest: [S] months since each series' baseline: an older change has been answered.
    """
    youth = YOUTH * np.maximum(FIT_MONTHS / np.maximum(months, 1) - 1, 0.0)
    limits = np.sqrt(np.square(np.array(THRESHOLDS[kind])[_CLASS]) + youth[:, None])
    limits = rarer(
        limits, np.where(segments > 0, SEGMENT_PRICE * segments, 1.0)[:, None], np.clip(months, 12, FIT_MONTHS)[:, None]
    )
    is_open = np.reshape(oldest, (-1, 1)) >= AGES
    strength = np.where(is_open, np.abs(evidence.z), 0.0)
    size = np.abs(evidence.size)
    score = np.minimum(strength / limits, size / GATES[kind]).max(axis=1)
    best = strength.argmax(axis=1)
    index = np.arange(len(best))
    return Alarms(
        score=np.minimum(score, MAX_SCORE),
        age=AGES[best],
        is_ramp=IS_RAMP[best],
        z=evidence.z[index, best],
        size=evidence.size[index, best],
        is_extreme=(strength[index, best] > EXTREME_Z) & (size[index, best] > EXTREME_SIZES[kind]),
    )
