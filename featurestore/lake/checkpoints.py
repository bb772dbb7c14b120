"""Checkpoints of Delta logs: how one is written, what vouches for its bytes, and how a damaged one is mended.

    <version>.checkpoint.parquet      all that a table is at a version: whoever has it reads no entry up to that one
    <version>.checkpoint.parquet.sum  {"sha256": "...", "crc32": ...}: of the checkpoint's bytes, and of that digest's letters
    _last_checkpoint                  Delta's hint which is the newest one

Parquet does not notice each flipped byte, and a checkpoint is the whole table: so ours have a sum, which is looked at when a process
first reads one. Those of before have none and are believed if they can be decoded. A checkpoint says what the entries up to it say:
while these are there a damaged one is passed over by readers (``log_opening.py``), and deleted by whoever writes the next one, by
a vacuum and by the doctor. When a vacuum has deleted them, the checkpoint is all that there is, and its loss is told.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.delta_log import bad_entry, entry_path
from featurestore.lake.delta_runtime import deltalake_at
from featurestore.lake.files import LOG
from featurestore.lake.json_files import json_bytes
from featurestore.lake.storage import STORAGE
from featurestore.lake.whole_file import copied_files, translating

COMMITS_A_CHECKPOINT = 32
"""After so many commits a checkpoint is written: opening a table reads the newest one and every entry after it, at half a millisecond
each. Writing one takes as long as reading a hundred."""
ENDING = ".checkpoint.parquet"
HINT = "_last_checkpoint"
_SUM = ".sum"
_GONE = "is missing"
_Trace = tuple[int, int, int]
_JUDGED = dict[Path, tuple[tuple[_Trace | None, _Trace | None], str | None]]()


@dataclass(frozen=True)
class Start:
    """Where the reading of a log begins.

    Attributes:
        version: Of the newest sound checkpoint; -1 where the entries are read from the first one on.
        passed_over: What deltalake would read instead, and must not: damaged checkpoints, and a hint at one that is not there.
    """

    version: int
    passed_over: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CheckpointDamage:
    """A file of a log, beside its entries, that is not what was written.

    Attributes:
        path: The file.
        what: What is wrong with it.
        can_mend: Whether entries are there that say the same.
    """

    path: Path
    what: str
    can_mend: bool


def find_start(table: Path, version: int | None = None) -> Start:
    """Find the newest sound checkpoint of a log.

    Args:
        table: The table's folder.
        version: One that is not newer than this; ``None``: any.
    """
    log = table / LOG
    hinted = _hinted(log)  # before the list: what it names is listed then
    found = checkpoints(table)
    passed_over = [log / HINT] if hinted is not None and hinted not in found else []
    for each in sorted(found, reverse=True):
        if version is None or each <= version:
            if checkpoint_damage(found[each]) is None:
                return Start(each, tuple(passed_over))
            passed_over.append(found[each])
    return Start(-1, tuple(passed_over))


def checkpoints(table: Path) -> dict[int, Path]:
    """Map versions to the checkpoints of a log, damaged ones included."""
    names = {file.path.name.removesuffix(ENDING): file.path for file in STORAGE.list_files(table / LOG, ending=ENDING)}
    return {int(name): path for name, path in sorted(names.items()) if name.isdecimal()}


def checkpoint_damage(path: Path) -> str | None:
    """Say what is wrong with a checkpoint; ``None`` if nothing is. One is read once in a process, while it is the same file."""
    traces = _trace(path), _trace(sum_path(path))
    known = _JUDGED.get(path)
    if known is None or known[0] != traces:
        known = _JUDGED[path] = traces, _judged(path)
    return known[1]


def is_vouched(path: Path) -> bool:
    """Tell whether a checkpoint has a sum; those of older releases and of other programs have none."""
    return _recorded(path) is not None


def sum_path(checkpoint: Path) -> Path:
    """Return where the sum of a checkpoint lies."""
    return checkpoint.with_name(checkpoint.name + _SUM)


def write_due_checkpoint(table: Path, version: int) -> None:
    """Write a checkpoint if the version that was just committed is a 32nd one; a vacuum writes one that is missing."""
    if (version + 1) % COMMITS_A_CHECKPOINT == 0:
        with suppress(StoreError):  # what was to be committed is
            write_checkpoint(table)


def write_checkpoint(table: Path) -> None:
    """Write a checkpoint of the newest version, durably, from what is sound of the log; damaged ones go.

    Raises:
        StoreError: the log is damaged, or the disk full.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    mend_checkpoints(table)
    start = find_start(table)
    if start.version == max(_entries(table), default=-1):
        return
    with log_aside(table, start) as aside:
        try:
            with deltalake_at(aside):
                DeltaTable(str(aside)).create_checkpoint()
        except DeltaError as error:
            raise StoreError(f"Cannot write a checkpoint of {table}: {error}") from error
        made = max(checkpoints(aside).items())[1]
        hint = STORAGE.get(aside / LOG / HINT).content
        _create(table / LOG / made.name, STORAGE.get(made).content, hint)


def vouch_for_checkpoints(table: Path) -> None:
    """Give the sound checkpoints of before a sum: what they say now is believed, and another bit is told from then on."""
    for path in checkpoints(table).values():
        if checkpoint_damage(path) is None and not is_vouched(path):
            STORAGE.overwrite(sum_path(path), _sum_of(STORAGE.get(path).content))


def mend_checkpoints(table: Path) -> None:
    """Delete damaged checkpoints that entries stand for, and a hint that leads nowhere; the next checkpoint brings another.

    Raises:
        StoreError: a damaged one is all that there is of what came before it, and no newer one is sound.
    """
    start = find_start(table)
    for damage in checkpoint_damages(table):
        if damage.can_mend:
            STORAGE.delete(damage.path)
            if damage.path.name.endswith(ENDING):
                STORAGE.delete(sum_path(damage.path))
        elif int(damage.path.name[:20]) > start.version:
            raise StoreError(f"{damage.path} {damage.what}. {lost_checkpoint(damage.path)}")


def checkpoint_damages(table: Path) -> list[CheckpointDamage]:
    """List the checkpoints, sums and hints of a log that are not what was written, by name."""
    found = checkpoints(table)
    missing = {
        path
        for file in STORAGE.list_files(table / LOG, ending=ENDING + _SUM)
        if not STORAGE.exists(path := file.path.with_name(file.path.name.removesuffix(_SUM)))
    }
    bad = {path: what for path in (*found.values(), *missing) if (what := checkpoint_damage(path)) is not None}
    sound = [version for version, path in found.items() if path not in bad]
    damages = [CheckpointDamage(path, what, _can_mend(table, path, what, sound)) for path, what in sorted(bad.items())]
    sums = [sum_path(path) for path in found.values() if path not in bad and not is_vouched(path)]
    damages += [CheckpointDamage(path, "is not the sum of a checkpoint", True) for path in sums if STORAGE.exists(path)]
    hint = table / LOG / HINT
    if STORAGE.exists(hint) and _hinted(table / LOG) not in found:
        damages.append(CheckpointDamage(hint, "leads to no checkpoint", True))
    return damages


def lost_checkpoint(path: Path) -> str:
    """Return what to do about a checkpoint that is all there is of what came before it."""
    return (
        f"The entries that it stands for are not all there. Restore {path} and {sum_path(path).name} from a backup: any that has "
        "them will do, since a checkpoint never changes."
    )


@contextmanager
def log_aside(table: Path, start: Start, version: int | None = None) -> Iterator[Path]:
    """Copy a sound checkpoint and the entries after it into the log of a temporary folder, which is removed afterwards.

    Args:
        table: The table's folder.
        start: The checkpoint.
        version: The last entry; ``None``: the newest.
    """
    last = version if version is not None else max(_entries(table), default=-1)
    files = [entry_path(table, each) for each in range(start.version + 1, last + 1)]
    if start.version >= 0:
        files.append(table / LOG / f"{start.version:020}{ENDING}")
    with copied_files(filter(STORAGE.exists, files), folder=LOG) as aside:
        yield aside


def _create(path: Path, content: bytes, hint: bytes) -> None:
    """Write a checkpoint, its sum, then the hint at it; another process may have written the same."""
    with suppress(CommitConflictError):
        STORAGE.create(path, content)
        STORAGE.create(sum_path(path), _sum_of(content))
        STORAGE.overwrite(path.with_name(HINT), hint)


def _sum_of(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return json_bytes({"sha256": digest, "crc32": zlib.crc32(digest.encode())})


def _can_mend(table: Path, path: Path, what: str, sound: list[int]) -> bool:
    """Tell whether entries, after a sound checkpoint or from the first one on, say what a damaged one should.

    One that is gone beside a newer sound one was left behind by a vacuum that was killed.
    """
    version = int(path.name[:20])
    before = max((each for each in sound if each < version), default=-1)
    is_left = what == _GONE and any(each > version for each in sound)
    return is_left or bad_entry(table, before + 1, version) is None


def _judged(path: Path) -> str | None:
    with translating(path, "read"):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return _GONE
    recorded = _recorded(path)
    if not content:
        return "is empty"
    if recorded is not None:
        is_same = hashlib.sha256(content).hexdigest() == recorded
        return None if is_same else "has other bytes than those that were written (its SHA-256 differs)"
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as opened:  # ``read_table`` would import pandas
            opened.read().validate(full=True)
    except (pa.ArrowException, OSError) as error:
        return f"cannot be decoded ({error})"
    return None


def _recorded(path: Path) -> str | None:
    """Return the digest that a sum holds; ``None`` without one, or when the sum itself is damaged."""
    try:
        value = json.loads(sum_path(path).read_bytes())
        digest = value["sha256"]
        return str(digest) if zlib.crc32(digest.encode()) == value["crc32"] else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _hinted(log: Path) -> int | None:
    """Return the version that the hint leads to; ``None`` without one, or where deltalake makes nothing of it either."""
    try:
        value = json.loads((log / HINT).read_bytes())
    except (OSError, ValueError):
        return None
    version = value.get("version") if isinstance(value, dict) else None
    return version if isinstance(version, int) else None


def _entries(table: Path) -> list[int]:
    names = (file.path.stem for file in STORAGE.list_files(table / LOG, ending=".json"))
    return sorted(int(name) for name in names if name.isdecimal())


def _trace(path: Path) -> _Trace | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
