"""One decade through the assets. Everything that looks at it shares one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from featurestore.client import FeatureStore
from featurestore.errors import StoreError, UnknownNameError
from featurestore.synth import Shop
from featurestore.timeline import Month
from pipelines.demo import DemoResult, run_demo
from pipelines.demo.run import ASSETS, STAGES
from tests.pipelines.operation import Operation

EVENTS = 300_000


@dataclass
class Decade:
    result: DemoResult
    progress: list[tuple[str, int, int]]


@pytest.fixture(scope="module")
def decade(tmp_path_factory: pytest.TempPathFactory) -> Decade:
    progress: list[tuple[str, int, int]] = []
    result = run_demo(
        tmp_path_factory.mktemp("demo") / "shop",
        events=EVENTS,
        spine_rows=20_000,
        chunk_years=5,
        progress=lambda *told: progress.append(told),
    )
    return Decade(result, progress)


def test_a_decade_of_events_is_ingested_and_almost_none_is_refused(decade):
    result = decade.result
    assert (result.first_month, result.last_month) == (Month(2016, 1), Month(2025, 12))
    assert 0.9 * EVENTS < result.events < 1.1 * EVENTS
    assert result.quarantined < 0.01 * result.events
    assert 5 < result.bytes_per_event < 60


def test_the_training_set_has_the_asked_rows_and_the_services_features(decade):
    training_set = decade.result.training_set
    assert training_set.service == "recommendation_v1"
    assert 0.99 * 20_000 < training_set.rows <= 20_000
    store = FeatureStore(decade.result.root)
    assert training_set.features == len(store.registry.resolve("recommendation_v1"))


def test_planted_drifts_are_found_and_a_calibration_decided_about(decade):
    result = decade.result
    found = {outcome.name: outcome for outcome in result.planted if outcome.found_month}
    assert "warehouse_automation" in found
    assert len(result.planted) == 26
    assert result.unplanted_episodes <= len(result.episodes)
    assert result.recalibrations[0].is_promoted
    assert result.recalibrations[0].month == Month(2016, 12)


def test_at_most_a_dozen_reports_are_drawn_one_of_each_view_for_the_last_month(decade):
    result = decade.result
    assert result.views <= len(result.reports) <= 12
    assert sum(path.parent.name == "2025-12" for path in result.reports) == result.views
    assert result.timeline.read_bytes().startswith(b"\x89PNG")


def test_progress_reaches_the_end_of_every_stage_and_never_goes_back(decade):
    for stage in STAGES:
        told = [(done, total) for name, done, total in decade.progress if name == stage]
        assert told[-1][0] == told[-1][1] > 0, stage
        assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_runs_are_there_for_the_user_interface(decade):
    home = decade.result.environment["DAGSTER_HOME"]
    with dg.DagsterInstance.from_config(home) as instance:
        assert all(run.is_success for run in instance.get_runs())
        for name in ASSETS:
            materialized = instance.get_materialized_partitions(dg.AssetKey(name))
            assert len(materialized) == 120, name


def test_the_same_demo_again_would_resume_and_another_one_is_refused(decade):
    with pytest.raises(StoreError, match="holds the demo"):
        run_demo(decade.result.root, events=EVENTS, seed=8)


def test_a_store_with_someone_elses_events_is_refused(tmp_path: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        operation = Operation(tmp_path, Shop(events=20_000), instance)
        operation.land("2016-01", "2016-01")
        operation.run("2016-01", "2016-01", assets=["events"])
    with pytest.raises(StoreError, match="not a demo's"):
        run_demo(tmp_path, events=20_000)


def test_unknown_data_is_named(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="Did you mean 'movielens'"):
        run_demo(tmp_path, data="movielen")
