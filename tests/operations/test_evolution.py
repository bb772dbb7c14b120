"""A source lives for years: what may change under its rows, what that does to answers of before, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.lake.ingestion.ingest import ingest
from featurestore.spec.document import document, source_from
from tests.lake.older_stores import unpack

UTC = timezone.utc
SCHEMA = {"id": "int64", "at": "timestamp", "user_id": "int64", "code": "string", "n": "int32", "cents": "int64"}
SCHEMA |= {"known": "timestamp"}


def source(schema: dict[str, str] = SCHEMA, **more: Any) -> fs.EventSource:
    given = {"event_time": "at", "event_id": "id", "ingested_at": "known"}
    return fs.EventSource("events", schema=schema, **{**given, **more})


def view(of: fs.EventSource, *more: fs.Aggregation, **changes: Any) -> fs.FeatureView:
    aggregations = [
        fs.Count("seen", windows=("30d", "lifetime")),
        fs.Sum("spend", "cents", windows=("30d",)),
        fs.Last("newest", "n"),
        fs.Distinct("codes", "code", windows=("30d",)),
    ]
    given = {"entity": fs.Entity("user", key="user_id"), "aggregations": [*aggregations, *more]}
    return fs.FeatureView("users", source=of, **{**given, **changes})


def other(of: fs.EventSource) -> fs.FeatureView:
    """A view that reads none of the columns that change."""
    return fs.FeatureView("counts", entity=fs.Entity("user", key="user_id"), source=of, aggregations=[fs.Count("all")])


SERVICE = fs.FeatureService(
    "served", features=["users:seen_30d", "users:spend_30d", "users:newest", "users:codes_30d", "counts:all"]
)


def moment(day: int, hour: int = 12) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def rows(*ids: int, schema: dict[str, str] = SCHEMA, late_days: int = 0, **values: Any) -> pa.Table:
    """Events 1, 2, ... on the days 1, 2, ... of two users."""
    kinds = {"int64": pa.int64(), "int32": pa.int32(), "double": pa.float64(), "string": pa.string(), "date": pa.date32()}
    kinds |= {"timestamp": pa.timestamp("us", "UTC"), "bool": pa.bool_()}
    made: dict[str, Callable[[int], Any]] = {
        "id": lambda i: i,
        "at": moment,
        "user_id": lambda i: i % 2,
        "code": lambda i: f"c{i % 3}",
        "n": lambda i: i,
        "cents": lambda i: 100 * i,
        "known": lambda i: moment(i + late_days, 13),
    }
    columns = {}
    for column, kind in schema.items():
        made_of = (lambda i, column=column: values[column]) if column in values else made.get(column, lambda i: None)
        columns[column] = pa.array([made_of(i) for i in ids], kinds[kind])
    return pa.table(columns)


def spine() -> pa.Table:
    asked = [(user, moment(day)) for user in (0, 1) for day in (3, 5, 9, 31)]
    return pa.table(
        {"user_id": [user for user, _ in asked], "as_of": pa.array([at for _, at in asked], pa.timestamp("us", "UTC"))}
    )


@dataclass
class Before:
    """A store, and what it answered."""

    folder: Path
    answers: dict[str, pa.Table] = field(default_factory=dict)

    def open(self, folder: Path) -> fs.FeatureStore:
        shutil.copytree(self.folder, folder)
        return fs.FeatureStore(folder)


def answers(store: fs.FeatureStore, *, versions: dict[str, Any] | None = None) -> dict[str, pa.Table]:
    given = versions or {}
    return {
        name: store.get_historical_features(spine(), "served", as_known=name == "known", versions=given.get(name))
        for name in ("newest", "known")
    }


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    folder = tmp_path_factory.mktemp("evolution") / "before"
    store = fs.FeatureStore(folder)
    store.apply([view(source()), other(source()), SERVICE])
    store.ingest("events", rows(1, 2, 3, 4))
    store.ingest("events", rows(2, late_days=5, cents=7))  # a correction, known later
    store.materialize()
    found = answers(store)
    store.pin("model", found["newest"])
    store.publish("served")
    found["published"] = store.get_batch_features("2024-01-05", "served", versions=store.published("served"))
    return Before(folder, found)


def check_as_before(store: fs.FeatureStore, before: Before) -> None:
    """Old training sets, pins and publications answer what they answered."""
    for name, table in answers(store, versions=before.answers).items():
        assert table.equals(before.answers[name], check_metadata=True), name
    published = store.get_batch_features("2024-01-05", "served", versions=store.published("served"))
    assert published.equals(before.answers["published"])


def plus(**columns: str) -> dict[str, str]:
    return {**SCHEMA, **columns}


def without(*columns: str) -> dict[str, str]:
    return {column: kind for column, kind in SCHEMA.items() if column not in columns}


PLAIN = {"ingested_at": None}
ACCEPTED = {
    "a new column": (plus(note="string"), {}),
    "a new column of each type": (plus(a="int32", b="double", c="bool", d="date", e="timestamp", f="int64"), {}),
    "a new optional column": (plus(note="string"), {"optional": ["note"]}),
    "an old column that becomes optional": (SCHEMA, {"optional": ["code"]}),
    "another order of columns": (dict(reversed(SCHEMA.items())), {}),
    "int32 to int64": (plus(n="int64"), {}),
    "int32 to double": (plus(n="double"), {}),
    "int64 to double where all fit": (plus(cents="double"), {}),
    "two at once": (plus(n="int64", note="string"), {}),
    "a month's scope of ids": (SCHEMA, {"id_scope": "month"}),
    "allowed values": (SCHEMA, {"values": {"code": ["c0", "c1", "c2"]}}),
    "an initial load": (SCHEMA, {"initial_load_until": "2024-01-02"}),
}
REFUSED = {
    "int64 to int32": (plus(cents="int32"), {}, "'cents' of source 'events' is int64.*cannot become int32"),
    "int64 to string": (plus(cents="string"), {}, "Sum of 'cents' is not possible|cannot become string"),
    "an id to string": (plus(id="string"), {}, "'id'.*cannot become string"),
    "a key to string": (plus(user_id="string"), {}, "'user_id'.*cannot become string"),
    "string to int64": (plus(code="int64"), {}, "'code'.*string.*cannot become int64"),
    "int64 to bool": (plus(n="bool"), {}, "'n'.*int32.*cannot become bool"),
    "timestamp to date": (plus(known="date"), PLAIN, "known|'known'.*cannot become date"),
    "a key to double": (plus(user_id="double"), {}, "keys are int64 or string"),
    "a column that is read is gone": (without("cents"), {}, "'cents', which is no column"),
    "a column that rows have is gone": (without("extra"), {}, "no longer declares 'extra'.*optional=\\('extra',\\)"),
    "a column is renamed": ({**without("extra"), "added": "int64"}, {}, "'extra'.*cannot be renamed.*'added'"),
    "another event_id": (plus(id2="int64"), {"event_id": "id2"}, "event_id='id'; it cannot become 'id2'"),
    "another event_time": (plus(at2="timestamp"), {"event_time": "at2"}, "event_time='at'; it cannot become 'at2'"),
    "another ingested_at": (plus(at2="timestamp"), {"ingested_at": "at2"}, "known at 'known'.*would forget it"),
    "no ingested_at": (SCHEMA, PLAIN, "known at 'known'.*would forget it"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_apply_accepts_is_ingested_materialized_and_read_and_old_answers_stay(
    before: Before, tmp_path: Path, name: str
) -> None:
    store = before.open(tmp_path / "store")
    schema, more = ACCEPTED[name]
    changed = source(schema, **more)
    objects = [changed, view(changed), other(changed)]
    planned = str(store.plan(objects))
    assert planned == str(store.apply(objects))
    assert (planned == "nothing changes") == (name == "another order of columns")
    assert str(store.apply(objects)) == "nothing changes"
    store.materialize()
    now = answers(store)
    assert now["newest"].cast(before.answers["newest"].schema).equals(before.answers["newest"])
    if name != "an initial load":
        assert now["known"].cast(before.answers["known"].schema).equals(before.answers["known"])
    check_as_before(store, before)
    assert store.ingest("events", rows(1, 2, 3, 4)).rows_added == 0  # files of before, of the old schema
    store.ingest("events", rows(5, 6, schema=schema))
    store.ingest("events", rows(6, schema=schema, late_days=3, cents=1))
    store.materialize()
    assert store.verify().is_equal
    assert answers(store)["newest"]["counts__all"].to_pylist()[-1] == 3
    check_as_before(store, before)
    store.publish("served")
    now = store.get_batch_features("2024-01-07", "served", versions=store.published("served"))
    assert now.drop_columns(["as_of"]).equals(store.get_batch_features("2024-01-07", "served").drop_columns(["as_of"]))


@pytest.fixture(scope="module")
def store(before: Before, tmp_path_factory: pytest.TempPathFactory) -> fs.FeatureStore:
    """Has a further column, with a value; what is refused changes nothing in it."""
    found = before.open(tmp_path_factory.mktemp("refused") / "store")
    found.apply([source(plus(extra="int64"))])
    found.ingest("events", rows(5, schema=plus(extra="int64"), extra=3))
    return found


@pytest.mark.parametrize("name", REFUSED)
def test_what_committed_rows_do_not_bear_is_refused_by_plan_and_by_apply(store: fs.FeatureStore, name: str) -> None:
    schema, more, says = REFUSED[name]
    recorded = store.layout.registry.read_bytes()
    changed = source(schema if name.startswith("a column") else {**schema, "extra": "int64"}, **more)
    for call in (store.plan, store.apply):
        with pytest.raises(fs.DefinitionError, match=says):
            call([changed])
    assert store.layout.registry.read_bytes() == recorded


def test_a_store_goes_on_after_refusals(store: fs.FeatureStore, before: Before) -> None:
    store.ingest("events", rows(6))
    store.materialize()
    assert answers(store)["newest"]["counts__all"].to_pylist()[-1] == 3
    check_as_before(store, before)


def test_a_plan_says_what_is_metadata_what_is_free_and_what_is_rebuilt_from_how_many_events(
    before: Before, tmp_path: Path
) -> None:
    store = before.open(tmp_path / "store")
    wider = source(plus(n="int64", note="string"))
    assert str(store.plan([wider])).splitlines() == [
        "change source events (new: note, metadata: older rows answer NULL; "
        "n int32 -> int64, metadata: older rows are widened as they are read)",
        "change view users (its ledger is rebuilt; newest int32 -> int64)",
        "materialize users: 1 months, 4 events, about 1 s",
    ]
    assert str(store.plan([source(plus(note="string"))])) == (
        "change source events (new: note, metadata: older rows answer NULL)"
    )
    assert (
        str(store.plan([view(source(), fs.Count("more"))])) == "change view users (free: its ledger stays)"
    )  # counted already
    renamed = view(source(), derived=[fs.Derived("mean", "spend_30d / nullif(seen_30d, 0)")], delay="1d")
    assert str(store.plan([renamed])) == "change view users (free: its ledger stays)"
    assert str(store.plan([view(source(), fs.Max("most", "cents", windows=("30d",)))])).splitlines() == [
        "change view users (its ledger is rebuilt)",
        "materialize users: 1 months, 4 events of at, cents, user_id alone; the other totals are kept, about 1 s",
    ]


def plain(folder: Path, *, schema: dict[str, str], **more: Any) -> tuple[fs.FeatureStore, fs.EventSource]:
    """A store of a source without ingested_at."""
    found = fs.FeatureStore(folder)
    of = source(schema, ingested_at=None, **more)
    found.apply([of])
    return found, of


FEW = {"id": "int64", "at": "timestamp", "user_id": "int64", "n": "int32"}
MORE = {**FEW, "note": "string", "cents": "int64"}


def committed(store: fs.FeatureStore, *columns: str) -> list[tuple[Any, ...]]:
    """What any reader of Delta tables finds, by id."""
    from deltalake import DeltaTable

    table = DeltaTable(str(store.layout.events("events"))).to_pyarrow_table(columns=list(columns))
    return sorted(zip(*(table[column].to_pylist() for column in columns), strict=True))


def test_other_readers_of_the_table_see_what_a_source_gained_and_older_versions_as_they_were(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    store, _ = plain(tmp_path / "store", schema=FEW)
    store.ingest("events", rows(1, 2, schema=FEW))
    store.apply([source({**MORE, "n": "int64"}, ingested_at=None)])
    store.ingest("events", rows(3, schema={**MORE, "n": "int64"}, note="x", n=2**40))
    assert committed(store, "id", "n", "note") == [(1, 1, None), (2, 2, None), (3, 2**40, "x")]
    path = str(store.layout.events("events"))
    assert pl.read_delta(path)["n"].sort().to_list() == [1, 2, 2**40]
    assert DeltaTable(path, version=0).to_pyarrow_table().column_names == [*FEW, "month"]
    assert len(list(Path(path).rglob("*.parquet"))) == 1 + 1  # no file of before was written again, but for the one that grew
    store.vacuum()
    assert committed(store, "id")[-1] == (3,)


def test_files_with_and_without_optional_columns_are_read_in_one_glob_in_any_order(tmp_path: Path) -> None:
    store, _ = plain(tmp_path / "store", schema=MORE, optional=["note", "cents"])
    folder = tmp_path / "files"
    folder.mkdir()
    pc.write_csv(rows(1, schema=FEW), folder / "a.csv")
    pc.write_csv(rows(2, schema=MORE, note="two"), folder / "b.csv")
    pq.write_table(rows(3, schema={**FEW, "note": "string"}, note="three"), folder / "c.parquet")
    pq.write_table(rows(4, schema=FEW), folder / "d.parquet")
    (folder / "e.jsonl").write_text('{"id": 5, "at": "2024-01-05T00:00:00Z", "user_id": 1, "n": 5}\n')
    report = store.ingest("events", folder)
    assert report.missing_columns == {"cents": 4, "note": 3}
    assert "3 inputs without note" in str(report)
    found = committed(store, "id", "note", "cents")
    assert found == [(1, None, None), (2, "two", 200), (3, "three", None), (4, None, None), (5, None, None)]
    assert store.ingest("events", sorted(folder.iterdir(), reverse=True)).rows_added == 0
    assert store.ingest("events", rows(6, schema=FEW).to_pandas()).missing_columns == {"cents": 1, "note": 1}


def test_a_key_that_json_lines_have_after_line_10000_is_read(tmp_path: Path) -> None:
    lines = [f'{{"id": {i}, "at": "2024-01-05T00:00:00Z", "user_id": 1}}' for i in range(10_001)]
    lines.append('{"id": 10001, "at": "2024-01-05T00:00:00Z", "user_id": 1, "n": 7, "note": "a coupon"}')
    file = tmp_path / "late.jsonl"
    file.write_text("\n".join(lines))
    store, _ = plain(tmp_path / "store", schema={**FEW, "note": "string"}, optional=["note"])  # n is not optional, but is there
    report = store.ingest("events", file)
    assert (report.rows_added, dict(report.missing_columns)) == (10_002, {})
    assert committed(store, "id", "n", "note")[-1] == (10_001, 7, "a coupon")


def test_a_column_that_is_not_optional_stays_an_error_that_says_how_to_make_it_so(tmp_path: Path) -> None:
    store, _ = plain(tmp_path / "store", schema=MORE, optional=["cents"])
    with pytest.raises(fs.IngestError, match=r"no column 'note'.*optional=\('note',\)"):
        store.ingest("events", rows(1, schema=FEW))
    with pytest.raises(fs.IngestError, match="no column 'at'") as raised:
        store.ingest("events", rows(1, schema=MORE).drop_columns(["at"]))
    assert "optional" not in str(raised.value)
    for optional, says in (
        (["at"], "cannot be optional"),
        (["nowhere"], "no column 'nowhere'"),
        ("note", r"optional=\('coupon',\)"),
    ):
        with pytest.raises(fs.DefinitionError, match=says):
            source(MORE, ingested_at=None, optional=optional)


@pytest.mark.parametrize("role", ["known", None])
def test_a_file_that_lacks_a_column_says_nothing_of_it(tmp_path: Path, role: str | None) -> None:
    few = {**FEW, **({role: "timestamp"} if role else {})}
    store = fs.FeatureStore(tmp_path / "store")
    store.apply([source({**few, "note": "string"}, ingested_at=role, optional=["note"])])
    store.ingest("events", rows(1, 2, schema={**few, "note": "string"}, note="given"))
    again = store.ingest("events", rows(1, 2, schema=few, late_days=1))
    assert (again.duplicates, again.corrections, dict(again.quarantined)) == (2, 0, {})
    together = [rows(3, schema=few), rows(3, schema={**few, "note": "string"}, note="beside")]
    for order in (together, together[::-1]):
        path = tmp_path / "both"
        path.mkdir(exist_ok=True)
        for name, table in zip("ab", order, strict=True):
            pq.write_table(table, path / f"{name}.parquet")
        assert store.ingest("events", path).corrections == 0
    if role:  # a correction by a file of before keeps what it says nothing of
        assert store.ingest("events", rows(2, schema=few, late_days=3, n=9)).corrections == 1
        # What was corrected since, delivered once more as it was: known already.
        assert store.ingest("events", rows(2, schema=few)).corrections == 0
        assert committed(store, "id", "n", "note") == [(1, 1, "given"), (2, 9, "given"), (3, 3, "beside")]
    else:
        assert committed(store, "id", "note") == [(1, "given"), (2, "given"), (3, "beside")]


def test_ids_of_a_month_take_what_is_known_of_their_own_month(tmp_path: Path) -> None:
    store, _ = plain(tmp_path / "store", schema={**FEW, "note": "string"}, optional=["note"], id_scope="month")
    other_month = rows(1, schema={**FEW, "note": "string"}, note="february", at=datetime(2024, 2, 1, tzinfo=UTC))
    store.ingest("events", other_month)
    store.ingest("events", rows(1, schema=FEW))
    assert {(at.month, note) for at, note in committed(store, "at", "note")} == {(1, None), (2, "february")}


def test_a_source_that_gains_ingested_at_knew_its_older_rows_when_they_happened(tmp_path: Path) -> None:
    store, of = plain(tmp_path / "store", schema=MORE)
    store.apply([other(of)])
    store.ingest("events", rows(1, 2, 3, 4, schema=MORE))
    store.materialize()
    spine_of = lambda: store.get_historical_features(spine(), ["counts:all"], as_known=True)  # noqa: E731
    first = spine_of()
    stamped = source({**MORE, "known": "timestamp"})
    plan = store.apply([stamped, other(stamped)])
    assert "older rows count as known since their at" in str(plan)
    assert spine_of().equals(first)
    schema = {**MORE, "known": "timestamp"}
    store.ingest("events", rows(6, schema=schema, late_days=20))  # happened on the 6th, known on the 26th
    store.ingest("events", rows(2, schema=schema, late_days=20, user_id=1))  # a correction of an older row
    store.materialize()
    known = {(row["user_id"], row["as_of"].day): row["counts__all"] for row in spine_of().to_pylist()}
    assert known[0, 9] == 2
    assert known[0, 31] == 2  # 4 and 6, for 2 is of the other user since
    assert (known[1, 9], known[1, 31]) == (2, 3)
    assert store.verify().is_equal
    late = spine_of()
    assert store.ingest("events", rows(6, schema=MORE)).duplicates == 1  # by a file of before, that does not say since when
    assert spine_of().equals(late)
    assert spine_of().num_rows == store.get_historical_features(spine(), ["counts:all"], as_known=True, versions=first).num_rows


def test_views_read_a_new_column_by_the_clock_too_and_old_rows_answer_null(tmp_path: Path) -> None:
    store, _ = plain(tmp_path / "store", schema=FEW)
    store.ingest("events", rows(1, 2, 3, schema=FEW))
    schema = {**FEW, "note": "string", "paid": "timestamp"}
    wider = source(schema, ingested_at=None)
    user = fs.Entity("user", key="user_id")
    noted = fs.FeatureView(
        "noted", entity=user, source=wider, aggregations=[fs.Last("note", "note"), fs.Count("x", where="note = 'x'")]
    )
    paid = fs.FeatureView("paid", entity=user, source=wider, event_time="paid", aggregations=[fs.Count("n")])
    store.apply([noted, paid])
    store.materialize()
    ask = lambda: store.get_historical_features(spine(), [noted, paid])  # noqa: E731
    assert ask()["noted__note"].null_count == 8
    store.ingest("events", rows(4, schema=schema, note="x", paid=moment(7)))
    store.materialize()
    assert ask()["noted__x"].to_pylist() == [0, 1, 1, 1, 0, 0, 0, 0]
    assert ask()["paid__n"].to_pylist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert store.verify().is_equal


def test_integers_beyond_what_double_holds_keep_their_type(tmp_path: Path) -> None:
    store, _ = plain(tmp_path / "store", schema=MORE)
    store.ingest("events", rows(1, schema=MORE, cents=2**60))  # large, and exact all the same
    double = source({**MORE, "cents": "double"}, ingested_at=None)
    store.plan([double])
    store.ingest("events", rows(2, schema=MORE, cents=2**53 + 1))
    for call in (store.plan, store.apply):
        with pytest.raises(fs.DefinitionError, match=r"'cents'.*beyond 2\^53.*another name"):
            call([double])


def test_a_column_without_values_may_go_again(tmp_path: Path) -> None:
    store, of = plain(tmp_path / "store", schema=FEW)
    store.ingest("events", rows(1, schema=FEW))
    store.apply([source(MORE, ingested_at=None)])
    store.ingest("events", rows(2, schema=MORE, cents=None))
    assert "no longer declared: note, cents, which no row has" in str(store.apply([of]))
    store.ingest("events", rows(3, schema=FEW))
    assert store.ingest("events", rows(1, 2, 3, schema=FEW)).duplicates == 3
    assert [row[0] for row in committed(store, "id")] == [1, 2, 3]
    store.apply([other(of)])
    store.ingest("events", rows(9, schema=FEW))
    store.materialize()
    assert store.verify().is_equal


def test_without_rows_a_source_is_free(tmp_path: Path) -> None:
    store, _ = plain(tmp_path / "store", schema=MORE, landing="in")
    folder = store.layout.root / "in"
    folder.mkdir()
    (folder / "2024-01.jsonl").write_text(
        '{"id": "x1", "at": "2024-01-05T00:00:00Z", "user_id": 1, "n": 1, "note": "", "cents": 1}\n'
    )
    assert store.ingest("events").rows_added == 0  # quarantined; the table's log knows the file, and its columns
    schema = {**MORE, "id": "string"}
    store.apply([source(schema, ingested_at=None, landing="in")])
    assert store.ingest("events", folder).rows_added == 1
    store.apply([source(schema, ingested_at=None, landing="in"), other(source(schema, ingested_at=None, landing="in"))])
    store.materialize()
    assert store.verify().is_equal


def test_a_writer_whose_definition_is_of_before_writes_nothing(before: Before, tmp_path: Path) -> None:
    store = before.open(tmp_path / "store")
    old = store.registry.sources["events"]
    with pytest.raises(fs.StoreError, match="never applied"):
        ingest(store.layout, source(plus(note="string")), rows(7, schema=plus(note="string")))
    store.apply([source(plus(note="string"))])
    store.ingest("events", rows(7, schema=plus(note="string"), note="x"))
    with pytest.raises(fs.StoreError, match="changed meanwhile"):
        ingest(store.layout, old, rows(8))
    removed = store.registry
    for name in ("served", "users", "counts", "events"):
        store.remove(name)
    with pytest.raises(fs.DefinitionError, match="no longer declares 'note'"):
        store.apply([source()])
    again = source(plus(note="string", more="int64"))
    store.apply([again, view(again), other(again), removed.services["served"]])
    store.ingest("events", rows(9, schema=plus(note="string")))
    store.materialize()
    assert store.verify().is_equal
    check_as_before(store, before)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"event_id": "cents"}, "event_id='id'; it cannot become 'cents'"),
        ({"event_id": None}, "event_id='id'; it cannot become None"),
        ({"event_time": "known", "ingested_at": None}, "event_time='at'"),
        ({"ingested_at": None}, "became known at 'known'"),
    ],
)
def test_what_a_source_was_told_apart_by_is_remembered_after_its_removal_and_a_vacuum(
    before: Before, tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    store = before.open(tmp_path / "store")
    for name in ("served", "users", "counts", "events"):
        store.remove(name)
    store.apply([fs.Entity("shop", key="shop_id")])  # a change that has nothing to do with it
    then = time.time() - 1000 * 86400
    for file in sorted(store.layout.definitions.iterdir(), key=lambda file: file.stat().st_mtime_ns):
        os.utime(file, (then := then + 1, then))
    store.vacuum(retention_hours=24)
    assert len(list(store.layout.definitions.iterdir())) >= 1
    for call in (store.plan, store.apply):
        with pytest.raises(fs.DefinitionError, match=says):
            call([source(**changed)])
    store.apply([source()])
    assert store.ingest("events", rows(1)).rows_added == 0


def test_a_store_of_an_older_release_evolves_and_then_keeps_programs_out_that_could_not_read_it(tmp_path: Path) -> None:
    older = unpack("0.1", tmp_path)
    store = fs.FeatureStore(older.root)
    events = store.registry.sources["events"]
    store.apply([events])
    assert store.layout.timezone == "Asia/Shanghai"
    assert '"format": 1' in (older.root / "store.json").read_text()
    value = document(events)
    store.apply([source_from({**value, "schema": {**value["schema"], "coupon": "string"}})])
    found = json.loads((older.root / "store.json").read_text())
    assert (found["read_version"], found["write_since"], found.get("naive_times", "utc")) == (2, "0.2.0", "utc")
    again = fs.FeatureStore(older.root)
    assert older.answers_of(again).equals(older.answers, check_metadata=True)
    assert older.answers_of(again, as_known=True).equals(older.as_known, check_metadata=True)
    assert older.answers_of(again, versions=older.published).equals(older.published)
    assert "naive times" in [step.name for step in again.upgrade().steps]
