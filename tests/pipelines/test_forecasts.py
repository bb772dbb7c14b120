"""The check of a view's forecasts: it warns while what comes of them has changed and nobody has answered."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from featurestore.client import FeatureStore
from featurestore.timeline import Month, months_between
from featurestore_pipelines.assets.shared import Blueprint
from featurestore_pipelines.checks.drift import build_forecast_checks
from featurestore_pipelines.partitions import monthly_partitions
from featurestore_pipelines.resources import StoreResource
from tests.drift import test_concept as concept


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return concept.opened(tmp_path_factory.mktemp("forecasts") / "store").layout.root


def checked(root: Path) -> dg.AssetCheckEvaluation:
    partitions = monthly_partitions(concept.TIMEZONE, first=concept.MONTHS[0], last=concept.MONTHS[-1])
    job = dg.define_asset_job("check", selection=dg.AssetSelection.all_asset_checks())
    defined = dg.Definitions(
        asset_checks=[build_forecast_checks(Blueprint(tuple(concept.OBJECTS), partitions))],
        jobs=[job],
        resources={"store": StoreResource(root=str(root), definitions=concept.__name__)},
    )
    (found,) = defined.resolve_job_def("check").execute_in_process().get_asset_check_evaluations()
    return found


def test_it_passes_before_the_change_and_warns_with_the_numbers_behind_it(root: Path) -> None:
    store = FeatureStore(root, timezone=concept.TIMEZONE)
    store.audit(months_between(concept.MONTHS[0], concept.ONSET))
    before = checked(root)
    assert before.passed
    assert before.metadata["wrong"].value == 0
    store.audit(months_between(concept.ONSET, Month(2020, 7)))
    behind = checked(root)
    assert (behind.passed, behind.severity) == (False, dg.AssetCheckSeverity.WARN)
    (row,) = behind.metadata["forecasts"].records
    assert (row.data["feature"], row.data["month"]) == (concept.COLUMN, "2020-07")
    assert row.data["observed_share"] > 1.3 * row.data["mean_forecast"]
    assert "came where" in row.data["drift"]
    assert row.data["ece"] == pytest.approx(behind.metadata["worst_ece"].value, rel=1e-4)
