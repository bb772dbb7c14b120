from __future__ import annotations

import configparser
import re
import shutil
from pathlib import Path

import dagster as dg

import definitions
from pipelines.schedules import AUTOMATION_VARIABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_instance_of_one_machine_loads_and_keeps_writers_apart(tmp_path: Path):
    shutil.copy(ROOT / "deploy" / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        pools = instance.get_concurrency_config().pool_config
        assert (pools.default_pool_limit, pools.pool_granularity.value) == (1, "run")
        assert instance.run_monitoring_enabled
        assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 2)
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert not instance.telemetry_enabled


def test_the_services_run_what_is_installed_and_come_back():
    for name in ("webserver", "daemon"):
        unit = configparser.RawConfigParser(strict=False)
        unit.read(ROOT / "deploy" / f"featurestore-{name}.service", encoding="utf-8")
        assert unit["Service"]["Restart"] == "always"
        assert "--module-name definitions" in unit["Service"]["ExecStart"]
        assert "--host 127.0.0.1" in unit["Service"]["ExecStart"] or name == "daemon"


def test_the_page_names_every_setting_and_every_job():
    settings = set(re.findall(r"^(FEATURESTORE_\w+)", definitions.__doc__ or "", re.MULTILINE))
    assert AUTOMATION_VARIABLE in settings
    assert {name for name in settings if f"`{name}`" not in PAGE} == set()
    jobs = {job.name for job in definitions.defs.resolve_all_job_defs() if not job.name.startswith("__")} - {"assets"}
    assert {name for name in jobs if f"`{name}`" not in PAGE} == set()


def test_its_links_lead_to_files():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
