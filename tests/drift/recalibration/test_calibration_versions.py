from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.drift.recalibration import calibration_versions as calibrations
from featurestore.drift.recalibration.calibration_versions import Challenger
from featurestore.drift.recalibration.recalibrate import Decision, Trigger
from featurestore.errors import CalibrationError, CommitConflictError, StoreError


def challenger(a: float, *, until: int = 10, resets: dict | None = None) -> Challenger:
    table = pa.table({"group": ["toys", "*"], "a": [a, 1.0], "b": [2.0, 3.0], "members": [5, 9]})
    return Challenger(table, "beta_binomial", until - 5, until, resets=resets)


def decision(*, is_promoted: bool = True) -> Decision:
    return Decision("prior", Trigger("2024-10", "x"), 5, 10, ("2024-11",), (), is_promoted, "because")


def record(folder: Path, a: float, *, is_promoted: bool = True, until: int = 10, resets: dict | None = None):
    return calibrations.record(
        folder, challenger(a, until=until, resets=resets), decision(is_promoted=is_promoted), now_us=until
    )


def test_the_champion_is_the_last_promoted_version_and_rejected_ones_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "prior"
    assert calibrations.champion(folder) is None
    assert calibrations.versions(folder) == []
    first, rejected, second = (
        record(folder, 1.0),
        record(folder, 2.0, is_promoted=False, until=20),
        record(folder, 3.0, until=30),
    )
    assert calibrations.champion(folder) == second
    assert calibrations.versions(folder) == [first, rejected, second]
    assert [version.is_accepted for version in calibrations.versions(folder)] == [True, False, True]
    assert calibrations.parameters(folder, rejected)["a"].to_pylist() == [2.0, 1.0]
    values = calibrations.parameter_values(calibrations.parameters(folder, second))
    assert values == {"a": {"toys": 3.0, "*": 1.0}, "b": {"toys": 2.0, "*": 3.0}}


def test_rollback_restores_parameters_and_reference_and_takes_the_acceptance_back(tmp_path: Path) -> None:
    folder = tmp_path / "prior"
    first = record(folder, 1.0, resets={"x": ("2018-01",)})
    before = calibrations.parameters(folder, first)
    second = record(folder, 2.0, until=20, resets={"x": ("2024-10",), "y": ("2024-10",)})
    assert calibrations.active_resets(folder) == {"x": ["2018-01", "2024-10"], "y": ["2024-10"]}

    restored = calibrations.rollback(folder, reason="returns look wrong", now_us=40)
    assert restored == first == calibrations.champion(folder)
    assert calibrations.parameters(folder, restored).equals(before)
    assert calibrations.active_resets(folder) == {"x": ["2018-01"]}
    assert calibrations.versions(folder) == [first, replace(second, is_accepted=False)]
    with pytest.raises(CalibrationError, match="only one accepted version"):
        calibrations.rollback(folder)
    assert calibrations.champion(folder) == first

    third = record(folder, 3.0, until=50)
    assert calibrations.champion(folder) == third
    assert calibrations.rollback(folder) == first


def test_every_decision_has_an_audit_row(tmp_path: Path) -> None:
    folder = tmp_path / "prior"
    first, rejected = record(folder, 1.0), record(folder, 2.0, is_promoted=False, until=20)
    second = record(folder, 3.0, until=30)
    calibrations.rollback(folder, reason="returns look wrong", now_us=40)
    rows = calibrations.audit_log(folder).to_pylist()
    assert [(row["event"], row["version"], row["champion"]) for row in rows] == [
        ("promoted", first.name, first.name),
        ("rejected", rejected.name, first.name),
        ("promoted", second.name, second.name),
        ("rolled_back", second.name, first.name),
    ]
    assert [row["reason"] for row in rows] == ["because"] * 3 + ["returns look wrong"]
    assert json.loads(rows[0]["decision"])["held_out_months"] == ["2024-11"]
    assert [row["at"].microsecond for row in rows] == [10, 20, 30, 40]
    assert len(calibrations.audit_log(tmp_path / "none")) == 0


def test_of_writers_at_the_same_time_each_wins_a_number_or_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "prior"

    def attempt(i: int) -> bool:
        try:
            record(folder, float(i))
        except CommitConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        wins = sum(pool.map(attempt, range(24)))
    log = calibrations.audit_log(folder)
    assert log["number"].to_pylist() == list(range(wins))
    assert len(calibrations.versions(folder)) == wins >= 1
    assert calibrations.champion(folder).name == log["champion"].to_pylist()[-1]


def test_a_crash_between_writing_parameters_and_the_log_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "prior"
    first = record(folder, 1.0)
    (folder / "versions" / "0001-feedfeedfeedfeed.parquet").write_bytes(b"half a file")
    (folder / "log" / ".0f.partial").write_bytes(b"{")
    assert calibrations.champion(folder) == first
    assert record(folder, 2.0, until=20) == calibrations.champion(folder)


def test_damaged_parameters_and_logs_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "prior"
    first = record(folder, 1.0)
    path = folder / "versions" / f"{first.name}.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="does not fit its name"):
        calibrations.parameters(folder, first)
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        calibrations.parameters(folder, first)
    (folder / "log" / "00000000.json").write_text("{")
    with pytest.raises(StoreError, match="audit log"):
        calibrations.champion(folder)


def test_rolling_back_before_any_promotion_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="has no champion yet"):
        calibrations.rollback(tmp_path / "prior")
