"""The running forms, one module per family. Nothing else in compute/ knows an aggregation by name."""

from __future__ import annotations

from functools import lru_cache

from featurestore.compute.forms.decayed import DecayedForm
from featurestore.compute.forms.distinct import DistinctForm
from featurestore.compute.forms.form import Form
from featurestore.compute.forms.latest import LastForm, RecencyForm
from featurestore.compute.forms.measure import Measure, RowSql
from featurestore.compute.forms.moments import StdForm, TrendForm, VarForm
from featurestore.compute.forms.profile import ProfileForm
from featurestore.compute.forms.quantile import QuantileForm
from featurestore.compute.forms.scoped import ExtremeForm, FirstForm
from featurestore.compute.forms.sums import CountForm, MeanForm, SumForm
from featurestore.compute.items.files import ItemFold, Items
from featurestore.spec.aggregations import (
    Aggregation,
    Count,
    Decayed,
    Distinct,
    First,
    Last,
    Max,
    Mean,
    Min,
    Profile,
    Quantile,
    Recency,
    Std,
    Sum,
    Trend,
    Var,
)
from featurestore.spec.source import EventSource
from featurestore.spec.view import FeatureView
from featurestore.timeline import Window

FORMS: dict[type[Aggregation], Form] = {
    Count: CountForm(),
    Sum: SumForm(),
    Mean: MeanForm(),
    Var: VarForm(),
    Std: StdForm(),
    Trend: TrendForm(),
    Min: ExtremeForm(is_largest=False),
    Max: ExtremeForm(is_largest=True),
    First: FirstForm(),
    Last: LastForm(),
    Recency: RecencyForm(),
    Decayed: DecayedForm(),
    Profile: ProfileForm(),
    Distinct: DistinctForm(),
    Quantile: QuantileForm(),
}

__all__ = ["FORMS", "ledger_measures", "measures_of", "view_items", "view_measures"]


def measures_of(view: FeatureView, aggregation: Aggregation, timezone: str) -> tuple[Measure, ...]:
    """List the measures of one aggregation of a view; its condition reads clocks and days in a zone."""
    return _measures(aggregation, view.source, view.grain, timezone)


@lru_cache(maxsize=4096)
def _measures(aggregation: Aggregation, source: EventSource, grain: str, timezone: str) -> tuple[Measure, ...]:
    return FORMS[type(aggregation)].measures(aggregation, RowSql(source.types, source.id_column, grain, timezone))


def view_measures(view: FeatureView, timezone: str) -> tuple[Measure, ...]:
    """List a view's measures, each once, in the order of its aggregations."""
    by_name = {
        measure.name: measure for aggregation in view.aggregations for measure in measures_of(view, aggregation, timezone)
    }
    return tuple(by_name.values())


def ledger_measures(view: FeatureView, timezone: str) -> tuple[Measure, ...]:
    """List those of a view's measures that are columns of its ledger."""
    return tuple(measure for measure in view_measures(view, timezone) if not isinstance(measure.fold, ItemFold))


@lru_cache(maxsize=512)
def view_items(view: FeatureView, timezone: str) -> dict[Items, ItemFold]:
    """Map the measures of a view that have sub-ledgers, with the windows of all aggregations that read them, to their folds."""
    folds: dict[str, ItemFold] = {}
    windows: dict[str, set[int | None]] = {}
    for aggregation in view.aggregations:
        for measure in measures_of(view, aggregation, timezone):
            if isinstance(measure.fold, ItemFold):
                folds[measure.name] = measure.fold
                lengths = [Window(window.text, window.length_hours) for _, window in aggregation.outputs()]
                windows.setdefault(measure.name, set()).update(length.steps(view.grain) for length in lengths)
    return {
        Items(name, tuple(sorted(windows[name], key=lambda window: (window is None, window or 0)))): fold
        for name, fold in folds.items()
    }
