from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute.search import block_digests
from featurestore.compute.search.block_digests import BLOCK_BYTES, CheckedFile, DamagedCopyError, append_digests, has_digests
from featurestore.compute.search.hot_copy import ColumnFile, read_hot, write_hot

ROWS = BLOCK_BYTES // 4
TABLE = pa.table({name: np.arange(ROWS) * 2**33 + i for i, name in enumerate("abcd")})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of nine blocks: two for each column, which are shared at the edges, and a little around them."""
    write_hot(tmp_path / "copy.arrow", TABLE)
    return tmp_path / "copy.arrow"


def spoil(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


def test_only_the_blocks_of_the_columns_that_are_read_are_checked(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    digest = block_digests._digest
    monkeypatch.setattr(
        block_digests, "_digest", lambda content, name, block: (checked.append(block), digest(content, name, block))[1]
    )
    columns = ColumnFile(copy.with_suffix(".parquet"), copy)
    assert columns.numbers("a")[7] == 7 * 2**33
    assert len(set(checked)) == len(checked) < 5
    before = len(checked)
    assert ColumnFile(copy.with_suffix(".parquet"), copy).numbers("a")[8] == 8 * 2**33
    assert len(checked) == before  # once in a process
    assert read_hot(copy).equals(TABLE)
    assert sorted(checked) == list(range(9))


@pytest.mark.parametrize("at", [0, 100, BLOCK_BYTES + 5, 5 * BLOCK_BYTES, 8 * BLOCK_BYTES])
def test_a_block_that_is_zero_or_another_is_damage(copy: Path, at: int) -> None:
    content = copy.read_bytes()
    for wrong in (bytes(4096), content[at + BLOCK_BYTES // 2 :][:4096], bytes([content[at] ^ 1])):
        spoil(copy, at, wrong if wrong != content[at : at + len(wrong)] else b"other")
        assert read_hot(copy) is None
        assert not copy.exists()  # it is dropped
        copy.write_bytes(content)
    assert read_hot(copy).equals(TABLE)


def test_a_copy_under_another_name_a_cut_one_and_one_without_digests_are_damage(copy: Path, tmp_path: Path) -> None:
    content = copy.read_bytes()
    for name, wrong in (
        ("other", content),
        ("cut", content[:-1]),
        ("empty", b""),
        ("plain", content[:-500]),
        ("zero", bytes(9999)),
    ):
        file = tmp_path / f"{name}.arrow"
        file.write_bytes(wrong)
        with pytest.raises(DamagedCopyError):
            CheckedFile(file)
        assert has_digests(file) is (name == "other")


def test_digests_of_a_file_of_whole_blocks_and_of_a_byte_more(tmp_path: Path) -> None:
    for size in (1, BLOCK_BYTES, BLOCK_BYTES + 1):
        file = tmp_path / f"{size}.bin"
        file.write_bytes(b"x" * size)
        append_digests(file, name=file.stem, data=(0, size))
        checked = CheckedFile(file)
        checked.check([(0, size)])
        assert checked.content.size == size
        assert has_digests(file)
