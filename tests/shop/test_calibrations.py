"""The shop's four calibrations, fitted on made-up events whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featurestore.client import FeatureStore
from featurestore.drift.recalibration.calibration_versions import audit_log, champion, parameters
from featurestore.drift.recalibration.fitters.order_cutoff import LEVEL
from featurestore.drift.recalibration.fitters.seasonal_index import season_of
from featurestore.shop import CALIBRATIONS, OBJECTS
from featurestore.synth import TIMEZONE, Shop
from featurestore.timeline import Month, months_between

SHOP = Shop(seed=5, events=400_000, first_month="2016-01", last_month="2018-03", faults=False)
FITTED = Month(2017, 12)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store whose calibrations have their first versions, each from the first months that allow it."""
    found = FeatureStore(Path(tmp_path_factory.mktemp("calibrated")) / "store", timezone=TIMEZONE)
    found.apply(OBJECTS)
    SHOP.write_landing(found.layout.root / "landing" / "events")
    found.ingest("events")
    found.materialize()
    found.audit(["2017-12"], views=["category_demand"])
    found.recalibrate(month=FITTED)
    return found


def fitted(store: FeatureStore, name: str) -> list[dict]:
    folder = store.layout.calibrations(name)
    version = champion(folder)
    assert version is not None, f"{name} has no version"
    return parameters(folder, version).to_pylist()


def test_there_are_four_and_each_gets_a_version_with_an_audit_row(store: FeatureStore) -> None:
    assert len(CALIBRATIONS) == 4
    for calibration in CALIBRATIONS:
        (row,) = audit_log(store.layout.calibrations(calibration.name)).to_pylist()
        assert row["event"] == "promoted"
        assert f'"events of events": "{0}"' in row["decision"]
        assert row["parameters"].startswith("[{")


def test_the_seasonal_index_is_that_of_the_expected_orders(store: FeatureStore) -> None:
    truth = SHOP.truth()
    whole = next(row for row in fitted(store, "seasonal_index") if row["group"] == "*")
    for month in months_between(Month(2017, 1), FITTED):
        orders = [sum(truth.expected_orders(each)["orders"].to_pylist()) for each in months_between(month.shift(-12), month)]
        days = (month.next().first_day - month.first_day).days
        true = orders[-1] / (sum(orders[:-1]) / 365 * days)
        assert whole[season_of(month.first_day)] == pytest.approx(true, rel=0.06), str(month)


def test_the_cutoff_of_a_region_costs_little_more_than_the_best_one(store: FeatureStore) -> None:
    truth = SHOP.truth()
    share = np.mean([truth.on_time_shares(Month(2017, month), draws=200) for month in (1, 4, 7, 10)], axis=0)
    hours = {row["group"]: int(row["hour"]) for row in fitted(store, "order_cutoff")}
    costs = np.concatenate([np.zeros((31, 1)), np.cumsum(LEVEL * (1 - share) - (1 - LEVEL) * share, axis=1)], axis=1) / 24
    regret = [costs[i, hours[str(i + 1)] + 1] - costs[i].min() for i in range(31)]
    naive = [costs[i, 24] - costs[i].min() for i in range(31)]
    assert np.mean(regret) < 0.006
    assert np.mean(regret) < 0.5 * np.mean(naive)


def test_the_window_or_half_life_that_tells_best_who_buys_is_chosen_among_those_declared(store: FeatureStore) -> None:
    (row,) = fitted(store, "taste_window")
    candidates = ["buys_90d", "buys_1y", "buys_3y", "buys_10y", "fading_buys_90d", "fading_buys_1y"]
    uses = {name: row[f"uses_{name}"] for name in candidates}
    assert sorted(uses.values()) == [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    losses = {name: row[f"loss_{name}"] for name in candidates}
    assert uses[min(losses, key=lambda name: losses[name])] == 1.0
    assert row["slope"] > 0


def test_features_read_the_fitted_parameters_and_old_training_rows_do_not(store: FeatureStore) -> None:
    names = ["category_demand:double11_orders", "category_demand:orders_364d"]
    table = store.get_batch_features("2018-01-01T00:00:00+08:00", names).to_pylist()
    index = {row["group"]: row["double11"] for row in fitted(store, "seasonal_index")}
    for row in table:
        expected = row["category_demand__orders_364d"] / 364 * 30 * index[row["category"]]
        assert row["category_demand__double11_orders"] == pytest.approx(expected)
    spine = [{"category": "APPAREL", "as_of": f"{day}T00:00:00+08:00"} for day in ("2017-12-31", "2018-01-01")]
    import polars as pl

    given = pl.DataFrame(spine).with_columns(pl.col("as_of").str.to_datetime(time_zone="UTC"))
    answers = store.get_historical_features(given, names)["category_demand__double11_orders"].to_pylist()
    assert answers[0] is None
    assert answers[1] is not None


def test_rolling_back_restores_equal_features_and_an_equal_audit(store: FeatureStore) -> None:
    """Promotion moves parameters and reference together, and a rollback takes both back."""
    at, months = "2018-04-01T00:00:00+08:00", ["2018-03"]
    views = ["category_demand", "region_cutoff"]

    def seen() -> list:
        features = [store.get_batch_features(at, [view]) for view in views]
        return [*features, store.audit(months, views=views).table]

    before = seen()
    (decision,) = store.recalibrate("order_cutoff", month="2018-03")
    if not decision.is_promoted:  # what it decides is not the point here: make it the champion
        folder = store.layout.calibrations("order_cutoff")
        _promote_last(folder, decision)
    changed = seen()
    assert not changed[1].equals(before[1])
    store.rollback("order_cutoff")
    assert all(new.equals(old) for new, old in zip(seen(), before, strict=True))


def _promote_last(folder: Path, decision) -> None:
    from dataclasses import replace

    from featurestore.drift.recalibration.calibration_versions import Challenger, record, versions

    last = versions(folder)[-1]
    resets = dict(last.resets)
    given = Challenger(parameters(folder, last), last.fit, last.fitted_from_us, last.fitted_until_us, resets=resets)
    record(folder, given, replace(decision, is_promoted=True))
