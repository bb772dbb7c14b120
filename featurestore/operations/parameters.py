"""Which versions of a calibration an answer reads: every accepted one for training rows, the champion for batches."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from featurestore.compute.windows.derive import ParameterVersion
from featurestore.drift.recalibration.calibration_versions import champion, parameter_values, parameters, versions
from featurestore.errors import VersionError
from featurestore.lake.layout import Layout

END_OF_TIME_US = 2**62


def accepted_parameters(layout: Layout, name: str, *, only: Collection[str] | None = None) -> Sequence[ParameterVersion]:
    """List the versions that training rows may read: each from the first instant after the rows that it was fitted on.

    Args:
        layout: The store.
        name: The calibration.
        only: The versions that an earlier answer read; by default those that are accepted now.
    """
    folder = layout.calibrations(name)
    known = (v for v in versions(folder) if (v.is_accepted if only is None else v.name in only))
    accepted = sorted(known, key=lambda v: (v.fitted_until_us, v.name))
    starts = [version.fitted_until_us for version in accepted]
    return [
        ParameterVersion(version.name, start, end, parameter_values(parameters(folder, version)))
        for version, start, end in zip(accepted, starts, [*starts[1:], END_OF_TIME_US], strict=False)
    ]


def champion_parameters(layout: Layout, name: str, *, only: Collection[str] | None = None) -> Sequence[ParameterVersion]:
    """Return the champion, for every as_of; an empty list before the first promotion.

    Args:
        layout: The store.
        name: The calibration.
        only: The champion, if any, that an earlier batch read; by default the present one.

    Raises:
        VersionError: those are the versions of a training set, which may read several.
    """
    folder = layout.calibrations(name)
    if only is not None and len(only) > 1:
        raise VersionError(
            f"A batch reads one version of calibration {name!r}, and these versions name {', '.join(only)}: they are of a "
            "training set. Give those of a batch or a publication."
        )
    version = champion(folder) if only is None else next((each for each in versions(folder) if each.name in only), None)
    if version is None:
        return []
    return [ParameterVersion(version.name, -END_OF_TIME_US, END_OF_TIME_US, parameter_values(parameters(folder, version)))]
