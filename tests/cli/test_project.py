"""The first hour: ``init`` on somebody's files, ``up`` without an edit, and what both say when it cannot be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake

import featurestore as fs
from featurestore.spec.loading import load_definitions
from tests.cli.running import Run

ROWS = [
    {
        "order_id": number + 1,
        "customer_id": f"{number * 7 % 40:05}",
        "sku": f"s{number * 11 % 30}",
        "status": "returned" if number % 5 == 0 else "paid",
        "price": round(number * 1.37 % 90, 2),
        "created_at": datetime(2022, 1, 1) + timedelta(hours=40 * number),
        "city": ("Köln", "Bonn", "Aachen")[number % 3],
    }
    for number in range(400)
]


def as_parquet(path: Path) -> None:
    pl.DataFrame(ROWS).write_parquet(path)


def as_arrow(path: Path) -> None:
    pl.DataFrame(ROWS).write_ipc(path)


def as_json_lines(path: Path) -> None:
    lines = (json.dumps({**row, "created_at": row["created_at"].isoformat()}) for row in ROWS)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def as_western_csv(path: Path) -> None:
    """As a spreadsheet in Germany writes it: semicolons, commas for points, Latin-1, names with blanks, a blank for NULL."""
    records = ["Order ID;Customer ID;SKU;Order Status;Price;Created At;City"]
    for row in ROWS:
        texts = {name: str(value) for name, value in row.items()}
        records.append(";".join({**texts, "price": texts["price"].replace(".", ",")}.values()))
    path.write_text("\r\n".join(records) + "\r\n", encoding="latin-1")


def as_delta(path: Path) -> None:
    write_deltalake(str(path), pl.DataFrame(ROWS).to_arrow())


FORMATS = {"delta": as_delta, "parquet": as_parquet, "arrow": as_arrow, "jsonl": as_json_lines, "csv": as_western_csv}


@pytest.fixture
def fresh(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Call the command line in an empty folder, without a store that the environment names."""
    monkeypatch.delenv("FEATURESTORE_ROOT")
    (tmp_path / "features.py").unlink()
    return run


@pytest.mark.parametrize("ending", FORMATS)
def test_files_become_features_without_an_edit(fresh: Run, tmp_path: Path, ending: str) -> None:
    (tmp_path / "in").mkdir()
    FORMATS[ending](tmp_path / "in" / f"orders.{ending}")
    code, out, err = fresh("init", "orders", "--from", f"in/*.{ending}", "--timezone", "Europe/Berlin")
    assert code == 0, err
    for told in ("created_at", "order_id", "customer_id", "sku"):
        assert told in out.lower()
    code, out, err = fresh("up")
    assert code == 0, err
    assert "400 rows read, 400 added" in out
    assert "too short a history to judge any feature" in out
    assert "quarantine" not in out
    assert fresh("status")[1].startswith(f"{tmp_path / 'store'}, time zone Europe/Berlin")
    store = fs.FeatureStore(tmp_path / "store")
    keys = {column: view.entity.keys[0] for view in store.registry.views.values() for column in view.entity.keys}
    values = {"customer_id": "00007", "sku": "s11", "SKU": "s11"}
    spine = pl.DataFrame({**{key: [values[key]] for key in keys}, "as_of": ["2022-12-01"]})
    answer = store.get_historical_features(spine, "orders_v1").to_pylist()[0]
    expected = [row for row in ROWS if row["customer_id"] == "00007" and row["created_at"] < datetime(2022, 12, 1)]
    assert answer["customer_activity__returned_1y"] == sum(row["status"] == "returned" for row in expected)
    assert answer["customer_activity__price_1y"] == pytest.approx(sum(row["price"] for row in expected))
    assert answer["customer_activity__city"] == expected[-1]["city"]
    code, out, err = fresh("up")
    assert code == 0
    assert "0 added, 400 duplicates" in out
    assert "everything is up to date" in out


def test_the_readme_that_is_written_answers(fresh: Run, tmp_path: Path) -> None:
    as_western_csv(tmp_path / "o.csv")
    assert fresh("init", "orders", "--from", "o.csv")[0] == 0
    assert fresh("up")[0] == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    python = text.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", python], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONUTF8": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert "customer_activity__events_30d" in done.stdout


def test_what_was_said_is_written_and_times_that_name_no_zone_are_told(fresh: Run, tmp_path: Path) -> None:
    as_parquet(tmp_path / "o.parquet")
    code, _, err = fresh("init", "trade", "--from", "o.parquet", "--key", "sku", "--id", "none", "--time", "created_at")
    assert code == 0
    assert "taken as UTC" in err
    defined = load_definitions(str(tmp_path / "trade.py"))
    (source,) = [each for each in defined.objects if isinstance(each, fs.EventSource)]
    (view,) = [each for each in defined.objects if isinstance(each, fs.FeatureView)]
    assert (source.event_id, view.entity.keys, defined.timezone) == (None, ("sku",), "UTC")


def test_what_was_found_is_one_json_document_for_machines(fresh: Run, tmp_path: Path) -> None:
    as_parquet(tmp_path / "o.parquet")
    code, out, _ = fresh("init", "orders", "--from", "o.parquet", "--json")
    found = json.loads(out)
    assert (code, found["written"][0], found["roles"]["time"]["column"]) == (0, "orders.py", "created_at")
    assert [role["column"] for role in found["roles"]["keys"]] == ["customer_id", "sku"]


def test_nothing_that_is_there_is_written_over(fresh: Run, tmp_path: Path) -> None:
    as_parquet(tmp_path / "o.parquet")
    (tmp_path / "README.md").write_text("mine")
    assert fresh("init", "orders", "--from", "o.parquet")[0] == 0
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "orders.md").exists()
    (tmp_path / "orders.py").write_text("# changed by hand")
    code, _, err = fresh("init", "orders", "--from", "o.parquet")
    assert code == 1
    assert "orders.py" in err
    assert "featurestore.toml" in err
    assert (tmp_path / "orders.py").read_text() == "# changed by hand"


def one_column(path: Path) -> None:
    path.write_text("user_id\n1\n2\n")


def empty(path: Path) -> None:
    path.write_text("")


def no_json(path: Path) -> None:
    path.write_text('{"a": 1}\n[2]\n')


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("a.csv", one_column, "No column says when something happened: user_id"),
        ("a.csv", empty, "is empty"),
        ("a.jsonl", no_json, "line 2 is no JSON object"),
    ],
)
def test_files_that_are_no_events_are_told_in_a_line(
    fresh: Run, tmp_path: Path, name: str, write: Callable[[Path], None], says: str
) -> None:
    write(tmp_path / name)
    code, _, err = fresh("init", "orders", "--from", name)
    assert (code, says in err) == (1, True), err
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_files_with_other_columns_are_told_and_not_mixed(fresh: Run, tmp_path: Path) -> None:
    as_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"sku": ["s1"], "name": ["cup"]}).write_parquet(tmp_path / "b.parquet")
    code, _, err = fresh("init", "orders", "--from", "*.parquet")
    assert code == 0
    assert "b.parquet has other columns" in err


def test_up_without_a_project_says_how_to_begin(fresh: Run) -> None:
    code, _, err = fresh("up")
    assert code == 1
    assert "featurestore init" in err


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("root = 1", "says root = 1"),
        ('root = "store"\nmodul = "a.py"', "'modul'.*module"),
        ("root =", "cannot be read as TOML"),
        ('root = "s"\nmodule = "a.py"\n[files]\nevents = "a.csv"', "Write a list of paths"),
    ],
)
def test_settings_that_are_wrong_are_told(fresh: Run, tmp_path: Path, settings: str, says: str) -> None:
    import re

    (tmp_path / "featurestore.toml").write_text(settings)
    code, _, err = fresh("up")
    assert code == 1
    assert re.search(says, err), err


def test_rows_that_disagree_are_named_and_then_quarantined(fresh: Run, tmp_path: Path) -> None:
    as_parquet(tmp_path / "o.parquet")
    frame = pl.read_parquet(tmp_path / "o.parquet").with_columns(pl.col("price").cast(pl.String))
    odd = frame.with_columns(pl.when(pl.col("order_id") == 7).then(pl.lit("x17")).otherwise(pl.col("price")).alias("price"))
    odd.write_csv(tmp_path / "o.csv")
    code, _, err = fresh("init", "orders", "--from", "o.csv")
    assert code == 0
    assert "price: 1 rows have something else than double, such as 'x17'" in err
    assert "399 added" in fresh("up")[1]


def test_the_line_with_which_a_spreadsheet_says_its_delimiter_is_no_header(fresh: Run, tmp_path: Path) -> None:
    lines = (f"{row['order_id']};{row['customer_id']};{row['created_at']}" for row in ROWS)
    (tmp_path / "o.csv").write_text("sep=;\norder_id;customer_id;created_at\n" + "\n".join(lines) + "\n")
    assert fresh("init", "orders", "--from", "o.csv")[0] == 0
    assert "400 added" in fresh("up")[1]


def test_a_large_file_is_looked_at_in_its_head_its_middle_and_its_end(fresh: Run, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"at": f"2023-01-{1 + n % 28:02}", "user_id": n % 100, "code": "7"} for n in range(60_000)]
    rows += [{"at": f"2023-02-{1 + n % 28:02}", "user_id": n % 100, "code": "A7"} for n in range(60_000)]
    pl.DataFrame(rows).write_csv(tmp_path / "o.csv")
    assert fresh("init", "orders", "--from", "o.csv")[0] == 0
    assert '"code": "string"' in (tmp_path / "orders.py").read_text()


@pytest.mark.parametrize(
    ("write", "options", "expected"),
    [
        (lambda at: str(int((at - datetime(1970, 1, 1)).total_seconds())), (), "unit"),
        (lambda at: f"{at.month}/{at.day}/{at.year} {at.hour}:{at.minute:02}", (), "%m/%d/%Y %H:%M"),
    ],
)
def test_times_that_a_source_cannot_read_get_a_mapping(
    fresh: Run, tmp_path: Path, write: Callable[[datetime], str], options: tuple[str, ...], expected: str
) -> None:
    rows = [{**row, "created_at": write(row["created_at"])} for row in ROWS]  # type: ignore[arg-type]
    pl.DataFrame(rows).write_csv(tmp_path / "o.csv")
    code, _, err = fresh("init", "orders", "--from", "o.csv", *options)
    assert code == 0, err
    assert expected in (tmp_path / "orders.py").read_text(encoding="utf-8")
    code, out, err = fresh("up")
    assert (code, "400 added" in out) == (0, True), out + err
    spine = pl.DataFrame({"customer_id": ["00007"], "sku": ["s11"], "as_of": ["2022-12-01"]})
    answer = fs.FeatureStore(tmp_path / "store").get_historical_features(spine, ["customer_activity"]).to_pylist()[0]
    before = [row for row in ROWS if row["customer_id"] == "00007" and row["created_at"] < datetime(2022, 12, 1)]  # type: ignore[operator]
    assert answer["customer_activity__price_1y"] == pytest.approx(sum(row["price"] for row in before))
    assert "0 added" in fresh("up")[1]


def test_a_date_that_could_be_either_must_be_said(fresh: Run, tmp_path: Path) -> None:
    pl.DataFrame({"user_id": [1, 2, 1], "date": ["05/01/2024", "06/01/2024", "07/02/2024"]}).write_csv(tmp_path / "o.csv")
    code, _, err = fresh("init", "orders", "--from", "o.csv")
    assert code == 1
    assert "--time-format '%d/%m/%Y' or '%m/%d/%Y'" in err
    assert fresh("init", "orders", "--from", "o.csv", "--time-format", "%m/%d/%Y")[0] == 0
    assert "'%m" not in (tmp_path / "orders.py").read_text()


def test_columns_of_parquet_with_blanks_are_renamed(fresh: Run, tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS).rename({"customer_id": "Customer ID", "price": "Unit price (EUR)"})
    frame.write_parquet(tmp_path / "o.parquet")
    assert fresh("init", "orders", "--from", "o.parquet")[0] == 0
    code, out, err = fresh("up")
    assert (code, "400 added" in out) == (0, True), out + err
