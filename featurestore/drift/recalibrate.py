"""Recalibration as functions of values: fit a challenger, compare it with the champion, decide.

    1. fit          rows since the change           -> the challenger's parameters
    2. back-test    held-out rows of each consumer  -> losses of both, and the interval of their difference
    3. gate         better beyond noise?            -> a decision, written down either way

Rows are tables with a column ``group`` and the inputs of the fitter, ``successes`` and ``trials`` for ``beta_binomial``.
Held-out rows say in ``held_out_successes`` and ``held_out_trials`` what came afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.drift.backtest import Comparison, HeldOut, back_test, gate
from featurestore.drift.beta_binomial import fit_beta_binomial, shrunken_rates
from featurestore.errors import CalibrationError, UnknownNameError, did_you_mean


@dataclass(frozen=True)
class Trigger:
    """What started a recalibration: a drifted feature, or a person (``feature`` is then ``None``)."""

    month: str
    feature: str | None = None
    segment: str | None = None
    score: float | None = None
    since: date | None = None


@dataclass(frozen=True)
class Decision:
    """What a recalibration decided, and on what grounds; one row of the audit log.

    Attributes:
        calibration: Its name.
        trigger: What started it.
        fitted_from_us: First instant of the rows that the challenger was fitted on, UTC microseconds.
        fitted_until_us: First instant behind them.
        held_out_months: Months of the back-test.
        comparisons: Losses per consumer.
        is_promoted: Whether the challenger is the new champion.
        reason: Why, in words.
    """

    calibration: str
    trigger: Trigger
    fitted_from_us: int
    fitted_until_us: int
    held_out_months: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    is_promoted: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the decision as plain values that ``json`` can write."""
        plain = asdict(self)
        plain["trigger"]["since"] = None if self.trigger.since is None else self.trigger.since.isoformat()
        for row, comparison in zip(plain["comparisons"], self.comparisons, strict=True):
            row["improvement"] = comparison.improvement
        return plain


@dataclass(frozen=True)
class Fitter:
    """How parameters are fitted from rows and turned into rates.

    Attributes:
        inputs: Columns it takes, in the order of a calibration's inputs.
        fit: Rows to a table of parameters: ``group``, then numbers.
        rates: Parameters and rows to a rate per row.
    """

    inputs: tuple[str, ...]
    fit: Callable[[pa.Table], pa.Table]
    rates: Callable[[pa.Table, pa.Table], np.ndarray]


def _groups(rows: pa.Table) -> pa.ChunkedArray | None:
    return rows["group"] if "group" in rows.column_names else None


FITTERS: Mapping[str, Fitter] = {
    "beta_binomial": Fitter(
        inputs=("successes", "trials"),
        fit=lambda rows: fit_beta_binomial(rows["successes"], rows["trials"], _groups(rows)),
        rates=lambda parameters, rows: shrunken_rates(parameters, rows["successes"], rows["trials"], _groups(rows)),
    )
}


def fitter(name: str) -> Fitter:
    """Return a fitter by name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in FITTERS:
        raise UnknownNameError(f"There is no fitter {name!r}.{did_you_mean(name, FITTERS)}")
    return FITTERS[name]


def fit_parameters(rows: pa.Table, *, fit: str) -> pa.Table:
    """Fit parameters with a fitter by name.

    Args:
        rows: The fitter's inputs as columns, and ``group``, if any.
        fit: Name of a fitter.

    Raises:
        CalibrationError: an input column is missing, or the rows cannot be fitted.
        UnknownNameError: there is no such fitter.
    """
    chosen = fitter(fit)
    _check_columns(rows, chosen.inputs, f"Rows for the fitter {fit!r}")
    return chosen.fit(rows)


def challenge(
    calibration: str,
    *,
    champion: pa.Table | None,
    challenger: pa.Table,
    held_out: Mapping[str, pa.Table],
    fit: str,
    loss: str,
    trigger: Trigger,
    fitted_us: tuple[int, int],
    held_out_months: tuple[str, ...],
    seed: int = 0,
) -> Decision:
    """Compare a challenger with the champion and decide.

    Args:
        calibration: Its name.
        champion: Parameters in production; ``None`` if there are none yet: the challenger is then taken without a test.
        challenger: Parameters fitted on other months than the held-out ones.
        held_out: Consumer to its rows: the fitter's inputs as known before the held-out months, ``group``, and the outcome in
            ``held_out_successes`` and ``held_out_trials``.
        fit: Name of the fitter.
        loss: Name of the loss.
        trigger: What started this.
        fitted_us: Instants ``[from, until)`` of the rows that the challenger was fitted on.
        held_out_months: For the record.
        seed: Of the bootstrap.

    Raises:
        CalibrationError: a column is missing or the loss is unknown.
    """
    if champion is None:
        comparisons: tuple[Comparison, ...] = ()
        is_promoted, reason = True, "the first version: there was no champion to beat"
    else:
        chosen, sides = fitter(fit), {}
        for consumer, rows in held_out.items():
            needed = (*chosen.inputs, "held_out_successes", "held_out_trials")
            _check_columns(rows, needed, f"Held-out rows of {consumer!r}")
            outcome = [np.nan_to_num(rows[name].to_numpy().astype(float)) for name in needed[-2:]]
            sides[consumer] = HeldOut(chosen.rates(champion, rows), chosen.rates(challenger, rows), *outcome)
        comparisons = back_test(sides, loss=loss, seed=seed)
        is_promoted, reason = gate(comparisons)
    return Decision(calibration, trigger, *fitted_us, held_out_months, comparisons, is_promoted, reason)


def _check_columns(rows: pa.Table, needed: tuple[str, ...], what: str) -> None:
    for name in needed:
        if name not in rows.column_names:
            raise CalibrationError(f"{what} lack the column {name!r}.{did_you_mean(name, rows.column_names)}")
