"""Commands that fill a store, read from it and clear it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.cli.running import Run


def test_the_same_file_again_adds_nothing(filled: Run) -> None:
    report = json.loads(filled("ingest", "events", "events.parquet", "--json")[1])
    assert report["rows_added"] == 0


def test_status_says_what_is_there_and_what_is_missing(filled: Run) -> None:
    found = json.loads(filled("status", "--json")[1])
    assert [(source["name"], source["rows"]) for source in found["sources"]] == [("events", 4)]
    assert found["views"][0]["missing_months"] == []
    out = filled("status")[1]
    assert "Asia/Shanghai" in out
    assert "activity" in out


def test_a_published_service_is_in_the_status(filled: Run) -> None:
    assert json.loads(filled("status", "--json")[1])["services"][0]["as_of"] is None
    made = json.loads(filled("publish", "recommendation_v1", "--json")[1])
    (found,) = json.loads(filled("status", "--json")[1])["services"]
    assert (found["number"], found["as_of"], found["is_redefined"]) == (0, made["as_of"], False)
    assert made["as_of"][:10] in filled("publish", "recommendation_v1")[1]
    assert made["as_of"] in filled("status")[1]
    assert filled("publish", "recommendation_v1", "--as-of", "2016-01-01")[0] == 1


def test_verify_says_equal_and_ends_with_one_where_it_is_not(filled: Run, tmp_path: Path) -> None:
    code, out, _ = filled("verify")
    assert code == 0
    assert "none failed" in out
    assert json.loads(filled("verify", "--view", "activity", "--sample", "1", "--json")[1])["is_equal"] is True
    for file in (tmp_path / "store").rglob("month=2016-11/*.parquet"):
        if "tiles" in str(file):
            table = pq.read_table(file, partitioning=None)
            pq.write_table(table.set_column(2, table.column_names[2], pa.array([9])), file)
    code, out, _ = filled("verify")
    assert code == 1
    assert "committed 9, recomputed 1" in out
    assert json.loads(filled("verify", "--json")[1])["first_difference"]["key"] == [7]


def test_vacuum_deletes_what_no_version_needs_and_says_of_which_table(filled: Run, tmp_path: Path) -> None:
    (committed,) = (tmp_path / "store" / "lake" / "events" / "events").glob("month=2016-11/*.parquet")
    orphan = committed.with_name("orphan.parquet")
    orphan.write_bytes(committed.read_bytes())
    assert filled("vacuum")[1] == "0 files, 0.0 MB deleted from 0 tables\n"
    two_hours_ago = time.time() - 2 * 3600
    os.utime(orphan, (two_hours_ago, two_hours_ago))
    code, out, _ = filled("vacuum", "--retention-hours", "1")
    assert code == 0
    assert out.startswith("1 files, 0.0 MB deleted from 1 tables")
    assert "events/events" in out.split("Deleted", maxsplit=1)[1]
    assert (orphan.exists(), committed.exists()) == (False, True)
    found = json.loads(filled("vacuum", "--retention-hours", "1", "--json")[1])
    assert (found["files"], found["pinned"]) == ({}, [])


def test_vacuum_leaves_the_files_of_running_writers(filled: Run) -> None:
    code, _, err = filled("vacuum", "--retention-hours", "0")
    assert code == 2
    assert "--retention-hours" in err


def test_ingest_is_told_how_csv_is_written(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_bytes("# export\n11|2025-11-03|'天|津'|9\n12|2025-11-03|NA|9\n".encode("gb18030"))
    spelled = ("--delimiter", "|", "--quote", "'", "--comment", "#", "--null", "NA", "--encoding", "gb18030", "--no-header")
    names = ("--names", "event_id,event_time,event_type,user_id")
    code, out, _ = filled("ingest", "events", "more.csv", *spelled, *names, "--json")
    assert (code, json.loads(out)["rows_added"], json.loads(out)["lines"][0]["comment_lines"]) == (0, 2, 1)
    code, _, err = filled("ingest", "events", "more.csv", "--decimal", ";")
    assert code != 0
    assert "decimal=';'" in err


def test_ingest_fails_when_more_than_half_is_quarantined_and_keeps_the_good_rows(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("event_id,event_time,event_type,user_id\n11,2025-11-03,buy,9\nx\ny\n")
    code, out, _ = filled("ingest", "events", "more.csv")
    assert code == 1
    assert out.startswith("events: more than half of a batch was quarantined; 3 rows read, 1 added")
    assert json.loads(filled("ingest", "events", "more.csv", "--json")[1])["duplicates"] == 1


def test_a_bound_is_raised_by_its_name(filled: Run, tmp_path: Path) -> None:
    header = "event_id,event_time,event_type,user_id\n"
    (tmp_path / "long.csv").write_text(header + f"9,2024-05-01,{'b' * 5000},7\n")
    code, _, told = filled("ingest", "events", "long.csv", "--bound", "line_bytes=4000")
    assert (code, "line 2, has more than 4,000 bytes" in told) == (1, True)
    assert "Did you mean 'line_bytes'" in filled("ingest", "events", "long.csv", "--bound", "line_byte=1")[2]
    assert "gives no whole number" in filled("ingest", "events", "long.csv", "--bound", "rows=many")[2]
    assert filled("ingest", "events", "long.csv", "--bound", "line_bytes=8000", "--bound", "rows=7")[0] == 0
    assert filled("materialize", "--bound", "spill_bytes=1")[0] == 1
    assert filled("materialize", "--bound", "spill_bytes=9000000")[0] == 0


def test_doctor_names_what_is_damaged_heals_it_and_leaves_with_1_while_something_is_left(filled: Run, tmp_path: Path) -> None:
    code, out, err = filled("doctor")
    assert (code, "nothing is damaged" in out, "doctor" in err) == (0, True, True)
    root = next(path.parent for path in tmp_path.rglob("store.json"))
    tiles = next(root.glob("lake/tiles/*/*/*/*.parquet"))
    tiles.write_bytes(tiles.read_bytes()[:100])
    code, out, _ = filled("doctor", "--dry-run", "--json")
    found = json.loads(out)
    assert (code, found["is_sound"], [each["kind"] for each in found["damages"]]) == (1, False, ["tiles"])
    code, out, _ = filled("doctor")
    assert (code, f"healed: {tiles.relative_to(root).as_posix()}" in out) == (0, True)
    next(root.glob("lake/events/*/*/*.parquet")).unlink()
    code, out, _ = filled("doctor")
    assert (code, "LEFT: lake/events/" in out) == (1, True)


def test_the_doctor_looks_at_a_store_that_cannot_be_opened(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "store" / "store.json").write_text("{")
    (tiles,) = (tmp_path / "store" / "lake" / "tiles").rglob("*2016*/*.parquet")
    tiles.write_bytes(b"PAR1")
    code, out, err = filled("doctor")
    assert code == 1
    assert "LEFT: store.json cannot be read" in out
    assert tiles.name in out
    assert "Traceback" not in err


def test_files_of_a_foreign_shape_come_in_through_a_mapping(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("no,at,what,who\n77,2020-01-01 10:00,B,5\n78,2020-01-01 11:00,X,5\n")
    text = "name: log\nsources: {log: {}}\ntime: at\nevent_type: {column: what, map: {B: buy}}\n"
    text += "columns: {event_id: no, user_id: who}\n"
    (tmp_path / "log.yaml").write_text(text)
    code, out, _ = filled("ingest", "events", str(tmp_path / "log.csv"), "--mapping", str(tmp_path / "log.yaml"))
    assert (code, "1 added, 1 quarantined (unknown value of what)" in out) == (0, True)
    (tmp_path / "log.yaml").write_text(text.replace("column:", "colum:"))
    code, _, told = filled("ingest", "events", str(tmp_path / "log.csv"), "--mapping", str(tmp_path / "log.yaml"))
    assert (code, "line 4, event_type.colum: the key 'colum' is unknown" in " ".join(told.split())) == (1, True)
