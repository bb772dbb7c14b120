"""What vouches for the bytes of a checkpoint: a sum beside it, since Parquet does not notice each flipped byte.

    <version>.checkpoint.parquet.sum  {"sha256": "...", "crc32": ...}: of the checkpoint's bytes, and of that digest's letters

One of before has none and is believed if it can be decoded; a sum that does not vouch for itself is none.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.lake.json_files import json_bytes
from featurestore.lake.whole_file import translating

GONE = "is missing"
SUM = ".sum"
_Trace = tuple[int, int, int]
_JUDGED = dict[Path, tuple[tuple[_Trace | None, _Trace | None], str | None]]()


def sum_path(checkpoint: Path) -> Path:
    """Return where the sum of a checkpoint lies."""
    return checkpoint.with_name(checkpoint.name + SUM)


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


def sum_of(content: bytes) -> bytes:
    """Return the sum of a checkpoint's content, as it is written beside it."""
    digest = hashlib.sha256(content).hexdigest()
    return json_bytes({"sha256": digest, "crc32": zlib.crc32(digest.encode())})


def _judged(path: Path) -> str | None:
    with translating(path, "read"):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return GONE
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


def _trace(path: Path) -> _Trace | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
