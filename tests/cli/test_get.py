"""Training sets: spines read from files, answers written to them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.running import Run


def _write_spine(path: Path) -> Path:
    path.write_text("user_id,as_of,label\n7,2020-01-01 00:00:00,a\n7,2025-11-11 00:00:00,b\n9,2025-11-11 00:00:00,c\n")
    return path


def test_a_store_is_filled_and_read(filled: Run, tmp_path: Path) -> None:
    spine = _write_spine(tmp_path / "spine.csv")
    code, out, _ = filled("get", spine, "--features", "recommendation_v1", "--out", "out/training.parquet")
    assert code == 0
    assert out.startswith("out/training.parquet: 3 rows x 2 features in ")
    table = pq.read_table(tmp_path / "out" / "training.parquet")
    assert table["label"].to_pylist() == ["a", "b", "c"]
    assert table["activity__buys_10y"].to_pylist() == [1, 2, 0]
    assert table["activity__buys_30d"].to_pylist() == [0, 1, 0]


def test_a_training_set_can_be_csv(filled: Run, tmp_path: Path) -> None:
    spine = _write_spine(tmp_path / "spine.csv")
    assert filled("get", spine, "--features", "activity:buys_30d", "--out", "training.csv", "--json")[0] == 0
    assert (tmp_path / "training.csv").read_text().splitlines()[0] == '"user_id","as_of","label","activity__buys_30d"'


@pytest.mark.parametrize(("spine", "out", "says"), [
    ("none.csv", "out.parquet", "no spine none.csv"),
    ("spine.txt", "out.parquet", "ends in '.txt'"),
    ("spine.csv", "out.xlsx", "ends in '.xlsx'"),
    ("spine.parquet", "out.parquet", "cannot be read as .parquet"),
])  # fmt: skip
def test_files_that_cannot_be_read_or_written_are_named(filled: Run, tmp_path: Path, spine: str, out: str, says: str) -> None:
    _write_spine(tmp_path / "spine.csv")
    (tmp_path / "spine.parquet").write_text("no Parquet")
    code, _, err = filled("get", spine, "--features", "activity", "--out", out)
    assert code == 1
    assert says in err
    assert not (tmp_path / out).exists()


def test_what_is_no_file_is_not_replaced_by_one(run: Run, tmp_path: Path) -> None:
    run("apply", "features.py")
    os.mkfifo(tmp_path / "rows.csv")
    (tmp_path / "spine.csv").write_text("user_id,as_of\n")
    code, _, err = run("get", "spine.csv", "--features", "anything", "--out", "rows.csv")
    assert code == 1
    assert err.startswith("StoreError: rows.csv is a pipe")
    assert stat.S_ISFIFO((tmp_path / "rows.csv").stat().st_mode)
