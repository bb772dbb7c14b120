"""Which window tells best who buys next month: one of several features, with the curve from its amount to a probability.

    P(buys in the month) = 1 / (1 + exp(-(intercept + slope ln(1 + x)))),   x the chosen feature, known before the month

Each candidate gets its own curve by maximum likelihood (Newton's method, two parameters), and the one with the least
``log_loss`` on the fitted months is chosen, rows weighed as the consumers serve them. All candidates are amounts of the same
thing over windows of different lengths, so what came in during the month is the same for all.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from featurestore.drift.recalibration.fitters.fitter import SEVERAL, Fitter, Loss, binomial_loss, column, served
from featurestore.errors import CalibrationError
from featurestore.spec.calibration import ANY_GROUP, INFLOW_PREFIX

STEPS = 25
RIDGE = 1e-3
"""Keeps the curve finite where nobody or everybody buys; it weighs as much as a thousandth of a row."""
_NOT_INPUTS = {"month", "code", "group"}


def fit(rows: pa.Table, champion: pa.Table | None = None) -> pa.Table:
    """Choose a candidate and fit its curve.

    Args:
        rows: Each candidate by name as known before the month, and ``inflow_<candidate>`` over it. Rows in which all
            candidates are 0 say nothing and are left out.
        champion: Not looked at: nothing of it holds since the change.

    Returns:
        One row, of the group ``"*"``: ``intercept``, ``slope``, per candidate ``uses_<candidate>`` (1 for the chosen, else 0)
        and ``loss_<candidate>`` (log loss per row, for the record), ``members``.

    Raises:
        CalibrationError: no row has any amount.
    """
    names = candidates(rows)
    amounts = np.stack([np.maximum(column(rows, name), 0.0) for name in names])
    weights = served(rows)
    is_usable = amounts.any(axis=0) & (weights > 0)
    if not is_usable.any():
        raise CalibrationError(f"All of {', '.join(names)} are 0 in every row, so none can be chosen. Choose a later start.")
    bought = (column(rows, INFLOW_PREFIX + names[0]) > 0)[is_usable].astype(float)
    weights = weights[is_usable]
    curves = [_curve(np.log1p(amount[is_usable]), bought, weights) for amount in amounts]
    losses = [
        _mean_loss(_rates(curve, np.log1p(amount[is_usable])), bought, weights)
        for curve, amount in zip(curves, amounts, strict=True)
    ]
    best = int(np.argmin(losses))
    return pa.table(
        {
            "group": [ANY_GROUP],
            "intercept": [curves[best][0]],
            "slope": [curves[best][1]],
            **{f"uses_{name}": [float(i == best)] for i, name in enumerate(names)},
            **{f"loss_{name}": [value] for name, value in zip(names, losses, strict=True)},
            "members": [int(is_usable.sum())],
        }
    )


def loss(parameters: pa.Table, rows: pa.Table, name: str) -> Loss:
    """Judge the probabilities of the chosen candidate by who bought, one trial a row."""
    (chosen,) = parameters.to_pylist()
    names = candidates(rows)
    amount = sum(chosen.get(f"uses_{each}", 0.0) * np.maximum(column(rows, each), 0.0) for each in names)
    rates = _rates((chosen["intercept"], chosen["slope"]), np.log1p(amount))
    bought = (column(rows, INFLOW_PREFIX + names[0]) > 0).astype(float)
    return binomial_loss(rates, bought, np.ones(len(bought)), name)


def candidates(rows: pa.Table) -> list[str]:
    """Name the candidates of some rows, in order."""
    return [name for name in rows.column_names if INFLOW_PREFIX + name in rows.column_names and name not in _NOT_INPUTS]


def _curve(x: np.ndarray, bought: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    design = np.stack([np.ones(len(x)), x])
    curve = np.zeros(2)
    for _ in range(STEPS):
        rates = 1 / (1 + np.exp(-np.clip(curve @ design, -30, 30)))
        gradient = design @ (weights * (bought - rates)) - RIDGE * curve
        step = np.linalg.solve((design * (weights * rates * (1 - rates))) @ design.T + RIDGE * np.eye(2), gradient)
        curve = curve + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return float(curve[0]), float(curve[1])


def _rates(curve: tuple[float, float], x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(curve[0] + curve[1] * x, -30, 30))))


def _mean_loss(rates: np.ndarray, bought: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(binomial_loss(rates, bought, np.ones(len(bought)), "log_loss").values, weights=weights))


WINDOW_CHOICE = Fitter((SEVERAL,), ("log_loss", "brier"), fit, loss, is_about_known=True, review_months=24)
"""One of several windows or half-lives, with the curve from its amount to the probability of a purchase.

Windows longer than the history are all alike, and which of them tells best may change while no amount drifts: so it is reviewed."""
