"""Buckets: their counts equal a plain count, their quantiles lie within the declared error of the exact value."""

from __future__ import annotations

import math
from collections import Counter

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute.items import profile_reader, profiles, rank_reader, ranks
from featurestore.compute.items.buckets import bucket_sql, bucket_values, offset_of, ranked
from featurestore.compute.items.earlier import in_todays_form
from featurestore.compute.items.files import Items
from featurestore.compute.items.lists import ITEMS as ITEMS_
from featurestore.compute.items.lists import LIST, ROWS, STEPS, TOTALS, EntityLists
from featurestore.compute.items.parts import Part
from featurestore.compute.items.profile_reader import ProfileReader
from featurestore.compute.items.profiles import ProfileFold
from featurestore.compute.items.rank_reader import RankReader
from featurestore.compute.items.ranks import RankFold, by_entity
from featurestore.errors import StoreError
from tests.compute.items.log import InMemory, Log, folded, random_log

COUNTED, RANKED = ProfileFold(8), RankFold()
ITEMS = Items("buckets_abc", (5,))
EDGES = [[0, 60], [0, 20, 60], [0, 7, 20, 21, 45, 60]]


def probes() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Entities, known and unknown, and bounds: the right one, and several left ones."""
    codes, right = np.repeat(np.arange(-1, 6), 70), np.tile(np.arange(-3, 67), 7)
    return codes, right, [right - 1, right - 10, right - 35, np.full(len(right), -9)]


def values_in(log: Log, entity: int, left: int, right: int) -> list[int]:
    return sorted(item for e, item, step in log if e == entity and left <= step < right)


def check_counts(log: Log, edges: list[int]) -> None:
    reader = ProfileReader(ITEMS, *folded(COUNTED, ITEMS, log, edges))
    codes, right, lefts = probes()
    for left in lefts:
        found = reader.counts(codes, [(1, right), (-1, left)], buckets=8)
        for code, low, high, counts in zip(codes.tolist(), left.tolist(), right.tolist(), found.tolist(), strict=True):
            expected = Counter(values_in(log, code, low, high))
            assert counts == [expected[bucket] for bucket in range(8)]


def check_ranks(log: Log, edges: list[int]) -> None:
    reader = RankReader(ITEMS, *folded(RANKED, ITEMS, log, edges))
    codes, right, lefts = probes()
    for left, q in zip(lefts, (0.5, 1.0, 0.9, 0.0), strict=True):
        buckets, has_value = reader.ranked(codes, [(1, right), (-1, left)], q=q)
        for i, (code, low, high) in enumerate(zip(codes.tolist(), left.tolist(), right.tolist(), strict=True)):
            values = values_in(log, code, low, high)
            assert bool(has_value[i]) == bool(values)
            assert not values or buckets[i] == values[math.floor(q * (len(values) - 1))]


def spread(log: Log, factor: int = 1) -> Log:
    """Items of both signs, near one another and far apart."""
    return [(entity, (item - 100) * factor, step) for entity, item, step in log]


@pytest.mark.parametrize("edges", EDGES, ids=str)
@pytest.mark.parametrize("block", [2, 5, 64])
def test_counts_between_two_steps_equal_a_plain_count(monkeypatch, block: int, edges: list[int]) -> None:
    for module in (profiles, profile_reader):
        monkeypatch.setattr(module, "BLOCK", block)
    check_counts(random_log(1, rows=300), edges)
    check_counts([row for row in random_log(2, rows=300) if not 20 <= row[2] < 45], edges)


@pytest.mark.parametrize("edges", EDGES, ids=str)
@pytest.mark.parametrize("copied", [0, 2**16])
def test_the_bucket_at_a_rank_is_that_of_the_sorted_values(monkeypatch, copied: int, edges: list[int]) -> None:
    monkeypatch.setattr(rank_reader, "_COPIED", copied)
    check_ranks(spread(random_log(5, rows=400, items=200)), edges)
    check_ranks(spread([row for row in random_log(6, rows=300, items=200) if not 20 <= row[2] < 45], 3_000), edges)


def test_buckets_of_the_greatest_and_the_smallest_doubles_have_ranks() -> None:
    furthest = 2**24 - 1
    values = [(0, sign * (furthest - item), step) for sign in (-1, 1) for _, item, step in random_log(9, rows=100)]
    check_ranks([*values, (0, 0, 30)], [0, 20, 45, 60])


def test_one_bucket_alone_and_others_in_other_partitions_have_ranks() -> None:
    check_ranks([(0, 7, 3), (0, 7, 5), (1, 7, 9)], [0, 20, 60])
    check_ranks([(0, 7, 3), (0, -9, 25), (1, 300, 50), (1, 300, 3)], [0, 20, 45, 60])


def test_the_size_of_the_pieces_does_not_matter(monkeypatch) -> None:
    monkeypatch.setattr(profile_reader, "_PROBES", 7)
    monkeypatch.setattr(profile_reader, "_NARROW", 0)
    monkeypatch.setattr(profiles, "_FOLD_CHUNK", 12)
    monkeypatch.setattr(rank_reader, "_PROBES", 50)
    monkeypatch.setattr(ranks, "_FOLD_CHUNK", 3)
    check_counts(random_log(3, rows=300), [0, 20, 45, 60])
    check_ranks(spread(random_log(3, rows=300, items=200)), [0, 20, 45, 60])


def test_pieces_of_a_window_add_up() -> None:
    log = random_log(4, rows=300)
    edges = [(sign, np.array([bound])) for sign, bound in ((1, 55), (-1, 50), (1, 30), (-1, 5))]
    values = values_in(log, 2, 5, 30) + values_in(log, 2, 50, 55)
    counted = ProfileReader(ITEMS, *folded(COUNTED, ITEMS, log, [0, 20, 45, 60]))
    assert counted.counts(np.array([2]), edges, buckets=8).tolist() == [np.bincount(values, minlength=8).tolist()]
    ranked_by = RankReader(ITEMS, *folded(RANKED, ITEMS, log, [0, 20, 45, 60]))
    assert ranked_by.ranked(np.array([2]), edges, q=0.3)[0].tolist() == [sorted(values)[math.floor(0.3 * (len(values) - 1))]]


def test_files_of_the_form_of_before_are_read_until_they_are_made_anew() -> None:
    log, edges, (codes, right, lefts) = random_log(8, rows=300), [0, 20, 45, 60], probes()
    parts, files = folded(COUNTED, ITEMS, log, edges)
    earlier = in_todays_form(ITEMS, COUNTED, parts, {key: files_of_before(log, part) for key, part in keys_of_before(parts)})
    for left in lefts:
        today, before = (ProfileReader(ITEMS, parts, each) for each in (files, earlier))
        asked = codes, [(1, right), (-1, left)]
        assert before.counts(*asked, buckets=8).tolist() == today.counts(*asked, buckets=8).tolist()
    parts, files = folded(RANKED, ITEMS, log, edges)
    earlier = in_todays_form(ITEMS, RANKED, parts, {key: files_of_before(log, part) for key, part in keys_of_before(parts)})
    today, before = (RankReader(ITEMS, parts, each).ranked(codes, [(1, right)], q=0.5) for each in (files, earlier))
    assert [each.tolist() for each in before] == [each.tolist() for each in today]


def keys_of_before(parts: list[Part]) -> list[tuple[tuple[str, str], Part]]:
    return [((ITEMS.kind("inside"), part.start), part) for part in parts]


def files_of_before(log: Log, part: Part) -> EntityLists:
    """Running counts per entity and bucket of one partition, and of the groups that the buckets lie in."""
    rows = sorted((entity, bucket, step) for entity, bucket, step in log if part.first <= step < part.cut)
    rows += [(entity, (bucket >> 2) + 2**25, step) for entity, bucket, step in rows]
    entities = max(entity for entity, _, _ in rows) + 1
    columns: dict[str, list[list[int]]] = {name: [[] for _ in range(entities)] for name in (ITEMS_, ROWS, STEPS, TOTALS)}
    ends = 0
    for entity, bucket in sorted({(entity, bucket) for entity, bucket, _ in rows}):
        steps = [step for e, b, step in rows if (e, b) == (entity, bucket)]
        ends += len(set(steps))
        columns[ITEMS_][entity].append(bucket)
        columns[ROWS][entity].append(ends)
        columns[STEPS][entity] += sorted(set(steps))
        columns[TOTALS][entity] += [sum(each <= step for each in steps) for step in sorted(set(steps))]
    return EntityLists(InMemory(pa.table({name: pa.array(lists, LIST) for name, lists in columns.items()})))


def test_without_partitions_nothing_is_counted() -> None:
    edges = [(1, np.array([9]))]
    assert ProfileReader(ITEMS, [], {}).counts(np.array([2]), edges, buckets=2).tolist() == [[0, 0]]
    assert RankReader(ITEMS, [], {}).ranked(np.array([2]), edges, q=0.5)[1].tolist() == [False]


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


def test_levels_say_of_each_entity_what_its_values_were_and_damaged_ones_say_so() -> None:
    log = spread(random_log(10, rows=200, items=50))
    _, files = folded(RANKED, ITEMS, log, [0, 60])
    levels, sequence = (files[ITEMS.kind(what), "0000"].file._table for what in ("levels", "sequence"))
    found = by_entity(levels, sequence)[ITEMS_].to_pylist()
    assert found == [[item for _, item in sorted((step, item) for e, item, step in log if e == entity)] for entity in range(4)]
    with pytest.raises(StoreError, match="do not add up"):
        by_entity(levels, sequence.slice(0, 3))
