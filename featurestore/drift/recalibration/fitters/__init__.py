"""Fitters by name: what ``Calibration(fit=...)`` may say."""

from __future__ import annotations

from collections.abc import Mapping

from featurestore.drift.recalibration.fitters.beta_binomial import BETA_BINOMIAL
from featurestore.drift.recalibration.fitters.fitter import WEIGHT, Fitter
from featurestore.drift.recalibration.fitters.order_cutoff import ORDER_CUTOFF
from featurestore.drift.recalibration.fitters.seasonal_index import SEASONAL_INDEX
from featurestore.drift.recalibration.fitters.window_choice import WINDOW_CHOICE
from featurestore.errors import CalibrationError, DefinitionError, UnknownNameError, did_you_mean
from featurestore.spec.calibration import Calibration

__all__ = ["FITTERS", "WEIGHT", "Fitter", "check_definition", "fitter"]

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


def check_definition(calibration: Calibration) -> None:
    """Look whether a calibration could ever be fitted and judged, before it is recorded.

    Raises:
        DefinitionError: its fitter is unknown, cannot be judged by its loss, takes another number of inputs, or the inputs come
            from several views.
    """
    if calibration.fit not in FITTERS:
        raise DefinitionError(
            f"Calibration {calibration.name!r}: there is no fitter {calibration.fit!r}.{did_you_mean(calibration.fit, FITTERS)}"
        )
    chosen = FITTERS[calibration.fit]
    if calibration.loss not in chosen.losses:
        raise DefinitionError(
            f"Calibration {calibration.name!r} cannot be judged by {calibration.loss!r}; the losses of {calibration.fit!r} are "
            f"{', '.join(chosen.losses)}. Write loss={chosen.losses[0]!r}."
        )
    try:
        chosen.input_names(calibration.name, calibration.inputs)
    except CalibrationError as error:
        raise DefinitionError(str(error)) from error
    if len(calibration.views) > 1:
        raise DefinitionError(
            f"Calibration {calibration.name!r} reads the views {', '.join(calibration.views)}; its inputs, and what groups them, "
            "must share one view."
        )
