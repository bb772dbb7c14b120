from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from featurestore import shop
from featurestore.errors import DefinitionError
from featurestore.lake.bounds import Bounds
from featurestore.spec import Count, Entity, EventSource, FeatureView
from featurestore.spec.document import Definition, document, joined_from, source_from, view_from
from featurestore.spec.joined import JoinedView
from featurestore.spec.registry import Registry
from featurestore_pipelines.assets.shared import definition_of, key_of
from featurestore_pipelines.build import build_definitions
from featurestore_pipelines.partitions import monthly_partitions, partitions_from_environment
from featurestore_pipelines.resources import StoreResource, store_from_environment
from featurestore_pipelines.schedules import build_month_schedule
from tests.pipelines import tiny_shop

ROOT = Path(__file__).parents[2]


def keys_of(stage: str, names: Iterable[str]) -> set[str]:
    return {key_of(stage, name).to_user_string() for name in names}


@pytest.fixture
def store(tmp_path: Path) -> StoreResource:
    return StoreResource(root=str(tmp_path / "store"))


@pytest.fixture
def definitions(store: StoreResource) -> dg.Definitions:
    return build_definitions(store.objects, store, partitions=monthly_partitions("Asia/Shanghai", last="2017-12"))


def specs_of(objects: Iterable[Definition]) -> dict[str, dg.AssetSpec]:
    built = build_definitions(objects, StoreResource(), partitions=monthly_partitions("Asia/Shanghai"))
    return {spec.key.to_user_string(): spec for spec in built.resolve_all_asset_specs()}


def test_the_module_of_definitions_may_say_what_calls_may_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = StoreResource(root=str(tmp_path / "store"), definitions="tests.pipelines.tiny_shop")
    assert store.store().layout.bounds == Bounds()
    monkeypatch.setattr(tiny_shop, "BOUNDS", Bounds(rows=7), raising=False)
    assert store.store().layout.bounds == Bounds(rows=7)


def test_the_command_line_validates_the_project_without_a_warning():
    environment = {**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "dagster", "definitions", "validate"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    warned = [line for line in (done.stdout + done.stderr).splitlines() if "Warning:" in line]
    # Dagster advises against its own command; nothing that is said about the project may be left.
    assert [line for line in warned if "definitions_validate_command" not in line] == []


def test_definitions_load_without_data_and_without_creating_any(definitions, tmp_path):
    dg.Definitions.validate_loadable(definitions)
    assert not (tmp_path / "store").exists()


def test_each_source_view_service_and_calibration_has_its_assets(definitions):
    registry = Registry().merged(shop.OBJECTS)
    specs = {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}
    wanted = {"audit"} | keys_of("events", registry.sources) | keys_of("features", registry.joined_views)
    for stage in ("tiles", "ledger", "features", "drift_report"):
        wanted |= keys_of(stage, registry.views)
    assert specs == wanted | keys_of("services", registry.services) | keys_of("calibration", registry.calibrations)


def test_in_the_graph_which_shows_the_last_part_of_a_key_every_node_says_what_it_is(definitions):
    keys = definitions.resolve_asset_graph().get_all_asset_keys()
    shown = [key.path[-1] for key in keys]
    assert len(set(shown)) == len(shown)
    assert {"sku_demand_tiles", "sku_demand_ledger", "sku_demand", "sku_demand_drift"} < set(shown)


def test_a_new_view_brings_its_assets_and_checks_along():
    entity, source = (
        Entity("till", key="till_id"),
        EventSource("sales", schema={"id": "int64", "at": "timestamp", "till_id": "int64"}, event_time="at", event_id="id"),
    )
    view = FeatureView("till_sales", entity=entity, source=source, aggregations=[Count("sales", windows=("30d",))])
    built = build_definitions([view], StoreResource(), partitions=monthly_partitions("UTC"))
    dg.Definitions.validate_loadable(built)
    graph = built.resolve_asset_graph()
    stages = ("tiles", "ledger", "features", "drift_report")
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        "audit",
        "events/sales",
        *(key_of(stage, "till_sales").to_user_string() for stage in stages),
    }
    assert dg.AssetCheckKey(dg.AssetKey(["ledger", "till_sales_ledger"]), "continuity") in graph.asset_check_keys


def test_every_asset_says_what_it_is_whose_it_is_and_which_code_made_it(definitions):
    for spec in definitions.resolve_all_asset_specs():
        assert "**Grain**" in (spec.description or "")
        assert spec.owners
        assert spec.kinds
        assert spec.group_name in ("ingest", "features", "serving", "drift", "calibration")
        assert spec.code_version
        assert spec.tags["grain"]


def test_owners_and_descriptions_are_those_of_the_definitions():
    specs = specs_of(shop.OBJECTS)
    assert specs["services/demand_v1"].owners == ["team:demand"]
    assert "one row per user_id and day" in specs["tiles/user_activity_tiles"].description
    assert "`recommendation_v1`" in specs["features/user_activity"].description
    assert "beta_binomial" in specs["calibration/return_prior"].description


def test_a_services_upstream_shows_the_views_that_it_shares(definitions):
    graph = definitions.resolve_asset_graph()
    parents = {name: graph.get(dg.AssetKey(["services", name])).parent_keys for name in ("demand_v1", "routing_v1")}
    shared = {definition_of(key) for key in parents["demand_v1"] & parents["routing_v1"]}
    assert shared == {"sku_places", "region_service", "sku_returns"}


def test_a_feature_names_the_source_columns_that_it_comes_from():
    lineage = specs_of(shop.OBJECTS)["features/sku_returns"].metadata["dagster/column_lineage"].value.deps_by_column
    found = {(dep.asset_key.to_user_string(), dep.column_name) for dep in lineage["sku_returns__return_probability"]}
    assert ("events/events", "event_type") in found
    assert ("calibration/return_prior", "return_prior") in found


def with_schema(objects: Iterable[Definition], types: dict[str, str]) -> list[Definition]:
    """Return definitions that read a source with other columns."""
    source = source_from({**document(shop.events), "schema": types})
    views = {view.name: view_from(document(view), view.entity, source) for view in Registry().merged(objects).views.values()}
    joined = [each for each in objects if isinstance(each, JoinedView)]
    joins = {each.name: joined_from(document(each), views) for each in joined}
    return [{**views, **joins, source.name: source}.get(each.name, each) for each in objects]


def test_a_changed_definition_changes_the_code_versions_of_what_is_made_from_it_and_no_others():
    before, demand = specs_of(tiny_shop.OBJECTS), tiny_shop.category_demand
    more = FeatureView(
        demand.name,
        entity=demand.entity,
        source=demand.source,
        aggregations=[*demand.aggregations, Count("everything", windows=("7d",))],
        derived=demand.derived,
        grain=demand.grain,
        join_keys=dict(demand.join_keys),
        event_time=demand.event_time,
    )
    after = specs_of([more if each is demand else each for each in tiny_shop.OBJECTS])
    changed = {name for name in before if before[name].code_version != after[name].code_version}
    stages = ("tiles", "ledger", "features", "drift_report")
    assert changed == {"audit", *(key_of(stage, "category_demand").to_user_string() for stage in stages)}


@pytest.mark.parametrize("module", [tiny_shop, shop])
def test_a_new_column_of_a_source_makes_nothing_stale(module):
    before = specs_of(module.OBJECTS)
    after = specs_of(with_schema(module.OBJECTS, {**shop.events.types, "note": "string"}))
    assert {name: spec.code_version for name, spec in after.items()} == {
        name: spec.code_version for name, spec in before.items()
    }


def test_another_type_of_a_column_makes_the_views_stale_that_read_it():
    before = specs_of(tiny_shop.OBJECTS)
    column = next(column for _, column in tiny_shop.sku_returns.key_columns)
    types = dict(shop.events.types)
    after = specs_of(with_schema(tiny_shop.OBJECTS, {**types, column: "string" if types[column] == "int64" else "int64"}))
    changed = {name for name in before if before[name].code_version != after[name].code_version}
    assert {"tiles/sku_returns_tiles", "features/sku_returns"} <= changed
    assert not {name for name in changed if "category_demand" in name or name.startswith("events")}


def test_each_ledger_month_comes_after_the_one_before_it(definitions):
    graph = definitions.resolve_asset_graph()
    ledger = dg.AssetKey(["ledger", "user_activity_ledger"])
    assert ledger in graph.get(ledger).parent_keys
    mapping = graph.get(ledger).partition_mappings[ledger]
    assert isinstance(mapping, dg.TimeWindowPartitionMapping)
    assert (mapping.start_offset, mapping.end_offset) == (-1, -1)


def test_the_environment_names_the_store_and_its_months():
    environment = {
        "FEATURESTORE_ROOT": "data/films",
        "FEATURESTORE_DEFINITIONS": "featurestore.datasets.movielens",
        "FEATURESTORE_FIRST_MONTH": "1995-01",
        "FEATURESTORE_LAST_MONTH": "1995-03",
    }
    store = store_from_environment(environment)
    assert (store.root, store.definitions) == ("data/films", "featurestore.datasets.movielens")
    keys = partitions_from_environment("UTC", environment=environment).get_partition_keys()
    assert list(keys) == ["1995-01", "1995-02", "1995-03"]
    assert store_from_environment({}) == StoreResource(root="data/shop", definitions="featurestore.shop")


@pytest.mark.parametrize(("module", "message"), [("featurestore.shoq", "no definitions module"), ("json", "has no OBJECTS")])
def test_a_wrong_definitions_module_is_named(module, message):
    with pytest.raises(DefinitionError, match=message):
        _ = StoreResource(definitions=module).objects


def test_the_month_is_closed_on_the_second_day_of_the_next_in_the_business_time_zone():
    schedule = build_month_schedule(monthly_partitions("Asia/Shanghai", last="2024-08"))
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 4 2 * *", "Asia/Shanghai")
    outcomes = []
    for month in (9, 10):
        due = datetime(2024, month, 2, 4, tzinfo=ZoneInfo("Asia/Shanghai"))
        outcomes.append(schedule(dg.build_schedule_context(scheduled_execution_time=due)))
    assert isinstance(outcomes[0], dg.RunRequest)
    assert outcomes[0].partition_key == "2024-08"
    assert isinstance(outcomes[1], dg.SkipReason)


def test_a_run_cannot_bring_along_another_store_or_another_module_to_import(store: StoreResource, tmp_path: Path):
    job = build_definitions(shop.OBJECTS, store, partitions=monthly_partitions("Asia/Shanghai")).resolve_job_def(
        "weekly_maintenance"
    )
    elsewhere = {"root": str(tmp_path / "elsewhere"), "definitions": "antigravity"}
    job.execute_in_process(run_config={"resources": {"store": {"config": elsewhere}}}, raise_on_error=False)
    assert not (tmp_path / "elsewhere").exists()
    assert "antigravity" not in sys.modules
