"""Distinct items by runs: equal to counting a set, at every step, however the log is cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute.items import occurrences, runs
from featurestore.compute.items.files import Items
from featurestore.compute.items.runs import RunsFold, RunsReader
from tests.compute.items.log import Log, folded, random_log

FOLD = RunsFold(pa.int64())
WINDOWS = (1, 3, 10, 25, 200, None)
ITEMS = Items("items_abc", WINDOWS)
CUTS = ([0, 60], [0, 20, 60], [0, 7, 20, 21, 45, 60], [0, 1, 2, 30, 33, 59, 60])


def naive(log: Log, entity: int, bound: int, window: int | None) -> int:
    return len({item for e, item, step in log if e == entity and step < bound and (window is None or step >= bound - window)})


def check(log: Log, edges: list[int], *, bounds: range = range(-5, 300)) -> None:
    parts, files = folded(FOLD, ITEMS, log, edges)
    reader = RunsReader(ITEMS, parts, files)
    entities = np.arange(-1, 6)
    codes, at = np.repeat(entities, len(bounds)), np.tile(np.array(bounds), len(entities))
    for window in WINDOWS:
        found = reader.distinct(window, codes, at)
        expected = [naive(log, entity, bound, window) for entity, bound in zip(codes.tolist(), at.tolist(), strict=True)]
        assert found.tolist() == expected, window


@pytest.mark.parametrize("edges", CUTS, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_distinct_equals_a_set_at_every_step_before_within_and_behind_the_log(seed: int, edges: list[int]) -> None:
    check(random_log(seed, items=(3, 8, 30, 500)[seed]), edges, bounds=range(-5, 300, 1 if seed < 2 else 7))


def test_a_window_ends_in_months_without_events_and_behind_them() -> None:
    log = [row for row in random_log(7) if row[2] < 20 or row[2] >= 45]
    check(log, [0, 20, 45, 60])
    check(log, [0, 10, 20, 45, 50, 60])


def test_an_item_of_every_step_is_one_run_over_all_partitions() -> None:
    check([(0, 5, step) for step in range(60)], [0, 20, 40, 60])


def test_the_extreme_numbers_of_64_bits_are_items_like_others() -> None:
    log = [(entity, item, step) for entity, item, step in random_log(8, items=4)]
    extremes = [-(2**63), -1, 0, 2**63 - 1]
    check([(entity, extremes[item], step) for entity, item, step in log], [0, 20, 60], bounds=range(0, 100, 3))


def test_the_size_of_the_pieces_does_not_matter(monkeypatch) -> None:
    monkeypatch.setattr(occurrences, "CHUNK", 10)
    monkeypatch.setattr(runs, "_CHUNK", 3)
    check(random_log(9), [0, 20, 45, 60], bounds=range(-1, 90))


def test_entities_of_different_partitions_and_empty_logs() -> None:
    check([(0, 1, 3), (3, 2, 30), (2, 2, 50)], [0, 20, 40, 60])
    assert RunsReader(ITEMS, [], {}).distinct(3, np.array([0]), np.array([5])).tolist() == [0]


def test_a_later_event_changes_no_mark_of_an_earlier_partition() -> None:
    log = random_log(10)
    past = [row for row in log if row[2] < 40]
    _, before = folded(FOLD, ITEMS, past, [0, 20, 40, 60])
    _, behind = folded(FOLD, ITEMS, log, [0, 20, 40, 60])
    for key, lists in before.items():
        for column in ("steps", "items" if key[0].endswith("spans") else "totals"):
            assert np.array_equal(lists.values(column), behind[key].values(column))
            assert np.array_equal(lists.ends(column), behind[key].ends(column))


def test_a_changed_partition_renames_only_what_its_items_may_reach() -> None:
    log, edges = random_log(11), [0, 20, 40, 60]
    first, _ = folded(FOLD, Items("items_abc", (5, 30, None)), log, edges)
    later, _ = folded(FOLD, Items("items_abc", (5, 30, None)), [*log, (0, 1, 10)], edges)
    names = [FOLD.names(Items("items_abc", (5, 30, None)), parts) for parts in (first, later)]
    changed = {key for key in names[0] if names[0][key] != names[1][key]}
    kept = {(kind, start) for kind, start in names[0] if start == "0040" and kind in ("items_abc.5", "items_abc.spans")}
    assert kept & changed == set()
    assert {("items_abc.lifetime", "0040"), ("items_abc.30", "0040"), ("items_abc.5", "0020")} <= changed
    assert ("items_abc.spans", "0020") not in changed
