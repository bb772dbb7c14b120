from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.drift.audit_tables import read_snapshot
from featurestore.lake.table import Table
from featurestore.operations.panels import audited_view
from featurestore.synth import Shop
from featurestore.timeline import Month
from featurestore_pipelines.assets.drift import describe_month
from featurestore_pipelines.assets.shared import key_of
from featurestore_pipelines.checks.ledgers import rows_match_tiles
from featurestore_pipelines.inventory import Inventory
from tests.pipelines.operation import FIRST, LAST, NO_PICTURES, Operation, metadata_of

VIEWS = ("category_demand", "sku_returns")
ASSETS = (
    "events/events",
    *(key_of(stage, view).to_user_string() for stage in ("tiles", "ledger", "features", "drift_report") for view in VIEWS),
    "audit",
    "services/planning_v1",
    "calibration/return_prior",
    "calibration/seasonal_index",
)
OF_EVENTS = {"schema", "freshness", "row_count", "uniqueness", "landing", "quarantine_share"}
OF_LEDGERS = {"rows_match_tiles", "continuity", "verified"}
WITHOUT_PICTURES = {"ops": {"drift_report": {"config": NO_PICTURES}}}
BLOCKING = {"events/events": OF_EVENTS, **{f"ledger/{view}_ledger": OF_LEDGERS for view in VIEWS}}


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operation, dg.ExecuteInProcessResult]]:
    with dg.DagsterInstance.ephemeral() as instance:
        operation = Operation(tmp_path_factory.mktemp("operated"), Shop(events=150_000), instance)
        operation.land(FIRST, LAST)
        yield operation, operation.run(FIRST, LAST, config={**NO_PICTURES, "draws_timeline": True})


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Operation]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Operation(tmp_path, Shop(events=20_000), instance)


def test_one_run_over_a_range_materializes_every_month_of_every_asset(operated):
    operation, result = operated
    months = [str(month) for month in operation.shop.months if str(month) <= LAST]
    for asset in ASSETS:
        assert sorted(metadata_of(result, asset)) == months


def test_each_month_says_what_was_committed_of_it(operated):
    operation, result = operated
    events = Table.open(operation.store.layout.events("events"))
    for month, found in metadata_of(result, "events/events").items():
        files = events.files(month=month)
        assert found["dagster/partition_row_count"] == sum(file.rows for file in files) == found["rows_added"]
        assert found["bytes"] == sum(file.size_bytes for file in files)
        assert found["rows_read"] == found["rows_added"] + found["duplicates"] + found["corrections"] + found["quarantined"]
    tiles = metadata_of(result, "tiles/category_demand_tiles")
    assert all(found["is_computed"] == 1 and found["dagster/partition_row_count"] > 0 for found in tiles.values())


def test_each_month_of_features_says_how_many_values_are_missing_and_what_it_took(operated):
    operation, result = operated
    for name in VIEWS:
        view, audited = (
            operation.store.registry.views[name],
            audited_view(operation.store.layout, operation.store.registry.views[name]),
        )
        found = metadata_of(result, f"features/{name}")
        for month in (str(each) for each in operation.shop.months if str(each) <= LAST):
            snapshot = read_snapshot(audited, Month.parse(month))
            shares = {each.name: snapshot[each.column].null_count / snapshot.num_rows for each in view.features}
            assert found[month]["null_rate"] == pytest.approx(sum(shares.values()) / len(shares))
            told = {
                key.removeprefix("null_rate "): value for key, value in found[month].items() if key.startswith("null_rate ")
            }
            assert told == pytest.approx({name: shares[name] for name in told})
            assert sum(shares.values()) == pytest.approx(sum(told.values()))
            assert found[month]["dagster/partition_row_count"] == snapshot.num_rows
            assert found[month]["bytes"] > 0 < found[month]["elapsed_s"]
        assert any(found[LAST][f"null_rate {name}"] > 0 for name in told)


def test_data_faults_are_told_apart_from_drift():
    row = {"view": "v", "segment": None, "score": 2.0, "state": "drift", "reason": "why; then"}
    rows = [
        {**row, "feature": "v__a", "kind": "location"},
        {**row, "feature": "v__b", "kind": "unit", "reason": "100 times as large; than before"},
        {**row, "feature": "v__c", "kind": "unit", "state": "ok"},
    ]
    found = describe_month(rows, [])
    assert (found["features_drift"].value, found["data_faults"].value) == (2, 1)
    assert found["top_drifts"].value == r"- drift: v\_\_a, 2.00 times its threshold: why; then"
    assert found["data_faults_by_kind"].value == r"- unit: v\_\_b, 100 times as large"


def test_the_audit_counts_features_by_state_and_draws_the_timeline_once(operated):
    operation, result = operated
    history = operation.store.drift_history().to_pylist()
    found = metadata_of(result, "audit")
    for month in ("2016-06", LAST):
        states = [row["state"] for row in history if Month.parse(row["month"]) == Month.parse(month)]
        assert {name: found[month][f"features_{name}"] for name in set(states)} == {
            name: states.count(name) for name in set(states)
        }
    assert [month for month in found if "timeline" in found[month]] == [LAST]
    assert found[LAST]["timeline"].startswith("![timeline](data:image/png;base64,")
    assert Path(found[LAST]["page"]).read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert found[LAST]["digest"].startswith(f"**Drift audit of {LAST}**")


def test_a_calibration_gets_its_first_version_from_a_year_of_history(operated):
    _, result = operated
    found = metadata_of(result, "calibration/return_prior")
    assert next(month for month in sorted(found) if found[month]["promoted"]) == "2016-12"
    asked_for = {month: each["calibrations_asked_for"] for month, each in metadata_of(result, "audit").items()}
    assert asked_for["2016-11"] == asked_for["2016-12"] == 2


def test_the_checks_hold_behind_a_run(operated):
    _, result = operated
    outcomes: dict[str, dict[str, dg.AssetCheckEvaluation]] = {}
    for each in result.get_asset_check_evaluations():
        outcomes.setdefault(each.asset_key.to_user_string(), {})[each.check_name] = each
    for asset, names in BLOCKING.items():
        assert set(outcomes[asset]) == names
        assert all(each.passed for each in outcomes[asset].values()), outcomes[asset]
    joints = outcomes["ledger/category_demand_ledger"]["continuity"].metadata["joints"].value
    assert joints == 1
    warnings = ("drift_states", "forecasts_hold")
    for asset, name in (
        *(("drift_report/sku_returns_drift", name) for name in warnings),
        ("calibration/return_prior", "calibration_error"),
    ):
        assert outcomes[asset][name].severity == dg.AssetCheckSeverity.WARN
    (forecast,) = outcomes["drift_report/sku_returns_drift"]["forecasts_hold"].metadata["forecasts"].records
    assert forecast.data["feature"] == "sku_returns__return_probability"


def test_the_assets_tell_who_listens_how_far_they_are(operated):
    operation, _ = operated
    assert {stage for stage, _ in operation.units} == {asset.partition("/")[0] for asset in ASSETS} - {"audit"}
    assert [what for stage, what in operation.units if stage == "events"][:2] == ["2016-01", "2016-02"]


def test_the_same_run_again_changes_nothing(small):
    small.land("2016-01", "2016-03")
    small.run("2016-01", "2016-03")
    before = {path: path.read_bytes() for path in (small.root / "lake").rglob("_delta_log/*.json")}
    again = small.run("2016-01", "2016-03")
    assert {path: path.read_bytes() for path in (small.root / "lake").rglob("_delta_log/*.json")} == before
    assert all(found["is_computed"] == 0 for found in metadata_of(again, "tiles/sku_returns_tiles").values())
    assert all(found["rows_added"] == 0 for found in metadata_of(again, "events/events").values())


def test_late_rows_bring_earlier_months_up_to_date_in_the_run_of_the_month_they_came_with(small):
    small.land("2016-01", "2016-02")
    small.run("2016-01", "2016-02")
    folder = small.root / "landing" / "events"
    january = pq.read_table(folder / "2016-01.parquet")
    late = january.slice(0, 5).set_column(0, "event_id", pa.array(range(1, 6), pa.int64()))
    pq.write_table(late, folder / "2016-03-late.parquet")
    small.land("2016-03", "2016-03")
    result = small.run("2016-03", "2016-03")
    assert metadata_of(result, "events/events")["2016-03"]["months_changed"] >= 2
    checks = [each for each in result.get_asset_check_evaluations() if each.check_name == "rows_match_tiles"]
    assert len(checks) == len(VIEWS)
    assert all(each.passed for each in checks)


def test_a_view_whose_events_are_all_there_is_computed_a_chunk_of_months_at_a_time(small):
    small.land("2016-01", "2016-03")
    small.store.ingest("events")
    for first, last, stale in (("2016-01", "2016-02", 1), ("2016-03", "2016-03", 0)):
        result = small.definitions.resolve_job_def("backfill").execute_in_process(
            instance=small.instance,
            tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **WITHOUT_PICTURES},
        )
        assert result.success
        inventory = Inventory(small.store)
        assert [rows_match_tiles(inventory, view, Month.parse(last))[0] for view in VIEWS] == [True, True]
        assert [rows_match_tiles(inventory, view, None)[1]["months_stale"].value for view in VIEWS] == [stale, stale]


def test_a_run_of_one_view_leaves_the_others_alone(small):
    small.land("2016-01", "2016-01")
    chosen = [key_of("tiles", "sku_returns"), key_of("ledger", "sku_returns")]
    small.run("2016-01", "2016-01", assets=["events"])
    result = small.run("2016-01", "2016-01", keys=chosen)
    assert {event.asset_key for event in result.get_asset_materialization_events()} == set(chosen)
    files = {view.name: view.tile_rows for view in small.store.status().views}
    assert files["sku_returns"] > 0 == files["category_demand"]


def test_a_month_without_events_stops_the_run_before_anything_is_made_of_it(small):
    small.land("2016-01", "2016-01")
    result = small.run("2016-01", "2016-02", raise_on_error=False)
    assert not result.success
    assert metadata_of(result, "events/events")["2016-02"]["rows_read"] == 0
    assert not metadata_of(result, "tiles/sku_returns_tiles")
    failed = [each.check_name for each in result.get_asset_check_evaluations() if not each.passed]
    assert failed == ["freshness"]


def test_a_damaged_file_fails_the_step_with_the_librarys_message(small):
    (path,) = small.land("2016-01", "2016-01")
    path.write_bytes(path.read_bytes()[:1000])
    result = small.run("2016-01", "2016-01", assets=["events"], raise_on_error=False)
    failure = result.failure_data_for_node("events")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "2016-01.parquet" in (failure.user_failure_data.description or "")


def test_a_link_in_the_landing_folder_is_refused(small):
    (path,) = small.land("2016-01", "2016-01")
    path.rename(small.root / "landing" / "elsewhere.parquet")
    path.symlink_to(small.root / "landing" / "elsewhere.parquet")
    result = small.run("2016-01", "2016-01", assets=["events"], raise_on_error=False)
    failure = result.failure_data_for_node("events")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "is a link" in (failure.user_failure_data.description or "")
