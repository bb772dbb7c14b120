"""Training sets: spines read from files, answers written to them."""

from __future__ import annotations

import json
import os
import stat
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.running import DEFINITIONS, Run


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
    ("none.csv", "out.parquet", "'none.csv' names no file"),
    ("spine.txt", "out.parquet", "ends in '.txt'"),
    ("spine.csv", "out.xlsx", "ends in '.xlsx'"),
    ("spine.parquet", "out.parquet", "cannot be read as .parquet"),
])  # fmt: skip
def test_files_that_cannot_be_read_or_written_are_named(filled: Run, tmp_path: Path, spine: str, out: str, says: str) -> None:
    _write_spine(tmp_path / "spine.csv")
    (tmp_path / "spine.parquet").write_text("no Parquet")
    (tmp_path / "spine.txt").write_text("user_id,as_of\n")
    code, _, err = filled("get", spine, "--features", "activity", "--out", out)
    assert code == 1
    assert says in err
    assert not (tmp_path / out).exists()


def test_the_spine_is_never_written_over(filled: Run, tmp_path: Path) -> None:
    spine = _write_spine(tmp_path / "spine.csv")
    before = spine.read_text()
    code, _, err = filled("get", "*.csv", "--features", "activity", "--out", "./spine.csv")
    assert code == 1
    assert "is a file of the spine and would be replaced" in err
    assert spine.read_text() == before


def test_what_is_no_file_is_not_replaced_by_one(run: Run, tmp_path: Path) -> None:
    run("apply", "features.py")
    os.mkfifo(tmp_path / "rows.csv")
    (tmp_path / "spine.csv").write_text("user_id,as_of\n")
    code, _, err = run("get", "spine.csv", "--features", "anything", "--out", "rows.csv")
    assert code == 1
    assert err.startswith("StoreError: rows.csv is a pipe")
    assert stat.S_ISFIFO((tmp_path / "rows.csv").stat().st_mode)


def test_what_a_csv_passes_on_stays_as_it_is_written(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "spine.csv").write_text(
        'user_id,as_of,zip,share,day,yes,empty,quoted\n7,2025-11-11 00:00:00,00123,0.50,2024-1-5,true,,""\n'
    )
    assert filled("get", "spine.csv", "--features", "activity:buys_10y", "--out", "out.parquet")[0] == 0
    row = pq.read_table(tmp_path / "out.parquet").to_pylist()[0]
    assert row["user_id"] == 7
    assert row["as_of"] == datetime(2025, 11, 11)
    assert [row[name] for name in ("zip", "share", "day", "yes")] == ["00123", "0.50", "2024-1-5", "true"]
    assert (row["empty"], row["quoted"], row["activity__buys_10y"]) == (None, "", 2)


@pytest.mark.parametrize(
    ("written", "found", "buys"),
    [
        (["7", "", "9"], [7, None, 9], [2, None, 0]),
        (["7.0", "", "9.0"], [7.0, None, 9.0], [2, None, 0]),
        ([" 7", "+7", "007"], [7, 7, 7], [2, 2, 2]),
        (["7", str(2**63), "-1"], [7, 2**63, -1], [2, 0, 0]),
    ],
)
def test_integer_keys_of_a_csv_are_integers_however_they_are_written(filled, tmp_path, written, found, buys) -> None:
    lines = "".join(f"{key},2025-11-11 00:00:00\n" for key in written)
    (tmp_path / "spine.csv").write_text("user_id,as_of\n" + lines)
    assert filled("get", "spine.csv", "--features", "activity:buys_10y", "--out", "out.parquet")[0] == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["user_id"].to_pylist() == found
    assert table["activity__buys_10y"].to_pylist() == buys


@pytest.mark.parametrize(("key", "says"), [("abc", "has 'abc' in the column 'user_id'"), ("7.5", "holds 7.5")])
def test_a_text_that_is_no_integer_key_is_named(filled: Run, tmp_path: Path, key: str, says: str) -> None:
    (tmp_path / "spine.csv").write_text(f"user_id,as_of\n7,2025-11-11 00:00:00\n{key},2025-11-11 00:00:00\n")
    code, _, err = filled("get", "spine.csv", "--features", "activity:buys_10y", "--out", "out.parquet")
    assert code == 1
    assert err.startswith("SpineError: ")
    assert says in err


def test_string_keys_of_digits_stay_texts_in_csv_and_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text(DEFINITIONS.replace('"user_id": "int64"', '"user_id": "string"'))
    (tmp_path / "events.csv").write_text(
        "event_id,event_time,event_type,user_id\n1,2025-11-01 00:00:00,buy,007\n2,2025-11-01 00:00:00,buy,7\n"
        "3,2025-11-01 00:00:00,buy,7\n"
    )
    assert [run(*line.split())[0] for line in ("apply features.py", "ingest events events.csv", "materialize")] == [0, 0, 0]
    (tmp_path / "spine.csv").write_text("user_id,as_of\n007,2025-11-11 00:00:00\n7,2025-11-11 00:00:00\n")
    (tmp_path / "spine.jsonl").write_text(
        '{"user_id": "007", "as_of": "2025-11-11 00:00:00"}\n{"user_id": "7", "as_of": "2025-11-11 00:00:00"}\n'
    )
    (tmp_path / "numbers.jsonl").write_text('{"user_id": 8, "as_of": "2025-11-11 00:00:00"}\n{"user_id": 7, "as_of": null}\n')
    for spine, expected in (("spine.csv", [1, 2]), ("spine.jsonl", [1, 2]), ("numbers.jsonl", [0, None])):
        assert run("get", spine, "--features", "activity:buys_30d", "--out", "out.parquet")[0] == 0
        assert pq.read_table(tmp_path / "out.parquet")["activity__buys_30d"].to_pylist() == expected


def test_integer_keys_written_as_texts_in_json_are_integers(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "spine.jsonl").write_text('{"user_id": "7", "as_of": "2025-11-11 00:00:00", "zip": "00123"}\n')
    assert filled("get", "spine.jsonl", "--features", "activity:buys_10y", "--out", "out.parquet")[0] == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert (table["activity__buys_10y"].to_pylist(), table["zip"].to_pylist()) == ([2], ["00123"])


def test_a_training_set_is_read_from_the_last_complete_state_when_it_is_asked_for(filled: Run, tmp_path: Path) -> None:
    spine = _write_spine(tmp_path / "spine.csv")
    asked = ("get", spine, "--features", "activity:buys_10y", "--out", "late.parquet")
    more = tmp_path / "more.csv"
    more.write_text("event_id,event_time,event_type,user_id\n99,2025-11-01 00:00:00,buy,7\n")
    assert filled("ingest", "events", more)[0] == 0
    assert "not yet in view" in filled(*asked)[2]
    assert filled(*asked, "--max-lag", "1h")[0] == 0
    assert pq.read_table(tmp_path / "late.parquet")["activity__buys_10y"].to_pylist() == [1, 2, 0]


def test_an_as_of_without_a_zone_is_in_the_store_s_and_one_with_a_zone_in_that(filled: Run, tmp_path: Path) -> None:
    moments = {"2025-10-20 23:00:00": 0, "2025-10-20T23:00:00Z": 1, "2025-10-20T23:00:00+00:00": 1, "2025-10-21": 1}
    for kind in ("csv", "jsonl"):
        for each in ([*moments], *([moment] for moment in moments)):
            lines = [f"7,{m}" if kind == "csv" else json.dumps({"user_id": 7, "as_of": m}) for m in each]
            (tmp_path / f"spine.{kind}").write_text("\n".join([*(["user_id,as_of"] if kind == "csv" else []), *lines, ""]))
            assert filled("get", f"spine.{kind}", "--features", "activity:buys_30d", "--out", "out.parquet")[0] == 0
            answer = pq.read_table(tmp_path / "out.parquet")["activity__buys_30d"].to_pylist()
            assert answer == [moments[moment] for moment in each], (kind, each)
    (tmp_path / "spine.jsonl").write_text('{"user_id": 7, "as_of": "tomorrow"}\n')
    code, _, err = filled("get", "spine.jsonl", "--features", "activity:buys_30d", "--out", "out.parquet")
    assert code == 1
    assert "holds 'tomorrow': 'tomorrow' is not a moment" in err


@pytest.mark.parametrize(("content", "options"), [
    ("user_id;as_of;label\n7;2025-11-11 00:00:00;中\n", ()),
    ("sep=|\nuser_id|as_of|label\n7|2025-11-11 00:00:00|中\n", ()),
    ("7~2025-11-11 00:00:00~'中'\n", ("--delimiter", "~", "--no-header", "--names", "user_id,as_of,label", "--quote", "'")),
    ("# made by hand\nuser_id,as_of,label\n7,2025-11-11 00:00:00,中\n", ("--comment", "#", "--encoding", "gb18030")),
])  # fmt: skip
def test_a_spine_is_read_as_it_is_written(filled: Run, tmp_path: Path, content: str, options: tuple[str, ...]) -> None:
    (tmp_path / "spine.csv").write_bytes(content.encode("gb18030" if "gb18030" in options else "utf-8"))
    code, _, err = filled("get", "spine.csv", "--features", "activity", "--out", "out.parquet", *options)
    assert code == 0, err
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["user_id"], row["label"], row["activity__buys_10y"]) == (7, "中", 2)


def test_a_spine_with_lines_that_are_no_records_is_refused(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "spine.csv").write_text("user_id;as_of\n7;2025-11-11\n9\n")
    code, _, err = filled("get", "spine.csv", "--features", "activity", "--out", "out.parquet")
    assert code == 1
    assert "1 lines that are no records (the first: 3)" in err


def test_long_records_of_spines_are_read_or_their_bound_is_named(filled: Run, tmp_path: Path) -> None:
    moment = "2025-11-11T00:00:00"
    (tmp_path / "long.csv").write_text(f"user_id,as_of,label\n7,{moment},{'x' * (3 << 20)}\n")
    (tmp_path / "long.jsonl").write_text(f'{{"user_id": 7, "as_of": "{moment}", "label": "{"x" * (17 << 20)}"}}\n')
    (tmp_path / "longer.jsonl").write_text(f'{{"user_id": 7, "as_of": "{moment}", "label": "{"x" * (65 << 20)}"}}\n')
    for spine in ("long.csv", "long.jsonl"):
        code, _, err = filled("get", spine, "--features", "activity", "--out", "out.parquet")
        assert code == 0, err
    code, _, err = filled("get", "longer.jsonl", "--features", "activity", "--out", "out.parquet")
    assert code == 1
    assert "record of more than 32 MiB" in err
