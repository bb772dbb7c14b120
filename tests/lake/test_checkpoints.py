"""A damaged or lost checkpoint is read around while entries say the same, and told when it is all that there is."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.errors import StoreError
from featurestore.lake import checkpoint_sums
from featurestore.lake.checkpoints import checkpoint_damages, find_start, mend_checkpoints, write_checkpoint
from featurestore.lake.delta_log import committed_us, entry_path
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import Table, commit
from featurestore.lake.vacuum import shorten_log, vacuum
from tests.lake.log_damages import FIRST, LAST, MONTH, SECOND, answers, checkpoint_files, flips, make_log, shorten
from tests.lake.test_table import rows, staged
from tests.power_cuts import Disk


def _set(content: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content(path.read_bytes()))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "another digit": _set(lambda content: content.replace(b"numRecords", b"numRecordz", 1)),
    "another word": _set(lambda content: content.replace(b"commitInfo", b"commitIofo", 1)),
    "a flipped bit": _set(lambda content: content[:3000] + bytes([content[3000] ^ 8]) + content[3001:]),
    "cut": _set(lambda content: content[: len(content) // 2]),
    "empty": _set(lambda content: b""),
    "zeros": _set(lambda content: bytes(len(content))),
    "gone": Path.unlink,
    "gone with its sum": lambda path: [file.unlink() for file in path.parent.glob(f"{path.name}*")],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_log(tmp_path_factory.mktemp("log") / "made")


@pytest.fixture(scope="module")
def expected(made: Path) -> list[Any]:
    return answers(made)


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "t"))


def second(path: Path) -> Path:
    return path / "_delta_log" / f"{SECOND:020}.checkpoint.parquet"


def hint(path: Path) -> Path:
    return path / "_delta_log" / "_last_checkpoint"


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "another word"])
@pytest.mark.parametrize("has_hint", [True, False])
def test_a_damaged_checkpoint_is_read_around_while_the_entries_are_there(path, expected, damage: str, has_hint: bool) -> None:
    DAMAGES[damage](second(path))
    if not has_hint:
        hint(path).unlink()
    before = sorted(file.name for file in (path / "_delta_log").iterdir())
    assert answers(path) == expected
    assert sorted(file.name for file in (path / "_delta_log").iterdir()) == before  # whoever reads mends nothing
    if damage != "gone with its sum" or has_hint:
        assert checkpoint_damages(path)
    commit(path, add=[staged(path, MONTH, [99], "99")], partition_by=("month",), marks={"load": LAST + 1})
    write_checkpoint(path)
    assert not checkpoint_damages(path)
    assert find_start(path).version == LAST + 1
    assert rows(path) == [*range(LAST + 1), 99]
    assert answers(path, (10,)) == answers(path, (10,))


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "another word"])
@pytest.mark.parametrize("has_hint", [True, False])
def test_a_checkpoint_that_is_all_there_is_is_told_and_any_backup_of_it_is_the_way_back(
    path, expected, damage: str, has_hint: bool
) -> None:
    shorten(path)
    kept = {file: file.read_bytes() for file in checkpoint_files(path, SECOND)}
    DAMAGES[damage](second(path))
    if not has_hint:
        hint(path).unlink()
    told = rf"{re.escape(str(second(path)))} .*Restore .* from a backup: any that has"
    for call in (
        lambda: Table.open(path),
        lambda: Table.open(path, 10),
        lambda: commit(path, add=[staged(path, MONTH, [99])], partition_by=("month",)),
    ):
        with pytest.raises(StoreError, match=told):
            call()
    for file, content in kept.items():
        file.write_bytes(content)
    assert answers(path) == expected


def test_entries_that_a_damaged_checkpoint_should_stand_for_are_never_deleted(path, expected) -> None:
    for file in (path / "_delta_log").iterdir():
        os.utime(file, (0, 0))
    DAMAGES["a flipped bit"](second(path))
    assert shorten_log(path, retention_hours=1, keep_versions=[10]) == FIRST
    assert answers(path) == expected
    assert vacuum(path, keep_versions=[10]) == []


def test_a_vacuum_stops_at_a_damaged_checkpoint_that_is_all_there_is(path) -> None:
    shorten(path)
    DAMAGES["cut"](second(path))
    for file in (path / "_delta_log").iterdir():
        os.utime(file, (0, 0))
    before = sorted((path / "_delta_log").iterdir())
    for call in (lambda: shorten_log(path, retention_hours=1), lambda: write_checkpoint(path), lambda: mend_checkpoints(path)):
        with pytest.raises(StoreError, match=re.escape(second(path).name)):
            call()
    assert sorted((path / "_delta_log").iterdir()) == before


def test_a_log_that_begins_later_than_it_should_is_no_table_with_fewer_rows(tmp_path: Path) -> None:
    """deltalake reads such a log without a word when a later entry names the columns."""
    path = make_log(tmp_path / "t")
    wider = pa.schema(
        {"event_id": pa.int64(), "event_time": pa.timestamp("us", "UTC"), "text": pa.string(), "more": pa.int64()}
    )
    commit(path, marks={"load": 99}, partition_by=("month",), schema=wider)
    protocol = entry_path(path, 0).read_bytes().splitlines(keepends=True)[1]
    entry = entry_path(path, LAST + 1)
    entry.write_bytes(b"".join(entry.read_bytes().splitlines(keepends=True)[1:]) + protocol)  # as another program may write it
    shorten(path)
    for file in (*checkpoint_files(path, SECOND), hint(path)):
        file.unlink()
    with pytest.raises(StoreError, match=rf"{SECOND:020}\.checkpoint\.parquet is missing, and {SECOND} entries with it"):
        Table.open(path)


def test_an_entry_of_before_is_needed_by_the_versions_of_before_alone(path, expected) -> None:
    DAMAGES["zeros"](entry_path(path, FIRST + 1))
    assert answers(path) == expected
    for version in (FIRST + 1, SECOND - 1):
        with pytest.raises(StoreError, match=rf"{FIRST + 1:020}\.json is not whole, and version {version} .* unpin"):
            Table.open(path, version)
    assert Table.open(path, FIRST).version == FIRST
    with pytest.raises(StoreError, match="is not whole"):
        committed_us(path, FIRST + 1)


def test_an_entry_whose_first_word_has_another_letter_is_told(path) -> None:
    DAMAGES["another word"](entry_path(path, LAST))
    with pytest.raises(StoreError, match=rf"{LAST:020}\.json is not whole"):
        Table.open(path)


@pytest.mark.parametrize("content", ["", "{}", '{"version":1990}', '{"version":7}', '{"version":"8"}', "[8]", '{"version":-8}'])
def test_a_hint_that_leads_nowhere_leads_nobody_astray(path, expected, content: str) -> None:
    hint(path).write_text(content)
    assert answers(path) == expected
    assert [damage.path for damage in checkpoint_damages(path)] == [hint(path)]
    mend_checkpoints(path)
    assert not checkpoint_damages(path)
    assert answers(path) == expected


def test_a_checkpoint_is_read_for_its_sum_once_in_a_process(path, monkeypatch) -> None:
    judged = list[str]()
    monkeypatch.setattr(
        checkpoint_sums, "_judged", lambda file, real=checkpoint_sums._judged: judged.append(file.name[:20]) or real(file)
    )
    for number in range(3):
        Table.open(path)
        commit(path, add=[staged(path, MONTH, [50 + number])], partition_by=("month",))
    assert judged == [f"{SECOND:020}"]


def test_a_checkpoint_that_is_there_is_written_by_nobody_again(path, expected) -> None:
    write_checkpoint(path)
    newest = checkpoint_files(path, LAST)[0]
    before = newest.stat().st_ino
    write_checkpoint(path)
    assert newest.stat().st_ino == before
    assert not checkpoint_damages(path)
    assert answers(path) == expected


def test_a_bit_of_any_file_of_a_log_may_be_another_one(made, tmp_path: Path) -> None:
    counts = flips(made, tmp_path, 32, seed=3)
    assert {what for _, _, what in counts} == {"equal", "refused"}
    assert not [kind for kind, _, what in counts if kind == "all entries" and what == "refused" and "json" not in _]


def test_a_cut_of_power_while_checkpoints_are_written_and_entries_deleted_loses_nothing(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "disk")
    path = disk.root / "t"
    disk.root.mkdir()
    with disk.watched():
        for number in range(9):
            commit(path, add=[staged(path, MONTH, [number], f"{number}")], partition_by=("month",))
            disk.acknowledge(events=frozenset(range(number + 1)))
            if number == FIRST:
                write_checkpoint(path)
            if number == FIRST + 2:
                DAMAGES["zeros"](checkpoint_files(path, FIRST)[0])
        write_checkpoint(path)
        for file in (path / "_delta_log").iterdir():
            os.utime(file, (0, 0))
        assert shorten_log(path, retention_hours=1) == 8
        commit(path, add=[staged(path, MONTH, [9], "9")], partition_by=("month",))
        disk.acknowledge(events=frozenset(range(10)))
    chance = random.Random(5)
    for number in range(20):
        moment = disk.moments[-1 - 3 * number % len(disk.moments)]
        cut = tmp_path / f"{number}"
        moment.cut(cut, chance)
        if moment.word.events:
            found = rows(cut / "t")
            assert moment.word.events <= set(found)
            assert len(set(found)) == len(found)
            mend_checkpoints(cut / "t")
            assert rows(cut / "t") == found


@pytest.mark.parametrize("damage", ["a flipped bit", "another digit", "cut"])
def test_a_newer_checkpoint_than_the_hint_says_is_looked_at_too(path, expected, damage: str) -> None:
    hint(path).write_text(f'{{"version":{FIRST},"size":1}}')  # whoever wrote the second one was killed before this
    assert answers(path) == expected
    DAMAGES[damage](second(path))
    assert answers(path) == expected


def test_a_sound_log_is_read_without_a_list_of_it(path, expected, monkeypatch) -> None:
    monkeypatch.setattr(type(STORAGE), "list_files", lambda *_, **__: pytest.fail("a log of thousands is listed"))
    assert answers(path) == expected
