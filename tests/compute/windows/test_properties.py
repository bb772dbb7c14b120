"""Laws that hold for any events: halves merge to the whole, batches and their order do not matter, the future changes nothing."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.compute.folds import Span
from featurestore.compute.forms.measure import last_measure, sum_measure
from featurestore.compute.materialization.folding import close_partition, empty_balances, fold_partition
from featurestore.compute.materialization.materialize import materialize
from featurestore.lake.layout import create_or_open
from featurestore.spec import Count, Decayed, Distinct, Entity, FeatureView, First, Last, Mean, Min, Quantile, Std, Sum, Trend
from tests.compute.world import SOURCE, ask, at, commit_events, event

START = at(2023, 11, 15)
DAYS = 80  # over a year's end, and over the end of two months
VIEW = FeatureView(
    "activity",
    entity=Entity("user", key="user_id"),
    source=SOURCE,
    aggregations=[
        Count("n", windows=("1d", "30d", "lifetime")),
        Sum("spend", "amount_cents", windows=("30d", "lifetime")),
        Mean("load", "weight", windows=("30d",)),
        Last("category", "category", windows=("30d", "lifetime")),
        Distinct("categories", "category", windows=("1d", "30d", "lifetime")),
        Quantile("median", "weight", windows=("30d", "lifetime")),
        Std("scatter", "weight", windows=("30d",)),
        Trend("growth", "amount_cents", windows=("30d",)),
        Min("least", "amount_cents", windows=("30d", "lifetime")),
        First("entry", "category", windows=("30d", "lifetime")),
        Decayed("heat", "weight", half_life="7d", windows=("30d", "lifetime")),
    ],
)
MEASURES = [sum_measure("total", "1"), last_measure("seen", "2", pa.string())]

engine = settings(max_examples=6, derandomize=True, deadline=None, database=None)
moments = st.builds(lambda day, hour: START + timedelta(days=day, hours=hour), st.integers(0, DAYS), st.integers(0, 23))


@st.composite
def event_lists(draw: st.DrawFn) -> list[dict]:
    """Up to 25 events of three users, many at the same times, some without values."""
    rows = draw(st.lists(st.tuples(moments, st.integers(1, 3)), min_size=1, max_size=25))
    return [
        event(
            i,
            moment,
            user,
            amount_cents=draw(st.none() | st.integers(-(10**15), 10**15)),
            weight=draw(st.none() | st.floats(-1e9, 1e9)),
            category=draw(st.sampled_from([None, "A", "B"])),
        )
        for i, (moment, user) in enumerate(rows)
    ]


def asked(as_ofs: list) -> list[dict]:
    return [{"user_id": user, "category": None, "as_of": as_of} for as_of in as_ofs for user in (1, 2, 3, 4)]


def answer(batches: list[list[dict]], as_ofs: list) -> list[pa.Table]:
    """Answers after each batch, every batch ingested and materialized on top of those before."""
    with tempfile.TemporaryDirectory() as folder:
        layout, found = create_or_open(Path(folder) / "store", timezone="Asia/Shanghai"), []
        for batch in batches:
            commit_events(layout, batch)
            materialize(layout, [VIEW])
            found.append(ask(layout, VIEW, asked(as_ofs)).replace_schema_metadata(None))
        return found


@engine
@given(event_lists(), st.data())
def test_any_split_of_the_events_into_batches_in_any_order_equals_one_load(events: list[dict], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=2)))
    batches = [batch for batch in (shuffled[: cuts[0]], shuffled[cuts[0] :]) if batch] if cuts else [shuffled]
    as_ofs = data.draw(st.lists(moments, min_size=1, max_size=4))
    assert answer(batches, as_ofs)[-1].equals(answer([events], as_ofs)[0])


@engine
@given(event_lists(), moments)
def test_events_from_the_as_of_on_never_change_its_answer(events: list[dict], as_of) -> None:
    past = [each for each in events if each["event_time"] < as_of]
    future = [each for each in events if each["event_time"] >= as_of]
    if past and future:
        before, behind = answer([past, future], [as_of])
        assert before.equals(behind)


rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(-(10**17), 10**17), st.none() | st.sampled_from("abc")),
    max_size=30,
    unique_by=lambda row: (row[0], row[1]),
)


def tiles(chosen: list[tuple]) -> pa.Table:
    names, types = ["code", "step", *(measure.name for measure in MEASURES)], [pa.int64(), pa.int64(), pa.int64(), pa.string()]
    columns = zip(*sorted(chosen, key=lambda row: (row[1], row[0])), strict=True) if chosen else [[]] * 4
    return pa.table([pa.array(list(column), kind) for column, kind in zip(columns, types, strict=True)], names=names)


def closed(parts: list[list[tuple]]) -> pa.Table:
    balances = empty_balances(MEASURES, 0)
    for part in parts:
        balances = close_partition(
            *fold_partition(tiles(part), MEASURES, balances, entities=4, view="v"), MEASURES, span=Span(0, 31)
        )
    return balances


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(rows, st.lists(st.integers(0, 31), max_size=3))
def test_partitions_cut_anywhere_carry_the_same_balances_as_one(chosen: list[tuple], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 31]
    parts = [[row for row in chosen if low <= row[1] < high] for low, high in pairwise(edges)]
    assert closed(parts).equals(closed([chosen]))
    totals = [sum(total for code, _, total, _ in chosen if code == entity) for entity in range(4)]
    assert closed([chosen])[MEASURES[0].name].to_pylist() == totals
