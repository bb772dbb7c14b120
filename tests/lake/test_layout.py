from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.errors import DefinitionError, StoreError
from featurestore.lake.json_files import read_json, write_json
from featurestore.lake.layout import create_or_open


def test_a_new_store_records_its_time_zone_and_opens_again_without_it(tmp_path: Path) -> None:
    assert create_or_open(tmp_path / "a" / "b", timezone="Asia/Shanghai").timezone == "Asia/Shanghai"
    assert create_or_open(tmp_path / "a" / "b").timezone == "Asia/Shanghai"
    assert create_or_open(str(tmp_path / "utc")).timezone == "UTC"


def test_a_relative_root_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert create_or_open("store").root == tmp_path / "store"


def test_another_time_zone_is_refused(tmp_path: Path) -> None:
    create_or_open(tmp_path, timezone="Asia/Shanghai")
    with pytest.raises(StoreError, match="Asia/Shanghai"):
        create_or_open(tmp_path, timezone="UTC")
    with pytest.raises(DefinitionError, match="time zone"):
        create_or_open(tmp_path / "x", timezone="Mars/Olympus")


def test_a_directory_with_foreign_files_is_not_turned_into_a_store(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "landing").mkdir()
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match=r"thesis\.tex"):
        create_or_open(tmp_path)
    (tmp_path / "thesis.tex").unlink()
    assert create_or_open(tmp_path).root == tmp_path


def test_a_file_or_a_damaged_record_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is a file"):
        create_or_open(tmp_path / "file")
    create_or_open(tmp_path / "store")
    (tmp_path / "store" / "store.json").write_text('{"format": 2}')
    with pytest.raises(StoreError, match="format"):
        create_or_open(tmp_path / "store")
    (tmp_path / "store" / "store.json").write_text("{")
    with pytest.raises(StoreError, match="JSON"):
        create_or_open(tmp_path / "store")


def test_json_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ü": 1})
    write_json(tmp_path / "a.json", [2])
    assert read_json(tmp_path / "a.json") == [2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(StoreError, match="missing"):
        read_json(tmp_path / "b.json")


def test_names_cannot_leave_the_store(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="lower-case"):
        create_or_open(tmp_path).events("../elsewhere")
