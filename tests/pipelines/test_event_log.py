"""The event log of a demo: few flushes while it runs, and all of it there for whoever opens it later."""

import sqlite3
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from featurestore_pipelines.event_log import few_flushes, open_instance


@dg.op
def answer(context: dg.OpExecutionContext) -> int:
    context.log.info("asked")
    return 42


@dg.job
def one() -> None:
    answer()


def test_the_log_is_flushed_at_the_end_and_read_by_any_instance(tmp_path: Path) -> None:
    closed = []
    with few_flushes(), open_instance(tmp_path) as instance:
        run = one.execute_in_process(instance=instance).dagster_run
        closed = [file for file in tmp_path.rglob("*.db") if file.with_name(f"{file.name}-wal").exists()]
    # A write-ahead log goes when the last connection to its file is closed: none was before.
    assert closed
    assert not list(tmp_path.rglob("*-wal"))
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as later:
        assert later.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.SUCCESS
        assert [entry.user_message for entry in later.all_logs(run.run_id) if entry.user_message == "asked"] == ["asked"]


def test_connections_of_others_are_as_they_were_afterwards(tmp_path: Path) -> None:
    with few_flushes(), open_instance(tmp_path):
        pass
    with open_instance(tmp_path) as instance, instance.run_storage.connect() as connection:
        assert isinstance(connection.connection.dbapi_connection, sqlite3.Connection)
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # full
