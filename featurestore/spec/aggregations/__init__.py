"""Aggregations: what a feature view computes over each window. Values only; how is compute's question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.aggregations.aggregation import Aggregation, ColumnAggregation, FixedPointAggregation
from featurestore.spec.aggregations.carried import First, Last, Recency
from featurestore.spec.aggregations.decayed import Decayed
from featurestore.spec.aggregations.extremes import Max, Min
from featurestore.spec.aggregations.items import Distinct, Quantile
from featurestore.spec.aggregations.moments import Std, Trend, Var
from featurestore.spec.aggregations.profile import Profile
from featurestore.spec.aggregations.sums import Count, Mean, Sum
from featurestore.spec.season_windows import window_document, window_from

KINDS: dict[str, type[Aggregation]] = {
    "Count": Count,
    "Decayed": Decayed,
    "Distinct": Distinct,
    "First": First,
    "Last": Last,
    "Max": Max,
    "Mean": Mean,
    "Min": Min,
    "Profile": Profile,
    "Quantile": Quantile,
    "Recency": Recency,
    "Std": Std,
    "Sum": Sum,
    "Trend": Trend,
    "Var": Var,
}

__all__ = [
    "KINDS",
    "Aggregation",
    "ColumnAggregation",
    "Count",
    "Decayed",
    "Distinct",
    "First",
    "FixedPointAggregation",
    "Last",
    "Max",
    "Mean",
    "Min",
    "Profile",
    "Quantile",
    "Recency",
    "Std",
    "Sum",
    "Trend",
    "Var",
    "aggregation_document",
    "aggregation_from",
]


def aggregation_document(aggregation: Aggregation) -> dict[str, object]:
    """Write an aggregation as a JSON value; defaults are left out, as they were when stores first recorded them."""
    document: dict[str, object] = {"kind": type(aggregation).__name__}
    for item in fields(aggregation):
        value = getattr(aggregation, item.name)
        changed = aggregation.CHANGED_DEFAULTS.get(item.name)
        if value != (changed.recorded if changed else item.default):
            document[item.name] = list(map(window_document, value)) if item.name == "windows" else value
    return document


def aggregation_from(document: Mapping[str, object]) -> Aggregation:
    """Read an aggregation from ``aggregation_document``'s form.

    Raises:
        DefinitionError: the kind is unknown.
    """
    kind = str(document["kind"])
    if kind not in KINDS:
        raise DefinitionError(f"{kind!r} is not an aggregation.{did_you_mean(kind, KINDS)}")
    arguments: dict[str, object] = {name: changed.recorded for name, changed in KINDS[kind].CHANGED_DEFAULTS.items()}
    arguments |= {name: value for name, value in document.items() if name != "kind"}
    windows = arguments.pop("windows", [])
    assert isinstance(windows, list)
    arguments["windows"] = tuple(map(window_from, windows))
    return KINDS[kind](**arguments)  # type: ignore[arg-type]
