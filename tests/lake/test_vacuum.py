"""What a table no longer needs goes; versions that are to be kept stay, however old and however many commits lie behind them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from featurestore.errors import StoreError
from featurestore.lake.table import Table, commit
from featurestore.lake.vacuum import COMMITS_UNTIL_CHECKPOINT, discard, shorten_log, vacuum
from tests.lake.test_table import rows, staged

MONTH = "2024-08"


def grown(path: Path, commits: int, *, first: int = 0) -> None:
    """Replace the table's one file again and again."""
    for i in range(first, first + commits):
        commit(path, add=[staged(path, MONTH, [i])], remove=Table.open(path).files(), partition_by=("month",))


def age(path: Path, days: int = 60) -> None:
    then = time.time() - days * 86400
    for file in path.rglob("*.*"):
        os.utime(file, (then, then))


def entries(path: Path) -> list[str]:
    return sorted(entry.name for entry in (path / "_delta_log").glob("*.json"))


def names(path: Path, version: int) -> list[str]:
    return [file.name for file in Table.open(path, version).files()]


def test_a_commit_leaves_old_versions_readable_behind_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "t"
    grown(path, 5)
    before = names(path, 2)
    DeltaTable(str(path)).create_checkpoint()
    age(path)
    grown(path, 2, first=5)
    vacuum(path, retention_hours=1, keep_versions=[2])
    assert names(path, 2) == before
    assert (path / before[0]).exists()


def test_a_log_is_shortened_to_what_kept_versions_need(tmp_path: Path) -> None:
    path = tmp_path / "t"
    grown(path, 15)
    assert shorten_log(path, retention_hours=1) == 0  # all of it is young
    grown(path, 15, first=15)
    age(path)
    before = names(path, 20)
    assert shorten_log(path, retention_hours=1, keep_versions=[20]) == 14
    assert names(path, 20) == before
    assert entries(path)[0] == f"{14:020}.json"
    with pytest.raises(StoreError, match="Cannot read version 3"):
        Table.open(path, 3)
    assert shorten_log(path, retention_hours=1) > 0
    assert entries(path) == [f"{29:020}.json"]
    assert (Table.open(path).version, rows(path)) == (29, [29])
    grown(path, 1, first=30)
    assert (Table.open(path).version, rows(path)) == (30, [30])


def test_a_version_that_was_the_newest_lately_stays(tmp_path: Path) -> None:
    path = tmp_path / "t"
    grown(path, COMMITS_UNTIL_CHECKPOINT + 5)
    age(path)
    grown(path, 1, first=20)  # the one before it was the newest until now
    shorten_log(path, retention_hours=24)
    last = COMMITS_UNTIL_CHECKPOINT + 4
    assert names(path, last) != names(path, last + 1)


def test_a_kept_version_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t"
    grown(path, 3)
    DeltaTable(str(path)).create_checkpoint()
    for entry in entries(path)[:2]:
        (path / "_delta_log" / entry).unlink()
    with pytest.raises(StoreError, match=r"are 1.*Unpin"):
        vacuum(path, retention_hours=1, keep_versions=[1])


def test_a_discarded_table_is_gone_as_a_whole_unless_it_is_young(tmp_path: Path) -> None:
    path = tmp_path / "t"
    grown(path, 2)
    assert discard(path, retention_hours=24) == []
    age(path)
    assert len(discard(path, retention_hours=24)) == 2
    assert list(tmp_path.iterdir()) == []
    assert Table.open(path).version == -1
