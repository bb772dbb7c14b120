"""What long commands say to those who read a log instead of a terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.cli.running import Run

LINE = r"(.{13}) (.{18,}?) +\d+\.\d s(?: +([\d,]+) rows)?"


def piped(folder: Path, *arguments: str) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """Run a command with pipes for its output: its JSON on stdout; of each line on stderr, of what it is and of which years."""
    command = [sys.executable, "-c", "import featurestore.cli as it; it.main()", *arguments, "--json"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    lines = [re.fullmatch(LINE, line) for line in ended.stderr.splitlines()]
    assert all(lines), ended.stderr
    return json.loads(ended.stdout), [(line[2].strip(), line[1].strip()) for line in lines if line]


def test_without_a_terminal_long_commands_write_a_line_for_each_year_and_results_stay_alone_on_stdout(
    filled: Run, tmp_path: Path
) -> None:
    rows = {"event_id": [5], "event_time": [datetime(2025, 11, 3)], "event_type": ["buy"], "user_id": [7]}
    pq.write_table(pa.table(rows), tmp_path / "more.parquet")
    report, lines = piped(tmp_path, "ingest", "events", "more.parquet")
    assert (report["rows_added"], lines) == (1, [("ingest events", "in all")])
    _, lines = piped(tmp_path, "materialize")
    ledgers = [("activity ledger", "2016"), ("activity ledger", "2025")]  # the newest month is a partition of its own
    assert lines == [("activity tiles", "2025"), *ledgers, ("materialize", "in all")]
    report, lines = piped(tmp_path, "verify")
    assert report["is_equal"] is True
    years = [("activity tiles", "2016"), ("activity tiles", "2025"), *ledgers]
    assert lines == [*years, ("verify", "in all")]
    report, lines = piped(tmp_path, "audit", "--month", "2025-10", "--month", "2025-11")
    assert report["months"] == ["2025-10", "2025-11"]
    assert lines == [("activity snapshots", "2025"), ("audit", "in all")]
