"""Digests of a file's blocks, at its end: what a process reads of it is checked once, block by block, and nothing else is read.

    content                 any bytes
    4 bytes for each block  CRC-32 of 256 KiB of the content, begun from the file's name and the block's number
    36 bytes                magic, length of the content, where its data begin and end, CRC-32 of the digests and of these

A block of zeros, an empty file, a block in another's place and a whole file under another name have other digests. CRC-32 is the
fastest sum of the standard library (2.5 GB/s, twice the speed of SHA-256), and it is enough against chance: of four thousand million
damaged blocks it takes one for sound. It is none against people, who could as well write the digests.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

BLOCK_BYTES = 1 << 18
_MAGIC = b"fscopy\x00\x01"
_END = struct.Struct("<8sQQQI")
_CHECKED = dict[Path, tuple[tuple[int, int, int], np.ndarray]]()


def append_digests(file: Path, *, name: str, data: tuple[int, int]) -> None:
    """Write the digests of a file's blocks at its end.

    Args:
        file: What was written; not empty.
        name: The name that it is going to have, without the ending.
        data: Begin and end of what is read in parts; what lies around it is read whenever the file is opened.
    """
    content = pa.memory_map(str(file), "r").read_buffer()
    blocks = range(-(-content.size // BLOCK_BYTES))
    digests = np.array([_digest(content, name, block) for block in blocks], "<u4").tobytes()
    about = _END.pack(_MAGIC, content.size, *data, 0)[:-_SUM_BYTES]
    with pa.OSFile(str(file), "ab") as sink:
        sink.write(digests + about + struct.pack("<I", zlib.crc32(digests + about, zlib.crc32(name.encode()))))


class CheckedFile:
    """A memory-mapped file with digests.

    Attributes:
        content: What lies before the digests. What is looked at must have been checked.
        data: Begin and end of what is read in parts.
    """

    def __init__(self, file: Path, *, is_fresh: bool = False) -> None:
        """Map a file and check its digests, and all but its data.

        Args:
            file: Where it lies.
            is_fresh: Whether what this process has checked is checked again.

        Raises:
            OSError: it is missing.
            DamagedCopyError: it has no digests, or others than its bytes.
        """
        self._name = file.stem
        mapped, signature = _mapped(file)
        self.content, self.data, self._digests = _opened(mapped, self._name)
        known = _CHECKED.get(file)
        if known is None or known[0] != signature or is_fresh:
            known = signature, np.zeros(len(self._digests), bool)
            _CHECKED[file] = known
        self._signature, self._is_checked = known
        self.check([(0, self.data[0]), (self.data[1], self.content.size)])

    def is_current(self, file: Path) -> bool:
        """Whether a path still leads to the file that is mapped, as it was then."""
        try:
            return _signature(file.stat()) == self._signature
        except OSError:
            return False

    def check(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Check the blocks that hold some bytes, unless this process has done so.

        Args:
            ranges: Begin and end of each.

        Raises:
            DamagedCopyError: a block has other bytes than those that were written.
        """
        for begin, end in ranges:
            first = begin // BLOCK_BYTES
            blocks = np.flatnonzero(~self._is_checked[first : -(-end // BLOCK_BYTES)]) + first if end > begin else ()
            for block in blocks:
                if _digest(self.content, self._name, int(block)) != self._digests[block]:
                    raise DamagedCopyError(f"is damaged at byte {block * BLOCK_BYTES:,}, or up to 256 KiB after it")
                self._is_checked[block] = True

    def check_at(self, begins: np.ndarray, ends: np.ndarray) -> None:
        """Check the blocks that hold some bytes, as ``check``, for any number of short ranges [n]."""
        if not len(begins):
            return
        first, last = begins // BLOCK_BYTES, np.maximum(ends - 1, begins) // BLOCK_BYTES
        blocks = np.concatenate([first, last])
        unchecked = np.unique(blocks[~self._is_checked[blocks]])
        self.check((block * BLOCK_BYTES, block * BLOCK_BYTES + 1) for block in unchecked.tolist())
        long = np.flatnonzero(last > first + 1)
        self.check((begin, end) for begin, end in zip(begins[long], ends[long], strict=True))


def _mapped(file: Path) -> tuple[pa.Buffer, tuple[int, int, int]]:
    """Map a file and close it again: a process keeps hundreds of copies mapped, and may open a thousand files."""
    while True:
        signature = _signature(file.stat())
        if not signature[1]:
            raise DamagedCopyError("is empty")
        with pa.memory_map(str(file), "r") as opened:
            mapped = opened.read_buffer()
        if _signature(file.stat()) == signature:  # else another process has put a new file there meanwhile
            return mapped, signature


def _signature(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


class DamagedCopyError(Exception):
    """A derived copy is not what was written; whoever reads it goes to what it was made from."""


def has_digests(file: Path) -> bool:
    """Tell whether a file is there and ends with digests of its length; neither they nor the content are checked."""
    try:
        return _has_digests(file, _signature(file.stat()))
    except OSError:
        return False


@lru_cache(maxsize=16_384)
def _has_digests(file: Path, signature: tuple[int, int, int]) -> bool:
    """Read the end of a file, once in a process while it is the same file."""
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(size - _END.size, 0))
        end = opened.read()
    if len(end) < _END.size:
        return False
    magic, length, *_ = _END.unpack(end)
    return bool(magic == _MAGIC and size == length + _digests_bytes(length) + _END.size)


_SUM_BYTES = 4


def _opened(mapped: pa.Buffer, name: str) -> tuple[pa.Buffer, tuple[int, int], np.ndarray]:
    begin = mapped.size - _END.size
    if begin < 0:
        raise DamagedCopyError("is cut off")
    magic, length, data_begin, data_end, checksum = _END.unpack(mapped.slice(begin).to_pybytes())
    if magic != _MAGIC or length + _digests_bytes(length) != begin:
        raise DamagedCopyError("has no digests: it was cut off, or an older release wrote it")
    if zlib.crc32(mapped.slice(length, mapped.size - length - _SUM_BYTES), zlib.crc32(name.encode())) != checksum:
        raise DamagedCopyError("has damaged digests, or is the copy of another file")
    digests = np.frombuffer(mapped.slice(length, begin - length), "<u4")
    return mapped.slice(0, length), (data_begin, data_end), digests


def _digests_bytes(length: int) -> int:
    return -(-length // BLOCK_BYTES) * _SUM_BYTES


def _digest(content: pa.Buffer, name: str, block: int) -> int:
    start = block * BLOCK_BYTES
    part = content.slice(start, min(BLOCK_BYTES, content.size - start))
    return zlib.crc32(part, zlib.crc32(f"{name}:{block}".encode()))
