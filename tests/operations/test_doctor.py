from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.errors import StoreError
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.checkpoints import write_checkpoint
from featurestore.lake.digests import recorded_digest
from featurestore.lake.table import Table
from tests.operations.damaged_store import (
    COMPUTED,
    DAMAGES,
    KINDS,
    as_known,
    delete,
    files,
    flip,
    make_store,
    plain,
    rows,
    truncate,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("doctor") / "store").layout.root


@pytest.fixture(scope="module")
def expected(made: Path) -> tuple[pa.Table, pa.Table]:
    store = fs.FeatureStore(made)
    return plain(store), as_known(store)


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "store"))


def test_a_sound_store_has_no_damage(root: Path) -> None:
    report = fs.FeatureStore(root).doctor()
    assert report.is_sound
    assert not report.damages
    assert not report.unchecked
    assert not report.unknown
    assert report.files == len(["store.json", "registry.json"]) + sum(
        len(files(root, kind)) for kind in KINDS if not kind.startswith("log")
    )
    assert "nothing is damaged" in str(report)


@pytest.mark.parametrize("kind", KINDS)
def test_each_damage_of_each_kind_of_file_is_named_and_what_is_computed_is_healed(
    root: Path, kind: str, expected: tuple[pa.Table, pa.Table]
) -> None:
    store = fs.FeatureStore(root)
    path = files(root, kind)[0]
    content = path.read_bytes()
    is_told_when_deleted = kind not in ("hot", "key index", "known", "publications", "pins", "log of tiles")
    for damage in (each for each in DAMAGES if each is not delete or is_told_when_deleted):
        damage(path)
        report = store.doctor(dry_run=True)
        if kind in ("publications", "pins") and damage is flip:  # another letter of a text is a text
            continue
        named = path.parent if kind.startswith("log") else path
        assert named.relative_to(root).as_posix() in {each.path for each in report.damages}, damage.__name__
        assert not report.is_sound
        path.write_bytes(content)
    truncate(path)
    report = store.doctor()
    if kind in COMPUTED:
        assert report.damages
        assert report.is_sound, str(report)
        assert store.doctor(dry_run=True).is_sound
        assert (plain(store), as_known(store)) == expected
        assert store.verify().is_equal
    else:
        assert report.left if not kind.startswith("log of tiles") else report.damages
        assert all(each.way_out or "from a backup" in each.what for each in report.left)


@pytest.mark.parametrize("kind", ["tiles", "ledger", "balances", "sub-ledger"])
@pytest.mark.parametrize("damage", [truncate, delete, flip])
def test_materialize_heals_what_is_computed_and_says_so(root: Path, kind: str, damage, expected) -> None:
    path = files(root, kind)[0]
    damage(path)
    if damage is flip:
        os.utime(path)  # whoever wrote it did not hide that
    shutil.rmtree(root / "hot")
    store = fs.FeatureStore(root)
    report = store.materialize()
    assert path.relative_to(root).as_posix() in report.healed
    assert "healed" in str(report)
    assert (plain(store), as_known(store)) == expected
    assert store.materialize().healed == ()
    assert store.doctor().is_sound


def test_a_bit_that_fell_over_by_itself_is_told_when_it_is_read_and_then_healed(root: Path, expected) -> None:
    path = files(root, "ledger")[0]
    flip(path)
    shutil.rmtree(root / "hot")
    store = fs.FeatureStore(root)
    with pytest.raises(StoreError, match=r"SHA-256 differs.*store\.doctor\(\)"):
        plain(store)
    assert path.relative_to(root).as_posix() in store.materialize().healed
    assert plain(store) == expected[0]


def test_a_damaged_hot_copy_is_dropped_and_never_answered_from(root: Path, expected) -> None:
    first, second, *_ = files(root, "hot")
    content = first.read_bytes()
    for at in (0.1, 0.4, 0.7, 0.999):
        flip(first, at)
        assert plain(fs.FeatureStore(root)) == expected[0]
        first.write_bytes(content)
    shutil.copy(first, second)  # another file's copy
    assert plain(fs.FeatureStore(root)) == expected[0]
    store = fs.FeatureStore(root)
    store.materialize()
    assert second.exists()
    assert plain(store) == expected[0]


def test_events_with_a_flipped_byte_are_told_and_not_recomputed_from(root: Path) -> None:
    path = files(root, "events")[0]
    flip(path, 0.3)
    for folder in ("tiles", "ledger"):
        shutil.rmtree(root / "lake" / folder)
    store = fs.FeatureStore(root)
    with pytest.raises(StoreError, match="SHA-256 differs"):
        store.materialize()
    report = store.doctor()
    assert path.relative_to(root).as_posix() in {each.path for each in report.left}
    assert "ingest its files again" in str(report)


def test_verify_names_events_with_a_flipped_byte(root: Path) -> None:
    path = files(root, "events")[0]
    flip(path, 0.3)
    report = fs.FeatureStore(root).verify()
    assert not report.is_equal
    assert path.name in str(report)


def test_ingest_does_not_write_damaged_events_into_a_new_file(root: Path) -> None:
    for path in files(root, "events"):
        flip(path, 0.3)
    with pytest.raises(StoreError, match="SHA-256 differs"):
        fs.FeatureStore(root).ingest("events", rows(30, 34, cents=700, late=4))


def test_files_of_before_digests_are_told_as_unchecked(root: Path) -> None:
    for entry in root.glob("lake/events/*/_delta_log/*.json"):
        lines = [json.loads(line) for line in entry.read_text().splitlines()]
        for line in lines:
            line.get("add", {}).pop("tags", None)
            line.get("commitInfo", {}).pop("crc32", None)
        entry.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    store = fs.FeatureStore(root)
    report = store.doctor()
    assert report.is_sound
    assert report.unchecked == len(Table.open(store.layout.events("events")).files())
    assert "no digest" in str(report)
    truncate(files(root, "events")[0])
    assert not store.doctor().is_sound


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_made_again_while_the_entries_are_there(root: Path, damage, expected) -> None:
    store = fs.FeatureStore(root)
    table = store.layout.events("events")
    write_checkpoint(table)
    (path,) = (table / "_delta_log").glob("*.checkpoint.parquet")
    damage(path)
    (told,) = (each for each in store.doctor(dry_run=True).damages if each.path == path.relative_to(root).as_posix())
    assert (told.kind, told.can_heal) == ("log", True)
    assert plain(store) == expected[0]
    assert store.doctor().is_sound
    assert store.doctor(dry_run=True).damages == ()
    assert path.exists()


@pytest.mark.parametrize("kind", ["events", "tiles"])
def test_a_damaged_checkpoint_that_is_all_there_is_is_told_and_what_is_computed_is_made_again(
    root: Path, kind: str, expected
) -> None:
    store = fs.FeatureStore(root)
    table = next((root / "lake" / kind).rglob("_delta_log")).parent
    write_checkpoint(table)
    (path,) = (table / "_delta_log").glob("*.checkpoint.parquet")
    for entry in (table / "_delta_log").glob("*.json"):
        entry.unlink()
    shutil.copytree(table / "_delta_log", root.parent / "log")
    truncate(path)
    shutil.rmtree(root / "hot")
    report = store.doctor()
    if kind == "tiles":
        assert report.is_sound, str(report)
        assert store.doctor(dry_run=True).damages == ()
    else:
        assert any(path.name in each.what and "any that has them will do" in each.what for each in report.left)
        with pytest.raises(StoreError, match=path.name):
            store.ingest("events", rows(400, 402))
        shutil.copy(root.parent / "log" / path.name, path)
    assert (plain(store), as_known(store)) == expected


def test_an_entry_that_a_checkpoint_stands_for_is_told_without_giving_up_later_ones(root: Path, expected) -> None:
    store = fs.FeatureStore(root)
    write_checkpoint(store.layout.events("events"))
    first = files(root, "log of events")[0]
    truncate(first)
    (damage,) = store.doctor().left
    assert damage.path == first.relative_to(root).as_posix()
    assert "only versions before the next checkpoint need it" in damage.way_out
    assert plain(store) == expected[0]


def test_a_checkpoint_of_before_there_were_sums_is_counted_as_unchecked(root: Path) -> None:
    store = fs.FeatureStore(root)
    table = store.layout.events("events")
    write_checkpoint(table)
    assert store.doctor().unchecked == 0
    next((table / "_delta_log").glob("*.sum")).unlink()
    report = store.doctor()
    assert (report.damages, report.unchecked) == ((), 1)


def test_digests_outlive_the_entries_that_recorded_them(root: Path) -> None:
    layout = fs.FeatureStore(root).layout
    path = layout.events("events")
    before = {file.name: recorded_digest(file) for file in Table.open(path).files()}
    moved = Path(shutil.copytree(path, path.with_name("others")))
    write_checkpoint(moved)
    for entry in (moved / "_delta_log").glob("*.json"):
        entry.unlink()
    assert {file.name: recorded_digest(file) for file in Table.open(moved).files()} == before
    assert all(before.values())


def test_what_is_computed_is_written_with_checksums_of_its_pages(root: Path) -> None:
    path = files(root, "tiles")[0]
    column = pq.read_metadata(path).row_group(0).column(0)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        read_parquet(path)


def test_the_doctor_names_what_is_no_part_of_a_store(root: Path) -> None:
    (root / "notes.txt").write_text("mine")
    report = fs.FeatureStore(root).doctor()
    assert report.is_sound
    assert report.unknown == ("notes.txt",)


def test_an_entry_of_a_log_with_another_digit_is_refused_by_whoever_opens_the_table(root: Path) -> None:
    first = files(root, "log of events")[0]
    content = first.read_bytes()
    at = content.index(b'"numRecords') if b'"numRecords' in content else content.index(b"numRecords")
    first.write_bytes(content[: at + 14] + content[at + 14 :].replace(b"1", b"2", 1))
    with pytest.raises(StoreError, match="is not whole"):
        plain(fs.FeatureStore(root))


def test_a_pin_with_another_letter_in_a_name_is_told(root: Path) -> None:
    path = files(root, "pins")[0]
    path.write_text(path.read_text().replace("fingerprint", "fingerpzint"))
    (damage,) = fs.FeatureStore(root).doctor().left
    assert (damage.kind, damage.way_out) == ("pins", "Restore it from a backup, or pin again")


@pytest.mark.parametrize("name", ["store.json", "registry.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"view": [{}]}'])
def test_a_damaged_store_or_registry_file_is_named_with_all_else_and_nothing_is_healed(
    root: Path, name: str, content: bytes
) -> None:
    store = fs.FeatureStore(root)
    whole, tiles = (root / name).read_bytes(), files(root, "tiles")[0]
    (root / name).write_bytes(content)
    truncate(tiles)
    truncate(files(root, "events")[0])
    report = store.doctor()
    assert {damage.path for damage in report.left} >= {
        name,
        tiles.relative_to(root).as_posix(),
        files(root, "events")[0].relative_to(root).as_posix(),
    }
    assert report.is_dry_run
    assert not report.is_sound
    (root / name).write_bytes(whole)
    assert name not in {damage.path for damage in store.doctor(dry_run=True).damages}


def test_definitions_of_before_that_were_changed_are_told(root: Path) -> None:
    store = fs.FeatureStore(root)
    view = next(iter(store.registry.views.values()))
    store.apply([dataclasses.replace(view, owner="another")])
    (kept,) = files_below = list((root / "definitions").iterdir())
    assert store.doctor(dry_run=True).is_sound
    kept.write_text(kept.read_text().replace("events", "evenst"))
    assert [damage.path for damage in store.doctor().left] == [path.relative_to(root).as_posix() for path in files_below]


def test_reports_of_the_doctor_are_public(root: Path) -> None:
    truncate(files(root, "events")[0])
    report = fs.FeatureStore(root).doctor(dry_run=True)
    assert isinstance(report, fs.DoctorReport)
    assert all(isinstance(damage, fs.Damage) for damage in report.damages)
