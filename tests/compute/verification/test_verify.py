"""Verify: equal where it must be, and the first difference named where a committed file is not what the events give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.search.hot_copy import write_hot
from featurestore.compute.search.row_hash import named_hash, set_hash
from featurestore.compute.state import BALANCES, KIND, LEDGER, MONTH, ViewState
from featurestore.compute.verification.verify import verify
from featurestore.errors import DefinitionError
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.table import CommittedFile, Table, commit, describe
from featurestore.spec import Count, FeatureView, Sum
from tests.compute.windows.test_oracle import CATEGORY, PAIR, USER, make_view
from tests.compute.world import SOURCE, at, commit_events, event, random_events

VIEW = FeatureView(
    "activity", entity=USER, source=SOURCE, aggregations=[Count("n", where="amount_cents > 0"), Sum("spend", "amount_cents")]
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Three users over three years, one event a month each."""
    made = create_or_open(tmp_path / "store", timezone="Asia/Shanghai")
    commit_events(
        made, [event(i, at(2020 + i // 36, 1 + i // 3 % 12, 5), 1 + i % 3, amount_cents=100 + i % 3 // 2) for i in range(108)]
    )
    materialize(made, [VIEW])
    return made


def state_of(layout: Layout, view: FeatureView = VIEW) -> ViewState:
    return ViewState(layout, view, Table.open(layout.events(view.source.name)))


def committed(layout: Layout, kind: str) -> list[CommittedFile]:
    state = state_of(layout)
    if kind == "tiles":
        return sorted(Table.open(state.tiles_path).files(), key=lambda file: file.partition[MONTH])
    return sorted(Table.open(state.ledger_path).files(**{KIND: kind}), key=lambda file: file.partition["start"])


def change(file: CommittedFile, row: int | slice, *, column: str = "sum", by: int = 5) -> None:
    """Add to one value of a committed file, leaving all else as it is."""
    table = pq.read_table(file.path, partitioning=None)
    name = next(each for each in table.column_names if each.startswith(column))
    values = table[name].to_numpy().copy()
    values[row] += by
    changed = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), file.path)


def record(file: CommittedFile) -> None:
    """Commit a file as it is now, as a program with a fault would."""
    table = file.path.parents[file.name.count("/")]
    commit(table, add=[describe(file.path, file.partition)], renewed={file.name})


@pytest.mark.parametrize(
    ("entity", "grain", "options"),
    [
        (USER, "1d", {}),
        (USER, "event", {}),
        (CATEGORY, "1h", {}),
        (PAIR, "1d", {"event_time": "ordered_at", "delay": "45d"}),
    ],
    ids=["user", "event", "hour", "pair"],
)
def test_a_store_that_grew_batch_by_batch_equals_its_rebuild(tmp_path, entity, grain, options) -> None:
    layout, view = create_or_open(tmp_path / "store", timezone="Asia/Kolkata"), make_view(entity, grain, **options)
    events = random_events(seed=5, rows=120)
    for batch in range(2):
        commit_events(layout, events[batch::2])
        materialize(layout, [view])
    report = verify(layout, [view])
    assert report.is_equal, str(report)
    assert {each.state for each in report.comparisons} == {"equal"}
    assert {each.kind for each in report.comparisons} >= {"keys", "tiles", "ledger", "balances", "hot"}


def test_hashes_do_not_depend_on_codes_or_on_the_order_of_arrival(tmp_path) -> None:
    events, view, found = random_events(seed=6, rows=60), make_view(USER, "1d"), []
    for name, order in (("one", events), ("two", events[::-1])):
        layout = create_or_open(tmp_path / name)
        for start in (0, 30):
            commit_events(layout, order[start : start + 30])
            materialize(layout, [view])
        found.append([(each.partition, each.committed) for each in verify(layout, [view]).comparisons if each.kind == "tiles"])
    assert found[0] == found[1]


def test_late_events_and_corrections_are_waiting_until_they_are_materialized_and_equal_then(layout) -> None:
    commit_events(layout, [event(500, at(2021, 3, 9), 2)])
    waiting = verify(layout, [VIEW])
    assert waiting.is_equal
    states = {(each.kind, each.partition[:7]): each.state for each in waiting.comparisons}
    assert states["tiles", "2021-03"] == "not materialized"
    assert states["tiles", "2021-04"] == "equal"
    assert [each.state for each in waiting.comparisons if each.kind == "ledger"] == ["equal", *["not materialized"] * 2]
    commit_events(layout, [event(501, at(2021, 3, 5), 4)], replaces={"2021-03"})
    materialize(layout, [VIEW])
    assert {each.state for each in verify(layout, [VIEW]).comparisons} == {"equal"}


def test_a_view_that_was_never_materialized_is_waiting(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store")
    assert verify(layout, [VIEW]).comparisons == ()
    commit_events(layout, [event(1, at(2020, 5))])
    report = verify(layout, [VIEW])
    assert report.is_equal
    assert [each.state for each in report.comparisons] == ["not materialized"]


def test_a_view_that_was_stopped_between_its_tiles_and_its_ledger_is_waiting(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store")
    commit_events(layout, [event(1, at(2020, 5))])
    materialize(layout, [VIEW], stages=("tiles",))
    report = verify(layout, [VIEW])
    assert report.is_equal
    states = {each.kind: each.state for each in report.comparisons}
    assert (states["tiles"], states["ledger"]) == ("equal", "not materialized")


def test_a_changed_value_in_a_tile_is_named(layout) -> None:
    change(committed(layout, "tiles")[14], row=1)
    report = verify(layout, [VIEW])
    first = report.first_difference
    assert not report.is_equal
    assert len(report.failures) == 1
    assert (first.kind, first.partition, first.key, first.at) == ("tiles", "2021-03", (2,), at(2021, 3, 4, 16))
    assert (first.aggregations, first.committed, first.recomputed) == (("spend",), 105, 100)
    assert str(first) in str(report)
    assert "2021-01 .. 2021-02" in str(report)


def test_a_changed_total_in_a_ledger_is_named(layout) -> None:
    change(committed(layout, LEDGER)[1], row=13, column="count")  # the second user's second month
    first = verify(layout, [VIEW]).first_difference
    assert (first.kind, first.key, first.at) == ("ledger", (2,), at(2021, 2, 4, 16))
    assert (first.aggregations, first.committed, first.recomputed) == (("n",), 7, 2)


def test_a_changed_balance_is_named(layout) -> None:
    change(committed(layout, BALANCES)[2], row=2, column="count")
    first = verify(layout, [VIEW]).first_difference
    assert (first.kind, first.key, first.at, first.committed, first.recomputed) == ("balances", (3,), None, 29, 24)


def test_a_row_that_is_missing_or_stands_twice_is_named(layout) -> None:
    file = committed(layout, "tiles")[0]
    table = pq.read_table(file.path, partitioning=None)
    pq.write_table(table.slice(1), file.path)
    first = verify(layout, [VIEW]).first_difference
    assert (first.measure, first.committed, first.key) == (None, None, (1,))
    assert "committed no row" in str(first)
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), file.path)
    report = verify(layout, [VIEW])
    assert not report.is_equal
    assert report.first_difference.key == (1,)


@pytest.mark.parametrize("kind", ["tiles", LEDGER, BALANCES])
@pytest.mark.parametrize("harm", ["cut", "zero", "delete"])
def test_a_damaged_file_is_reported_and_the_others_are_still_compared(layout, kind: str, harm: str) -> None:
    file = committed(layout, kind)[1].path
    content = file.read_bytes()
    file.unlink()  # a new inode: what is cached of the old one stays apart
    if harm != "delete":
        file.write_bytes(content[: len(content) // 2] if harm == "cut" else bytes(len(content)))
    report = verify(layout, [VIEW])
    assert not report.is_equal
    assert [(each.kind, each.state) for each in report.failures] == [(kind, "damaged")]
    assert file.name in str(report)
    assert "materialize()" in report.failures[0].note
    assert [each.state for each in report.comparisons if each.kind == LEDGER and each.partition.startswith("2022")] == ["equal"]


def test_damaged_events_are_reported_and_the_months_before_are_still_compared(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store")
    commit_events(layout, [event(i, at(2020 + i // 12, 1 + i % 12)) for i in range(24)])
    materialize(layout, [VIEW])
    (file,) = Table.open(layout.events("events")).files(month="2021-02")
    file.path.write_bytes(file.path.read_bytes()[:200])
    report = verify(layout, [VIEW])
    assert [(each.kind, each.partition, each.state) for each in report.failures] == [("events", "2021-02", "damaged")]
    assert [each.partition for each in report.comparisons if each.kind == "tiles"] == [f"2020-{m:02d}" for m in range(1, 13)]


def test_keys_with_swapped_codes_or_damaged_keys_are_reported(layout) -> None:
    (file,) = Table.open(layout.keys("user") / "int64").files()
    table = pq.read_table(file.path, partitioning=None)
    pq.write_table(table.set_column(1, "key_0", pa.array([1, 3, 2])), file.path)
    (comparison,) = verify(layout, [VIEW]).comparisons
    assert (comparison.kind, comparison.state) == ("keys", "damaged")
    record(file)
    first = verify(layout, [VIEW]).first_difference
    assert (first.kind, first.key, first.committed, first.recomputed) == ("tiles", (3,), 100, 101)
    pq.write_table(table.set_column(1, "key_0", pa.array([1, 1, 3])), file.path)
    record(file)
    assert "more than one code" in str(verify(layout, [VIEW]))
    file.path.write_bytes(b"PAR1")
    report = verify(layout, [VIEW])
    assert [(each.kind, each.state) for each in report.failures] == [("keys", "damaged")]


def test_a_hot_copy_with_other_values_is_reported(layout) -> None:
    file = committed(layout, LEDGER)[0]
    table = pq.read_table(file.path, partitioning=None)
    name = table.column_names[-1]
    write_hot(layout.hot("activity") / f"{file.path.stem}.arrow", table.set_column(3, name, pa.array(np.arange(36))))
    report = verify(layout, [VIEW])
    assert [(each.kind, each.state) for each in report.failures] == [("hot", "different")]
    assert name in report.failures[0].note


def test_a_sample_looks_at_some_entities_alone_but_at_all_of_their_history(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store")
    commit_events(layout, [event(i, at(2020 + i % 2, 1 + i % 5, 3), i // 10) for i in range(2000)])
    materialize(layout, [VIEW])
    whole, part = verify(layout, [VIEW]), verify(layout, [VIEW], sample=0.3)
    rows = [sum(each.rows for each in report.comparisons if each.kind == LEDGER) for report in (whole, part)]
    assert part.is_equal
    assert "30.0% of the entities" in str(part)
    assert 0.15 * rows[0] < rows[1] < 0.45 * rows[0]
    change(committed(layout, BALANCES)[1], slice(None), column="count")
    assert not verify(layout, [VIEW], sample=0.1).is_equal


@pytest.mark.parametrize("sample", [0, -1, 1.5])
def test_a_sample_is_a_share(layout, sample) -> None:
    with pytest.raises(DefinitionError, match="above 0"):
        verify(layout, [VIEW], sample=sample)


def test_verifying_changes_nothing_that_is_committed_and_leaves_nothing_behind(layout) -> None:
    before = sorted(str(path) for path in layout.root.rglob("*"))
    verify(layout, [VIEW])
    assert sorted(str(path) for path in layout.root.rglob("*") if path != layout.spill) == [
        path for path in before if path != str(layout.spill)
    ]


values = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(max_size=3), st.lists(st.integers(0, 3), max_size=3)))


@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(values, values, st.randoms(use_true_random=False))
def test_the_hash_of_rows_is_that_of_their_set_and_adds_up(first: list, second: list, random) -> None:
    def hashed(rows: list) -> int:
        columns = list(zip(*rows, strict=True)) or [[], [], []]
        types = [pa.int64(), pa.string(), pa.list_(pa.int64())]
        arrays = [pa.array(list(column), kind) for column, kind in zip(columns, types, strict=True)]
        return set_hash(named_hash(pa.table(arrays, names=["a", "b", "c"])))

    shuffled = [*first, *second]
    random.shuffle(shuffled)
    assert hashed(shuffled) == (hashed(first) + hashed(second)) % 2**64
    if first:
        number, text, items = first[0]
        assert hashed([(number, text, [*items, 0]), *first[1:]]) != hashed(first)
        assert hashed([(number, text + "\0", items), *first[1:]]) != hashed(first)
