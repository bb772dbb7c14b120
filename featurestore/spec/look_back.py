"""How far back the monthly score of a feature looks: one rule for whoever computes it and for whoever asks what may spoil it.

A feature is scored at the end of a month as it is, if its level holds a year at most. One that holds more, or another length at
each as_of, moves by construction as a history grows: it is scored on what the month brought, and a carried value only if it is not
older than a year. A value that forgets holds no more than it remembers, whatever its window.

    Sum 90d                     [end - 90 d, end)
    Sum lifetime, ytd, season   the month
    Last lifetime               [end - 1 y, end)
    Offset("30d", by="1y")      [end - 1 y - 30 d, end - 1 y)
    YearBefore("30d")           the 30 days that end at the counterpart of the end, a year before by the calendar
    Decayed, half-life 30 d     [end - 300 d, end), each day at the weight of its age

What people plan with from hour to hour has no monthly score: in a view that counts by the hour or by the event, windows of up to a
day, since the last hours of a month say nothing about it, and each ``YearBefore``, which was the present once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from featurestore.spec.season_windows import YearBefore
from featurestore.spec.view import Feature, FeatureView
from featurestore.timeline import Clock, Window

LONGEST_LEVEL_HOURS = 24 * 365
INFLOW, RECENT = "inflow", "within a year"


def scored_features(view: FeatureView) -> list[Feature]:
    """List the features of a view that have a monthly score, in its order; a derived one has if something that it reads has."""
    return [feature for feature in view.features if _is_scored(feature, view)]


def scored_feature(feature: Feature, month: Window) -> Feature:
    """Return the feature over the window that a month's score looks at.

    Args:
        feature: As it is declared.
        month: The month's length (``Month.window``).
    """
    if feature.aggregation is None or not _is_long(feature):
        return feature
    if feature.aggregation.is_carried:
        return replace(feature, window=Window(RECENT, LONGEST_LEVEL_HOURS))
    return replace(feature, window=Window(INFLOW, month.hours))


def is_inflow(feature: Feature) -> bool:
    """Tell whether a scored feature looks at what the month brought, and at nothing before it."""
    return feature.window is not None and feature.window.text == INFLOW


def full_after_hours(feature: Feature, features: Sequence[Feature]) -> int:
    """Return how long a history must be, in hours, before a scored feature has its full level; derived features read others.

    Args:
        feature: A scored feature.
        features: All scored features of its view.
    """
    if feature.expression:
        by_name = {scored.name: scored for scored in features}
        return max((full_after_hours(by_name[name], features) for name in feature.expression.columns), default=0)
    if feature.window is None or feature.aggregation is None:
        return 0
    return _shorter(feature.window.look_back_hours, feature.aggregation.memory_hours) or 0


@dataclass(frozen=True, eq=False)
class LookBack:
    """The steps that the scores of some months look at.

    Attributes:
        spans: Disjoint spans of steps, the latest first, each as its first step per month and the step after its last (int64).
        half_life: Steps after which a step counts half; ``None`` where all count alike.
    """

    spans: tuple[tuple[np.ndarray, np.ndarray], ...]
    half_life: int | None = None

    def shares(self, first: int, end: int) -> np.ndarray:
        """Return the share of each month's weight that the steps ``[first, end)`` have; 0 where it looks at nothing.

        >>> LookBack(((np.array([0, 31]), np.array([31, 60])),)).shares(21, 41).round(2)
        array([0.32, 0.34])
        """
        newest = self.spans[0][1]
        whole = sum(self._weight(left, right, newest) for left, right in self.spans)
        held = sum(self._weight(np.maximum(left, first), np.minimum(right, end), newest) for left, right in self.spans)
        return np.asarray(np.divide(held, whole, out=np.zeros(len(newest)), where=np.asarray(whole) > 0))

    def _weight(self, left: np.ndarray, right: np.ndarray, newest: np.ndarray) -> np.ndarray:
        right = np.maximum(left, right)
        if self.half_life is None:
            return np.asarray(right - left, float)
        ages = ((newest - edge) / self.half_life for edge in (right, left))
        young, old = (2.0**-age for age in ages)
        return np.asarray((young - old) * self.half_life / log(2))


def look_backs(feature: Feature, clock: Clock, *, starts: np.ndarray, ends: np.ndarray, delay: int) -> Iterable[LookBack]:
    """Yield what the scores of a feature look at, at the end of each of some months.

    A carried value comes from one event, in most rows a recent one: so beside its window, the month is yielded by itself.

    Args:
        feature: An aggregation over a window, as it is declared.
        clock: Grain and time zone of its view.
        starts: First step of each month (int64).
        ends: The step after the last one of each month (int64).
        delay: Steps by which the view's windows are moved back.
    """
    assert feature.aggregation is not None
    whole_month = LookBack(((starts - delay, ends - delay),), feature.aggregation.half_life_steps(clock.grain))
    scored = scored_feature(feature, Window(INFLOW, 0))
    if is_inflow(scored) or feature.aggregation.is_carried:
        yield whole_month
    if is_inflow(scored) or scored.window is None:
        return
    kept = Window(RECENT, feature.aggregation.memory_hours).steps(clock.grain)
    remembered = [] if kept is None else [ends - delay - kept]
    pieces = scored.window.pieces(clock, ends, delay)
    lefts = [[*remembered, *([piece.left.steps] if piece.left else [])] for piece in pieces]
    spans = [(np.max(left, axis=0), piece.right.steps) for left, piece in zip(lefts, pieces, strict=True)]
    yield LookBack(tuple(spans), whole_month.half_life)


def _is_scored(feature: Feature, view: FeatureView) -> bool:
    if feature.expression:
        read = feature.expression.columns
        return not read or any(_is_scored(view.feature(name), view) for name in read)
    if view.grain == "1d" or feature.window is None:
        return True
    hours = feature.window.length_hours
    return not isinstance(feature.window, YearBefore) and (hours is None or hours > 24)


def _is_long(feature: Feature) -> bool:
    """Whether the feature's level moves by construction: it holds more than a year, or a different length at each as_of."""
    if feature.window is None or feature.aggregation is None:
        return False
    hours = _shorter(feature.window.length_hours, feature.aggregation.memory_hours)
    return hours is None or hours > LONGEST_LEVEL_HOURS


def _shorter(one: int | None, other: int | None) -> int | None:
    """Return the shorter of two lengths; ``None`` is endless."""
    return min((length for length in (one, other) if length is not None), default=None)
