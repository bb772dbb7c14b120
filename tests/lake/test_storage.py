"""The door to what is true, on local files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from featurestore.errors import StoreError
from featurestore.lake.storage import LocalStorage, Storage
from tests.lake.storage_contract import StorageContract


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return LocalStorage()

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path


def test_what_is_closed_for_writing_is_read_and_its_neighbour_is_written(tmp_path: Path) -> None:
    storage = LocalStorage()
    version = storage.overwrite(tmp_path / "store" / "a", b"1")
    storage.close_for_writing(tmp_path / "store", "Install something newer.", but=tmp_path / "store" / "spill")
    writes = (
        lambda: storage.overwrite(tmp_path / "store" / "a", b"2"),
        lambda: storage.create(tmp_path / "store" / "b", b"2"),
        lambda: storage.update(tmp_path / "store" / "a", b"2", version=version),
        lambda: storage.delete(tmp_path / "store" / "a"),
        lambda: storage.delete_all(tmp_path / "store"),
        lambda: storage.place(tmp_path / "store" / "c" / "d"),
    )
    for write in writes:
        with pytest.raises(StoreError, match="newer"):
            write()
    storage.overwrite(tmp_path / "store2" / "a", b"2")
    storage.delete(storage.place(tmp_path / "store" / "spill" / "x"))
    assert [(file.path.parent.name, file.size_bytes) for file in storage.list_files(tmp_path)] == [("store", 1), ("store2", 1)]
    storage.open_for_writing(tmp_path / "store")
    storage.overwrite(tmp_path / "store" / "a", b"2")


def test_a_write_is_synced_with_its_folder_and_those_that_were_made_for_it(tmp_path: Path, monkeypatch) -> None:
    synced, real = list[Path](), os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    LocalStorage().create(tmp_path / "a" / "b" / "c.json", b"1")
    content, *folders = synced
    assert content.parent == tmp_path / "a" / "b"
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "b"} <= set(folders)
    synced.clear()
    LocalStorage().overwrite(tmp_path / "a" / "b" / "c.json", b"2")
    assert len(synced) == 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_full_disk_is_said_and_leaves_the_old_content_alone(tmp_path: Path, monkeypatch, code: int) -> None:
    storage = LocalStorage()
    version = storage.overwrite(tmp_path / "a.json", b"old")

    def fsync(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    writes = (
        lambda: storage.overwrite(tmp_path / "a.json", b"new"),
        lambda: storage.update(tmp_path / "a.json", b"new", version=version),
        lambda: storage.create(tmp_path / "b.json", b"new"),
    )
    for write in writes:
        with pytest.raises(StoreError, match=r"cannot be written .* make the call again|have the store's owner"):
            write()
    assert [(file.path.name, file.size_bytes) for file in storage.list_files(tmp_path)] == [("a.json", 3)]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".a.json.lock", "a.json"]


@pytest.mark.parametrize("nth", [1, 2])
def test_a_folder_that_may_not_be_read_is_no_empty_one(tmp_path: Path, monkeypatch, nth: int) -> None:
    storage, calls, real = LocalStorage(), list[object](), os.scandir
    storage.create(tmp_path / "a" / "1.json", b"")
    assert storage.list_files(tmp_path / "none") == []

    def scandir(folder: object) -> object:
        calls.append(folder)
        if len(calls) == nth:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(StoreError, match=r"cannot be read \(Permission denied\).*Give this user the right"):
        storage.list_files(tmp_path)


def test_what_is_hidden_is_listed_nowhere(tmp_path: Path) -> None:
    storage = LocalStorage()
    for name in (".a.tmp", "b", ".c/d", "e/.f", "e/g"):
        storage.overwrite(tmp_path / name, b"")
    assert [file.path.relative_to(tmp_path).as_posix() for file in storage.list_files(tmp_path)] == ["b", "e/g"]
    assert [file.path.name for file in storage.list_files(tmp_path / ".c")] == ["d"]
