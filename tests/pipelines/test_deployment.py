from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import dagster as dg
import yaml

from featurestore_pipelines import definitions
from featurestore_pipelines.assets.shared import EVENTS, STAGES
from featurestore_pipelines.launcher import WatchfulRunLauncher
from featurestore_pipelines.prepare import prepare
from featurestore_pipelines.schedules import AUTOMATION_VARIABLE
from tests.pipelines.services import unit

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
        assert isinstance(instance.run_launcher, WatchfulRunLauncher)
        assert not instance.telemetry_enabled


def test_the_pools_are_there_before_the_first_run_is_queued(tmp_path: Path):
    shutil.copy(ROOT / "deploy" / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.event_log_storage.set_concurrency_slots(EVENTS, 2)
        for _ in range(2):
            prepare(instance)
        limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert limits == {**dict.fromkeys(STAGES, 1), EVENTS: 2}
    job = definitions.defs.resolve_implicit_global_asset_job_def()
    pools = {node.pool for node in job.all_node_defs if isinstance(node, dg.OpDefinition)}
    assert pools - {None} == set(STAGES)


def test_the_services_run_what_is_installed_and_come_back():
    for name in ("code", "daemon", "webserver"):
        service = unit(name)["Service"]
        assert service["Restart"] == "always"
        program = service["ExecStart"].split()[0]
        assert (Path(sys.executable).parent / Path(program).name).exists()
        assert "/tmp" in service["ReadWritePaths"].split()  # DuckDB and matplotlib need it; strict protection would close it
    assert "--host 127.0.0.1" in unit("webserver")["Service"]["ExecStart"]


def test_one_code_server_serves_both_the_daemon_and_the_webserver():
    code = unit("code")["Service"]
    assert "--socket ${FEATURESTORE_CODE_SOCKET} --module-name definitions" in code["ExecStart"]
    assert code["KillMode"] == "process"  # its children are the runs
    assert code["TimeoutStopSec"] == "10"  # it would wait until the last of them has ended
    for name in ("daemon", "webserver"):
        assert "--workspace deploy/workspace.yaml" in unit(name)["Service"]["ExecStart"]
        assert "featurestore-code.service" in unit(name)["Unit"]["After"].split()
    (location,) = yaml.safe_load((ROOT / "deploy" / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    assert location["grpc_server"]["socket"] == {"env": "FEATURESTORE_CODE_SOCKET"}


def test_a_first_visit_sees_the_store_and_not_a_form_for_an_address():
    assert yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text(encoding="utf-8"))["nux"] == {"enabled": False}


def test_the_environment_file_sets_what_the_page_explains():
    lines = (ROOT / "deploy" / "featurestore.env").read_text(encoding="utf-8").splitlines()
    names = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    assert {name for name in names - {"DAGSTER_DISABLE_TELEMETRY"} if f"`{name}`" not in PAGE} == set()


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
