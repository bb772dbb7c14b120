"""Faults in the record of a source, found in its daily counts, with the days and rows concerned.

Every event type is judged against its own past days: a type's nulls, sizes and hours hardly change when the mixture of
types does (a festival has more orders among its events, and so more prices). Days that were found faulty are no reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import lgamma, log

import numpy as np
import pyarrow as pa

from featurestore.drift.data_faults.daily_counts import DailyCounts
from featurestore.drift.data_faults.feature_fault import CLOCK, DUPLICATES, NULLS, STOPPED, UNIT, is_unit_change
from featurestore.timeline import Month

EVENT = "rows"
"""Name of a source's column that stands for the event as a whole."""
LEARNED_DAYS = 28
MIN_ROWS = 20
NULL_EXCESS = 0.05
NULL_Z = 6.0
UNIT_ERROR = 0.25
MIN_JUMP = 0.5
UNIT_DEVIATIONS = 8.0
STOPPED_SHARE = 0.1
MIN_DAILY_ROWS = 5
ACCEPTED_DAYS = 90
MAX_CHANCE = 1e-6
MIN_EARLY = 3
MIN_REDELIVERED = 10
USUAL_REDELIVERY = 4.0
HOUR_GAIN = 0.15
HOUR_MISFIT = 3.0
HOUR_ROWS = 100
MAX_OF_USUAL = 1.5


@dataclass(frozen=True)
class SourceFault:
    """Some days on which a source's record is wrong.

    Attributes:
        source: Name of the source.
        column: Column that is wrong; ``rows`` for events as a whole.
        kind: ``unit``, ``nulls``, ``clock``, ``stopped`` or ``duplicates``.
        types: Event types concerned; none where the source has none.
        first: First day.
        last: Last day.
        rows: Rows concerned; the missing ones of a source that stopped.
        factor: By how much a row's weight is wrong: the factor of a unit that is too large, else 1.
        daily_rows: Rows a day of these types in that month.
        what: In words.
    """

    source: str
    column: str
    kind: str
    types: tuple[str, ...]
    first: date
    last: date
    rows: int
    factor: float
    daily_rows: float
    what: str

    @property
    def day_count(self) -> float:
        """Days of ordinary rows that weigh as much as what is wrong."""
        return self.rows * max(self.factor, 1.0) / max(self.daily_rows, 1.0)

    @property
    def place(self) -> str:
        """Where it is: ``source.column``."""
        return f"{self.source}.{self.column}"

    def __str__(self) -> str:
        days = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        of = f" of {', '.join(self.types)}" if self.types else ""
        return f"{self.what} on {days} ({self.rows:,} rows{of})"


def find_source_faults(source: str, days: pa.Table, redelivered: Mapping[Month, int]) -> list[SourceFault]:
    """Find the faults in a source's daily counts, each inside one month, in order of time.

    Args:
        source: Name of the source.
        days: As ``lake.daily.daily_counts`` returns them, in any order.
        redelivered: Month to rows that were delivered again.
    """
    if not days.num_rows:
        return []
    daily = DailyCounts.of(days)
    flags = [*_nulls(daily), *_units(daily), *_early(daily), *_stopped(daily), *_shifted(daily)]
    faults = [*_joined(source, daily, flags), *_duplicates(source, daily, redelivered)]
    return sorted(faults, key=lambda fault: (fault.first, fault.column, fault.kind))


@dataclass(frozen=True)
class _Flag:
    """One faulty day of one type and column."""

    type: str | None
    column: str
    kind: str
    day: int
    rows: float
    what: str
    factor: float = 1.0


def _nulls(daily: DailyCounts) -> Iterator[_Flag]:
    """Flag days on which more of a column is NULL than on any sound day before, by percentage points and beyond chance."""
    for (kind, column), present in daily.present.items():
        rows = daily.rows[kind]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(rows >= MIN_ROWS, 1 - present / rows, np.nan)
        if np.nanmax(share, initial=0.0) - np.nanmin(share, initial=1.0) < NULL_EXCESS:
            continue
        most, seen, run = 0.0, 0, 0
        for day in np.flatnonzero(~np.isnan(share)).tolist():
            excess = float(share[day]) - most
            n = float(rows[day])
            noise = (max(most * (1 - most), 1 / n) / n) ** 0.5
            is_fault = seen >= LEARNED_DAYS and excess > max(NULL_EXCESS, NULL_Z * noise) and run < ACCEPTED_DAYS
            run = run + 1 if is_fault else 0
            if is_fault:
                yield _Flag(kind, column, NULLS, day, excess * n, "NULLs beyond what there ever were")
            else:
                most = max(most, float(share[day]))
                seen = seen + 1


def _units(daily: DailyCounts) -> Iterator[_Flag]:
    """Flag days on which a column's sizes are a power of ten off those of the four weeks before, with the same spread.

    A day between faulty ones whose few rows leave it open is not taken for a sound one.
    """
    for (kind, column), means in daily.log_mean.items():
        if np.nanmax(means, initial=-np.inf) - np.nanmin(means, initial=np.inf) < MIN_JUMP:
            continue
        present = daily.present[kind, column]
        spreads = daily.log_sd[kind, column]
        sound = list[int]()
        run = 0
        for day in np.flatnonzero((present >= MIN_ROWS // 2) & ~np.isnan(means)).tolist():
            recent = sound[-LEARNED_DAYS:]
            is_fault = is_open = False
            if len(recent) == LEARNED_DAYS and abs(means[day] - means[sound[-1]]) > MIN_JUMP:
                shift = float(means[day] - np.median(means[recent]))
                spread = float(np.nanmedian(spreads[recent]))
                error = 2 * spread / float(present[day]) ** 0.5
                is_clear = error < UNIT_ERROR and abs(shift) > UNIT_DEVIATIONS * float(np.std(means[recent]))
                is_alike = abs(float(spreads[day]) - spread) < UNIT_ERROR
                is_fault = is_clear and is_alike and run < ACCEPTED_DAYS
                is_fault = is_fault and is_unit_change(shift, round(shift), tolerance=0.1 + error)
                is_open = not is_fault and 0 < run < ACCEPTED_DAYS and abs(shift) > MIN_JUMP
            run = run + 1 if is_fault or is_open else 0
            if is_fault:
                factor = 10.0 ** round(shift)
                yield _Flag(kind, column, UNIT, day, float(present[day]), f"values times {factor:g}, of the same shape", factor)
            elif not is_open:
                sound.append(day)


def _early(daily: DailyCounts) -> Iterator[_Flag]:
    """Flag the days of a month in which more events than chance allows lie after the instant they were recorded at."""
    for kind, early in daily.early.items():
        if not early.any():
            continue
        rows = daily.rows[kind]
        months = np.array([daily.month(day).year * 12 + daily.month(day).month for day in range(daily.size)])
        past_early = past_rows = 0.0
        for month in np.unique(months):
            own = months == month
            count = float(early[own].sum())
            expected = float(rows[own].sum()) * (past_early + 1) / max(past_rows, 1.0)
            is_fault = past_rows >= HOUR_ROWS and count >= MIN_EARLY and _tail(count, expected) < MAX_CHANCE
            if is_fault:
                for day in np.flatnonzero(own & (early > 0)).tolist():
                    yield _Flag(
                        kind, "event_time", CLOCK, day, float(early[day]), "event times after the instant of their record"
                    )
            else:
                past_early = past_early + count
                past_rows = past_rows + float(rows[own].sum())


def _tail(count: float, expected: float) -> float:
    """Bound the chance of at least ``count`` events (Poisson) by its first term and a geometric series."""
    if count <= expected:
        return 1.0
    first = -expected + count * log(expected) - lgamma(count + 1)
    return float(np.exp(min(first, 0.0)) / (1 - expected / (count + 1)))


def _stopped(daily: DailyCounts) -> Iterator[_Flag]:
    """Flag days on which hardly any event of a type came, though that never happened before."""
    for kind, rows in daily.rows.items():
        begin = int(np.flatnonzero(rows)[0])
        sound = list[int]()
        least = np.inf
        run = 0
        for day in range(begin, daily.size):
            may_be = len(sound) >= LEARNED_DAYS and rows[day] < least >= MIN_DAILY_ROWS and run < ACCEPTED_DAYS
            usual = float(np.median(rows[sound[-LEARNED_DAYS:]])) if may_be else 0.0
            is_fault = usual >= MIN_ROWS and rows[day] < STOPPED_SHARE * usual
            run = run + 1 if is_fault else 0
            if is_fault:
                yield _Flag(kind, EVENT, STOPPED, day, usual - float(rows[day]), "events stay away")
            else:
                sound.append(day)
                least = min(least, float(rows[day]))


def _shifted(daily: DailyCounts) -> Iterator[_Flag]:
    """Flag days whose hours fit those of the four weeks before once they are moved, and do not as they are.

    A day of far more events than usual has hours of its own: a festival begins at midnight. A clock moves everything that it
    stamps, so most of the types that a day has rows enough of must have moved alike: one that moves alone works other hours.
    """
    judged = np.zeros(daily.size, int)
    moves = dict[int, list[tuple[str | None, int]]]()
    for kind, hours in daily.hours.items():
        rows = hours.sum(axis=1)
        sums = np.cumsum(np.concatenate([np.zeros((1, 24)), hours]), axis=0)
        days = np.flatnonzero((rows >= HOUR_ROWS) & (np.arange(daily.size) >= LEARNED_DAYS))
        days = days[rows[days] < MAX_OF_USUAL * (sums[days] - sums[days - LEARNED_DAYS]).sum(axis=1) / LEARNED_DAYS]
        if not len(days):
            continue
        judged[days] += 1
        past = sums[days] - sums[days - LEARNED_DAYS] + 0.5
        usual = np.log(past / past.sum(axis=1, keepdims=True))
        own = hours[days] / rows[days, None]
        moved = np.stack([np.roll(usual, by, axis=1) for by in range(24)], axis=1)
        fits = np.einsum("dh,dsh->ds", own, moved)
        best = fits.argmax(axis=1)
        entropy = (own * np.log(np.maximum(own, 1e-12))).sum(axis=1)
        misfit = entropy - fits.max(axis=1)
        unmoved = entropy - fits[:, 0]
        for i, day in enumerate(days.tolist()):
            before = unmoved[max(0, i - LEARNED_DAYS) : i]
            if not len(before) or best[i] == 0 or fits[i, best[i]] - fits[i, 0] < HOUR_GAIN:
                continue
            if misfit[i] < HOUR_MISFIT * float(np.median(before)):
                moves.setdefault(day, []).append((kind, int(best[i]) if best[i] <= 12 else int(best[i]) - 24))
    for day, moved_types in sorted(moves.items()):
        middle = sorted(by for _, by in moved_types)[len(moved_types) // 2]
        alike = [kind for kind, by in moved_types if abs(by - middle) <= 1]
        if 2 * len(alike) > judged[day]:
            for kind in alike:
                yield _Flag(kind, "event_time", CLOCK, day, float(daily.rows[kind][day]), f"hours moved by {middle:+d}")


def _joined(source: str, daily: DailyCounts, flags: Sequence[_Flag]) -> Iterator[SourceFault]:
    """Join the flagged days of a column, kind and month into one fault."""
    groups: dict[tuple[str, str, str, Month], list[_Flag]] = {}
    for flag in flags:
        groups.setdefault((flag.column, flag.kind, flag.what, daily.month(flag.day)), []).append(flag)
    for (column, kind, what, month), own in groups.items():
        days = [flag.day for flag in own]
        types = tuple(sorted({flag.type for flag in own if flag.type is not None}))
        factor = max(flag.factor for flag in own)
        rows = round(sum(flag.rows for flag in own))
        of_month = [day for day in range(daily.size) if daily.month(day) == month]
        usual = sum(float(daily.rows[kind][of_month].mean()) for kind in {flag.type for flag in own})
        span = daily.date(min(days)), daily.date(max(days))
        yield SourceFault(source, column, kind, types, *span, rows, factor, usual, what)


def _duplicates(source: str, daily: DailyCounts, redelivered: Mapping[Month, int]) -> Iterator[SourceFault]:
    """Find months of which much more was delivered again than of the twelve months before."""
    rows: dict[Month, float] = {}
    for day, count in enumerate(sum(daily.rows.values(), np.zeros(daily.size)).tolist()):
        rows[daily.month(day)] = rows.get(daily.month(day), 0.0) + count
    shares = {month: redelivered.get(month, 0) / max(count, 1.0) for month, count in rows.items()}
    for month, share in shares.items():
        usual = max((shares.get(month.shift(-back), 0.0) for back in range(1, 13)), default=0.0)
        count = redelivered.get(month, 0)
        if count >= MIN_REDELIVERED and share > USUAL_REDELIVERY * usual:
            last = month.next().first_day - timedelta(days=1)
            what = "events delivered again; ingest dropped them"
            yield SourceFault(source, EVENT, DUPLICATES, (), month.first_day, last, count, 1.0, rows[month] / last.day, what)
