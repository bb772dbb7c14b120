"""Calibrations: the fitted parameters that features read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featurestore.errors import DefinitionError
from featurestore.spec.names import checked_name
from featurestore.spec.service import FeatureService, checked_references

INFLOW_PREFIX = "inflow_"
"""Start of the names of the columns that hold an input's inflow of a month."""
ANY_GROUP = "*"
"""The group whose parameters serve every group without its own."""

Consumers = Sequence[str | FeatureService] | Mapping[str, str | None] | Mapping[FeatureService, str | None]


def _service_name(service: str | FeatureService) -> str:
    return service.name if isinstance(service, FeatureService) else str(service)


@dataclass(frozen=True, init=False)
class Calibration:
    """Fitted parameters that ``Derived`` features read as ``calibrated('name.parameter', by = feature)``.

    Args:
        name: Lower-case identifier.
        fit: Name of a fitter, such as ``"beta_binomial"``.
        inputs: ``"view:feature"`` references that the fitter takes, in its order.
        by: ``"view:feature"`` reference whose value groups the parameters.
        loss: Name of the loss on held-out months, such as ``"log_loss"``.
        consumers: Services for which champion and challenger are compared. As a mapping, each service to the
            ``"view:feature"`` reference, of the inputs' entity, that says how much of a member it serves (views, units):
            losses are weighted by its value before the month; ``None`` weighs all trials alike, as a list does.
        description: One sentence.
    """

    name: str
    fit: str
    inputs: tuple[str, ...]
    by: str | None
    loss: str
    consumers: tuple[str, ...]
    weights: tuple[tuple[str, str], ...]
    description: str

    def __init__(
        self,
        name: str,
        *,
        fit: str,
        inputs: Sequence[str],
        by: str | None = None,
        loss: str = "log_loss",
        consumers: Consumers = (),
        description: str = "",
    ) -> None:
        owner = f"calibration {name!r}"
        served = dict(consumers) if isinstance(consumers, Mapping) else dict.fromkeys(consumers)
        weights = {_service_name(service): weight for service, weight in served.items() if weight is not None}
        references = checked_references([*inputs, *([by] if by else [])], owner)
        for reference in (*references, *weights.values()):
            if ":" not in reference:
                raise DefinitionError(f"{owner}: inputs, by and weights are 'view:feature' references, not {reference!r}.")
        for field, value in {
            "name": checked_name(name, "a calibration"),
            "fit": checked_name(fit, f"the fitter of {owner}"),
            "inputs": references[: len(inputs)],
            "by": by,
            "loss": checked_name(loss, f"the loss of {owner}"),
            "consumers": tuple(map(_service_name, served)),
            "weights": tuple(weights.items()),
            "description": description,
        }.items():
            object.__setattr__(self, field, value)

    @property
    def fitted_from(self) -> str:
        """What the parameters are fitted from: the fitter, its inputs, and what groups them."""
        return f"{self.fit}({', '.join(self.inputs)})" + (f" by {self.by}" if self.by else "")

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views that the inputs come from."""
        return tuple(
            dict.fromkeys(reference.partition(":")[0] for reference in (*self.inputs, *([self.by] if self.by else [])))
        )
