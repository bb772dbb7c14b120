"""A command line in an empty directory, and one on a store that is filled."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.cli import main
from tests.cli.running import DEFINITIONS, Run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command line in an empty directory; the answer is exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATURESTORE_ROOT", str(tmp_path / "store"))
    (tmp_path / "features.py").write_text(DEFINITIONS)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        return int(stopped.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture
def filled(run: Run, tmp_path: Path) -> Run:
    """Fill a store: two users, purchases in 2016 and 2025."""
    moments = [datetime(2016, 11, 11), datetime(2025, 10, 20), datetime(2025, 11, 1), datetime(2025, 11, 2)]
    table = pa.table(
        {"event_id": [1, 2, 3, 4], "event_time": moments, "event_type": ["buy", "buy", "view", "buy"], "user_id": [7, 7, 7, 8]}
    )
    pq.write_table(table, tmp_path / "events.parquet")
    assert run("apply", "features.py")[0] == 0
    assert run("ingest", "events", "events.parquet")[0] == 0
    assert run("materialize")[0] == 0
    return run
