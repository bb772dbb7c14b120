"""The order cutoff: the last hour of the day in which a region's orders still get the promise of that day.

An order that is accepted and late costs ``LEVEL``, one that is refused and would have been on time ``1 - LEVEL``. Summed over
orders this is the pinball loss of a quantile (Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978): accepting an
hour lowers it exactly when more than ``LEVEL`` of its orders arrive on time, so its minimum is the largest cutoff that keeps
the promise. The share of an hour is shrunk toward that of all regions in the same hour (``beta_binomial``), so that a region
with few orders does not jump from month to month.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from featurestore.drift.recalibration.fitters.beta_binomial import fit_beta_binomial
from featurestore.drift.recalibration.fitters.fitter import Fitter, Loss, column, groups_of
from featurestore.errors import CalibrationError
from featurestore.spec.calibration import ANY_GROUP, INFLOW_PREFIX

LEVEL = 0.95
"""Share of the accepted orders that must arrive as promised."""
INPUTS = ("orders", "on_time")
NEVER = -1.0
"""The cutoff of a region in which no hour keeps the promise."""


def fit(rows: pa.Table, champion: pa.Table | None = None) -> pa.Table:
    """Fit a cutoff per group.

    Args:
        rows: ``group``, and by hour of the day ``inflow_orders`` and ``inflow_on_time`` (those of them that arrived in time).
        champion: Not looked at: nothing of it holds since the change.

    Returns:
        ``group``, ``hour`` (0 to 23, ``NEVER`` without any), ``on_time_share`` of the orders up to it, ``orders``. The
        group ``"*"`` of all comes last.

    Raises:
        CalibrationError: there are no orders.
    """
    orders, on_time, groups = (*(column(rows, INFLOW_PREFIX + name) for name in INPUTS), groups_of(rows))
    if not orders.sum():
        raise CalibrationError("No month has any orders, so no cutoff can be fitted. Choose an earlier start or other inputs.")
    names = sorted(set(groups) - {ANY_GROUP})
    n, x = (
        np.stack([values[groups == name].sum(axis=0) for name in names]) if names else values[:0]
        for values in (orders, on_time)
    )
    shares = _shrunken_shares(np.minimum(x, n), n)
    total = orders.sum(axis=0)
    kept = on_time.sum(axis=0)
    cutoffs = [_cutoff(*region) for region in zip(n, shares, strict=True)]
    cutoffs.append(_cutoff(total, kept / np.maximum(total, 1)))
    return pa.table(
        {
            "group": [*names, ANY_GROUP],
            "hour": [hour for hour, _ in cutoffs],
            "on_time_share": pa.array([share for _, share in cutoffs], pa.float64()),
            "orders": [int(count) for count in (*n.sum(axis=1), total.sum())],
        }
    )


def loss(parameters: pa.Table, rows: pa.Table, name: str) -> Loss:
    """Judge the cutoffs by the orders of a month: ``LEVEL`` for each accepted late one, the rest for each refused one in time."""
    hours = {row["group"]: row["hour"] for row in parameters.to_pylist()}
    cutoffs = np.array([hours.get(group, hours[ANY_GROUP]) for group in groups_of(rows)], float)
    orders, on_time = (column(rows, INFLOW_PREFIX + each) for each in INPUTS)
    is_accepted = np.arange(orders.shape[1]) <= cutoffs[:, None]
    costs = np.where(is_accepted, LEVEL * (orders - on_time), (1 - LEVEL) * on_time)
    return Loss(costs.sum(axis=1), orders.sum(axis=1))


def _shrunken_shares(on_time: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Estimate the share on time of each region and hour -> [regions, hours]; 0 in an hour without any orders at all."""
    shares = np.zeros(orders.shape)
    for hour in np.flatnonzero(orders.sum(axis=0)):
        x = on_time[:, hour]
        n = orders[:, hour]
        prior = fit_beta_binomial(pa.chunked_array([x]), pa.chunked_array([n])).to_pylist()[-1]
        shares[:, hour] = (x + prior["a"]) / (n + prior["a"] + prior["b"])
    return shares


def _cutoff(orders: np.ndarray, shares: np.ndarray) -> tuple[float, float | None]:
    """Return the cutoff of least loss, of equal ones the earliest, and the share on time up to it (``None`` for ``NEVER``)."""
    gain = orders * (LEVEL * (1 - shares) - (1 - LEVEL) * shares)  # what accepting an hour adds to the loss
    totals = np.concatenate([[0.0], np.cumsum(gain)])
    accepted = int(totals.argmin())
    if not accepted:
        return NEVER, None
    within = orders[:accepted]
    return float(accepted - 1), float((within * shares[:accepted]).sum() / max(within.sum(), 1.0))


ORDER_CUTOFF = Fitter(INPUTS, ("pinball",), fit, loss)
"""The last hour per group that keeps the promise of ``LEVEL``."""
