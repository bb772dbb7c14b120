"""States of a feature and how they follow each other.

insufficient    the month cannot be judged; the reason says why
ok              nothing passes its threshold
watch           something does, for the first month or slowly
drift           it did so in two months running, or at once when extreme: the month in which an episode begins
latched         the episode goes on until it is answered by a recalibration or an acknowledgement, or released

A latch must not hide what comes next. Some months after it entered ``drift`` (``DriftPolicy.settle_months``) a feature is judged
against the level that it has reached by then, if it still differs from the old one; another change enters ``drift`` again.
What all rows show is their episode: a segment is at ``watch`` as long as they show it.
A data fault is no drift: it enters ``drift`` at once, stays ``latched`` while it lasts, and leaves the feature where it stood before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

INSUFFICIENT, OK, WATCH, DRIFT, LATCHED = "insufficient", "ok", "watch", "drift", "latched"
STATES = (INSUFFICIENT, OK, WATCH, DRIFT, LATCHED)


@dataclass(frozen=True)
class Finding:
    """What one month says of one feature and segment.

    Attributes:
        score: Distance in units of its threshold.
        kind: The distance that decided.
        text: What the month shows, in words.
        onset: Index of the month in which the change is estimated to have begun.
        is_confirmed: It began before this month, so a second month agrees.
        is_extreme: It needs no confirmation.
        is_slow: It passes no threshold, but a slow comparison has for months.
        is_fault: It says something about the record of the feature, nothing about the feature.
    """

    score: float
    kind: str
    text: str
    onset: int
    is_confirmed: bool = False
    is_extreme: bool = False
    is_slow: bool = False
    is_fault: bool = False

    def shared(self) -> Finding:
        """Return what is left of a segment's finding when all rows show it: something to watch, no episode of its own."""
        return replace(self, text=f"{self.text}; all rows show a change as well", is_confirmed=False, is_extreme=False)


@dataclass(frozen=True)
class Standing:
    """Where a feature stands after a month.

    Attributes:
        state: Its state.
        since: Month index of the open episode's estimated beginning; ``None`` without an episode.
        entered: Month index at which the episode entered ``drift``.
    """

    state: str = INSUFFICIENT
    since: int | None = None
    entered: int | None = None

    @property
    def is_latched(self) -> bool:
        """Whether an episode is open; it stays open through insufficient months."""
        return self.since is not None

    def is_over(self, t: int, release_months: int | None) -> bool:
        """Whether the open episode is so old at month ``t`` that it counts as acknowledged."""
        return release_months is not None and self.entered is not None and t - self.entered >= release_months

    def is_settled(self, t: int, settle_months: int) -> bool:
        """Whether the open episode is old enough at month ``t`` for a level of its own."""
        return self.entered is not None and t - self.entered >= settle_months

    def followed_by(self, state: str, since: int | None, *, t: int) -> Standing:
        """Return the standing after month ``t``, whose state and episode are known."""
        return Standing(state, since, None if since is None else t if state == DRIFT else self.entered)


def advance(standing: Standing, finding: Finding | None, *, t: int, settle_months: int = 3) -> Standing:
    """Return the standing after a month.

    Args:
        standing: After the month before; a recalibrated feature starts from ``Standing()``.
        finding: What the month says; ``None`` when it cannot be judged.
        t: Index of the month.
        settle_months: Months after which a latched feature is judged against its new level. A change that is dated before
            that belongs to the open episode.

    >>> alarm = Finding(1.3, "location", "", onset=30)
    >>> advance(Standing(OK), alarm, t=30).state
    'watch'
    >>> drift = advance(Standing(WATCH), Finding(1.3, "location", "", onset=30, is_confirmed=True), t=31)
    >>> drift
    Standing(state='drift', since=30, entered=31)
    >>> advance(drift, None, t=32).state, advance(drift, alarm, t=32).state
    ('insufficient', 'latched')
    >>> advance(drift, Finding(1.3, "location", "", onset=50, is_confirmed=True), t=51)
    Standing(state='drift', since=50, entered=51)
    """
    if finding is None:
        return standing.followed_by(INSUFFICIENT, standing.since, t=t)
    is_drift = finding.score >= 1 and (finding.is_confirmed or finding.is_extreme)
    if standing.is_latched:
        is_next = is_drift and standing.is_settled(finding.onset, settle_months)
        return standing.followed_by(DRIFT if is_next else LATCHED, finding.onset if is_next else standing.since, t=t)
    if finding.score >= 1:
        return standing.followed_by(DRIFT, finding.onset, t=t) if is_drift else Standing(WATCH)
    return Standing(WATCH if finding.is_slow else OK)
