"""The monthly rows of features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from benchmarks.monitors.features import CATEGORIES, Feature
from benchmarks.monitors.worlds import MONTHS, REGIONS, World

ROWS_PER_ENTITY = 3
ENTITY_MEMORY = 0.8
NAMES = [f"k{i}" for i in range(CATEGORIES)]


def snapshots(world: World, features: Sequence[Feature], rows: int, seed: int) -> Iterator[tuple[date, pa.Table]]:
    """Draw the months' rows, one column per feature; with local drifts also ``region``."""
    entities = -(-rows // ROWS_PER_ENTITY)
    own = np.random.default_rng((seed, 98)).standard_normal((len(features), entities))
    region = np.arange(rows) % REGIONS
    for t, month in enumerate(MONTHS):
        rng = np.random.default_rng((seed, t))
        columns: dict[str, pa.Array] = {}
        for i, feature in enumerate(features):
            noise = rng.standard_normal(rows)
            if world.kept:
                own[i] = ENTITY_MEMORY * own[i] + np.sqrt(1 - ENTITY_MEMORY**2) * rng.standard_normal(entities)
                shared = np.repeat(own[i], ROWS_PER_ENTITY)[:rows]
                noise = np.sqrt(world.kept) * shared + np.sqrt(1 - world.kept) * noise
            is_missing = rng.random(rows) < feature.missing[t]
            columns[feature.name] = _column(feature, t, noise, region, is_missing)
        if world.segments:
            columns["region"] = pa.array(region)
        yield month.first_day, pa.table(columns)


def _column(feature: Feature, t: int, noise: np.ndarray, region: np.ndarray, is_missing: np.ndarray) -> pa.Array:
    from scipy.special import ndtr

    if feature.is_category:
        codes = np.searchsorted(np.cumsum(feature.shares[t])[:-1], ndtr(noise))
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8), mask=is_missing), NAMES)
    values = feature.level[t] + np.exp(feature.log_spread[t]) * noise
    for change in feature.changes:
        if change.region is not None and t >= change.onset:
            values = values + change.size * (region == change.region)
    return pa.array((np.exp(values) if feature.is_lognormal else values) * feature.factor[t], mask=is_missing)
