"""Deliveries: files that land are read when all of theirs are there; what waits is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import featurestore as fs
from featurestore.lake.ingestion.landing import files_without_partition, landed_months
from featurestore.timeline import Month
from featurestore_pipelines.assets.ingest import ingest_month
from tests.mappings.foreign import events_of, source_of, store_of

MAPPING = fs.Mapping(
    "m",
    sources={"orders": {"glob": "orders*.csv"}, "items": {"glob": "items*.csv", "parts": 1}},
    joins=[{"left": "orders", "right": "items", "on": "no"}],
    id=["no", "item"],
    time="at",
    columns={"user_id": "user", "amount": "amount"},
    event_type={"constant": "buy"},
)


def _land(store: fs.FeatureStore, name: str, text: str) -> None:
    path = store.layout.landing(store.registry.sources["events"]) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["{}_2024-01-31.csv", "dt=20240131/{}.csv", "day/2024/01/31/{}.csv"])
def test_a_delivery_is_read_when_all_its_files_are_there(tmp_path: Path, name: str) -> None:
    store = store_of(tmp_path, source_of(MAPPING))
    source = store.registry.sources["events"]
    _land(store, name.format("orders"), "no,at,user\n1,2024-01-31,1\n")
    report = store.ingest("events")
    assert (report.rows_read, report.unread) == (
        0,
        (f"{name.format('orders')} (waits for items 'items*.csv' of its delivery '20240131')",),
    )
    assert landed_months(store.layout, [source]) == {}
    assert [file.reason for file in files_without_partition(store.layout, source)] == [
        "waits for items 'items*.csv' of its delivery '20240131'"
    ]
    _land(store, name.format("items"), "no,item,amount\n1,1,5\n1,2,6\n")
    assert list(landed_months(store.layout, [source])) == ["2024-01"]
    assert (store.ingest("events").rows_added, store.ingest("events").rows_read) == (2, 0)
    assert files_without_partition(store.layout, source) == []


def test_files_of_two_days_are_not_mixed(tmp_path: Path) -> None:
    store = store_of(tmp_path, source_of(MAPPING))
    _land(store, "orders_2024-01-30.csv", "no,at,user\n1,2024-01-30,1\n")
    _land(store, "items_2024-01-31.csv", "no,item,amount\n1,1,5\n")
    _land(store, "notes_2024-01-31.csv", "a\n1\n")
    report = store.ingest("events")
    assert report.rows_read == 0
    assert [told.split(" (")[1].split(" of")[0] for told in report.unread] == [
        "waits for orders 'orders*.csv'",
        "its name is none",
        "waits for items 'items*.csv'",
    ]


def test_a_file_that_comes_late_to_its_delivery_reads_it_again(tmp_path: Path) -> None:
    store = store_of(tmp_path, source_of(MAPPING))
    _land(store, "2024-01-31/orders.csv", "no,at,user\n1,2024-01-31,1\n2,2024-01-31,2\n")
    _land(store, "2024-01-31/items_a.csv", "no,item,amount\n1,1,5\n2,1,7\n")
    assert store.ingest("events").rows_added == 2
    _land(store, "2024-01-31/items_b.csv", "no,item,amount\n1,2,6\n")
    report = store.ingest("events")
    assert (report.rows_added, report.duplicates) == (1, 2)
    assert [row["amount"] for row in events_of(store, order="amount")] == [5.0, 6.0, 7.0]


def test_a_pattern_may_say_what_a_delivery_is(tmp_path: Path) -> None:
    mapping = fs.Mapping.from_document(
        MAPPING.document()
        | {"sources": {"orders": {"glob": "{delivery}/orders.csv"}, "items": {"glob": "items.{delivery}.csv"}}}
    )
    store = store_of(tmp_path, source_of(mapping))
    _land(store, "2024-01-31/north/orders.csv", "no,at,user\n1,2024-01-31,1\n")
    _land(store, "2024-01-31/items.south.csv", "no,item,amount\n1,1,5\n")
    assert store.ingest("events").rows_read == 0
    _land(store, "2024-01-31/items.north.csv", "no,item,amount\n1,1,6\n")
    assert (store.ingest("events").rows_added, [row["amount"] for row in events_of(store)]) == (1, [6.0])


def test_a_call_that_names_part_of_a_delivery_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path, source_of(MAPPING))
    (tmp_path / "orders.csv").write_text("no,at,user\n1,2024-01-31,1\n")
    with pytest.raises(fs.IngestError, match=r"orders.csv \(waits for items 'items\*.csv' of its delivery '.'\)"):
        store.ingest("events", tmp_path / "orders.csv")


def test_a_mapping_of_another_source_is_refused_in_a_call(tmp_path: Path) -> None:
    store = store_of(tmp_path, source_of(None))
    with pytest.raises(fs.DefinitionError, match="nothing makes the column 'user_id'"):
        store.ingest("events", tmp_path, mapping=fs.Mapping("x", sources={"a": {}}, time="at", event_type={"constant": "b"}))


def test_a_monthly_run_reads_the_deliveries_of_its_month(tmp_path: Path) -> None:
    store = store_of(tmp_path, source_of(MAPPING))
    for day in ("2024-01-30", "2024-01-31", "2024-02-01"):
        _land(store, f"{day}/orders/part-1.csv", f"no,at,user\n1{day[-2:]},{day},1\n")
        if day != "2024-01-30":
            _land(store, f"{day}/items/part-1.csv", f"no,item,amount\n1{day[-2:]},1,5\n")
    mapping = fs.Mapping.from_document(
        MAPPING.document() | {"sources": {"orders": {"glob": "orders/*.csv"}, "items": {"glob": "items/*.csv"}}}
    )
    store.apply([source_of(mapping)])
    source = store.registry.sources["events"]
    (report,) = ingest_month(store, Month.parse("2024-01"), [source])
    assert (report.rows_added, [str(month) for month in report.months]) == (1, ["2024-01"])
    assert [str(file) for file in files_without_partition(store.layout, source)] == [
        "2024-01-30/orders/part-1.csv (waits for items 'items/*.csv' of its delivery '20240130')"
    ]
