"""Recalibration as functions of values: fit a challenger, compare it with the champion, decide.

    1. fit          rows since the change           -> the challenger's parameters
    2. back-test    held-out rows of each consumer  -> losses of both, and the interval of their difference
    3. gate         better beyond noise?            -> a decision, written down either way

Rows are those of the fitters: a row per month and member, with what was known before the month and what came in during it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.drift.recalibration.fitters import fitter
from featurestore.drift.recalibration.fitters.fitter import WEIGHT, column
from featurestore.drift.recalibration.gate import ConsumerVerdict, HeldOut, back_test, gate
from featurestore.errors import CalibrationError

NO_DATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Trigger:
    """What started a recalibration: a drifted feature, or a review or a person (``feature`` is then ``None``).

    Attributes:
        month: The audited month; nothing after it was looked at.
        feature: Column of the loudest episode, ``None`` without any.
        segment: Its segment.
        score: Its score, in units of its threshold.
        since: Estimated beginning of the change.
        episodes: Names of all episodes that asked, the loudest first.
        is_review: Whether it was time for a review.
    """

    month: str
    feature: str | None = None
    segment: str | None = None
    score: float | None = None
    since: date | None = None
    episodes: tuple[str, ...] = ()
    is_review: bool = False


@dataclass(frozen=True)
class Decision:
    """What a recalibration decided, and on what grounds; one row of the audit log.

    Attributes:
        calibration: Its name.
        trigger: What started it.
        fitted_from_us: First instant of the rows that the challenger was fitted on, UTC microseconds.
        fitted_until_us: First instant after those rows.
        held_out_months: Months of the back-test.
        comparisons: Losses per consumer.
        is_promoted: Whether the challenger is the new champion.
        reason: Why, in words.
        data: What the rows were computed from: versions of the committed tables by name.
    """

    calibration: str
    trigger: Trigger
    fitted_from_us: int
    fitted_until_us: int
    held_out_months: tuple[str, ...]
    comparisons: tuple[ConsumerVerdict, ...]
    is_promoted: bool
    reason: str
    data: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the decision as plain values that ``json`` can write."""
        plain = asdict(self) | {"data": dict(self.data)}
        plain["trigger"]["since"] = None if self.trigger.since is None else self.trigger.since.isoformat()
        for row, comparison in zip(plain["comparisons"], self.comparisons, strict=True):
            row["improvement"] = comparison.improvement
        return plain


def fit_parameters(rows: pa.Table, *, fit: str, champion: pa.Table | None = None) -> pa.Table:
    """Fit parameters with a fitter by name.

    Args:
        rows: As ``drift.recalibration.fitters.fitter`` describes.
        fit: Name of a fitter.
        champion: Parameters in production, if any: what the rows say nothing of may be kept.

    Raises:
        CalibrationError: an input column is missing, or the rows cannot be fitted.
        UnknownNameError: there is no such fitter.
    """
    return fitter(fit).fit(rows, champion)


def challenge(
    calibration: str,
    *,
    champion: pa.Table | None,
    challenger: pa.Table,
    held_out: pa.Table,
    consumers: Sequence[str],
    fit: str,
    loss: str,
    trigger: Trigger,
    fitted_us: tuple[int, int],
    held_out_months: tuple[str, ...],
    data: Mapping[str, str] = NO_DATA,
    seed: int = 0,
) -> Decision:
    """Compare a challenger with the champion and decide.

    Args:
        calibration: Its name.
        champion: Parameters in production; ``None`` if there are none yet: the challenger is then taken without a test.
        challenger: Parameters fitted on other months than the held-out ones.
        held_out: The fitter's rows of the held-out months; ``weight_<consumer>`` says how much of a row a consumer serves, all
            of it without that column.
        consumers: Who must not be worse off.
        fit: Name of the fitter.
        loss: Name of the loss.
        trigger: What started this.
        fitted_us: Instants ``[from, until)`` of the rows that the challenger was fitted on.
        held_out_months: For the record.
        data: What all of it was computed from, for the record.
        seed: Of the bootstrap.

    Raises:
        CalibrationError: a column is missing or the fitter cannot be judged by this loss.
    """
    chosen = fitter(fit)
    if loss not in chosen.losses:
        raise CalibrationError(f"{fit!r} cannot be judged by {loss!r}; its losses are {', '.join(chosen.losses)}.")
    if champion is None:
        comparisons: tuple[ConsumerVerdict, ...] = ()
        is_promoted, reason = True, "the first version: there was no champion to beat"
    else:
        old, new = (chosen.loss(parameters, held_out, loss) for parameters in (champion, challenger))
        sides = {
            consumer: HeldOut(held_out["code"].to_numpy(), old.values, new.values, new.trials, _weights(held_out, consumer))
            for consumer in consumers
        }
        comparisons = back_test(sides, loss=loss, seed=seed)
        is_promoted, reason = gate(comparisons)
    return Decision(
        calibration, trigger, *fitted_us, held_out_months, comparisons, is_promoted, reason, tuple(sorted(data.items()))
    )


def _weights(rows: pa.Table, consumer: str) -> np.ndarray:
    name = WEIGHT + consumer
    return column(rows, name) if name in rows.column_names else np.ones(len(rows))
