"""What a fitter is, and the losses that several share.

A fitter's rows have one row per month and member: ``month`` (first day), ``code``, ``group`` (string, if the calibration has a
``by``), each input by name as known at the month's first instant, ``inflow_<input>``, what came in during the month, and perhaps
``weight_<consumer>``, how much of a member a consumer serves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.drift.row_columns import checked_column
from featurestore.errors import CalibrationError
from featurestore.spec.calibration import ANY_GROUP

WEIGHT = "weight_"
SEVERAL = "..."
"""As the last input of a fitter: the calibration gives two or more, named after their features."""


@dataclass(frozen=True, eq=False)
class Loss:
    """Losses row by row, and how many trials each row's is the sum of."""

    values: np.ndarray
    trials: np.ndarray


@dataclass(frozen=True)
class Fitter:
    """How parameters are fitted from rows, and what it costs to act on them.

    Attributes:
        inputs: Names of its inputs in the order of a calibration's; ``(SEVERAL,)`` when it chooses among all of these.
        losses: Names of the losses it can be judged by, lower is better.
        fit: Rows, and the champion's parameters if there are any, to a table of parameters: ``group``, then numbers.
        loss: Parameters, rows and the name of a loss to losses per row.
        is_about_known: Whether its members are those with an amount before a month, whatever came in; else those with an inflow.
        needs_full_windows: Whether it reads inputs as known before a month, so that their windows must lie inside the history.
        least_months: Months since a change before a challenger is tried.
        most_months: Months that a challenger is fitted and tested on, at most.
        review_months: Months after its last decision in which a challenger is tried though no drift asks; never by default.
    """

    inputs: tuple[str, ...]
    losses: tuple[str, ...]
    fit: Callable[[pa.Table, pa.Table | None], pa.Table]
    loss: Callable[[pa.Table, pa.Table, str], Loss]
    is_about_known: bool = False
    needs_full_windows: bool = False
    least_months: int = 3
    most_months: int = 24
    review_months: int | None = None

    def input_names(self, calibration: str, features: tuple[str, ...]) -> tuple[str, ...]:
        """Name a calibration's inputs as the fitter's rows do.

        Args:
            calibration: Its name, for messages.
            features: Names of its input features, without their view.

        Raises:
            CalibrationError: the fitter takes another number of inputs.
        """
        if self.inputs == (SEVERAL,):
            if len(features) < 2:
                raise CalibrationError(f"Calibration {calibration!r} has one input; its fitter chooses among two or more.")
            return features
        if len(features) != len(self.inputs):
            raise CalibrationError(
                f"Calibration {calibration!r} has {len(features)} inputs; its fitter takes {', '.join(self.inputs)}."
            )
        return self.inputs


def column(rows: pa.Table, name: str) -> np.ndarray:
    """Return a numeric column as doubles, NULL and NaN as 0; a profile as ``[rows, buckets]``.

    Raises:
        CalibrationError: there is no such column.
    """
    chunked = checked_column(rows, name)
    if not pa.types.is_fixed_size_list(chunked.type):
        return np.asarray(np.nan_to_num(chunked.to_numpy().astype(float)))
    whole = chunked.combine_chunks()
    buckets = whole.type.list_size
    flat = whole.values.slice(whole.offset * buckets, len(whole) * buckets).cast(pa.float64(), safe=False)
    values: np.ndarray = np.nan_to_num(flat.to_numpy(zero_copy_only=False).reshape(-1, buckets))
    return values


def served(rows: pa.Table) -> np.ndarray:
    """Return how much of each row the consumers serve: the mean of their weights, each of mean 1; 1 without weights."""
    weights = [column(rows, name) for name in rows.column_names if name.startswith(WEIGHT)]
    shares = [values / values.mean() for values in weights if values.any()]
    return np.asarray(np.mean(shares, axis=0)) if shares else np.ones(len(rows))


def groups_of(rows: pa.Table) -> np.ndarray:
    """Return each row's group as text, ``ANY_GROUP`` where there is none."""
    if "group" not in rows.column_names:
        return np.full(len(rows), ANY_GROUP, object)
    return np.array([ANY_GROUP if label is None else str(label) for label in rows["group"].to_pylist()], object)


def binomial_loss(rates: np.ndarray, successes: np.ndarray, trials: np.ndarray, loss: str) -> Loss:
    """Judge rates by outcomes: ``log_loss`` in nats or ``brier``, each summed over a row's trials.

    Rates are kept from 0 and 1, where one surprise would cost everything.

    >>> one = np.array([1.0])
    >>> [round(float(binomial_loss(one / 2, one, 2 * one, name).values[0]), 4) for name in ("log_loss", "brier")]
    [1.3863, 0.5]
    """
    inside = np.clip(rates, 1e-9, 1 - 1e-9)
    failures = trials - successes
    if loss == "brier":
        return Loss(successes * np.square(1 - rates) + failures * np.square(rates), trials)
    return Loss(-(successes * np.log(inside) + failures * np.log1p(-inside)), trials)
