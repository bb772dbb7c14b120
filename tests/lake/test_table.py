from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date, datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.session import connect
from featurestore.lake.table import StagedFile, Table, commit, describe, parquet_scan_sql, stage
from featurestore.lake.vacuum import vacuum


def staged(path: Path, month: str, ids: list[int], name: str | None = None) -> StagedFile:
    file = stage(path, {"month": month}, name)
    times = pa.array([1_700_000_000_000_000 + i for i in ids]).cast(pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"event_id": pa.array(ids, pa.int64()), "event_time": times, "text": ["x'ü"] * len(ids)}), file)
    return describe(file, {"month": month})


def rows(path: Path) -> list[int]:
    files = Table.open(path).files()
    with connect(path) as session:
        return sorted(i for (i,) in session.sql(f"SELECT event_id FROM {parquet_scan_sql(files)}").fetchall())


def test_a_table_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    table = Table.open(tmp_path / "none")
    assert (table.version, table.files(), table.mark("x"), table.column_types()) == (-1, [], None, {})


def test_committed_files_carry_their_partition_and_statistics(tmp_path: Path) -> None:
    path = tmp_path / "t"
    assert commit(path, add=[staged(path, "2024-08", [3, 1])], partition_by=("month",), marks={"ingest": 1}) == 0
    table = Table.open(path)
    (file,) = table.files(month="2024-08")
    assert file.partition == {"month": "2024-08"}
    assert (file.rows, file.minimum["event_id"], file.maximum["event_id"], file.null_count["event_id"]) == (2, 1, 3, 0)
    assert file.maximum["event_time"] == datetime.fromtimestamp(1_700_000_000, timezone.utc).replace(microsecond=3)
    assert file.minimum["text"] == "x'ü"
    assert table.mark("ingest") == 1
    assert table.files(month="2024-09") == []


def test_files_are_replaced_atomically_and_old_versions_stay_readable(tmp_path: Path) -> None:
    path = tmp_path / "t"
    commit(path, add=[staged(path, "2024-08", [1])], partition_by=("month",))
    old = Table.open(path).files()
    version = commit(path, add=[staged(path, "2024-08", [1, 2])], remove=old, partition_by=("month",))
    assert rows(path) == [1, 2]
    assert [file.name for file in Table.open(path, version - 1).files()] == [file.name for file in old]


def test_a_stale_removal_conflicts_and_another_months_change_does_not(tmp_path: Path) -> None:
    path = tmp_path / "t"
    commit(path, add=[staged(path, "2024-08", [1]), staged(path, "2024-09", [2])], partition_by=("month",))
    seen = Table.open(path)
    commit(path, add=[staged(path, "2024-09", [3])], remove=seen.files(month="2024-09"), partition_by=("month",))
    commit(path, add=[staged(path, "2024-08", [4])], remove=seen.files(month="2024-08"), partition_by=("month",))
    assert rows(path) == [3, 4]
    with pytest.raises(CommitConflictError, match="removed"):
        commit(path, add=[staged(path, "2024-08", [5])], remove=seen.files(month="2024-08"), partition_by=("month",))


def test_a_partition_changed_after_the_read_version_conflicts(tmp_path: Path) -> None:
    path = tmp_path / "t"
    version = Table.open(path).version
    commit(path, add=[staged(path, "2024-08", [1])], partition_by=("month",), read_version=version)
    with pytest.raises(CommitConflictError, match="changed"):
        commit(path, add=[staged(path, "2024-08", [2])], partition_by=("month",), read_version=version)
    commit(path, add=[staged(path, "2024-09", [3])], partition_by=("month",), read_version=version)
    assert rows(path) == [1, 3]


def test_a_mark_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "t"
    commit(path, add=[staged(path, "2024-08", [1])], partition_by=("month",), marks={"batch": 7})
    with pytest.raises(CommitConflictError, match="batch"):
        commit(path, add=[staged(path, "2024-08", [2])], partition_by=("month",), marks={"batch": 7})
    assert commit(path, partition_by=("month",), marks={"batch": 8}) == 1
    assert rows(path) == [1]


def test_content_addressed_files_are_committed_once(tmp_path: Path) -> None:
    path = tmp_path / "t"
    file = staged(path, "2024-08", [1], "digest")
    assert commit(path, add=[file], partition_by=("month",)) == 0
    assert commit(path, add=[file], remove=Table.open(path).files(), partition_by=("month",)) == 0
    assert rows(path) == [1]


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t"
    commit(path, add=[staged(path, "2024-08", [1])], partition_by=("month",))
    file = stage(path, {"month": "2024-08"})
    pq.write_table(pa.table({"event_id": ["a"]}), file)
    with pytest.raises(StoreError, match="columns"):
        commit(path, add=[describe(file, {"month": "2024-08"})], partition_by=("month",))


def test_a_truncated_file_and_a_partition_value_with_a_slash_are_refused(tmp_path: Path) -> None:
    file = stage(tmp_path, {})
    file.write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="not a whole Parquet file"):
        describe(file, {})
    with pytest.raises(StoreError, match="partition"):
        stage(tmp_path, {"month": "../x"})


WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
from featurestore.lake.table import commit, describe, stage

path, partition = Path(sys.argv[1]), {"month": sys.argv[2]}
for i in range(6):
    file = stage(path, partition)
    pq.write_table(pa.table({"event_id": [i]}), file)
    commit(path, add=[describe(file, partition)], partition_by=("month",))
"""


def test_two_processes_commit_to_one_new_table_without_losing_a_file(tmp_path: Path) -> None:
    path = tmp_path / "t"
    months = ("2024-08", "2024-09")
    writers = [subprocess.Popen([sys.executable, "-W", "error", "-c", WRITER, str(path), month]) for month in months]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(Table.open(path).files()) == 12
    assert Table.open(path).version == 11


def test_vacuum_removes_what_no_version_needs_only_after_its_retention(tmp_path: Path) -> None:
    path = tmp_path / "t"
    commit(path, add=[staged(path, "2024-08", [1])], partition_by=("month",))
    orphan = staged(path, "2024-08", [9]).path
    assert vacuum(path) == []
    assert orphan.exists()
    with pytest.raises(StoreError, match="retention"):
        vacuum(path, retention_hours=0)


def test_a_snapshot_is_kept_until_another_version_is_committed_and_never_outlives_its_table(tmp_path: Path) -> None:
    path = tmp_path / "t"
    commit(path, add=[staged(path, "2024-08", [1])], partition_by=("month",))
    assert Table.open(path) is Table.open(path)
    commit(path, add=[staged(path, "2024-08", [2])], partition_by=("month",))
    assert (Table.open(path).version, rows(path)) == (1, [1, 2])
    shutil.rmtree(path)
    assert Table.open(path).version == -1
    commit(path, add=[staged(path, "2024-08", [3])], partition_by=("month",))
    assert (Table.open(path).version, rows(path)) == (0, [3])


def test_a_version_that_this_process_made_is_known_as_its_log_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "t"
    moment = datetime(2024, 8, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
    for number in range(4):
        table = pa.table(
            {
                "id": pa.array([number, None], pa.int64()),
                "small": pa.array([number, -number], pa.int32()),
                "at": pa.array([moment, None], pa.timestamp("us", "UTC")),
                "day": pa.array([date(2024, 8, 1 + number), None]),
                "text": pa.array([f"é'{number}", "x" * (199 + number)]),
                "double": pa.array([0.1 * number, None if number else 1e300]),
                "nothing": pa.array([None, None], pa.string()),
                "flag": pa.array([True, None]),
            }
        )
        file = stage(path, {"month": f"2024-0{1 + number % 2}"})
        pq.write_table(table, file)
        gone = Table.open(path).files()[:1] if number == 3 else []
        marks = {"batch": number + 1, f"file {number}": 1}
        commit(path, add=[describe(file, {"month": file.parent.name[6:]})], remove=gone, partition_by=("month",), marks=marks)
    kept, read = Table.open(path), Table._read(path, None)
    assert (kept.version, kept.marks(), kept.table_id) == (read.version, read.marks(), read.table_id)
    assert kept.column_types() == read.column_types()
    assert kept.files() == read.files()
    assert len(kept.files()) == 3
    for ours, logged in zip(kept.files(), read.files(), strict=True):
        assert (ours.minimum, ours.maximum) == (logged.minimum, logged.maximum)
        assert ours.null_count == logged.null_count
        assert [ours.smallest(column) for column in table.column_names] == [
            logged.smallest(column) for column in table.column_names
        ]
