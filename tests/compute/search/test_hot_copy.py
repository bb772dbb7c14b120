"""Hot copies: narrow, equal to their Parquet file, and never believed when they are damaged."""

from __future__ import annotations

import os
import time

import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.search import block_digests
from featurestore.compute.search.hot_copy import ColumnFile, drop_hot, write_hot
from featurestore.lake.arrow_parquet import write_parquet
from featurestore.lake.digests import DamagedFileError
from featurestore.lake.layout import create_or_open
from featurestore.spec import Count, Entity, FeatureView, Last, Profile
from tests.compute.world import SOURCE, answers, at, commit_events, event

VIEW = FeatureView(
    "activity",
    entity=Entity("user", key="user_id"),
    source=SOURCE,
    aggregations=[Count("n"), Last("category", "category"), Profile("hours", by="hour_of_day")],
)


def table() -> pa.Table:
    numbers = np.arange(-3, 3)
    return pa.table(
        {
            "small": numbers,
            "middle": numbers * 100_000,
            "large": numbers * 2**40,
            "gaps": pa.array([1, None, 3, 4, 5, 6]),
            "text": ["a", None, "", "中文", "e", "f"],
            "counts": pa.array([[1, 2], [], [3], [-4, 5], [], []], pa.list_(pa.int64())),
        }
    )


def test_a_hot_copy_holds_the_same_values_with_integers_as_narrow_as_they_fit(tmp_path) -> None:
    write_parquet(table(), tmp_path / "file.parquet")
    write_hot(tmp_path / "file.arrow", table())
    cold, hot = (ColumnFile(tmp_path / "file.parquet", tmp_path / name) for name in ("none.arrow", "file.arrow"))
    for name in table().column_names:
        assert hot.array(name).to_pylist() == cold.array(name).to_pylist() == table()[name].to_pylist()
    assert [hot.numbers(name).dtype for name in ("small", "middle", "large")] == [np.int16, np.int32, np.int64]
    assert hot.array("counts").type == pa.list_(pa.int16())


def test_an_empty_table_has_a_hot_copy_too(tmp_path) -> None:
    write_hot(tmp_path / "file.arrow", table().slice(0, 0))
    assert len(ColumnFile(tmp_path / "file.parquet", tmp_path / "file.arrow").numbers("small")) == 0


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    kind = rng.integers(3)
    if kind == 0:
        return data[: int(rng.integers(0, len(data)))]
    if kind == 1:
        return bytes(len(data))
    start = int(rng.integers(0, len(data)))
    return data[:start] + bytes(len(data) - start)


@pytest.mark.parametrize("seed", range(4))
def test_a_truncated_or_zeroed_hot_copy_means_reading_the_parquet_file(tmp_path, seed: int) -> None:
    layout, rng = create_or_open(tmp_path / "store"), np.random.default_rng(seed)
    commit_events(layout, [event(i, at(2020 + i % 3, 1 + i % 12), 1 + i % 2) for i in range(40)])
    materialize(layout, [VIEW])
    asked = [(user, at(year, 6)) for user in (1, 2, 3) for year in (2019, 2020, 2021, 2023)]
    expected = [answers(layout, VIEW, *asked, feature=name) for name in ("n", "category", "hours")]
    files = sorted(layout.hot("activity").glob("*.arrow"))
    assert len(files) == 12
    for file in files:
        # A new inode, as after a crash: an open copy would keep the old one.
        content = damaged(file.read_bytes(), rng)
        file.unlink()
        file.write_bytes(content)
    assert [answers(layout, VIEW, *asked, feature=name) for name in ("n", "category", "hours")] == expected


def test_a_hot_folder_may_be_deleted_and_comes_back_with_the_next_materialize(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store")
    commit_events(layout, [event(1, at(2024))])
    materialize(layout, [VIEW])
    for file in layout.hot("activity").iterdir():
        file.unlink()
    layout.hot("activity").rmdir()
    assert answers(layout, VIEW, (1, at(2025)), feature="n") == [1]
    report = materialize(layout, [VIEW])
    assert len(list(layout.hot("activity").glob("*.arrow"))) == len(report.healed) == 4
    assert "healed 4 damaged or missing files: hot/activity/" in str(report)
    assert str(materialize(layout, [VIEW])) == "everything is up to date"
    commit_events(layout, [event(2, at(2024, 5))])
    materialize(layout, [VIEW])
    assert answers(layout, VIEW, (1, at(2025)), feature="n") == [2]


def test_copies_that_no_committed_file_needs_are_deleted_and_so_are_those_that_a_killed_writer_left(tmp_path) -> None:
    for name in ("kept.arrow", "old.arrow", ".new.tmp", ".abandoned.tmp"):
        (tmp_path / name).write_bytes(b"x")
    long_ago = time.time() - 48 * 3600
    os.utime(tmp_path / ".abandoned.tmp", (long_ago, long_ago))
    drop_hot(tmp_path, keep={"kept"})
    assert sorted(file.name for file in tmp_path.iterdir()) == [".new.tmp", "kept.arrow"]


def wide_table(rng: np.random.Generator, rows: int) -> pa.Table:
    numbers = rng.integers(-(2**40), 2**40, rows)
    has_none = rng.random(rows) < 0.2
    columns = {
        "narrow": rng.integers(0, 99, rows),
        "wide": numbers,
        "gaps": pa.array(numbers, mask=has_none),
        "double": pa.array(rng.random(rows), mask=has_none),
        "time": pa.array(numbers, pa.timestamp("us", "UTC"), mask=has_none),
        "flag": pa.array(numbers > 0, mask=has_none),
        "text": pa.array([str(number) for number in numbers], mask=has_none),
        "list": pa.array([[int(number)] * int(number % 4) for number in numbers], pa.list_(pa.int64())),
    }
    return pa.table(columns)


@pytest.mark.parametrize("rows", [0, 1, 9, 700])
def test_some_rows_of_a_copy_are_right_whatever_bytes_of_it_are_not(tmp_path, monkeypatch, rows: int) -> None:
    monkeypatch.setattr(block_digests, "BLOCK_BYTES", 256)
    rng = np.random.default_rng(rows)
    whole = wide_table(rng, rows)
    write_parquet(whole, tmp_path / "file.parquet")
    write_hot(tmp_path / "file.arrow", whole)
    sound = (tmp_path / "file.arrow").read_bytes()
    for _ in range(12):
        (tmp_path / "file.arrow").unlink(missing_ok=True)
        content = bytearray(sound)
        for place in rng.integers(0, len(sound), int(rng.integers(0, 4))):
            content[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "file.arrow").write_bytes(content)
        columns = ColumnFile(tmp_path / "file.parquet", tmp_path / "file.arrow")
        for name in rng.permutation(whole.column_names).tolist():
            asked = rng.integers(0, max(rows, 1), int(rng.integers(0, 4))) if rows else np.zeros(0, np.int64)
            until = np.minimum(asked + rng.integers(0, 30, len(asked)), rows)
            expected = [whole[name].slice(low, high - low).to_pylist() for low, high in zip(asked, until, strict=True)]
            column = columns.array(name, asked, until)
            assert [column.slice(low, high - low).to_pylist() for low, high in zip(asked, until, strict=True)] == expected
            column = columns.array(name, asked)
            assert column.take(pa.array(asked)).to_pylist() == whole[name].take(pa.array(asked)).to_pylist()
        assert columns.rows == rows


def test_a_few_rows_are_read_of_a_copy_whose_other_blocks_are_damaged(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(block_digests, "BLOCK_BYTES", 256)
    whole = pa.table({"wide": np.arange(1_000) * 2**40})
    write_hot(tmp_path / "file.arrow", whole)
    content = bytearray((tmp_path / "file.arrow").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "file.arrow").write_bytes(content)
    columns = ColumnFile(tmp_path / "none.parquet", tmp_path / "file.arrow")
    ends = np.array([3, 996])
    assert columns.numbers("wide", ends).take(ends).tolist() == [3 * 2**40, 996 * 2**40]
    assert columns.is_mapped
    with pytest.raises(DamagedFileError):
        columns.numbers("wide", np.array([0]), np.array([1_000]))
    assert not (tmp_path / "file.arrow").exists()
