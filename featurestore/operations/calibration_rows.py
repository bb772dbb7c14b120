"""The rows that a calibration is fitted and tested on, read from the ledger of its view."""

from __future__ import annotations

import pyarrow as pa

from featurestore.compute.retrieval.freshness import check_fresh
from featurestore.compute.snapshots.fitting_inputs import MonthlyInputs
from featurestore.compute.windows.view_query import ViewQuery, view_queries
from featurestore.drift.recalibration.fitters import WEIGHT, fitter
from featurestore.drift.recalibration.loop import CalibrationRows
from featurestore.errors import CalibrationError, NotMaterializedError
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.calibration import Calibration
from featurestore.spec.registry import Registry
from featurestore.spec.view import Feature
from featurestore.timeline import HOUR_US, Month


def calibration_rows(layout: Layout, registry: Registry, calibration: Calibration) -> CalibrationRows:
    """Open the rows that a calibration is fitted and tested on.

    Raises:
        CalibrationError: its inputs come from several views, or a weight is about another entity or is no aggregation.
        NotMaterializedError: there are no events, or those of a month that is asked for are not yet in the view.
    """
    references = [*calibration.inputs, *([calibration.by] if calibration.by else [])]
    query, *others = view_queries(layout, registry, references)
    if others:
        raise CalibrationError(
            f"The inputs of calibration {calibration.name!r} come from {', '.join(calibration.views)}; they must share one view."
        )
    chosen = fitter(calibration.fit)
    features = [query.view.feature(each.partition(":")[2]) for each in references]
    names = chosen.input_names(calibration.name, tuple(feature.name for feature in features[: len(calibration.inputs)]))
    inputs = list(zip(names, features, strict=False))
    monthly = MonthlyInputs(
        query,
        inputs,
        features[-1] if calibration.by else None,
        chosen.is_about_known,
        {WEIGHT + consumer: _weight(layout, registry, calibration, query, ref) for consumer, ref in calibration.weights},
    )
    if not query.state.tile_digests:
        source = query.view.source.name
        raise NotMaterializedError(
            f"View {query.view.name!r} has no events, so calibration {calibration.name!r} cannot be fitted. Call "
            f"store.ingest({source!r}, rows), then store.materialize(views=[{query.view.name!r}]) first."
        )

    def rows(month: Month) -> pa.Table:
        check_fresh(query.state, query.reader, as_of_us=month.interval(zone).end_us)
        return monthly.rows(month)

    first = min(query.state.tile_digests)
    zone = layout.timezone
    hours = (
        max(feature.window.look_back_hours or 0 for _, feature in inputs if feature.window) if chosen.needs_full_windows else 0
    )
    return CalibrationRows(
        of=rows,
        first=Month.of(first.interval(zone).start_us + hours * HOUR_US - 1, zone).next(),
        end_us=lambda month: month.interval(zone).end_us,
        data={
            f"events of {query.view.source.name}": str(Table.open(layout.events(query.view.source.name)).version),
            f"ledger of {query.view.name}": str(query.reader.table.version),
            f"definition of {query.view.name}": query.state.fingerprint,
        },
    )


def _weight(
    layout: Layout, registry: Registry, calibration: Calibration, inputs: ViewQuery, reference: str
) -> tuple[ViewQuery, Feature]:
    (query,) = view_queries(layout, registry, [reference])
    feature = query.view.feature(reference.partition(":")[2])
    if query.view.entity != inputs.view.entity or feature.aggregation is None:
        raise CalibrationError(
            f"Calibration {calibration.name!r} weighs by {reference!r}; a weight must be an aggregation about "
            f"{inputs.view.entity.name!r}, as its inputs are."
        )
    return query, feature
