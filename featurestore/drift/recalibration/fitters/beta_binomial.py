"""Empirical Bayes for rates: a beta prior per group, fitted to counts of successes in trials.

A SKU with few orders borrows its return probability from its category: the estimate ``(successes + a) / (trials + a + b)``
shrinks the observed rate toward the group's mean ``a / (a + b)``, the more so the fewer trials there are.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from featurestore.drift.recalibration.fitters.fitter import Fitter, Loss, binomial_loss, column
from featurestore.drift.row_columns import checked_column
from featurestore.errors import CalibrationError
from featurestore.spec.calibration import ANY_GROUP, INFLOW_PREFIX

PARAMETER_SCHEMA = pa.schema(
    [
        ("group", pa.string()),
        ("a", pa.float64()),
        ("b", pa.float64()),
        ("members", pa.int64()),
        ("trials", pa.int64()),
        ("is_pooled", pa.bool_()),
    ]
)
INPUTS = ("successes", "trials")
MIN_MEMBERS = 10
MIN_TRIALS = 200
MAX_STRENGTH = 10_000.0
MIN_STRENGTH = 0.1


def fit_beta_binomial(successes: pa.ChunkedArray, trials: pa.ChunkedArray, groups: pa.ChunkedArray | None = None) -> pa.Table:
    """Fit a beta prior per group by the method of moments.

    With ``n_i`` trials per member, ``p = sum x_i / sum n_i`` and ``S = sum n_i (x_i / n_i - p)^2`` over ``k`` members, the
    correlation inside a member is ``(S - p q (k - 1)) / (p q (N - sum n_i^2 / N - (k - 1)))``, and ``a + b`` its odds
    against (Kleinman, "Proportions with extraneous variance", JASA 68, 1973, with weights ``n_i``). Where members vary no
    more than chance, ``a + b`` is ``MAX_STRENGTH``.

    Args:
        successes: Per member, at most its trials.
        trials: Per member. Members without trials, and rows with a NULL or NaN, say nothing and are left out.
        groups: Group per member, any type; NULL belongs to none. Without groups only the row for all is fitted.

    Returns:
        ``PARAMETER_SCHEMA``: a row per group, sorted, then the group ``"*"`` of all members, which serves unknown groups. A
        group with fewer than ``MIN_MEMBERS`` members or ``MIN_TRIALS`` trials takes its parameters (``is_pooled``).

    Raises:
        CalibrationError: a member has more successes than trials, negative numbers, or there are no trials at all.
    """
    x, n = (np.asarray(column.to_numpy(), float) for column in (successes, trials))
    is_usable = (n > 0) & ~np.isnan(x)
    _check_counts(x[~np.isnan(x)], n[~np.isnan(n)], x[is_usable], n[is_usable])
    labels = np.full(len(x), None) if groups is None else np.array(groups.cast(pa.string()).to_pylist(), object)
    x = x[is_usable]
    n = n[is_usable]
    labels = labels[is_usable]
    overall = _moments(x, n)
    rows = []
    for group in sorted({label for label in labels if label is not None}):
        mine = labels == group
        members = int(mine.sum())
        total = int(n[mine].sum())
        is_pooled = members < MIN_MEMBERS or total < MIN_TRIALS
        a, b = overall if is_pooled else _moments(x[mine], n[mine])
        rows.append({"group": group, "a": a, "b": b, "members": members, "trials": total, "is_pooled": is_pooled})
    a, b = overall
    rows.append({"group": ANY_GROUP, "a": a, "b": b, "members": len(x), "trials": int(n.sum()), "is_pooled": False})
    return pa.Table.from_pylist(rows, schema=PARAMETER_SCHEMA)


def shrunken_rates(
    parameters: pa.Table, successes: pa.ChunkedArray, trials: pa.ChunkedArray, groups: pa.ChunkedArray | None = None
) -> np.ndarray:
    """Estimate each member's rate, ``(successes + a) / (trials + a + b)``; NULL counts are 0.

    Args:
        parameters: As ``fit_beta_binomial`` returns. Unknown and NULL groups take the row ``"*"``.
        successes: Per member.
        trials: Per member.
        groups: Group per member.
    """
    rows = {row["group"]: row for row in parameters.to_pylist()}
    labels = [ANY_GROUP] * len(trials) if groups is None else groups.cast(pa.string()).to_pylist()
    priors = [rows.get(label, rows[ANY_GROUP]) for label in labels]
    a, b = (np.array([row[name] for row in priors], float) for name in ("a", "b"))
    x, n = (np.nan_to_num(np.asarray(column.to_numpy(), float)) for column in (successes, trials))
    return np.asarray((x + a) / (n + a + b))


def fit(rows: pa.Table, champion: pa.Table | None = None) -> pa.Table:
    """Fit a prior per group to the counts that came in over all months; a member's months are added up.

    Args:
        rows: ``code``, ``group`` (optional), ``inflow_successes``, ``inflow_trials``.
        champion: Not looked at: nothing of it holds since the change.
    """
    for name in INPUTS:
        checked_column(rows, INFLOW_PREFIX + name)
    keys = [name for name in ("code", "group") if name in rows.column_names]
    added = rows.group_by(keys, use_threads=False).aggregate([(f"{INFLOW_PREFIX}{name}", "sum") for name in INPUTS])
    x, n = (added[f"{INFLOW_PREFIX}{name}_sum"] for name in INPUTS)
    return fit_beta_binomial(x, n, added["group"] if "group" in keys else None)


def loss(parameters: pa.Table, rows: pa.Table, name: str) -> Loss:
    """Judge the shrunken rates known before a month by what came in during it."""
    groups = rows["group"] if "group" in rows.column_names else None
    rates = shrunken_rates(parameters, rows["successes"], rows["trials"], groups)
    return binomial_loss(rates, column(rows, f"{INFLOW_PREFIX}successes"), column(rows, f"{INFLOW_PREFIX}trials"), name)


def _check_counts(all_x: np.ndarray, all_n: np.ndarray, x: np.ndarray, n: np.ndarray) -> None:
    if (all_x < 0).any() or (all_n < 0).any():
        raise CalibrationError(f"Counts cannot be negative; the least is {min(all_x.min(initial=0), all_n.min(initial=0)):g}.")
    if (x > n).any():
        i = int(np.argmax(x > n))
        raise CalibrationError(f"{x[i]:g} successes of {n[i]:g} trials: a member cannot succeed more often than it tries.")
    if not len(n):
        raise CalibrationError("No member has any trials, so there is nothing to fit. Choose an earlier start or other inputs.")


def _moments(x: np.ndarray, n: np.ndarray) -> tuple[float, float]:
    total = n.sum()
    p = (x.sum() + 0.5) / (total + 1)  # never 0 or 1, which no prior could leave again
    spread = (n * np.square(x / n - p)).sum()
    chance = p * (1 - p) * (len(n) - 1)
    room = p * (1 - p) * (total - np.square(n).sum() / total) - chance
    correlation = (spread - chance) / room if room > 0 else 0.0
    strength = 1 / correlation - 1 if correlation > 0 else MAX_STRENGTH
    strength = min(max(strength, MIN_STRENGTH), MAX_STRENGTH)
    return float(p * strength), float((1 - p) * strength)


BETA_BINOMIAL = Fitter(INPUTS, ("log_loss", "brier"), fit, loss)
"""A beta prior per group, for the rate of each member."""
