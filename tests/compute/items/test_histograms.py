"""Buckets: their counts equal a plain count, their quantiles lie within the declared error of the exact value."""

from __future__ import annotations

import math
from collections import Counter

import duckdb
import numpy as np
import pytest

from featurestore.compute.items import histograms, occurrences
from featurestore.compute.items.buckets import bucket_sql, bucket_values, offset_of, ranked
from featurestore.compute.items.files import Items
from featurestore.compute.items.histograms import HistogramFold, HistogramReader
from tests.compute.items.log import Log, folded, random_log

FOLD = HistogramFold()
ITEMS = Items("buckets_abc", (5,))


def counted(reader: HistogramReader, codes: np.ndarray, edges: list[tuple[int, np.ndarray]]) -> list[dict[int, int]]:
    found = []
    for ends, buckets, counts in reader.counts(codes, edges):
        starts = np.concatenate([[0], ends[:-1]])
        for low, high in zip(starts, ends, strict=True):
            assert (np.diff(buckets[low:high]) > 0).all()
            found.append(dict(zip(buckets[low:high].tolist(), counts[low:high].tolist(), strict=True)))
    return found


def check(log: Log, edges: list[int]) -> None:
    parts, files = folded(FOLD, ITEMS, log, edges)
    reader = HistogramReader(ITEMS, parts, files)
    codes = np.repeat(np.arange(-1, 6), 70)
    right = np.tile(np.arange(-3, 67), 7)
    for left in (right - 1, right - 10, right - 35, np.full(len(right), -9)):
        found = counted(reader, codes, [(1, right), (-1, left)])
        for code, low, high, counts in zip(codes.tolist(), left.tolist(), right.tolist(), found, strict=True):
            assert counts == Counter(item for entity, item, step in log if entity == code and low <= step < high)


@pytest.mark.parametrize("edges", [[0, 60], [0, 20, 60], [0, 7, 20, 21, 45, 60]], ids=str)
def test_counts_between_two_steps_equal_a_plain_count(edges: list[int]) -> None:
    check(random_log(1, rows=300), edges)
    check([(entity, item - 4, step) for entity, item, step in random_log(2, rows=300) if not 20 <= step < 45], edges)


def test_the_size_of_the_pieces_does_not_matter(monkeypatch) -> None:
    monkeypatch.setattr(occurrences, "CHUNK", 10)
    monkeypatch.setattr(histograms, "_CHUNK", 20)
    monkeypatch.setattr(histograms, "_FOLD_CHUNK", 3)
    check(random_log(3, rows=300), [0, 20, 45, 60])


def test_pieces_of_a_window_add_up() -> None:
    log = random_log(4, rows=300)
    reader = HistogramReader(ITEMS, *folded(FOLD, ITEMS, log, [0, 20, 45, 60]))
    edges = [(sign, np.array([bound])) for sign, bound in ((1, 55), (-1, 50), (1, 30), (-1, 5))]
    expected = Counter(item for entity, item, step in log if entity == 2 and (5 <= step < 30 or 50 <= step < 55))
    assert counted(reader, np.array([2]), edges) == [expected]
    assert counted(HistogramReader(ITEMS, [], {}), np.array([2]), edges) == [{}]


def buckets_of(values: list, error: float, kind: str) -> np.ndarray:
    with duckdb.connect() as session:
        session.execute(f"CREATE TABLE numbers (i BIGINT, x {kind})")
        session.executemany("INSERT INTO numbers VALUES (?, ?)", list(enumerate(values)))
        rows = session.execute(f"SELECT {bucket_sql('x', error)} FROM numbers ORDER BY i").fetchall()
    return np.array([row[0] for row in rows], object)


@pytest.mark.parametrize("error", [0.0001, 0.01, 0.05, 0.5])
def test_every_double_lies_within_the_error_of_its_bucket(error: float) -> None:
    rng = np.random.default_rng(5)
    tiny, huge = 5e-324, 1.7976931348623157e308
    values = sorted(
        [0.0, tiny, 2.3e-308, 1.0, huge, *(10.0 ** rng.uniform(-300, 300, 200)), *rng.uniform(0, 2000, 200).round()]
    )
    values = [-value for value in reversed(values)] + values
    buckets = buckets_of(values, error, "DOUBLE").astype(np.int64)
    assert (np.diff(buckets) >= 0).all()
    for value, found in zip(values, bucket_values(buckets, error).tolist(), strict=True):
        assert abs(found - value) <= error * abs(value)


def test_integers_up_to_the_last_bit_have_buckets_and_what_is_no_number_has_none() -> None:
    numbers = [-(2**63), -(2**53) - 1, -1, 0, 1, 2**63 - 1]
    found = bucket_values(buckets_of(numbers, 0.01, "BIGINT").astype(np.int64), 0.01)
    assert all(abs(value - number) <= 0.01 * abs(number) for value, number in zip(found.tolist(), numbers, strict=True))
    assert buckets_of([math.nan, math.inf, -math.inf, None], 0.01, "DOUBLE").tolist() == [None] * 4


def test_numbers_of_buckets_do_not_cross_zero() -> None:
    assert buckets_of([5e-324, -5e-324, -0.0], 0.01, "DOUBLE").tolist()[2] == 0
    assert buckets_of([5e-324], 0.01, "DOUBLE")[0] > 0 > buckets_of([-5e-324], 0.01, "DOUBLE")[0]
    assert buckets_of([1.0], 0.01, "DOUBLE")[0] == offset_of(0.01)


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.99, 1.0])
def test_the_rank_is_that_of_the_sorted_values(q: float) -> None:
    rng = np.random.default_rng(6)
    lists = [sorted(rng.integers(0, 9, int(rng.integers(1, 40))).tolist()) for _ in range(50)]
    counts = [Counter(values) for values in lists]
    buckets = np.concatenate([sorted(each) for each in counts])
    rows = ranked(
        np.cumsum([len(each) for each in counts]), np.concatenate([[each[b] for b in sorted(each)] for each in counts]), q
    )
    assert buckets[rows].tolist() == [values[math.floor(q * (len(values) - 1))] for values in lists]
