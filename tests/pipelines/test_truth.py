"""The return probability against its truth: measured on what is served, with the parameters before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.client import FeatureStore
from featurestore.drift.recalibration.calibration_versions import Challenger, champion, parameters, record
from featurestore.drift.recalibration.recalibrate import Decision, Trigger
from featurestore.shop import TIMEZONE, events
from featurestore.shop.skus import return_prior, sku_demand, sku_returns
from featurestore.spec import FeatureService
from featurestore.synth import Shop
from featurestore.timeline import Month
from featurestore_pipelines.demo.truth import score_return_probability

SHOP = Shop(seed=4, events=40_000, first_month="2016-01", last_month="2017-06", faults=False)
MONTHS = [Month(2017, 4), Month(2017, 5)]
READERS = [FeatureService(name, features=["sku_returns:return_probability"]) for name in return_prior.consumers]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    found = FeatureStore(Path(tmp_path_factory.mktemp("truth")) / "store", timezone=TIMEZONE)
    found.apply([events, sku_returns, sku_demand, return_prior, *READERS])
    SHOP.write_landing(found.layout.root / "landing" / "events")
    found.ingest("events")
    found.materialize()
    found.audit(["2016-12"], views=["sku_returns"])
    found.recalibrate("return_prior", month="2016-12")
    return found


def promote(store: FeatureStore) -> None:
    """Put a prior of twice the mean into force."""
    folder = store.layout.calibrations("return_prior")
    old = champion(folder)
    assert old is not None
    fitted = parameters(folder, old)
    doubled = fitted.set_column(fitted.column_names.index("a"), "a", pa.array(2 * fitted["a"].to_numpy()))
    until = old.fitted_until_us + 1
    decision = Decision("return_prior", Trigger("2017-01"), 0, until, (), (), True, "for the test")
    record(folder, Challenger(doubled, old.fit, 0, until), decision)


def test_nothing_is_compared_before_a_recalibration_and_then_what_is_served(store: FeatureStore) -> None:
    truth = SHOP.truth()
    assert score_return_probability(store, truth, MONTHS) is None
    spine = [{"sku_id": sku, "as_of": month.interval(TIMEZONE).start_us} for month in MONTHS for sku in range(1, 2000)]
    table = pa.Table.from_pylist(spine)
    table = table.set_column(1, "as_of", table["as_of"].cast(pa.timestamp("us", tz="UTC")))
    served = ["sku_returns:return_probability", "sku_demand:units_28d"]
    before = store.get_historical_features(table, served)
    promote(store)
    after = store.get_historical_features(table, served)

    found = score_return_probability(store, truth, MONTHS)

    assert found is not None
    months = {month.interval(TIMEZONE).start_us: month for month in MONTHS}
    for measured, answer in ((found.first, before), (found.champion, after)):
        errors, weights = [], []
        for row, asked in zip(answer.to_pylist(), spine, strict=True):
            if row["sku_demand__units_28d"]:
                (true,) = truth.return_probability([row["sku_id"]], months[asked["as_of"]])
                errors.append(abs(row["sku_returns__return_probability"] - true))
                weights.append(row["sku_demand__units_28d"])
        assert measured == pytest.approx(np.average(errors, weights=weights), rel=1e-9)
    assert found.champion > found.first
    assert (found.first_month, found.last_month) == tuple(MONTHS)
