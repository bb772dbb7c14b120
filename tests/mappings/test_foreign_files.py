"""Files of foreign shapes through mappings: times, maps, joins, ids, and what goes to quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from tests.mappings.foreign import SCHEMA, events_of, source_of, store_of, utc

LOG: dict[str, Any] = {"log": {"glob": "*.csv", "types": {"amount": "double"}}}
COLUMNS = {"user_id": "user", "amount": "amount"}


def _ingest(tmp_path: Path, mapping: fs.Mapping, text: str, *, name: str = "a.csv", **more: Any) -> tuple[fs.FeatureStore, Any]:
    store = store_of(tmp_path, source_of(mapping, **more))
    (tmp_path / name).write_text(text)
    return store, store.ingest("events", tmp_path / name)


def test_a_log_without_a_header_as_the_catalogue_writes_it(tmp_path: Path) -> None:
    (tmp_path / "taobao.yaml").write_text(
        "name: taobao\n"
        "sources: {log: {glob: UserBehavior.csv, header: false, names: [user_id,item_id,category_id,behavior,ts]}}\n"
        "time: {column: ts, unit: s}\n"
        "event_type: {column: behavior, map: {pv: view, buy: buy, cart: cart, fav: fav}, on_unknown: quarantine}\n"
        "accept: {time_from: 2017-11-24T16:00Z, time_to: 2017-12-03T16:00Z}\n"
        "columns: {user_id: user_id, sku_id: item_id}\n"
    )
    schema = {"event_time": "timestamp", "event_type": "string", "user_id": "int64", "sku_id": "int64"}
    store, report = _ingest(
        tmp_path,
        fs.Mapping.read(tmp_path / "taobao.yaml"),
        "1,2268318,2520377,pv,1511544070\n1,2268318,2520377,pv,1511544070\n1,2333346,2520771,buy,1511539200\n"
        "1,2333346,2520771,buy,1511539199\n1,2333346,2520771,buy,1512316800\n1,2333346,2520771,nod,1511539200\n",
        name="UserBehavior.csv",
        schema=schema,
    )
    assert report.rows_added == 3
    assert report.quarantined == {"event_time outside of accept": 2, "unknown value of behavior": 1}
    assert [row["event_time"] for row in events_of(store)] == [utc(2017, 11, 24, 16), *[utc(2017, 11, 24, 17, 21, 10)] * 2]


@pytest.mark.parametrize(
    ("time", "text", "instant"),
    [
        ({"column": "at", "unit": "us"}, "1511544070000001", utc(2017, 11, 24, 17, 21, 10, 1)),
        ({"column": "at", "unit": "s"}, "1511544070.25", utc(2017, 11, 24, 17, 21, 10, 250000)),
        ({"column": "at", "format": "%d/%m/%Y %H:%M"}, "05/01/2024 10:30", utc(2024, 1, 5, 2, 30)),
        ({"column": "at", "format": ["%Y", "%d.%m.%Y"]}, "05.01.2024", utc(2024, 1, 4, 16)),
        ({"column": "at", "format": "%m%d", "assume_year": 2014}, "0511", utc(2014, 5, 10, 16)),
        ({"column": "at", "strip": " ICT"}, "2024-01-05 10:30 ICT", utc(2024, 1, 5, 2, 30)),
        ({"column": ["at", "clock"]}, "2024-01-05", utc(2024, 1, 5, 1)),
        ({"column": "at", "format": "%Y-%m-%d %H"}, "2014-12-06 02", utc(2014, 12, 5, 18)),
        ("at", "2014-12-06T02:00+00:00", utc(2014, 12, 6, 2)),
    ],
)
def test_times_are_read_as_they_are_written(tmp_path: Path, time: Any, text: str, instant: object) -> None:
    mapping = fs.Mapping("m", sources=LOG, timezone="Asia/Shanghai", time=time, columns=COLUMNS)
    schema = {column: kind for column, kind in SCHEMA.items() if column != "event_type"}
    store, report = _ingest(tmp_path, mapping, f"at,clock,user,amount\n{text},09:00,1,2\n", schema=schema)
    assert report.quarantined == {}
    assert [row["event_time"] for row in events_of(store, order="event_time")] == [instant]


@pytest.mark.parametrize(
    ("time", "text", "reason"),
    [
        ({"column": "at", "unit": "s"}, "soon", "unparsable at"),
        ({"column": "at", "unit": "s"}, "9" * 30, "unparsable at"),
        ({"column": "at", "format": "%m%d", "assume_year": 2014}, "0229", "unparsable at"),
        ({"column": "at", "unit": "s"}, "", "missing event_time"),
        ("at", "01/02/2024", "day and month in either order in event_time: write year-month-day"),
    ],
)
def test_a_time_that_is_none_is_quarantined_with_its_reason(tmp_path: Path, time: Any, text: str, reason: str) -> None:
    mapping = fs.Mapping("m", sources=LOG, time=time, columns=COLUMNS, event_type={"constant": "buy"})
    store, report = _ingest(tmp_path, mapping, f'at,user,amount\n"{text}",1,2\n')
    assert report.quarantined == {reason: 1}
    assert store.quarantine("events").column("row").to_pylist() == [f'{{"at":"{text}","user":"1","amount":"2"}}']


def test_days_since_the_order_before_add_up_to_dates(tmp_path: Path) -> None:
    mapping = fs.Mapping(
        "instacart",
        sources={"orders": {"glob": "orders*.csv"}, "products": {"glob": "products*.csv"}},
        joins=[{"left": "orders", "right": "products", "on": "order_id"}],
        id=["order_id", "product_id"],
        time={
            "anchor": "2015-01-01",
            "cumulate": "days_since_prior_order",
            "unit": "d",
            "by": "user_id",
            "order": "order_number",
            "plus": {"column": "order_hour_of_day", "unit": "h"},
        },
        columns={"user_id": "user_id", "amount": "product_id"},
        event_type={"constant": "buy"},
    )
    store = store_of(tmp_path, source_of(mapping))
    (tmp_path / "orders.csv").write_text(
        "order_id,user_id,order_number,order_hour_of_day,days_since_prior_order\n"
        "12,1,10,07,30.0\n10,1,2,08,\n11,1,9,07,15.0\n20,2,1,00,\n21,2,2,00,x\n22,2,3,00,1\n"
    )
    (tmp_path / "products.csv").write_text("order_id,product_id\n10,196\n11,196\n11,197\n12,198\n20,1\n21,1\n22,1\n")
    report = store.ingest("events", [tmp_path / "orders.csv", tmp_path / "products.csv"])
    assert report.quarantined == {"unparsable days_since_prior_order, in this row or before": 2}
    assert [(row["event_time"], row["amount"]) for row in events_of(store, order="user_id, event_time, amount")] == [
        (utc(2015, 1, 1, 8), 196.0),
        (utc(2015, 1, 16, 7), 196.0),
        (utc(2015, 1, 16, 7), 197.0),
        (utc(2015, 2, 15, 7), 198.0),
        (utc(2015, 1, 1), 1.0),
    ]


def test_equal_rows_are_events_of_their_own_with_ids_that_come_again(tmp_path: Path) -> None:
    mapping = fs.Mapping("m", sources=LOG, time="at", columns=COLUMNS, event_type={"constant": "buy"})
    rows = "2024-01-05,1,2\n2024-01-05,1,2\n2024-01-05,1,3\n"
    store, report = _ingest(tmp_path, mapping, f"at,user,amount\n{rows}")
    first = {row["event_id"] for row in events_of(store)}
    assert (report.rows_added, len(first)) == (3, 3)
    (tmp_path / "b.csv").write_text("user,at,amount\n1,2024-01-05,3\n1,2024-01-05,2\n1,2024-01-05,2\n")  # sorted anew
    assert store.ingest("events", tmp_path / "b.csv").duplicates == 3


def test_a_row_that_changed_keeps_its_id_where_the_mapping_says_what_identifies_it(tmp_path: Path) -> None:
    mapping = fs.Mapping("m", sources=LOG, id="no", time="at", columns=COLUMNS, event_type={"constant": "buy"})
    store, _ = _ingest(tmp_path, mapping, "no,at,user,amount\n7,2024-01-05,1,2\n,2024-01-05,1,2\n")
    (tmp_path / "b.csv").write_text("no,at,user,amount\n7,2024-01-06,1,5\n")
    report = store.ingest("events", tmp_path / "b.csv", replace=True)
    assert (report.corrections, [row["amount"] for row in events_of(store)]) == (1, [5.0])
    assert store.quarantine("events").column("reason").to_pylist() == ["missing event_id"]


def test_an_expression_that_fails_costs_its_row_alone(tmp_path: Path) -> None:
    columns = {**COLUMNS, "user_id": {"expression": "CAST(user AS BIGINT) * 4611686018427387904"}}
    mapping = fs.Mapping("m", sources=LOG, time="at", columns=columns, event_type={"constant": "buy"})
    _, report = _ingest(tmp_path, mapping, "at,user,amount\n2024-01-05,1,2\n2024-01-05,x,2\n2024-01-05,3,2\n2024-01-05,0,x\n")
    assert report.rows_added == 1
    assert report.quarantined == {"unparsable amount": 1, "user_id: the expression fails": 2}


def test_conditions_make_several_events_and_rows_of_which_none_comes_are_kept(tmp_path: Path) -> None:
    mapping = fs.Mapping(
        "m",
        sources=LOG,
        id="no",
        time="at",
        columns=COLUMNS,
        events=[{"type": "big", "when": "amount >= 10"}, {"type": "even", "when": "amount % 2 = 0"}],
    )
    text = "no,at,user,amount\n1,2024-01-05,1,12\n2,2024-01-06,1,13\n3,2024-01-07,1,3\n4,2024-01-08,1,\n5,2024-01-08,1,?\n"
    store, report = _ingest(tmp_path, mapping, text)
    assert [row["event_type"] for row in events_of(store)] == ["big", "even", "big"]
    assert report.quarantined == {"no event of the mapping comes of it": 2, "unparsable amount": 1}
    assert report.rows_read == report.rows_added + sum(report.quarantined.values())


def test_numbers_with_a_comma_and_lines_that_are_none_go_their_usual_way(tmp_path: Path) -> None:
    sources = {"log": {"glob": "*.csv", "types": {"amount": "double"}, "delimiter": ";", "decimal": ",", "encoding": "latin-1"}}
    mapping = fs.Mapping(
        "m",
        sources=sources,
        id="no",
        time="at",
        columns={"user_id": "user", "amount": {"expression": "amount * 2"}},
        event_type={"column": "kind", "map": {"café": "buy"}},
    )
    store = store_of(tmp_path, source_of(mapping))
    (tmp_path / "a.csv").write_bytes("no;at;user;amount;kind\n1;2024-01-05;1,0;1,5;café\n2;2024-01-05;1\n".encode("latin-1"))
    report = store.ingest("events", tmp_path / "a.csv")
    assert [(row["user_id"], row["amount"]) for row in events_of(store)] == [(1, 3.0)]
    assert report.quarantined == {"unreadable line": 1}
    assert [(lines.lines, lines.records, lines.quarantined_lines) for lines in report.lines] == [(3, 1, 1)]
    assert store.quarantine("events").column("source_file").to_pylist() == ["a.csv"]


def test_json_lines_parquet_and_frames_are_read_alike(tmp_path: Path) -> None:
    mapping = fs.Mapping(
        "m",
        sources={"log": {"types": {"amount": "double"}}},
        id="no",
        time={"column": "ts", "unit": "ms"},
        columns={"user_id": "user", "amount": {"expression": "amount / 4"}},
        event_type={"column": "kind", "map": {"1": "view"}, "on_unknown": "keep", "default": "none"},
    )
    store = store_of(tmp_path, source_of(mapping))
    (tmp_path / "a.jsonl").write_text(
        '{"no": 1, "ts": 1511544070000, "user": 1, "amount": 2, "kind": 1, "more": {"a": 1}}\n'
        '{"no": 2, "ts": 1511544070000, "user": 2, "amount": 2, "kind": "x"}\nnot json\n'
        '{"no": 3, "ts": 1511544070000, "user": 3}\n'
    )
    report = store.ingest("events", tmp_path / "a.jsonl")
    assert (report.rows_added, report.quarantined, report.extra_columns) == (3, {"unreadable line": 1}, ("more",))
    assert [(row["event_type"], row["amount"]) for row in events_of(store, order="user_id")] == [
        ("view", 0.5),
        ("x", 0.5),
        ("none", None),
    ]
    table = pa.table({"no": [1, 2], "ts": [1511544070000] * 2, "user": [1, 2], "amount": [2.0, 2.0], "kind": ["1", "x"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert store.ingest("events", tmp_path / "a.parquet").duplicates == 2
    assert store.ingest("events", table).duplicates == 2


def test_a_column_that_no_file_has_is_told_with_the_line_that_reads_it(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "name: m\nsources: {log: {}}\ntime: at\nevent_type: {constant: buy}\ncolumns:\n  user_id: usr\n  amount: amount\n"
    )
    store = store_of(tmp_path, source_of(fs.Mapping.read(tmp_path / "m.yaml")))
    (tmp_path / "a.csv").write_text("at,user,amount\n2024-01-05,1,2\n")
    with pytest.raises(fs.IngestError, match=r"Mapping 'm', columns\.user_id: no file of log has a column 'usr'"):
        store.ingest("events", tmp_path / "a.csv")
    with pytest.raises(fs.IngestError, match=r"m\.yaml, line 6, columns\.user_id: no file of log has a column 'usr'") as raised:
        store.ingest("events", tmp_path / "a.csv", mapping=fs.Mapping.read(tmp_path / "m.yaml"))
    assert "Did you mean 'user'?" in str(raised.value)


def test_a_column_of_two_files_must_be_told_apart(tmp_path: Path) -> None:
    def joined(amount: Any) -> fs.Mapping:
        sources = {"orders": {"glob": "orders.csv"}, "items": {"glob": "items.csv", "types": {"amount": "double"}}}
        joins = [{"left": "orders", "right": "items", "on": {"no": "order"}}]
        return fs.Mapping(
            "m", sources=sources, joins=joins, id=["no", "item"], time="at", columns={"user_id": "user", "amount": amount},
            event_type={"constant": "buy"},
        )  # fmt: skip

    store = store_of(tmp_path, source_of(joined("amount")))
    (tmp_path / "orders.csv").write_text("no,at,user,amount\n1,2024-01-05,1,9\n")
    (tmp_path / "items.csv").write_text("order,item,amount\n1,1,2\n1,2,3\n")
    files = [tmp_path / "orders.csv", tmp_path / "items.csv"]
    with pytest.raises(fs.IngestError, match=r"both have a column 'amount'\. Write orders\.amount or items\.amount"):
        store.ingest("events", files)
    store.ingest("events", files, mapping=joined({"expression": "items.amount * 10"}))
    assert [row["amount"] for row in events_of(store, order="amount")] == [20.0, 30.0]
    assert store.ingest("events", files, mapping=joined("items.amount"), replace=True).corrections == 2


def test_optional_columns_and_files_are_empty_where_they_are_missing(tmp_path: Path) -> None:
    sources = {
        "log": {"glob": "log.csv", "optional": ["amount"]},
        "users": {"glob": "users.csv", "required": False},
    }
    mapping = fs.Mapping(
        "m", sources=sources, joins=[{"left": "log", "right": "users", "on": "user"}], id="no", time="at",
        columns={"user_id": "user", "amount": "amount"}, event_type={"column": "kind"},
    )  # fmt: skip
    store = store_of(tmp_path, source_of(mapping))
    (tmp_path / "log.csv").write_text("no,at,user\n1,2024-01-05,1\n")
    assert store.ingest("events", [tmp_path / "log.csv"]).rows_added == 1
    assert [(row["amount"], row["event_type"]) for row in events_of(store)] == [(None, None)]


@pytest.mark.parametrize("events", [[{"type": "buy"}], [{"type": "buy"}, {"type": "even", "when": "amount % 2 = 0"}]])
def test_many_slices_of_a_delivery_make_what_one_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, str]]
) -> None:
    mapping = fs.Mapping("m", sources=LOG, time="at", columns=COLUMNS, events=events)
    rows = [(f"2024-01-{1 + i % 28:02d}", i % 3, i % 5) for i in range(40)]
    text = "at,user,amount\n" + "".join(f"{at},{user},{amount}\n" for at, user, amount in rows)
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one, whole = _ingest(tmp_path / "one", mapping, text)
    monkeypatch.setattr("featurestore.lake.ingestion.foreign_portions._SLICE_ROWS", 7)
    many, sliced = _ingest(tmp_path / "many", mapping, text)
    made = [("buy", *row) for row in rows] + [("even", *row) for row in rows if len(events) > 1 and row[2] % 2 == 0]
    assert (whole.rows_added, sliced.rows_added) == (len(made), len(made))
    order = "event_id"
    assert events_of(many, order=order) == events_of(one, order=order)
    found = [(row["event_type"], row["event_time"], row["user_id"], row["amount"]) for row in events_of(one)]
    expected = [(kind, utc(*map(int, at.split("-"))), user, float(amount)) for kind, at, user, amount in made]
    assert sorted(found) == sorted(expected)
