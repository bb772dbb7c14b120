"""Reliability: probabilities held against what came of them, as tallies in fixed buckets that add up over months.

    Brier       mean of n p^2 - 2 x p + x over trials                   squared error of a single trial's forecast
    ECE         sum over buckets of |observed - expected| / trials      how far the buckets are from the diagonal
    level       2 arcsine of the roots of observed and mean forecast    too low or too high on the whole
    slope       the same differences by bucket, along the forecasts     too timid or too bold

Under forecasts that hold, the observed number varies by ``sum n p (1 - p)`` around the expected one (Spiegelhalter, "Probabilistic
prediction in patient management", Statistics in Medicine 5, 1986), so level and slope have a known sampling variance and
go through the monitor like any other statistic: what else moves them, it learns from their past. The variance is that of the
buckets' means with half a success and half a failure added, so that a forecast of 0 or 1 is not taken for certain. Both are
measured as differences of arcsines, that are alike for rare and for frequent events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.drift.row_columns import checked_column
from featurestore.timeline import Month

CALIBRATION = "calibration"
SUFFIX = f".{CALIBRATION}"
LIMITS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
"""Limits of the buckets, finer at both ends, where most forecasts lie."""
BUCKETS = len(LIMITS) + 1
EDGES = "reliability-1"
OUTCOMES = b"outcomes"
MIN_SPREAD = 0.1
"""Least standard deviation of the forecasts' logits for which there is a slope."""
_TALLIES = 4

RELIABILITY_SCHEMA = pa.schema(
    [
        ("month", pa.date32()),
        ("feature", pa.string()),
        ("forecasts", pa.int64()),
        ("trials", pa.float64()),
        ("mean_forecast", pa.float64()),
        ("observed_share", pa.float64()),
        ("brier", pa.float64()),
        ("ece", pa.float64()),
        (
            "buckets",
            pa.list_(
                pa.struct(
                    [
                        ("low", pa.float64()),
                        ("high", pa.float64()),
                        ("trials", pa.float64()),
                        ("expected", pa.float64()),
                        ("observed", pa.float64()),
                    ]
                )
            ),
        ),
    ]
)


def series_of(column: str) -> str:
    """Name the record of a forecast's reliability beside that of its values: ``view__feature.calibration``."""
    return column + SUFFIX


def feature_column(series: str) -> str:
    """Return the feature column that a record is about: of a forecast's reliability, the forecast.

    >>> feature_column("sku_returns__return_probability.calibration"), feature_column("user__buys_30d")
    ('sku_returns__return_probability', 'user__buys_30d')
    """
    return series.removesuffix(SUFFIX)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Forecasts and outcomes by bucket of the forecast; adds up.

    Attributes:
        forecasts: How many forecasts had trials.
        trials: [buckets] their trials.
        expected: [buckets] sum of n p.
        observed: [buckets] successes.
        squares: [buckets] sum of the squared errors of all trials.
    """

    forecasts: int
    trials: np.ndarray
    expected: np.ndarray
    observed: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, rows: pa.Table) -> Reliability:
        """Tally forecasts up.

        Args:
            rows: ``forecast``, ``successes``, ``trials``, a row per forecast. One that is NULL or no probability says nothing.

        Raises:
            CalibrationError: a column is missing.
        """
        p, x, n = (np.asarray(checked_column(rows, name).to_numpy(), float) for name in ("forecast", "successes", "trials"))
        with np.errstate(invalid="ignore"):
            is_usable = (p >= 0) & (p <= 1) & (n > 0)
        p = p[is_usable]
        x = x[is_usable]
        n = n[is_usable]
        bucket = np.searchsorted(LIMITS, p, side="right")
        errors = x * np.square(1 - p) + (n - x) * np.square(p)
        tallies = (np.bincount(bucket, each, minlength=BUCKETS) for each in (n, n * p, x, errors))
        return cls(len(p), *tallies)

    @classmethod
    def from_counts(cls, forecasts: int, counts: Sequence[float] | np.ndarray) -> Reliability:
        """Read the tallies that ``counts`` put in one row."""
        return cls(forecasts, *np.asarray(counts, float).reshape(_TALLIES, BUCKETS))

    @property
    def counts(self) -> np.ndarray:
        """All tallies in one row, as sketches keep them -> [4 buckets]."""
        return np.concatenate([self.trials, self.expected, self.observed, self.squares])

    @property
    def mean_forecast(self) -> float:
        """Mean forecast of a trial; NaN without trials."""
        return _share(self.expected, self.trials)

    @property
    def observed_share(self) -> float:
        """Share of the trials that succeeded."""
        return _share(self.observed, self.trials)

    @property
    def brier(self) -> float:
        """Mean squared error of a trial's forecast."""
        return _share(self.squares, self.trials)

    @property
    def ece(self) -> float:
        """Expected calibration error: mean distance of a trial's bucket from the diagonal."""
        return _share(np.abs(self.observed - self.expected), self.trials)

    def document(self) -> dict[str, Any]:
        """Return the scores and the filled buckets as the columns of ``RELIABILITY_SCHEMA``, but for month and feature."""
        limits = (0.0, *LIMITS, 1.0)
        rows = zip(limits[:-1], limits[1:], self.trials, self.expected, self.observed, strict=True)
        names = ("low", "high", "trials", "expected", "observed")
        total = float(self.trials.sum())
        scores = {name: getattr(self, name) for name in ("mean_forecast", "observed_share", "brier", "ece")}
        return {
            "forecasts": self.forecasts,
            "trials": total,
            **{name: float(value) if total else None for name, value in scores.items()},
            "buckets": [dict(zip(names, map(float, row), strict=True)) for row in rows if row[2] > 0],
        }


def with_outcomes(snapshot: pa.Table, forecasts: Mapping[str, pa.Table]) -> pa.Table:
    """Note in a snapshot how far the forecasts were right whose outcomes became known in its month.

    Args:
        snapshot: The month's snapshot.
        forecasts: Feature column to rows as ``Reliability.of`` takes them.
    """
    schema = snapshot.schema
    for column, rows in forecasts.items():
        i = schema.get_field_index(column)
        tally = Reliability.of(rows)
        text = json.dumps({"forecasts": tally.forecasts, "counts": tally.counts.tolist()})
        schema = schema.set(i, schema.field(i).with_metadata({**(schema.field(i).metadata or {}), OUTCOMES: text.encode()}))
    return snapshot.cast(schema)


def outcome_sketches(snapshot: pa.Table) -> list[dict[str, Any]]:
    """Read the tallies that a snapshot carries: rows of ``SKETCH_SCHEMA``, of the kind ``calibration``."""
    sketches = []
    for field in snapshot.schema:
        if OUTCOMES in (field.metadata or {}):
            noted = json.loads(field.metadata[OUTCOMES])
            sketches.append(
                {
                    "feature": series_of(field.name),
                    "kind": CALIBRATION,
                    "edges": EDGES,
                    "rows": noted["forecasts"],
                    "missing": 0,
                    "nonfinite": 0,
                    "counts": noted["counts"],
                    "labels": [],
                }
            )
    return sketches


def reliability_table(sketches: Mapping[Month, pa.Table]) -> pa.Table:
    """List how far each month's forecasts were right.

    Args:
        sketches: Month to rows of ``SKETCH_SCHEMA``.

    Returns:
        ``RELIABILITY_SCHEMA``: the month in which the outcomes became known, the feature's column, forecasts and their trials,
        mean forecast, observed share, ``brier``, ``ece`` (NULL without trials), and the filled buckets.
    """
    rows: list[dict[str, Any]] = []
    for month, table in sketches.items():
        for row in table.filter(pc.equal(table["kind"], CALIBRATION)).to_pylist():
            day: date = month.first_day
            tally = Reliability.from_counts(row["rows"], row["counts"])
            rows.append({"month": day, "feature": feature_column(row["feature"]), **tally.document()})
    return pa.Table.from_pylist(rows, schema=RELIABILITY_SCHEMA)


def level_and_slope(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute level and slope of ``M`` months from their tallies.

    The slope weighs each bucket by the logit of its mean forecast, standardised over the month's trials by how much they vary.

    Args:
        counts: [M, 4 buckets].

    Returns:
        Level [M], slope [M] (NaN where all forecasts are alike), and the sampling variance of both [M].
    """
    trials, expected, observed, _ = counts.reshape(len(counts), _TALLIES, BUCKETS).transpose(1, 0, 2)
    inside = (expected + 0.5) / (trials + 1)
    n = trials.sum(axis=1)
    variance = trials * inside * (1 - inside)
    spread = variance.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        angles = [
            2 * np.arcsin(np.sqrt(np.minimum((side.sum(axis=1) + 0.375) / (n + 0.75), 1.0))) for side in (observed, expected)
        ]
        mean = (expected.sum(axis=1) + 0.375) / (n + 0.75)
        unit = np.square(n) * mean * (1 - mean)
        logits = np.log(inside / (1 - inside))
        centred = logits - ((variance * logits).sum(axis=1) / spread)[:, None]
        width = np.sqrt((variance * np.square(centred)).sum(axis=1) / spread)
        slope = ((observed - expected) * centred).sum(axis=1) / width / np.sqrt(unit)
        return angles[0] - angles[1], np.where(width > MIN_SPREAD, slope, np.nan), spread / unit


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    total = float(whole.sum())
    return float(part.sum()) / total if total else float("nan")
