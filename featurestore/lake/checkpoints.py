"""Checkpoints of Delta logs: how one is written, what vouches for its bytes, and how a damaged one is mended.

    <version>.checkpoint.parquet      all that a table is at a version: whoever has it reads no entry up to that one
    <version>.checkpoint.parquet.sum  what vouches for its bytes (``checkpoint_sums.py``)
    _last_checkpoint                  Delta's hint which is the newest one

A checkpoint says what the entries up to it say: while these are there a damaged one is passed over by readers
(``log_opening.py``), and deleted by whoever writes the next one, by a vacuum and by the doctor. When a vacuum has deleted them, the
checkpoint is all that there is, and its loss is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.checkpoint_sums import GONE, SUM, checkpoint_damage, is_vouched, sum_of, sum_path
from featurestore.lake.delta_log import bad_entry, entry_path
from featurestore.lake.delta_runtime import deltalake_at
from featurestore.lake.files import LOG
from featurestore.lake.storage import STORAGE
from featurestore.lake.whole_file import copied_files

COMMITS_A_CHECKPOINT = 32
"""After so many commits a checkpoint is written: opening a table reads the newest one and every entry after it, at half a millisecond
each. Writing one takes as long as reading a hundred."""
ENDING = ".checkpoint.parquet"
HINT = "_last_checkpoint"


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
    """Find the newest sound checkpoint of a log by the hint, or the first entry without one: that takes no list of thousands.

    A newer one may be there, if a writer was killed before it wrote the hint: ``has_checkpoints`` tells whoever must know.

    Args:
        table: The table's folder.
        version: One that is not newer than this; ``None``: any.
    """
    hinted = _hinted(table / LOG)
    if hinted is None and STORAGE.exists(entry_path(table, 0)):
        return Start(-1)
    is_wanted = hinted is not None and hinted >= 0 and (version is None or hinted <= version)
    if is_wanted and checkpoint_damage(checkpoint_path(table, hinted or 0)) is None:
        return Start(hinted or 0)
    return listed_start(table, version)


def has_checkpoints(table: Path, first: int, last: int) -> bool:
    """Tell whether there are checkpoints of some versions, from the first to the last one."""
    return any(STORAGE.exists(checkpoint_path(table, version)) for version in range(first, last + 1))


def listed_start(table: Path, version: int | None = None) -> Start:
    """Find the newest sound checkpoint among all; see ``find_start``."""
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


def checkpoint_path(table: Path, version: int) -> Path:
    """Return where the checkpoint of a version lies."""
    return table / LOG / f"{version:020}{ENDING}"


def checkpoints(table: Path) -> dict[int, Path]:
    """Map versions to the checkpoints of a log, damaged ones included."""
    names = {file.path.name.removesuffix(ENDING): file.path for file in STORAGE.list_files(table / LOG, ending=ENDING)}
    return {int(name): path for name, path in sorted(names.items()) if name.isdecimal()}


def write_due_checkpoint(table: Path, version: int) -> None:
    """Write a checkpoint if the version that was just committed is a 32nd one; a vacuum writes one that is missing."""
    if (version + 1) % COMMITS_A_CHECKPOINT == 0:
        with suppress(StoreError):  # what was to be committed is
            write_checkpoint(table, version)


def write_checkpoint(table: Path, version: int | None = None) -> None:
    """Write a checkpoint, durably, from what is sound of the log; damaged ones go.

    Args:
        table: The table's folder.
        version: Of this version; by default of the newest one, which takes a list of the log.

    Raises:
        StoreError: the log is damaged, or the disk full.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    mend_checkpoints(table)
    start = listed_start(table)
    newest = max(_entries(table), default=-1) if version is None else version
    if start.version >= newest:
        return
    with log_aside(table, start, newest) as aside:
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
            STORAGE.overwrite(sum_path(path), sum_of(STORAGE.get(path).content))


def mend_checkpoints(table: Path) -> None:
    """Delete damaged checkpoints that entries stand for, and a hint that leads nowhere; the next checkpoint brings another.

    Raises:
        StoreError: a damaged one is all that there is of what came before it, and no newer one is sound.
    """
    start = listed_start(table)
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
        for file in STORAGE.list_files(table / LOG, ending=ENDING + SUM)
        if not STORAGE.exists(path := file.path.with_name(file.path.name.removesuffix(SUM)))
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
        files.append(checkpoint_path(table, start.version))
    with copied_files(filter(STORAGE.exists, files), folder=LOG) as aside:
        yield aside


def _create(path: Path, content: bytes, hint: bytes) -> None:
    """Write a checkpoint, its sum, then the hint at it; another process may have written the same."""
    with suppress(CommitConflictError):
        STORAGE.create(path, content)
        STORAGE.create(sum_path(path), sum_of(content))
        STORAGE.overwrite(path.with_name(HINT), hint)


def _can_mend(table: Path, path: Path, what: str, sound: list[int]) -> bool:
    """Tell whether entries, after a sound checkpoint or from the first one on, say what a damaged one should.

    One that is gone beside a newer sound one was left behind by a vacuum that was killed.
    """
    version = int(path.name[:20])
    before = max((each for each in sound if each < version), default=-1)
    is_left = what == GONE and any(each > version for each in sound)
    return is_left or bad_entry(table, before + 1, version) is None


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
