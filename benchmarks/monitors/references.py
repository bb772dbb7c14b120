"""What monitors without a memory compare a month with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

import pyarrow as pa

from benchmarks.monitors.alarms import Alarms, of_months
from benchmarks.monitors.worlds import FIRST_SCORED

PREVIOUS, FIRST_YEAR = "the previous month", "the first year"
Verdict = Callable[[pa.Table, pa.Table], Iterable[str]]


def compared(months: Iterable[tuple[date, pa.Table]], reference: str, verdict: Verdict) -> dict[str, list[Alarms]]:
    """Ask of each scored month which features differ from the reference.

    Args:
        months: First day and rows of each month, in order.
        reference: ``PREVIOUS`` or ``FIRST_YEAR``.
        verdict: Takes the month's rows and the reference's, returns the features that it calls drifted.
    """
    held: list[pa.Table] = []
    cried: dict[str, list[int]] = {}
    for t, (_, rows) in enumerate(months):
        if t >= FIRST_SCORED:
            for feature in verdict(rows, pa.concat_tables(held)):
                cried.setdefault(feature, []).append(t)
        if reference == PREVIOUS:
            held = [rows]
        elif t < 12:
            held.append(rows)
    return of_months(cried)
