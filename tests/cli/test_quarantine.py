"""The command that shows which rows were refused, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import featurestore as fs
from tests.cli.running import Run


@pytest.fixture
def refused(run: Run, tmp_path: Path) -> Run:
    """Fill a store with one event, four rows without a time and one whose id is no number."""
    lines = ["event_id,event_time,event_type,user_id", "1,2025-10-20,buy,7", "x,2025-10-20,buy,7"]
    lines += [f"{number},,buy,7" for number in (2, 3, 4, 5)]
    (tmp_path / "events.csv").write_text("\n".join(lines))
    assert run("apply", "features.py")[0] == 0
    return run


def test_it_counts_by_reason_and_shows_rows_as_they_came(refused: Run) -> None:
    assert "`featurestore quarantine events`" in refused("ingest", "events", "events.csv")[1]
    code, out, err = refused("quarantine", "events")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "events: 5 different rows in quarantine"
    assert "4 x missing event_time" in lines
    assert "1 x unparsable event_id" in lines
    assert sum("events.csv: {" in line for line in lines) == 3 + 1
    assert '"event_id":"x"' in lines[-1]


def test_it_gives_counts_and_examples_as_json(refused: Run) -> None:
    refused("ingest", "events", "events.csv")
    found = json.loads(refused("quarantine", "events", "--examples", "1", "--json")[1])
    assert (found["source"], found["rows"]) == ("events", 5)
    assert found["reasons"] == {"missing event_time": 4, "unparsable event_id": 1}
    assert [set(example) for example in found["examples"]] == 2 * [{"row", "reason", "source_file", "quarantined_at"}]
    assert json.loads(found["examples"][1]["row"])["event_id"] == "x"


def test_all_rows_can_be_written_to_a_file(refused: Run, tmp_path: Path) -> None:
    refused("ingest", "events", "events.csv")
    assert refused("quarantine", "events", "--out", "out/refused.parquet")[1].endswith("out/refused.parquet: 5 rows\n")
    assert pq.read_table(tmp_path / "out" / "refused.parquet") == fs.FeatureStore(tmp_path / "store").quarantine("events")
    assert json.loads(refused("quarantine", "events", "--out", "refused.csv", "--json")[1])["out"] == "refused.csv"
    assert len((tmp_path / "refused.csv").read_text().splitlines()) == 1 + 5
    code, _, err = refused("quarantine", "events", "--out", "refused.xlsx")
    assert (code, "'.xlsx'" in err) == (1, True)


def test_a_source_without_refused_rows_has_an_empty_quarantine(refused: Run, tmp_path: Path) -> None:
    assert refused("quarantine", "events")[1] == "events: 0 different rows in quarantine\n"
    empty = json.loads(refused("quarantine", "events", "--json")[1])
    assert (empty["rows"], empty["reasons"], empty["examples"]) == (0, {}, [])
    assert fs.FeatureStore(tmp_path / "store").quarantine("events").num_rows == 0


def test_an_unknown_source_is_named(refused: Run, tmp_path: Path) -> None:
    code, _, err = refused("quarantine", "evnts")
    assert (code, "Did you mean 'events'?" in err) == (1, True)
    with pytest.raises(fs.UnknownNameError, match="'evnts'"):
        fs.FeatureStore(tmp_path / "store").quarantine("evnts")


def test_rows_of_strangers_cannot_steer_the_terminal(refused: Run, tmp_path: Path) -> None:
    (tmp_path / "\x1b[2Jevents.csv").write_text(f"event_id,event_time,event_type,user_id\n7,,\x9b1A\x7f{'a' * 1000},7\n")
    refused("ingest", "events", "\x1b[2Jevents.csv")
    out = refused("quarantine", "events")[1]
    assert r"\x1b[2Jevents.csv" in out
    assert out.replace("\n", "").isprintable()
    assert max(map(len, out.splitlines())) < 500
