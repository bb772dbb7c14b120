"""Closing the loop: a drift asks for a recalibration, months since its onset are split, a challenger is tested, the log remembers.

``rules`` says whether a calibration may run as of a month and on which months. The last of these are held out, the rest is what
the challenger is fitted on; ``challenge`` decides on the held-out ones, ``record`` writes the decision and, if promoted, the new
champion together with the new baselines of the features that asked. A champion of another fitter, or without parameters that the
challenger has, is of another definition: it gives way without a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.drift.episode import Episode
from featurestore.drift.recalibration.calibration_versions import Challenger, champion, parameters, record
from featurestore.drift.recalibration.fitters import fitter
from featurestore.drift.recalibration.recalibrate import Decision, Trigger, challenge, fit_parameters
from featurestore.drift.recalibration.rules import (
    DEFINITION,
    RUNS,
    Outlook,
    RecalibrationPolicy,
    Runs,
    budget_spent,
    outlook,
    running_alone,
)
from featurestore.spec.calibration import Calibration
from featurestore.timeline import Month

DEFAULT_POLICY = RecalibrationPolicy()


@dataclass(frozen=True)
class CalibrationRows:
    """A calibration's rows, handed in by whoever can compute features.

    Args:
        of: Month to its table: ``code``, ``group``, each input of the fitter as known at the month's start, ``inflow_<input>``
            over the month, and perhaps ``weight_<consumer>``.
        first: First month with rows.
        end_us: Month to the first instant after it.
        data: What they are computed from, for the record.
    """

    of: Callable[[Month], pa.Table]
    first: Month
    end_us: Callable[[Month], int]
    data: Mapping[str, str] = field(default_factory=dict)


def recalibrate(
    calibration: Calibration,
    rows: CalibrationRows,
    *,
    folder: Path,
    months: Sequence[Month],
    episodes: Sequence[Episode],
    is_forced: bool = False,
    policy: RecalibrationPolicy = DEFAULT_POLICY,
    spent: Callable[[Month], int] | None = None,
) -> list[Decision]:
    """Fit, test and decide about one calibration as of some audited months, one after the other, where the rules allow it.

    Args:
        calibration: The calibration.
        rows: Its inputs by month.
        folder: Where its versions and its log are.
        months: The audited months, ascending; nothing after each is looked at.
        episodes: Episodes of the features that it depends on.
        is_forced: Whether a person asks for it: it then runs without an episode too, on the last months.
        policy: Cool-down and budget.
        spent: Month to the challengers that were tested as of it, of all calibrations; of this one alone by default.

    Returns:
        The decisions, also written to the log; none when nothing asks for one or it has to wait.

    Raises:
        CommitConflictError: another run of the calibration is under way; the same call may be made again.
    """
    decisions = []
    counted = spent or budget_spent([folder])
    with running_alone(folder):
        for month in months:
            ruling = outlook(
                Runs.of(folder),
                fitter(calibration.fit),
                month=month,
                first=rows.first,
                episodes=[episode for episode in episodes if episode.month <= month],
                policy=policy,
                runs_this_month=counted(month),
                is_forced=is_forced,
                definition=calibration.fitted_from,
            )
            if ruling.action == RUNS:
                decisions.append(_decide(calibration, rows, folder, ruling))
    return decisions


def _decide(calibration: Calibration, rows: CalibrationRows, folder: Path, ruling: Outlook) -> Decision:
    old = champion(folder)
    before = parameters(folder, old) if old and old.fit == calibration.fit and ruling.held_out else None
    cut = len(ruling.months) - ruling.held_out
    fit_months = ruling.months[:cut]
    held_out_months = ruling.months[cut:]
    fitted = fit_parameters(_rows(rows, fit_months), fit=calibration.fit, champion=before)
    if before is not None and not set(fitted.column_names) <= set(before.column_names):
        before = None  # it was fitted for other inputs: what reads it is NULL, so there is nothing to be worse than
    span_us = rows.end_us(fit_months[0].shift(-1)), rows.end_us(ruling.months[-1])
    decision = challenge(
        calibration.name,
        champion=before,
        challenger=fitted,
        held_out=_rows(rows, held_out_months),
        consumers=calibration.consumers or ("all",),
        fit=calibration.fit,
        loss=calibration.loss,
        trigger=_trigger(ruling),
        fitted_us=span_us,
        held_out_months=tuple(str(month) for month in held_out_months),
        data={**rows.data, DEFINITION: calibration.fitted_from},
    )
    if old and before is None:
        decision = replace(decision, reason=f"{old.name} was fitted for another definition, which features no longer read")
    resets = {episode.feature: (str(ruling.months[-1].next()),) for episode in ruling.episodes}
    record(folder, Challenger(fitted, calibration.fit, *span_us, resets=resets), decision)
    return decision


def _trigger(ruling: Outlook) -> Trigger:
    month = str(ruling.months[-1])
    names = tuple(episode.name for episode in ruling.episodes)
    if not ruling.episodes:
        return Trigger(month, is_review=ruling.is_review)
    loudest = ruling.episodes[0]
    return Trigger(month, loudest.feature, loudest.segment, loudest.score, loudest.since.first_day, names)


def _rows(rows: CalibrationRows, months: Sequence[Month]) -> pa.Table:
    """Stack the rows of some months, with the first day of each as ``month``; an empty table without months."""
    tables = []
    for month in months:
        table = rows.of(month)
        days = pa.array(np.full(len(table), np.datetime64(month.first_day)), pa.date32())
        tables.append(table.append_column("month", days))
    return pa.concat_tables(tables) if tables else pa.table({})
