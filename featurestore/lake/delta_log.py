"""The log of a Delta table, as bytes: what an entry says, how it is written, how a damaged one is told.

Entries are written by us and not by deltalake, which flushes neither an entry nor its folder: after a power cut its last entries are
there and empty, and an empty entry reads as a commit of nothing. Ours pass ``STORAGE.create``: an entry has its name only when its
bytes are on the disk, of two writers of one version one fails, and the name is flushed before the call returns. The files that an
entry names are flushed before it. Checkpoints are made by deltalake in a copy of the log, and come into it by the same door.

An entry is a line of JSON for each action (github.com/delta-io/delta, PROTOCOL.md, "Actions"). The first line says how many lines
there are, since deltalake takes an entry that was cut at the end of a line for a whole one, and the CRC-32 of what it says itself and
of the other lines: another digit in a minimum is as good JSON.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from featurestore.errors import StoreError
from featurestore.lake.delta_runtime import deltalake_at
from featurestore.lake.files import LOG, SHA256, CommittedFile, StagedFile
from featurestore.lake.storage import STORAGE
from featurestore.lake.whole_file import copied_files, translating

COMMITS_A_CHECKPOINT = 32
"""After so many commits a checkpoint is written: opening a table reads the newest one and every entry after it, at half a millisecond
each. Writing one takes as long as reading a hundred."""
_ENGINE = "featurestore"
_NAIVE_TIME = "timestamp_ntz"
_Action = dict[str, Any]


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
    STORAGE.create(entry_path(table, version), first + b"\n" + rest)
    if (version + 1) % COMMITS_A_CHECKPOINT == 0:
        with suppress(StoreError):  # what was to be committed is; a vacuum writes the checkpoint that is missing
            write_checkpoint(table)


def committed_us(table: Path, version: int) -> int | None:
    """Return when a version was committed, by the clock of its writer, UTC microseconds; ``None`` when its entry is gone."""
    entry = entry_path(table, version)
    if not STORAGE.exists(entry):
        return None
    actions = [json.loads(line) for line in STORAGE.get(entry).content.splitlines() if line]
    times = [action["commitInfo"].get("timestamp") for action in actions if "commitInfo" in action]
    return times[0] * 1_000 if times and times[0] is not None else None


def read_marks(table: Path, version: int) -> dict[str, int] | None:
    """Read all numbers that were recorded by name up to a version, in one pass over the log: deltalake takes one for each name.

    Returns:
        Name to the last number; ``None`` where the log has another shape than ours: then deltalake is to be asked.
    """
    import pyarrow as pa

    for newest in (noted_checkpoint(table), None):  # the note may be older than the entries that are left
        with suppress(OSError, pa.ArrowException, LookupError, TypeError, ValueError):
            return _read_marks(table, version, _newest_checkpoint(table, version) if newest is None else newest)
    return None


def _read_marks(table: Path, version: int, checkpoint: int) -> dict[str, int]:
    import pyarrow.parquet as pq

    if checkpoint > version:
        raise LookupError(f"The checkpoint {checkpoint} knows nothing of version {version}.")
    marks: dict[str, int] = {}
    if checkpoint >= 0:
        rows = pq.read_table(checkpoint_path(table, checkpoint), columns=["txn"])["txn"].drop_null().to_pylist()
        marks |= {row["appId"]: int(row["version"]) for row in rows}
    for each in range(checkpoint + 1, version + 1):
        actions = (json.loads(line) for line in entry_path(table, each).read_bytes().splitlines() if b'"txn"' in line)
        marks |= {own["txn"]["appId"]: int(own["txn"]["version"]) for own in actions if "txn" in own}
    return marks


def _newest_checkpoint(table: Path, version: int) -> int:
    names = [file.path.name for file in STORAGE.list_files(table / LOG, ending=".checkpoint.parquet")]
    return max((int(name[:20]) for name in names if int(name[:20]) <= version), default=-1)


def noted_checkpoint(table: Path) -> int:
    """Return which version ``_last_checkpoint`` names, if it is there, without listing a log of thousands; -1 without one."""
    try:
        version = int(json.loads((table / LOG / "_last_checkpoint").read_bytes())["version"])
    except (OSError, LookupError, TypeError, ValueError):
        return -1
    return version if STORAGE.exists(checkpoint_path(table, version)) else -1


def has_log(table: Path) -> bool:
    """Tell at a glance whether a log has its first entry or a noted checkpoint; deltalake lists all of it to know."""
    return STORAGE.exists(entry_path(table, 0)) or noted_checkpoint(table) >= 0


def checkpoint_path(table: Path, version: int) -> Path:
    """Return where the checkpoint of a version lies."""
    return table / LOG / f"{version:020}.checkpoint.parquet"


def write_checkpoint(table: Path) -> None:
    """Write a checkpoint of the newest version, durably.

    Raises:
        StoreError: the log is damaged, or the disk full.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    log = table / LOG
    files = [file.path for file in STORAGE.list_files(log)]
    last = max((path.name[:20] for path in files if ".checkpoint." in path.name), default="")
    with copied_files((path for path in files if path.name >= last), folder=LOG) as aside:
        try:
            with deltalake_at(aside):
                DeltaTable(str(aside)).create_checkpoint()
        except DeltaError as error:
            raise StoreError(f"Cannot write a checkpoint of {table}: {damage(table) or error}") from error
        made = [file.path for file in STORAGE.list_files(aside / LOG, ending=".checkpoint.parquet")]
        for path in (*made, aside / LOG / "_last_checkpoint"):  # the checkpoint before what points at it
            STORAGE.overwrite(log / path.name, STORAGE.get(path).content)


def check_newest(table: Path, version: int, *, checked: int) -> None:
    """Refuse log entries that a power cut has emptied, that lack lines, or that have others than they were written with.

    Each that was not checked before is read, but for those that the newest checkpoint holds: no newest version is read from these.

    Args:
        table: The table's folder.
        version: The newest version.
        checked: Versions up to this one were checked before; -1 if none.

    Raises:
        StoreError: names the last good version and the way back to it.
    """
    bad = None if _is_whole(entry_path(table, version)) else version
    held = noted_checkpoint(table)
    for each in range(version - 1, max(checked, held if held <= version else -1), -1):
        entry = entry_path(table, each)
        if not STORAGE.exists(entry):  # a checkpoint holds what came before
            break
        bad = bad if _is_whole(entry) else each
    if bad is not None:
        raise StoreError(_way_back(table, bad, "is not whole"))


def damage(table: Path) -> str | None:
    """Say what is wrong with a table's log, and how to go back to its last good version; ``None`` if each entry reads well."""
    paths = [file.path for file in STORAGE.list_files(table / LOG, ending=".json")]
    entries = {int(path.stem): path for path in paths if path.stem.isdecimal()}
    previous: int | None = None
    for version, path in sorted(entries.items()):
        if previous is not None and version != previous + 1:
            return _way_back(table, previous + 1, "is missing")
        try:
            is_whole = _is_whole(path) and all(isinstance(json.loads(line), dict) for line in path.read_bytes().splitlines())
        except (ValueError, OSError, StoreError):
            is_whole = False
        if not is_whole:
            return _way_back(table, version, "is not whole")
        previous = version
    return None


def _is_whole(entry: Path) -> bool:
    """Tell whether an entry has the lines and the sum that its first line promises; one of another program must begin with JSON."""
    with translating(entry, "read"):
        try:
            content = entry.read_bytes()
        except FileNotFoundError:
            return True  # a checkpoint holds it
    try:
        about = json.loads(content.partition(b"\n")[0])
    except ValueError:
        return False
    if not isinstance(about, dict):
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


def _way_back(table: Path, version: int, what: str) -> str:
    entry = entry_path(table, version)
    if version == 0:
        return f"{entry} {what}, and with it all that {table} holds: restore that folder from a backup."
    return (
        f"{entry} {what}: a power cut or a damaged disk took it. Restore {entry.parent} from a backup; or move this entry and all "
        f"later ones elsewhere: that leads back to version {version - 1}, the last good one. Then make again the calls that "
        "committed since; files that were ingested are read again."
    )
