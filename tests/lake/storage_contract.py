"""What every implementation of ``Storage`` must do: a class to inherit, with a ``storage`` and a ``root`` of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.storage import Storage


class StorageContract:
    """Inherit it as ``class TestThat(StorageContract)`` and give the two fixtures."""

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    @pytest.fixture
    def root(self) -> Path:
        raise NotImplementedError

    def test_what_was_written_is_read_with_the_version_that_writing_returned(self, storage: Storage, root: Path) -> None:
        for write in (storage.overwrite, storage.create):
            path = root / "a" / "b" / f"{write.__name__}.json"
            version = write(path, b"content")
            assert (storage.get(path).content, storage.get(path).version) == (b"content", version)

    def test_a_file_exists_when_it_was_written_and_until_it_is_deleted(self, storage: Storage, root: Path) -> None:
        assert not storage.exists(root / "a" / "b")
        storage.overwrite(root / "a" / "b", b"")
        assert storage.exists(root / "a" / "b")
        assert storage.exists(root / "a")
        storage.delete(root / "a" / "b")
        assert not storage.exists(root / "a" / "b")

    def test_another_content_is_another_version_and_the_same_one_may_be_the_same(self, storage: Storage, root: Path) -> None:
        first = storage.overwrite(root / "a", b"1")
        assert storage.overwrite(root / "a", b"2") != first
        assert storage.get(root / "a").content == b"2"

    def test_nothing_is_created_where_something_is(self, storage: Storage, root: Path) -> None:
        storage.create(root / "a", b"1")
        with pytest.raises(CommitConflictError, match="Another writer"):
            storage.create(root / "a", b"2")
        assert storage.get(root / "a").content == b"1"
        storage.delete(root / "a")
        storage.create(root / "a", b"3")
        assert storage.get(root / "a").content == b"3"

    def test_an_update_replaces_the_version_that_was_read_and_no_other(self, storage: Storage, root: Path) -> None:
        first = storage.create(root / "a", b"1")
        second = storage.update(root / "a", b"2", version=first)
        assert storage.get(root / "a").version == second
        with pytest.raises(CommitConflictError, match="Another writer"):
            storage.update(root / "a", b"3", version=first)
        assert storage.get(root / "a").content == b"2"

    def test_an_update_of_nothing_is_a_conflict(self, storage: Storage, root: Path) -> None:
        version = storage.create(root / "a", b"1")
        storage.delete(root / "a")
        for path in (root / "a", root / "never"):
            with pytest.raises(CommitConflictError):
                storage.update(path, b"2", version=version)
        assert storage.list_files(root) == []

    def test_of_those_who_create_at_once_one_succeeds(self, storage: Storage, root: Path) -> None:
        def create(number: int) -> bool:
            try:
                storage.create(root / "a", str(number).encode())
            except CommitConflictError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(create, range(8)))
        assert made.count(True) == 1
        assert storage.get(root / "a").content == str(made.index(True)).encode()

    def test_no_update_of_those_made_at_once_is_lost(self, storage: Storage, root: Path) -> None:
        storage.create(root / "a", b"0")

        def count(_: int) -> None:
            while True:
                found = storage.get(root / "a")
                try:
                    storage.update(root / "a", str(int(found.content) + 1).encode(), version=found.version)
                except CommitConflictError:
                    continue
                return

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(20)))
        assert storage.get(root / "a").content == b"20"

    def test_a_range_is_read_and_ends_with_the_file(self, storage: Storage, root: Path) -> None:
        storage.overwrite(root / "a", b"0123456789")
        assert storage.read_range(root / "a", start=2, length=3) == b"234"
        assert storage.read_range(root / "a", start=8, length=5) == b"89"
        assert storage.read_range(root / "a", start=10, length=5) == b""

    def test_files_are_listed_with_their_size_in_order_and_by_ending(self, storage: Storage, root: Path) -> None:
        for name in ("b/2.json", "a.json", "b/1.json", "b/c/3.txt"):
            storage.overwrite(root / name, name.encode())
        listed = storage.list_files(root)
        assert [file.path for file in listed] == [root / name for name in ("a.json", "b/1.json", "b/2.json", "b/c/3.txt")]
        assert [file.size_bytes for file in listed] == [6, 8, 8, 9]
        assert [file.path.name for file in storage.list_files(root / "b", ending=".json")] == ["1.json", "2.json"]
        assert storage.list_files(root / "nowhere") == []

    def test_what_is_deleted_is_gone_and_may_be_deleted_again(self, storage: Storage, root: Path) -> None:
        for name in ("a", "b/1", "b/c/2", "bb"):
            storage.overwrite(root / name, b"")
        for _ in range(2):
            storage.delete(root / "a")
            storage.delete_all(root / "b")
        assert [file.path for file in storage.list_files(root)] == [root / "bb"]

    def test_a_file_that_a_library_writes_at_its_place_is_read_after_it_was_synced(self, storage: Storage, root: Path) -> None:
        place = storage.place(root / "month=2024-01" / "x.parquet")
        place.write_bytes(b"rows")
        storage.sync([place])
        assert storage.read_range(root / "month=2024-01" / "x.parquet", start=0, length=9) == b"rows"

    def test_what_is_missing_is_an_error_that_names_it(self, storage: Storage, root: Path) -> None:
        for read in (lambda: storage.get(root / "gone"), lambda: storage.read_range(root / "gone", start=0, length=1)):
            with pytest.raises(StoreError, match=r"gone .* missing"):
                read()
