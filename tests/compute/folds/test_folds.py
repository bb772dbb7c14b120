"""Every fold obeys its laws: partitions cut anywhere answer as one, and each answer is the plain one."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.compute.folds import DecayedFold, ExtremeFold, FadingFold, FirstFold, LastFold, ScopedFold, Span, SumFold
from featurestore.compute.folds.fold import Fold
from featurestore.compute.forms.measure import Measure
from featurestore.compute.materialization.folding import close_partition, empty_balances, fold_partition
from featurestore.compute.search.probes import Partition, Probes, stretches
from featurestore.compute.windows.totals import LedgerReader

FOLDS: dict[str, Fold] = {
    "sum": SumFold(),
    "last": LastFold(pa.int64()),
    "first": FirstFold(pa.int64()),
    "minimum": ExtremeFold(pa.int64(), is_largest=False),
    "maximum": ExtremeFold(pa.int64(), is_largest=True),
    "decayed": DecayedFold(3),
    "fading": FadingFold(3),
}
MEASURES = [Measure(name, "", fold) for name, fold in FOLDS.items()]
END, ENTITIES = 30, 3
LIMIT = 2**63
values = st.integers(-1000, 1000) | st.sampled_from([-LIMIT, LIMIT - 1])
tile_rows = st.lists(
    st.tuples(st.integers(0, ENTITIES - 1), st.integers(0, END - 1), st.none() | values),
    max_size=30,
    unique_by=lambda row: (row[0], row[1]),
)


class Columns:
    """A table as a file of columns."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.combine_chunks()

    @property
    def rows(self) -> int:
        return self._table.num_rows

    def array(self, name: str, rows: np.ndarray | None = None, until: np.ndarray | None = None) -> pa.Array:
        column = self._table[name]
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)

    def numbers(self, name: str, rows: np.ndarray | None = None, until: np.ndarray | None = None) -> np.ndarray:
        return self.array(name).to_numpy()


def tiles(rows: list[tuple]) -> pa.Table:
    rows = sorted(rows, key=lambda row: (row[1], row[0]))
    codes, steps, found = ([row[i] for row in rows] for i in range(3))
    small = [0 if value is None else value % 1000 for value in found]
    columns = {name: pa.array(found, pa.int64()) for name in FOLDS}
    columns |= {"sum": pa.array(small, pa.int64()), "decayed": pa.array(small, pa.float64())}
    columns["fading"] = columns["decayed"]
    return pa.table({"code": pa.array(codes, pa.int64()), "step": pa.array(steps, pa.int64()), **columns})


def reader(rows: list[tuple], edges: list[int]) -> LedgerReader:
    """Fold rows into partitions that start at the edges."""
    opening, partitions = empty_balances(MEASURES, 0), []
    for start, end in pairwise([*edges, END]):
        inside = [row for row in rows if start <= row[1] < end]
        ledger, balances = fold_partition(tiles(inside), MEASURES, opening, entities=ENTITIES, view="v")
        partitions.append(Partition(start, Columns(ledger), Columns(balances)))  # type: ignore[arg-type]
        opening = close_partition(ledger, balances, MEASURES, span=Span(start, end))
    found = LedgerReader.__new__(LedgerReader)
    found.__dict__.update(_partitions=tuple(partitions), _starts=np.array(edges), table=SimpleNamespace(), ledgers={})
    return found


def answer(fold: Fold, name: str, left: Probes, right: Probes) -> list:
    """The value of every probe's window ``[left, right)``; of the last value, that before ``right``."""
    if isinstance(fold, ScopedFold):
        return fold.between(name, stretches(left, right), len(right)).to_pylist()
    total = fold.total(name, right)
    if isinstance(fold, LastFold):
        return total.to_pylist()
    return fold.difference(total, fold.total(name, left), right.bounds - left.bounds, what=name).tolist()


def plain(name: str, steps: list[tuple], left: int, right: int):
    """The same by a loop over (step, value) of one entity, ascending."""
    before = [(step, value) for step, value in steps if step < right]
    inside = [(step, value) for step, value in before if step >= left and value is not None]
    found = [value for _, value in inside]
    if name == "sum":
        return sum(value % 1000 for value in found)
    if name in ("decayed", "fading"):
        return math.fsum(value % 1000 * 2 ** ((step - right) / 3) for step, value in inside)
    if name == "last":
        return next((value for _, value in reversed(before) if value is not None), None)
    return {"first": found[:1] or [None], "minimum": [min(found, default=None)], "maximum": [max(found, default=None)]}[name][0]


@pytest.mark.parametrize("name", FOLDS)
@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(rows=tile_rows, cuts=st.lists(st.integers(1, END - 1), max_size=3, unique=True), data=st.data())
def test_windows_over_partitions_cut_anywhere_equal_a_loop(name: str, rows: list, cuts: list[int], data) -> None:
    found, whole = reader(rows, [0, *sorted(cuts)]), reader(rows, [0])
    windows = data.draw(st.lists(st.tuples(st.integers(-1, ENTITIES), st.integers(-2, END), st.integers(0, END)), min_size=1))
    codes, left, length = np.array(windows).T
    ours, uncut = (
        answer(FOLDS[name], name, each.probe(codes, left), each.probe(codes, left + length)) for each in (found, whole)
    )
    for (code, start, hours), value, other in zip(windows, ours, uncut, strict=True):
        steps = sorted((row[1], row[2]) for row in rows if row[0] == code)
        expected = plain(name, steps, start, start + hours)
        if name == "fading":
            assert value == pytest.approx(expected, rel=1e-14, abs=0)
            assert other == pytest.approx(expected, rel=1e-14, abs=0)
        elif name == "decayed":
            assert value == pytest.approx(expected, rel=1e-12, abs=1e-9)
            assert other == pytest.approx(expected, rel=1e-12, abs=1e-9)
        else:
            assert (value, other) == (expected, expected)


@pytest.mark.parametrize("name", [name for name, fold in FOLDS.items() if isinstance(fold, ScopedFold)])
@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(rows=tile_rows, middle=st.integers(0, END))
def test_two_halves_of_a_window_merge_to_the_whole(name: str, rows: list, middle: int) -> None:
    fold, codes = FOLDS[name], np.arange(ENTITIES)
    start, between, end = (reader(rows, [0, 10, 20]).probe(codes, np.full(ENTITIES, edge)) for edge in (0, middle, END))
    assert isinstance(fold, ScopedFold)
    edges = (start, between), (between, end)
    halves = (fold.between(name, stretches(*each, until=end.bounds), ENTITIES) for each in edges)
    merged, whole = fold.merge(*halves), fold.between(name, stretches(start, end), ENTITIES)
    if name == "fading":
        np.testing.assert_allclose(merged.to_numpy(), whole.to_numpy(), rtol=1e-15)
    else:
        assert merged.equals(whole)


def test_a_decayed_sum_keeps_a_small_entity_beside_a_large_one_and_a_long_silence() -> None:
    rows = [(0, 0, 999), (1, 1, 1), (1, 2, 1), (0, 29, 999)]
    found = reader(rows, [0, 10])
    probes = found.probe(np.array([1, 1]), np.array([3, 30]))
    assert DecayedFold(3).total("decayed", probes).tolist() == pytest.approx(
        [2 ** (-2 / 3) + 2 ** (-1 / 3), 2 ** (-29 / 3) + 2 ** (-28 / 3)]
    )
    far = DecayedFold(1).total("decayed", found.probe(np.array([0]), np.array([10**6])))
    assert far.tolist() == [0.0]
