from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from featurestore.errors import DefinitionError
from pipelines.build import build_definitions
from pipelines.partitions import monthly_partitions, partitions_from_environment
from pipelines.resources import StoreResource, store_from_environment
from pipelines.schedules import build_month_schedule

ROOT = Path(__file__).parents[2]
ASSETS = ("events", "tiles", "ledger", "features", "drift_report", "calibration")


@pytest.fixture
def definitions(tmp_path: Path) -> dg.Definitions:
    return build_definitions(StoreResource(root=str(tmp_path / "store")), monthly_partitions("Asia/Shanghai", last="2017-12"))


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


def test_every_asset_says_what_it_is_whose_it_is_and_which_code_made_it(definitions):
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    assert tuple(sorted(specs)) == tuple(sorted(ASSETS))
    for spec in specs.values():
        assert "**Grain**" in (spec.description or "")
        assert spec.owners
        assert spec.kinds
        assert spec.group_name != "default"
        assert spec.code_version
        assert spec.tags["grain"]


def test_descriptions_name_the_views_and_services_of_the_definitions(definitions):
    specs = {spec.key.to_user_string(): spec.description for spec in definitions.resolve_all_asset_specs()}
    assert "`user_activity` (per user_id, 1d" in specs["tiles"]
    assert "`recommendation_v1`" in specs["features"]
    assert "`return_prior`" in specs["calibration"]


def test_a_changed_definition_changes_the_code_versions_of_what_is_made_from_it(tmp_path):
    partitions = monthly_partitions("Asia/Shanghai")
    modules = ("featurestore.shop", "tests.pipelines.tiny_shop")
    shop, tiny = (
        {
            spec.key.to_user_string(): spec.code_version
            for spec in build_definitions(StoreResource(definitions=name), partitions).resolve_all_asset_specs()
        }
        for name in modules
    )
    assert shop["events"] == tiny["events"]
    assert shop["tiles"] != tiny["tiles"]
    assert shop["drift_report"] != tiny["drift_report"]


def test_each_ledger_month_comes_after_the_one_before_it(definitions):
    graph = definitions.resolve_asset_graph()
    ledger = dg.AssetKey("ledger")
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
