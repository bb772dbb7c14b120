"""A tiny store before anything was run on it, and whether it ended like one that was left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featurestore.client import FeatureStore
from featurestore.drift.recalibration.calibration_versions import champion, parameters
from featurestore.synth import Shop
from featurestore.timeline import Month
from tests.pipelines import tiny_shop

SHOP = Shop(events=20_000)


def prepared(root: Path, months: Sequence[Month]) -> FeatureStore:
    """Make a store with its definitions, and let the events of some months land."""
    store = FeatureStore(root, timezone=tiny_shop.TIMEZONE)
    store.apply(tiny_shop.OBJECTS)
    SHOP.write_landing(root / "landing" / "events", months=months)
    return store


def assert_equal(store: FeatureStore, untouched: FeatureStore) -> None:
    """Compare events, scores and parameters, and each ledger with its events."""
    assert store.verify().is_equal
    assert store.status().sources[0].rows == untouched.status().sources[0].rows
    assert store.drift_history().equals(untouched.drift_history())
    for name in store.registry.calibrations:
        folders = [each.layout.calibrations(name) for each in (store, untouched)]
        fitted = [parameters(folder, version) if (version := champion(folder)) else None for folder in folders]
        assert fitted[0] == fitted[1]
