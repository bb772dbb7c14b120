"""Fitters by name: what ``Calibration(fit=...)`` may say."""

from __future__ import annotations

from collections.abc import Mapping

from featurestore.drift.recalibration.fitters.beta_binomial import BETA_BINOMIAL
from featurestore.drift.recalibration.fitters.fitter import WEIGHT, Fitter
from featurestore.drift.recalibration.fitters.order_cutoff import ORDER_CUTOFF
from featurestore.drift.recalibration.fitters.seasonal_index import SEASONAL_INDEX
from featurestore.drift.recalibration.fitters.window_choice import WINDOW_CHOICE
from featurestore.errors import UnknownNameError, did_you_mean

__all__ = ["FITTERS", "WEIGHT", "Fitter", "fitter"]

FITTERS: Mapping[str, Fitter] = {
    "beta_binomial": BETA_BINOMIAL,
    "order_cutoff": ORDER_CUTOFF,
    "seasonal_index": SEASONAL_INDEX,
    "window_choice": WINDOW_CHOICE,
}


def fitter(name: str) -> Fitter:
    """Return a fitter by name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in FITTERS:
        raise UnknownNameError(f"There is no fitter {name!r}.{did_you_mean(name, FITTERS)}")
    return FITTERS[name]
