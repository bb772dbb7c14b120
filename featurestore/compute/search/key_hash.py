"""A hash of keys that numpy computes for all rows at once; the same in every process, so that it may be written to a file.

Numbers go through the finalizer of splitmix64, texts eight bytes at a time: a text of n bytes takes part in n / 8 rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.search.row_hash import mixed

_WORD = 8


def key_hash(keys: Sequence[pa.Array]) -> np.ndarray:
    """Hash keys of one or several int64 or text columns to uint64, by position of the column; NULLs have any hash.

    >>> one, other = key_hash([pa.array([1, 2]), pa.array(["b", "a"])])
    >>> other == key_hash([pa.array([2]), pa.array(["a"], pa.large_string())])[0], one == other
    (np.True_, np.False_)
    """
    hashes = np.zeros(len(keys[0]), np.uint64)
    for key in keys:
        is_number = pa.types.is_integer(key.type)
        hashes = mixed(hashes ^ (mixed(_numbers(key)) if is_number else _text_hash(key.cast(pa.large_string()))))
    return hashes


def _numbers(key: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(key, 0) if key.null_count else key).astype(np.int64).view(np.uint64)


def _text_hash(key: pa.LargeStringArray) -> np.ndarray:
    offsets = np.frombuffer(key.buffers()[1], np.int64)[key.offset : key.offset + len(key) + 1]
    data = np.frombuffer(key.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    # A word may be read at every byte, the last one too.
    padded = np.concatenate([data, np.zeros(_WORD, np.uint8)])
    words = np.ndarray((len(data) + 1,), "<u8", padded, strides=(1,))
    starts, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    hashes = mixed(lengths.astype(np.uint64))
    rows = np.flatnonzero(lengths)
    done = 0
    while len(rows):
        left = lengths[rows] - done
        beyond = (_WORD * np.maximum(_WORD - left, 0)).astype(np.uint64)
        word = words[starts[rows] + done] << beyond >> beyond
        hashes[rows] = mixed(hashes[rows] ^ word)
        done += _WORD
        rows = rows[left > _WORD]
    return hashes
