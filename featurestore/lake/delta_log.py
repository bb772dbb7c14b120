"""The log of a Delta table, as bytes: what an entry says, how it is written, how a damaged one is told.

Entries are written by us and not by deltalake, which flushes neither an entry nor its folder: after a power cut its last entries are
there and empty, and an empty entry reads as a commit of nothing. Ours pass ``STORAGE.create``: an entry has its name only when its
bytes are on the disk, of two writers of one version one fails, and the name is flushed before the call returns. The files that an
entry names are flushed before it. ``checkpoints.py`` writes what stands for many entries, ``log_opening.py`` reads both.

An entry is a line of JSON for each action (github.com/delta-io/delta, PROTOCOL.md, "Actions"). The first line says how many lines
there are, since deltalake takes an entry that was cut at the end of a line for a whole one, and the CRC-32 of what it says itself and
of the other lines: another digit in a minimum is as good JSON.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from featurestore.errors import StoreError
from featurestore.lake.files import LOG, SHA256, CommittedFile, StagedFile
from featurestore.lake.storage import STORAGE
from featurestore.lake.whole_file import translating

_ENGINE = "featurestore"
_NAIVE_TIME = "timestamp_ntz"
_ACTIONS = {"commitInfo", "protocol", "metaData", "add", "remove", "txn", "cdc", "domainMetadata"}
"""What a line of an entry may be: deltalake passes over others without a word."""
_MISSING = "is missing"
_NOT_WHOLE = "is not whole"
_Action = dict[str, Any]
_Trace = tuple[int, int, int]
_WHOLE = dict[Path, dict[int, _Trace]]()


def entry_path(table: Path, version: int) -> Path:
    """Return where the log entry of a version lies."""
    return table / LOG / f"{version:020}.json"


def create_actions(
    table_id: str, schema: Any, partition_by: Sequence[str], now_ms: int, *, configuration: Mapping[str, str] | None = None
) -> list[_Action]:
    """Return what the first entry of a table says before it names files.

    Args:
        table_id: Names this table among all, for ever.
        schema: Delta schema, partition columns included.
        partition_by: Partition columns.
        now_ms: Milliseconds since 1970.
        configuration: What else it says of the table.
    """
    features = ["timestampNtz"]
    has_naive_times = any(_NAIVE_TIME in field.to_json() for field in schema.fields)
    protocol: _Action = {"minReaderVersion": 1, "minWriterVersion": 2}
    if has_naive_times:
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
    metadata = {
        "id": table_id,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema.to_json(),
        "partitionColumns": list(partition_by),
        "createdTime": now_ms,
        "configuration": dict(configuration or {}),
    }
    return [{"protocol": protocol}, {"metaData": metadata}]


def add_action(name: str, file: StagedFile, now_ms: int) -> _Action:
    """Return the action that adds a file under a name relative to the table's folder."""
    return {
        "add": {
            "path": name,
            "partitionValues": dict(file.partition),
            "size": file.size_bytes,
            "modificationTime": now_ms,
            "dataChange": True,
            "stats": file.stats_json(),
            "tags": {SHA256: file.sha256},
        }
    }


def remove_action(file: CommittedFile, now_ms: int) -> _Action:
    """Return the action that removes a file."""
    return {
        "remove": {
            "path": file.name,
            "dataChange": True,
            "deletionTimestamp": now_ms,
            "extendedFileMetadata": True,
            "partitionValues": file.partition,
            "size": file.size_bytes,
        }
    }


def mark_action(app_id: str, number: int) -> _Action:
    """Return the action that records a number by name."""
    return {"txn": {"appId": app_id, "version": number}}


def write_entry(table: Path, version: int, actions: Sequence[_Action], *, now_ms: int, message: str = "") -> None:
    """Commit a version: durable when the call returns.

    Args:
        table: The table's folder.
        version: The version; the one before is committed.
        actions: What it does; the files that it adds are flushed.
        now_ms: Milliseconds since 1970.
        message: Recorded in the entry.

    Raises:
        CommitConflictError: another writer has committed this version.
    """
    about: _Action = {
        "timestamp": now_ms,
        "operation": "WRITE",
        "operationParameters": {"mode": "Append"},
        "engineInfo": _ENGINE,
        "lines": len(actions) + 1,
    }
    if message:
        about["userMetadata"] = message
    rest = "".join(json.dumps(action, ensure_ascii=False) + "\n" for action in actions).encode()
    about["crc32"] = zlib.crc32(rest, zlib.crc32(json.dumps(about, ensure_ascii=False).encode()))
    first = json.dumps({"commitInfo": about}, ensure_ascii=False).encode()
    entry = entry_path(table, version)
    STORAGE.create(entry, first + b"\n" + rest)
    with suppress(StoreError):  # what was to be committed is
        trace = _trace(entry)
        if trace is not None:
            _WHOLE.setdefault(table, {})[version] = trace


def committed_us(table: Path, version: int) -> int | None:
    """Return when a version was committed, by the clock of its writer, UTC microseconds; ``None`` when its entry is gone."""
    entry = entry_path(table, version)
    if not STORAGE.exists(entry):
        return None
    if not _is_whole(entry):
        raise StoreError(way_back(table, version, _NOT_WHOLE))
    actions = [json.loads(line) for line in STORAGE.get(entry).content.splitlines() if line]
    times = [action["commitInfo"].get("timestamp") for action in actions if "commitInfo" in action]
    return times[0] * 1_000 if times and times[0] is not None else None


def bad_entry(table: Path, first: int, last: int) -> tuple[int, str] | None:
    """Find the first entry of some versions that is missing, or that has not the lines and the sum that it was written with.

    Each that this process has not written is read once, while the disk shows the same file.

    Args:
        table: The table's folder.
        first: The first version.
        last: The last version.

    Returns:
        Version and what is wrong with it; ``None`` if all are whole.
    """
    whole = _WHOLE.setdefault(table, {})
    bad = None
    for version in range(last, first - 1, -1):
        entry = entry_path(table, version)
        trace = _trace(entry)
        if trace is None or whole.get(version) != trace:
            if trace is None or not _is_whole(entry):
                bad = version, _MISSING if trace is None else _NOT_WHOLE
            else:
                whole[version] = trace
    return bad


def damaged_entry(table: Path) -> tuple[int, str] | None:
    """Find the first of all entries that is missing between two others or does not read well; its version and what is wrong."""
    paths = [file.path for file in STORAGE.list_files(table / LOG, ending=".json")]
    entries = {int(path.stem): path for path in paths if path.stem.isdecimal()}
    previous: int | None = None
    for version, path in sorted(entries.items()):
        if previous is not None and version != previous + 1:
            return previous + 1, _MISSING
        try:
            is_whole = _is_whole(path) and all(isinstance(json.loads(line), dict) for line in path.read_bytes().splitlines())
        except (ValueError, OSError, StoreError):
            is_whole = False
        if not is_whole:
            return version, _NOT_WHOLE
        previous = version
    return None


def _is_whole(entry: Path) -> bool:
    """Tell whether an entry has the lines and the sum that its first line promises; one of another program must begin with JSON."""
    with translating(entry, "read"):
        try:
            content = entry.read_bytes()
        except FileNotFoundError:
            return True  # deleted since, with a checkpoint that holds it
    try:
        about = json.loads(content.partition(b"\n")[0])
    except ValueError:
        return False
    if not isinstance(about, dict) or not _ACTIONS.issuperset(about):
        return False
    info = about.get("commitInfo") or {}
    lines = info.get("lines")  # those of other programs do not say it
    return (lines is None or content.count(b"\n") == lines) and _has_sum(info, content)


def _has_sum(info: _Action, content: bytes) -> bool:
    """Tell whether an entry has the checksum that its first line says; those of older releases say none."""
    others = {name: value for name, value in info.items() if name != "crc32"}
    if len(others) == len(info):
        return True
    seed = zlib.crc32(json.dumps(others, ensure_ascii=False).encode())
    return bool(zlib.crc32(content.partition(b"\n")[2], seed) == info["crc32"])


def way_back(table: Path, version: int, what: str) -> str:
    """Return what is wrong with a version's entry, and how to go back to the last good one."""
    entry = entry_path(table, version)
    if version == 0:
        return f"{entry} {what}, and with it all that {table} holds: restore that folder from a backup."
    return (
        f"{entry} {what}: a power cut or a damaged disk took it. Restore {entry.parent} from a backup; or move this entry and all "
        f"later ones elsewhere: that leads back to version {version - 1}, the last good one. Then make again the calls that "
        "committed since; files that were ingested are read again."
    )


def _trace(entry: Path) -> _Trace | None:
    with translating(entry, "read"):
        try:
            status = os.stat(entry)
        except FileNotFoundError:
            return None
    return status.st_ino, status.st_size, status.st_mtime_ns
