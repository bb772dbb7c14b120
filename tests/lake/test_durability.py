"""What a commit has flushed when it returns, and what is said of a table whose log a power cut, or a person, has damaged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from featurestore.errors import StoreError
from featurestore.lake import delta_log
from featurestore.lake.delta_log import entry_path
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import Table, commit, stage
from featurestore.lake.vacuum import shorten_log
from featurestore.lake.witness import witness_path
from tests.lake.test_table import rows, staged

MONTH = "2024-08"


def add(path: Path, *ids: int) -> int:
    return commit(path, add=[staged(path, MONTH, list(ids), str(ids[0]))], partition_by=("month",), is_lasting=True)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int]]:
    """What was synced, in order, and how many entries the log of the table ``t`` had then."""
    calls, real = list[tuple[Path, int]](), os.fsync

    def fsync(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        table = next((folder for folder in (path, *path.parents) if folder.name == "t"), path)
        calls.append((path, len(list(table.glob("_delta_log/*.json")))))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


def test_the_files_of_a_commit_and_all_their_folders_are_flushed_before_its_entry_and_that_before_its_name(
    tmp_path, synced
) -> None:
    path = tmp_path / "lake" / "t"
    commit(path, add=[staged(path, MONTH, [1], "1")], partition_by=("month",))
    before = [place for place, entries in synced if not entries]
    first = before.index(path / "month=2024-08" / "1.parquet")
    assert {path, path.parent, tmp_path} <= set(before[:first])  # the name of the log's folder, and those above
    assert {path / "month=2024-08", path} <= set(before[first + 1 : -1])
    assert before[-1].parent == path / "_delta_log"
    assert (path / "_delta_log", 1) in synced
    synced.clear()
    commit(path, add=[staged(path, MONTH, [2], "2")], partition_by=("month",))
    data, names, entry, log = synced
    assert (data, names) == ((path / "month=2024-08" / "2.parquet", 1), (path / "month=2024-08", 1))
    assert (entry[0].parent, entry[1], log) == (path / "_delta_log", 1, (path / "_delta_log", 2))


def test_the_folder_of_a_new_log_is_on_the_disk_before_the_first_file_may_be(tmp_path: Path, synced) -> None:
    file = stage(tmp_path / "t", {"month": "2024-08"})
    assert tmp_path / "t" in [place for place, _ in synced]
    assert not file.exists()


def test_what_another_process_committed_is_flushed_before_anything_that_may_rest_on_it(tmp_path: Path, synced) -> None:
    path = tmp_path / "t"
    script = "import sys; from pathlib import Path; from tests.lake.test_durability import add; add(Path(sys.argv[1]), 1)"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, cwd=Path(__file__).parents[2])
    assert Table.open(path).version == 0
    assert synced == []
    STORAGE.create(tmp_path / "publication.json", b"{}")
    places = [place for place, _ in synced]
    written = next(i for i, place in enumerate(places) if place.name.startswith(".publication"))
    assert {entry_path(path, 0), path / "_delta_log", path, tmp_path} <= set(places[:written])
    Table.open(path)
    synced.clear()
    STORAGE.settle()
    assert synced == []


def test_a_checkpoint_is_flushed_before_the_entries_that_it_stands_for_are_deleted(tmp_path: Path, synced, monkeypatch) -> None:
    path = tmp_path / "t"
    for i in range(12):
        add(path, i)
    synced.clear()
    deleted = list[int]()
    monkeypatch.setattr(STORAGE, "delete", lambda path: deleted.append(len(synced)))
    for entry in (path / "_delta_log").iterdir():
        os.utime(entry, (0, 0))
    assert shorten_log(path, retention_hours=1) == 11
    log = path / "_delta_log"
    flushed = [place for place, _ in synced]
    assert [place.parent if place != log else log for place in flushed] == [
        log
    ] * 6  # checkpoint, sum and hint, each with its name
    assert [place == log for place in flushed] == [False, True] * 3
    assert set(deleted) == {6}
    assert rows(path) == list(range(12))


def lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "cut": lambda content: content[:-20],
    "cut at a line": lambda content: b"".join(lines(content)[:-1]),
    "gone": lambda content: None,
}


# An older state of a table is whole; of older entries that are no bad JSON the length alone is looked at.
@pytest.mark.parametrize(
    ("damage", "version"),
    [
        (damage, version)
        for damage in DAMAGES
        for version in (1, 3)
        if (damage, version) not in (("gone", 3), ("cut at a line", 1))
    ],
)
def test_an_entry_that_is_not_whole_is_an_error_with_the_way_back(tmp_path: Path, damage: str, version: int) -> None:
    made, path = tmp_path / "made", tmp_path / "t"
    for i in range(4):
        add(made, i)
    shutil.copytree(made, path)
    entry = entry_path(path, version)
    content = DAMAGES[damage](entry.read_bytes())
    if content is None:
        entry.unlink()
    else:
        entry.write_bytes(content)
    with pytest.raises(StoreError, match=rf"{re.escape(str(entry))} is .*leads back to version {version - 1}, the last good"):
        Table.open(path)
    for later in range(version, 4):
        entry_path(path, later).unlink(missing_ok=True)
    assert (Table.open(path).version, rows(path)) == (version - 1, list(range(version)))
    assert (add(path, 9), rows(path)) == (version, [*range(version), 9])


def test_the_first_entry_has_no_way_back(tmp_path: Path) -> None:
    add(tmp_path / "made", 1)
    shutil.copytree(tmp_path / "made", tmp_path / "t")
    entry_path(tmp_path / "t", 0).write_bytes(b"")
    with pytest.raises(StoreError, match="restore that folder from a backup"):
        Table.open(tmp_path / "t")


def test_the_entries_of_other_programs_are_read_and_those_that_a_power_cut_emptied_are_not(tmp_path: Path) -> None:
    from deltalake import DeltaTable, write_deltalake

    path = tmp_path / "t"
    for i in range(3):
        add(path, i)
    write_deltalake(str(path), DeltaTable(str(path)).to_pyarrow_table(), mode="append")
    assert (Table.open(path).version, rows(path)) == (3, [0, 0, 1, 1, 2, 2])
    shutil.copytree(path, tmp_path / "copy")
    entry_path(tmp_path / "copy", 3).write_bytes(b"")
    with pytest.raises(StoreError, match="leads back to version 2"):
        Table.open(tmp_path / "copy")


def test_opening_reads_each_entry_once_and_none_that_this_process_has_written(tmp_path: Path, monkeypatch) -> None:
    made, path = tmp_path / "made", tmp_path / "t"
    for i in range(5):
        add(made, i)
    shutil.copytree(made, path)
    read = list[str]()
    monkeypatch.setattr(
        delta_log, "_is_whole", lambda entry, real=delta_log._is_whole: read.append(entry.stem[-1]) or real(entry)
    )
    Table.open(path)
    assert read == ["4", "3", "2", "1", "0"]
    read.clear()
    add(path, 9)
    assert (Table.open(path).version, rows(path), read) == (5, [0, 1, 2, 3, 4, 9], [])
    add(made, 5)
    add(made, 6)
    shutil.copytree(made, path, dirs_exist_ok=True, ignore=lambda _, names: [name for name in names if name[19:20] == "5"])
    read.clear()
    assert (Table.open(path).version, read) == (6, ["6"])


def test_a_table_that_lost_its_log_is_an_error_and_one_that_never_was_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "t"
    add(path, 1)
    shutil.rmtree(path / "_delta_log")
    for lose in (lambda: None, lambda: (path / "_delta_log").mkdir(exist_ok=True), lambda: shutil.rmtree(path)):
        lose()
        with pytest.raises(StoreError, match=r"has lost its log.* Restore .* from a backup.* begin anew"):
            Table.open(path)
        with pytest.raises(StoreError, match="has lost its log"):
            add(path, 2)
    witness_path(path).unlink()
    shutil.rmtree(path, ignore_errors=True)
    assert Table.open(path).version == -1


def test_parquet_files_without_the_folder_of_a_log_are_an_error_and_what_a_killed_first_writer_left_is_none(
    tmp_path: Path,
) -> None:
    killed, lost = tmp_path / "killed", tmp_path / "lost"
    staged(killed, MONTH, [1])
    assert Table.open(killed).version == -1
    assert add(killed, 2) == 0
    commit(lost, add=[staged(lost, MONTH, [1])], partition_by=("month",))
    shutil.rmtree(lost / "_delta_log")
    with pytest.raises(StoreError, match=rf"holds Parquet files and no _delta_log.* delete {re.escape(str(lost))}"):
        Table.open(lost)
    stage(tmp_path / "begun", {})
    assert Table.open(tmp_path / "begun").version == -1


def test_the_table_of_another_store_is_told_and_a_backup_of_the_own_one_is_not(tmp_path: Path) -> None:
    ours, theirs, backup = tmp_path / "ours" / "t", tmp_path / "theirs" / "t", tmp_path / "backup"
    add(ours, 1)
    add(theirs, 2)
    shutil.copytree(ours, backup)
    shutil.rmtree(ours)
    shutil.copytree(theirs, ours)
    with pytest.raises(StoreError, match=r"another store's was put in its place\. Restore"):
        Table.open(ours)
    shutil.rmtree(ours)
    shutil.copytree(backup, ours)
    assert rows(ours) == [1]
