"""Forecasts and what came of them: probabilities as they were at an instant, beside the outcomes that have become known since.

    forecast    the feature at the instant at which the month's outcomes begin: of the events before it, late ones included, and
                by the version of a calibration that was in force
    outcomes    the inflow of its successes and trials over the month, both edges moved back by the view's delay

So a month scores the forecasts whose outcomes became known within it: with a delay of 45 days, October scores what was forecast
in the middle of August for the orders from then to the middle of September. Nothing after a forecast is in it, and no
outcome is counted before it has matured.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from featurestore.compute.snapshots.inflow import inflow_columns
from featurestore.compute.windows.derive import Parameters, derive
from featurestore.compute.windows.view_query import ViewQuery
from featurestore.spec.lineage import needed_features
from featurestore.spec.view import Feature, FeatureView
from featurestore.timeline import DAY_US, Clock, Month

ACTIVE_DAYS = 90


def forecast_at_us(view: FeatureView, clock: Clock, month: Month) -> int:
    """Return the instant of the forecasts whose outcomes became known within a month, UTC microseconds."""
    return clock.start_us(clock.step(month.interval(clock.timezone).start_us) - view.delay_steps)


def forecast_rows(
    query: ViewQuery, month: Month, *, rank: np.ndarray, size: int, parameters: Parameters
) -> dict[str, pa.Table]:
    """Compute the forecasts of a view whose outcomes became known within a month.

    Whom a forecast is about is decided without its outcome: with trials, a sample of the entities that had any; without,
    one of those active in the 90 days before the forecast.

    Args:
        query: The view, against one snapshot of its ledger.
        month: The month.
        rank: Hash of each entity; the lowest are in the sample.
        size: Largest number of entities.
        parameters: The versions of calibrations that a row may read.

    Returns:
        Column of each forecast to ``forecast`` (double; NULL when there was none), ``successes`` and ``trials`` (double): a row
        per entity with trials.
    """
    view, clock = query.view, query.state.clock
    made_us = forecast_at_us(view, clock, month)
    begins = clock.step(made_us)
    ends = clock.step(month.interval(clock.timezone).end_us) - view.delay_steps
    rows = {}
    for feature in view.forecasts:
        if feature.outcome is None:
            continue
        edges = (clock.step(made_us - ACTIVE_DAYS * DAY_US), begins) if feature.outcome.trials is None else (begins, ends)
        active = query.reader.active_codes(*edges)
        codes = np.sort(active[np.argsort(rank[active], kind="stable")[:size]])
        counted = [view.feature(name) for name in feature.outcome.features]
        came = inflow_columns(query, counted, codes, month)
        successes, *others = (np.nan_to_num(np.asarray(came[each.name], float)) for each in counted)
        trials = others[0] if others else np.ones(len(codes))
        # Sums may fall below zero, or pass their trials: more than none or all cannot come of a forecast.
        successes = np.clip(successes, 0.0, np.maximum(trials, 0.0)) if others else (successes > 0).astype(float)
        table = pa.table(
            {"forecast": _forecasts(query, feature, codes, made_us, parameters), "successes": successes, "trials": trials}
        )
        rows[feature.column] = table.filter(pa.array(trials > 0))
    return rows


def _forecasts(query: ViewQuery, feature: Feature, codes: np.ndarray, made_us: int, parameters: Parameters) -> pa.Array:
    features = needed_features(query.view, [feature])
    as_of_us = np.full(len(codes), made_us)
    values = replace(query, features=tuple(features)).base_columns(codes, as_of_us)
    zone = query.state.layout.naive_timezone
    derive(values, features, as_of_us=as_of_us, parameters=parameters, timezone=zone)
    return values[feature.name]
