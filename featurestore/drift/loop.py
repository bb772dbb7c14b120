"""Closing the loop: which drift asks for which recalibration, and what is fitted and held out for it.

1. A calibration is asked for by episodes of the features that it is fitted from or that read it, since its last decision
   that was final.
2. Months from the onset of the loudest of them to the audited one are split: the last third (at most ``MOST_HELD_OUT``) is held
   out, the rest is what the challenger is fitted on. Fewer than ``LEAST_MONTHS`` months: it waits for the next audit.
3. ``challenge`` decides on the held-out months, ``record`` writes the decision and, if promoted, the new champion. A
   rejection on fewer than ``MOST_HELD_OUT`` months is not final: another challenger is tried when one more can be held out.
A calibration without a champion gets its first version from ``FIRST_MONTHS`` months of history, without a test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from featurestore.drift.audit import Episode
from featurestore.drift.calibrations import Challenger, audit_log, champion, parameters, record
from featurestore.drift.recalibrate import Decision, Trigger, challenge, fit_parameters, fitter
from featurestore.errors import CalibrationError
from featurestore.spec.service import Calibration
from featurestore.timeline import Month, months_between

LEAST_MONTHS = 3
MOST_MONTHS = 24
MOST_HELD_OUT = 3
FIRST_MONTHS = 12
INFLOW = "inflow_"


@dataclass(frozen=True)
class Rows:
    """A calibration's rows, handed in by whoever can compute features.

    Args:
        of: Month to its table: ``code``, ``group``, each input of the fitter as known at the month's start, and
            ``inflow_<input>`` over the month.
        first: First month with rows.
        end_us: Month to the first instant behind it.
    """

    of: Callable[[Month], pa.Table]
    first: Month
    end_us: Callable[[Month], int]


def recalibrate(
    calibration: Calibration,
    rows: Rows,
    *,
    folder: Path,
    months: Sequence[Month],
    episodes: Sequence[Episode],
    is_forced: bool = False,
) -> list[Decision]:
    """Fit, test and decide about one calibration as of some audited months, one after the other, if something asks for it.

    Args:
        calibration: Which.
        rows: Its inputs by month.
        folder: Where its versions and its log are.
        months: The audited months, ascending; nothing after each is looked at.
        episodes: Episodes of the features that it depends on.
        is_forced: Whether a person asks: then without an episode too, on the last ``FIRST_MONTHS`` months.

    Returns:
        The decisions, also written to the log; none when nothing asks for one or there are too few months yet.
    """
    found = (
        _recalibrate(calibration, rows, folder, month, [each for each in episodes if each.month <= month], is_forced)
        for month in months
    )
    return [decision for decision in found if decision is not None]


def _recalibrate(
    calibration: Calibration, rows: Rows, folder: Path, month: Month, episodes: Sequence[Episode], is_forced: bool
) -> Decision | None:
    if champion(folder) is None:
        start = month.shift(1 - FIRST_MONTHS)
        trigger = Trigger(str(month))
        return None if start < rows.first else _decide(calibration, rows, folder, (start, month), trigger, [])
    pending, tried = _unanswered(folder, episodes)
    if not pending and not is_forced:
        return None
    loudest = max(pending, key=lambda episode: episode.score, default=None)
    since = loudest.since if loudest else month.shift(1 - FIRST_MONTHS)
    start = max(since, month.shift(1 - MOST_MONTHS), rows.first)
    if _held_out_count(start, month) <= (0 if is_forced else tried):
        return None
    trigger = Trigger(str(month))
    if loudest is not None:
        trigger = Trigger(str(month), loudest.feature, loudest.segment, loudest.score, since.first_day)
    return _decide(calibration, rows, folder, (start, month), trigger, pending)


def _unanswered(folder: Path, episodes: Sequence[Episode]) -> tuple[list[Episode], int]:
    """List the episodes since the last final decision, and the most months that a rejected challenger was tested on since."""
    final, tried = "", 0
    for text in audit_log(folder)["decision"].to_pylist():
        decision = json.loads(text) if text else None
        if decision is None:
            continue
        held_out = len(decision["held_out_months"])
        if decision["is_promoted"] or held_out >= MOST_HELD_OUT:
            final, tried = decision["trigger"]["month"], 0
        else:
            tried = max(tried, held_out)
    return [episode for episode in episodes if str(episode.month) > final], tried


def _held_out_count(start: Month, month: Month) -> int:
    return min(MOST_HELD_OUT, len(months_between(start, month)) // LEAST_MONTHS)


def _decide(
    calibration: Calibration,
    rows: Rows,
    folder: Path,
    span: tuple[Month, Month],
    trigger: Trigger,
    pending: Sequence[Episode],
) -> Decision:
    months = months_between(*span)
    old = champion(folder)
    held_out_months = months[len(months) - _held_out_count(*span) :] if old else []
    fit_months = months[: len(months) - len(held_out_months)]
    names = fitter(calibration.fit).inputs
    if len(names) != len(calibration.inputs):
        raise CalibrationError(
            f"Calibration {calibration.name!r} has {len(calibration.inputs)} inputs; {calibration.fit!r} takes {', '.join(names)}."
        )
    fitted = fit_parameters(_summed([rows.of(month) for month in fit_months], names), fit=calibration.fit)
    held_out = _held_out([rows.of(month) for month in held_out_months], names) if held_out_months else None
    span_us = rows.end_us(fit_months[0].shift(-1)), rows.end_us(months[-1])
    decision = challenge(
        calibration.name,
        champion=parameters(folder, old) if old else None,
        challenger=fitted,
        held_out={} if held_out is None else dict.fromkeys(calibration.consumers or ("all",), held_out),
        fit=calibration.fit,
        loss=calibration.loss,
        trigger=trigger,
        fitted_us=span_us,
        held_out_months=tuple(str(month) for month in held_out_months),
    )
    resets = {episode.feature: (str(months[-1].next()),) for episode in pending}
    record(folder, Challenger(fitted, calibration.fit, *span_us, resets=resets), decision)
    return decision


def _summed(tables: Sequence[pa.Table], names: Sequence[str]) -> pa.Table:
    """Add the inflows of some months up, a row per entity, under the fitter's own names."""
    table = pa.concat_tables(tables)
    keys = [name for name in ("code", "group") if name in table.column_names]
    added = table.group_by(keys).aggregate([(INFLOW + name, "sum") for name in names])
    return added.rename_columns({f"{INFLOW}{name}_sum": name for name in names})


def _held_out(tables: Sequence[pa.Table], names: Sequence[str]) -> pa.Table:
    """Join what was known at the first held-out month's start with what came in during all of them."""
    known = tables[0].select([name for name in ("code", "group", *names) if name in tables[0].column_names])
    outcome = _summed(tables, names).rename_columns({name: f"held_out_{name}" for name in names})
    return known.join(
        outcome.drop_columns([name for name in ("group",) if name in outcome.column_names]), "code", join_type="inner"
    )
