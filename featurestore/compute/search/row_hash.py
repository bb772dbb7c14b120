"""Hashes of rows: of their values alone, whatever the order of rows, the file they lie in or the codes of their keys.

Numbers go through the finalizer of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014), texts through the first 8 bytes of their SHA-256: the same in every process, rebuild and version of a library.
The hash of a set of rows is the sum of their hashes modulo 2^64, so the hashes of disjoint sets add up to that of their union.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NULL = np.uint64(0x6E756C6C)
_LIST = np.uint64(0x6C697374)


def stable_hash(columns: Sequence[pa.Array]) -> np.ndarray:
    """Hash rows of one or more columns to uint64, by position of the column."""
    hashes = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        hashes = mixed(hashes ^ _column_hash(column))
    return hashes


def named_hash(table: pa.Table) -> np.ndarray:
    """Hash rows to uint64, by name of the column: the order of columns does not matter, and no two can be swapped.

    Integers hash alike whatever their width; -0.0 is 0.0, and any NaN is NaN.
    """
    hashes = np.zeros(table.num_rows, np.uint64)
    for name in sorted(table.column_names):
        salt = np.uint64(_text_hash(name))
        hashes = mixed(hashes ^ mixed(_column_hash(table[name].combine_chunks()) ^ salt))
    return hashes


def set_hash(hashes: np.ndarray) -> int:
    """Return the hash of a set of rows from the hashes of its rows."""
    return int(hashes.sum(dtype=np.uint64))


def _column_hash(column: pa.Array) -> np.ndarray:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        hashes = _list_hash(column)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        encoded = column.dictionary_encode()
        texts = np.array([_text_hash(text) for text in encoded.dictionary.to_pylist()] or [0], np.uint64)
        hashes = texts.take(np.asarray(pc.fill_null(encoded.indices, 0)))
    elif pa.types.is_floating(kind):
        numbers = np.asarray(pc.fill_null(column, 0.0)).astype(np.float64) + 0.0
        hashes = mixed(np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64))
    else:
        hashes = mixed(_whole_numbers(column).astype(np.uint64))
    if column.null_count:
        hashes = np.where(np.asarray(column.is_null()), _NULL, hashes)
    return hashes


def _whole_numbers(column: pa.Array) -> np.ndarray:
    kind = column.type
    if pa.types.is_date32(kind):
        column = column.cast(pa.int32())
    elif not pa.types.is_integer(kind):
        column = column.cast(pa.int64())
    return np.asarray(pc.fill_null(column, 0)).astype(np.int64)


def _list_hash(column: pa.Array) -> np.ndarray:
    """Hash lists: each element with its position, and the length."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64)
    ends = np.cumsum(lengths)
    position = np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)
    elements = _column_hash(pc.list_flatten(column))
    running = np.concatenate([[np.uint64(0)], np.cumsum(mixed(elements ^ mixed(position.astype(np.uint64))), dtype=np.uint64)])
    return mixed(running[ends] - running[ends - lengths] + lengths.astype(np.uint64) + _LIST)


def _text_hash(text: str | None) -> int:
    return int.from_bytes(hashlib.sha256((text or "").encode()).digest()[:8], "big")


def mixed(values: np.ndarray) -> np.ndarray:
    """Mix the bits of uint64 numbers: the finalizer of splitmix64, which no two numbers share."""
    z = values + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
