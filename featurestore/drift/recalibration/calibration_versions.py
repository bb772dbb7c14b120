"""Versions of a calibration on disk: parameters, drift reference and an audit log that is the truth.

    <folder>/versions/<version>.parquet     parameters, written once, named after their content
    <folder>/log/<number>.json              one event each: promoted, rejected, rolled_back; append-only

The log decides: the champion is what its last event says, a version is accepted when it was promoted and not rolled back.
An event is a new file that must not exist yet, made whole elsewhere and linked into place. So a reader sees the state
before or after it and never a mix, and of two writers one fails.
Parameters and drift reference travel together: a version carries the features whose baseline moved with it (``resets``),
and rolling it back takes them back too.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.drift.recalibration.recalibrate import Decision
from featurestore.errors import CalibrationError, CommitConflictError, StoreError
from featurestore.lake.json_files import read_json
from featurestore.lake.storage import STORAGE, Listed
from featurestore.timeline import from_us

PROMOTED, REJECTED, ROLLED_BACK = "promoted", "rejected", "rolled_back"
MAX_LOGGED_ROWS = 1_000
"""Parameters of more groups than these are read from the version's file."""


@dataclass(frozen=True)
class CalibrationVersion:
    """One fitted version of a calibration.

    Attributes:
        name: Its number and content hash; names its Parquet file.
        fit: Fitter.
        fitted_from_us: First instant of the rows it was fitted on, UTC microseconds.
        fitted_until_us: First instant after those rows: training rows before it must not read this version.
        resets: Feature to the months (``2024-08``) from which it has a new baseline with this version.
        is_accepted: Whether it was promoted and not rolled back.
    """

    name: str
    fit: str
    fitted_from_us: int
    fitted_until_us: int
    resets: tuple[tuple[str, tuple[str, ...]], ...] = ()
    is_accepted: bool = False


@dataclass(frozen=True)
class Challenger:
    """Parameters that are not yet a version."""

    parameters: pa.Table
    fit: str
    fitted_from_us: int
    fitted_until_us: int
    resets: Mapping[str, tuple[str, ...]] | None = None


def record(folder: Path, challenger: Challenger, decision: Decision, *, now_us: int | None = None) -> CalibrationVersion:
    """Write a challenger and the decision about it: the new champion if promoted, a rejected version if not.

    Args:
        folder: The calibration's folder.
        challenger: What was decided about.
        decision: As ``challenge`` returns.
        now_us: For the record; the present by default.

    Raises:
        CommitConflictError: another decision was written meanwhile; the same call may be made again.
    """
    log = _log(folder)
    version = _write_version(folder, challenger, len(log))
    accepted = replace(version, is_accepted=decision.is_promoted)
    event = PROMOTED if decision.is_promoted else REJECTED
    rows = challenger.parameters.slice(0, MAX_LOGGED_ROWS).to_pylist()
    plain = asdict(replace(version, is_accepted=False))
    entry = {"version": plain, "parameters": rows, "decision": decision.document(), "reason": decision.reason}
    _append(folder, len(log), event, entry, champion=version.name if decision.is_promoted else _champion(log), now_us=now_us)
    return accepted


def rollback(folder: Path, *, reason: str = "", now_us: int | None = None) -> CalibrationVersion:
    """Make the champion before the present one champion again; the present one is no longer accepted.

    Returns:
        The restored champion, whose parameters and drift reference are in force again.

    Raises:
        CalibrationError: there is no earlier champion.
        CommitConflictError: another decision was written meanwhile; the same call may be made again.
    """
    log = _log(folder)
    accepted = [version for version in _versions(log) if version.is_accepted]
    if len(accepted) < 2:
        has = "has no champion yet" if not accepted else f"has only one accepted version, {accepted[0].name}"
        raise CalibrationError(f"Calibration {folder.name!r} {has}; there is nothing to roll back to.")
    restored, gone = accepted[-2:]
    entry = {"rolled_back": gone.name, "reason": reason or f"{gone.name} was rolled back"}
    _append(folder, len(log), ROLLED_BACK, entry, champion=restored.name, now_us=now_us)
    return restored


def versions(folder: Path) -> list[CalibrationVersion]:
    """List all versions, rejected and rolled-back ones included, oldest first; none without a folder."""
    return _versions(_log(folder))


def champion(folder: Path) -> CalibrationVersion | None:
    """Return the version in production, ``None`` before the first promotion."""
    log = _log(folder)
    name = _champion(log)
    return next((version for version in _versions(log) if version.name == name), None)


def parameters(folder: Path, version: CalibrationVersion) -> pa.Table:
    """Read a version's parameters.

    Raises:
        StoreError: the file is missing or is not what was written.
    """
    path = folder / "versions" / f"{version.name}.parquet"
    try:
        status = path.stat()
        return _parameters(path, version.name, (status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise StoreError(
            f"{path}, the parameters of {version.name}, cannot be read ({error}). Restore it from a backup."
        ) from error


@lru_cache(maxsize=256)
def _parameters(path: Path, name: str, signature: tuple[int, int, int]) -> pa.Table:
    content = path.read_bytes()
    if _digest(content) != name.partition("-")[2]:
        raise StoreError(f"{path} is not what was promoted: its content does not fit its name. Restore it from a backup.")
    return pq.read_table(io.BytesIO(content))


def parameter_values(table: pa.Table) -> dict[str, dict[str, float]]:
    """Turn a table of parameters into parameter -> group -> value, for look-ups.

    >>> parameter_values(pa.table({"group": ["toys", "*"], "a": [1.0, 2.0]}))
    {'a': {'toys': 1.0, '*': 2.0}}
    """
    groups = table["group"].to_pylist()
    numeric = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    return {name: dict(zip(groups, table[name].to_pylist(), strict=True)) for name in numeric}


def active_resets(folder: Path) -> dict[str, list[str]]:
    """Collect the new baselines of all accepted versions: feature -> months, ascending; what ``monitor_drift`` takes."""
    months_of: dict[str, set[str]] = {}
    for version in versions(folder):
        if version.is_accepted:
            for feature, months in version.resets:
                months_of.setdefault(feature, set()).update(months)
    return {feature: sorted(months) for feature, months in months_of.items()}


def audit_log(folder: Path) -> pa.Table:
    """Read the log as a table, oldest first.

    Returns:
        ``number``, ``at`` (UTC), ``event``, the ``version`` it is about, the ``champion`` after it, the ``reason``, and as JSON the
        ``decision`` (trigger, scores, versions of the data, months, losses) and the ``parameters`` of its first
        ``MAX_LOGGED_ROWS`` groups; both are NULL for a rollback.
    """
    texts = [(name, pa.string()) for name in ("event", "version", "champion", "reason", "decision", "parameters")]
    schema = pa.schema([("number", pa.int64()), ("at", pa.timestamp("us", tz="UTC")), *texts])
    return pa.Table.from_pylist(audit_entries(folder), schema=schema)


def audit_entries(folder: Path) -> list[dict[str, Any]]:
    """Read the log, oldest first, as ``audit_log`` says."""
    return [
        {
            "number": entry["number"],
            "at": from_us(entry["at_us"]),
            "event": entry["event"],
            "version": entry["version"]["name"] if "version" in entry else entry["rolled_back"],
            "champion": entry["champion"],
            "reason": entry["reason"],
            **{name: json.dumps(entry[name], sort_keys=True) if name in entry else None for name in ("decision", "parameters")},
        }
        for entry in _log(folder)
    ]


def _versions(log: list[dict[str, Any]]) -> list[CalibrationVersion]:
    gone = {entry["rolled_back"] for entry in log if entry["event"] == ROLLED_BACK}
    listed = []
    for entry in log:
        if "version" in entry:
            plain = entry["version"]
            resets = tuple((feature, tuple(months)) for feature, months in plain["resets"])
            is_accepted = entry["event"] == PROMOTED and plain["name"] not in gone
            # By name: the first logs noted something more, which was always empty.
            span_us = plain["fitted_from_us"], plain["fitted_until_us"]
            listed.append(CalibrationVersion(plain["name"], plain["fit"], *span_us, resets, is_accepted))
    return listed


def _champion(log: list[dict[str, Any]]) -> str | None:
    return log[-1]["champion"] if log else None


def _log(folder: Path) -> list[dict[str, Any]]:
    entries = []
    for file in STORAGE.list_files(folder / "log", ending=".json"):
        try:
            entries.append(_entry(file.path, file))
        except StoreError as error:
            raise StoreError(f"The audit log of calibration {folder.name!r} cannot be read. {error}") from error
    return entries


@lru_cache(maxsize=4096)
def _entry(path: Path, file: Listed) -> dict[str, Any]:
    """Read an entry of a log: a file that is created and never changed, so that what was read of one as it is listed is kept."""
    entry: dict[str, Any] = read_json(path)
    return entry


def _write_version(folder: Path, challenger: Challenger, number: int) -> CalibrationVersion:
    sink = io.BytesIO()
    pq.write_table(challenger.parameters.combine_chunks(), sink)
    content = sink.getvalue()
    name = f"{number:04d}-{_digest(content)}"
    STORAGE.overwrite(folder / "versions" / f"{name}.parquet", content)
    resets = tuple((feature, tuple(months)) for feature, months in sorted((challenger.resets or {}).items()))
    return CalibrationVersion(name, challenger.fit, challenger.fitted_from_us, challenger.fitted_until_us, resets)


def _append(folder: Path, number: int, event: str, entry: dict[str, Any], *, champion: str | None, now_us: int | None) -> None:
    at_us = time.time_ns() // 1000 if now_us is None else now_us
    whole = {"number": number, "at_us": at_us, "event": event, "champion": champion, **entry}
    path = folder / "log" / f"{number:08d}.json"
    try:
        STORAGE.create(path, json.dumps(whole, indent=1, sort_keys=True).encode())
    except CommitConflictError as error:
        raise CommitConflictError(
            f"Calibration {folder.name!r} was decided about by another writer meanwhile. Make the call again."
        ) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
