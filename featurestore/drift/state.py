"""States of a feature and how they follow each other.

insufficient    the month cannot be judged; the reason says why
ok              nothing passes its threshold
watch           something does, for the first month or slowly
drift           it did so in two months running, or at once when extreme: the month in which an episode begins
latched         the episode goes on until the feature is recalibrated, whatever later months look like
"""

from __future__ import annotations

from dataclasses import dataclass

INSUFFICIENT, OK, WATCH, DRIFT, LATCHED = "insufficient", "ok", "watch", "drift", "latched"
STATES = (INSUFFICIENT, OK, WATCH, DRIFT, LATCHED)


@dataclass(frozen=True)
class Finding:
    """What one month says of one feature and segment.

    Attributes:
        score: Distance in units of its threshold.
        kind: The distance that decided.
        text: It in words.
        onset: Index of the month in which the change is estimated to have begun.
        is_confirmed: It began before this month, so a second month agrees.
        is_extreme: It needs no confirmation.
        is_slow: It passes no threshold, but a slow comparison has for months.
    """

    score: float
    kind: str
    text: str
    onset: int
    is_confirmed: bool = False
    is_extreme: bool = False
    is_slow: bool = False


@dataclass(frozen=True)
class Standing:
    """Where a feature stands after a month: its state, and since when (a month index) if something changed."""

    state: str = INSUFFICIENT
    since: int | None = None

    @property
    def is_latched(self) -> bool:
        """Whether an episode is open; it stays open through insufficient months."""
        return self.since is not None


def advance(standing: Standing, finding: Finding | None) -> Standing:
    """Return the standing after a month.

    Args:
        standing: After the month before; a recalibrated feature starts from ``Standing()``.
        finding: What the month says; ``None`` when it cannot be judged.

    >>> alarm = Finding(1.3, "location", "", onset=30)
    >>> advance(Standing(OK), alarm)
    Standing(state='watch', since=None)
    >>> confirmed = Finding(1.3, "location", "", onset=30, is_confirmed=True)
    >>> advance(Standing(WATCH), confirmed), advance(Standing(DRIFT, 30), None), advance(Standing(INSUFFICIENT, 30), alarm)
    (Standing(state='drift', since=30), Standing(state='insufficient', since=30), Standing(state='latched', since=30))
    """
    if finding is None:
        return Standing(INSUFFICIENT, standing.since)
    if standing.is_latched:
        return Standing(LATCHED, standing.since)
    if finding.score >= 1:
        return Standing(DRIFT, finding.onset) if finding.is_confirmed or finding.is_extreme else Standing(WATCH)
    return Standing(WATCH if finding.is_slow else OK)
