from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date, datetime, timezone
from decimal import Decimal
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


def test_the_snapshot_after_a_commit_is_the_one_that_reading_the_log_gives(tmp_path: Path) -> None:
    path = tmp_path / "t"
    times = [
        datetime(1969, 12, 31, 23, 59, 59, 999_999, timezone.utc),
        datetime(2024, 2, 29, 1, 2, 3, 4_005, timezone.utc),
        None,
    ]
    rows_of_kinds = {
        "number": pa.array([-(2**63), 2**63 - 1, None]),
        "small": pa.array([1, 2, 3], pa.int32()),
        "real": pa.array([0.1, -1e300, None]),
        "odd": pa.array([float("nan"), 1.0, 2.0]),
        "text": pa.array(["", "x'ü", "b" * 300]),
        "time": pa.array(times, pa.timestamp("us", "UTC")),
        "local": pa.array([each and each.replace(tzinfo=None) for each in times], pa.timestamp("us")),
        "day": pa.array([0, 19_000, None], pa.date32()),
        "flag": pa.array([True, None, False]),
        "exact": pa.array([Decimal(10) ** 30, None, Decimal(1)], pa.decimal128(38, 0)),
        "items": pa.array([[1], [], None], pa.list_(pa.int64())),
        "nothing": pa.nulls(3, pa.int64()),
    }

    def written(month: str, rows: int) -> StagedFile:
        file = stage(path, {"month": month})
        pq.write_table(pa.table(rows_of_kinds).slice(0, rows), file)
        return describe(file, {"month": month})

    commit(path, add=[written("2024-08", 3), written("2024-09", 1)], partition_by=("month",), marks={"a": 1})
    seen = Table.open(path)
    assert seen.mark("a") == 1
    for month, gone, rows in (("2024-10", [], 2), ("2024-08", seen.files(month="2024-08"), 3), ("2024-11", [], 0)):
        commit(path, add=[written(month, rows)], remove=gone, partition_by=("month",), marks={month: 7})
        after, read = Table.open(path), Table._read(path, None)
        assert after.version == read.version
        assert after.files() == read.files()
        assert [after.mark(name) for name in ("a", month)] == [read.mark(name) for name in ("a", month)] == [1, 7]
        assert (after.table_id, after.column_types()) == (read.table_id, read.column_types())
        for ours, theirs in zip(after.files(), read.files(), strict=True):
            assert (ours.minimum, ours.maximum, ours.null_count) == (theirs.minimum, theirs.maximum, theirs.null_count)


def test_a_writer_reads_the_log_once_however_often_it_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t"
    commit(path, add=[staged(path, "2024-08", [0])], partition_by=("month",))
    Table.open(path)
    read = list[int]()
    monkeypatch.setattr(Table, "_read", lambda path, version, real=Table._read: read.append(1) or real(path, version))
    for i in range(1, 6):
        commit(path, add=[staged(path, "2024-08", [i])], partition_by=("month",), read_version=Table.open(path).version)
    assert (rows(path), read) == ([0, 1, 2, 3, 4, 5], [])
