from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from featurestore.client import FeatureStore
from featurestore.errors import DefinitionError, StoreError, UnknownNameError
from featurestore.shop import VIEWS
from featurestore.spec.look_back import scored_features
from featurestore.synth import Shop
from featurestore.timeline import Month
from featurestore_pipelines.demo import DemoResult, StageEnd, run_demo
from featurestore_pipelines.demo.data import demo_data
from featurestore_pipelines.demo.run import STAGES
from tests.pipelines.operation import Operation

EVENTS, SPINE_ROWS, REPORTS = 300_000, 20_000, 2


def test_a_decade_goes_from_its_landing_to_a_decision_about_a_calibration(tmp_path: Path):
    """One test, since the decade must be run once however tests are spread over processes."""
    told: list[tuple[str, int, int]] = []
    ended: list[StageEnd] = []
    result = run_demo(
        tmp_path / "shop",
        events=EVENTS,
        spine_rows=SPINE_ROWS,
        most_reports=REPORTS,
        chunk_years=10,
        progress=lambda *units: told.append(units),
        on_end=ended.append,
    )
    check_the_data(result)
    check_the_drift(result)
    check_the_pictures(result)
    check_the_progress(told)
    check_the_ends(ended, result)
    check_the_runs(result)
    with pytest.raises(StoreError, match="holds the demo"):
        run_demo(result.root, events=EVENTS, seed=8)


def check_the_data(result: DemoResult) -> None:
    assert (result.first_month, result.last_month) == (Month(2016, 1), Month(2025, 12))
    assert 0.9 * EVENTS < result.events < 1.1 * EVENTS
    assert result.quarantined < 0.01 * result.events
    assert 5 < result.bytes_per_event < 60
    training_set = result.training_set
    assert training_set.service == "recommendation_v1"
    assert 0.99 * SPINE_ROWS < training_set.rows <= SPINE_ROWS
    assert training_set.features == len(FeatureStore(result.root).registry.resolve("recommendation_v1"))


def check_the_drift(result: DemoResult) -> None:
    found = {outcome.name: outcome for outcome in result.planted if outcome.found_month}
    assert len(result.planted) == 26
    assert found["warehouse_automation"].delay_months in (0, 1, 2)
    assert result.unplanted_episodes <= len(result.episodes)
    # What is planned with from hour to hour has no monthly score.
    scored = [feature for view in VIEWS for feature in scored_features(view)]
    assert len(scored) < result.features == sum(len(view.features) for view in VIEWS)
    assert result.scores > 0.8 * len(scored) * 8 * 12
    first = result.recalibrations[0]
    assert (first.month, first.is_promoted, first.trigger) == (Month(2016, 12), True, None)


def check_the_pictures(result: DemoResult) -> None:
    pages = [path.name for path in result.reports]
    assert pages.count("audit.html") == 1
    assert len(pages) == REPORTS + 1
    assert result.timeline.read_bytes().startswith(b"\x89PNG")


def check_the_progress(told: list[tuple[str, int, int]]) -> None:
    for stage in STAGES:
        units = [(done, total) for name, done, total in told if name == stage]
        assert units[-1][0] == units[-1][1] > 0, stage
        assert [done for done, _ in units] == sorted(done for done, _ in units), stage


def check_the_ends(ended: list[StageEnd], result: DemoResult) -> None:
    assert {*STAGES, "check_ledger"} <= {end.stage for end in ended}
    assert (ended[0].stage, ended[0].months, ended[-1].months) == ("landing", "2016 to 2019", "2016 to 2025")
    for stage in STAGES:
        (whole,) = [each.elapsed_s for each in result.stages if each.stage == stage]
        assert sum(end.elapsed_s for end in ended if end.stage == stage) == pytest.approx(whole)
    assert sum(end.rows or 0 for end in ended if end.stage == "events") == pytest.approx(result.events, rel=0.01)  # late ones


def check_the_runs(result: DemoResult) -> None:
    """What the user interface shows."""
    with dg.DagsterInstance.from_config(result.environment["DAGSTER_HOME"]) as instance:
        assert all(run.is_success for run in instance.get_runs())
        names = (
            "events/events",
            "tiles/user_activity_tiles",
            "drift_report/sku_demand_drift",
            "audit",
            "calibration/return_prior",
        )
        for name in names:
            assert len(instance.get_materialized_partitions(dg.AssetKey(name.split("/")))) == 120, name


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


def test_a_demo_may_run_on_some_months_of_its_data():
    shop = demo_data("shop", events=1_000, seed=7, months="2016-11:2017-02")
    assert [str(month) for month in shop.months] == ["2016-11", "2016-12", "2017-01", "2017-02"]
    films = demo_data("movielens", events=1, seed=7, months="2015-11:2016-10")
    assert (films.months[0], films.months[-1], len(films.months)) == (Month(2015, 11), Month(2016, 10), 12)


@pytest.mark.parametrize("months", ["2016-11", "2016-11:2026-01", "2017-02:2016-11", "November:2017-02", ""])
def test_months_that_the_data_does_not_have_are_refused_with_those_it_has(months: str):
    with pytest.raises(DefinitionError, match=r"not of shop, which has 2016-01 to 2025-12\. Write .* as 2016-01:2016-12"):
        demo_data("shop", events=1_000, seed=7, months=months)
