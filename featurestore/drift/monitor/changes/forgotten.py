"""What a fit of noise must not explain: one-off months, the steps of recalibrations, seasons that began on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Forgotten:
    """What a fit must not explain by its noise.

    Attributes:
        pulses: [S, M] one-off months.
        courses: Pairs of a series and [M] what it may have any multiple of: a recalibration's step, a spread's location.
        seasons: Pairs of a series and [M] months of unknown common size: a season that began on the way.
    """

    pulses: np.ndarray
    courses: tuple[tuple[int, np.ndarray], ...] = ()
    seasons: tuple[tuple[int, np.ndarray], ...] = ()
