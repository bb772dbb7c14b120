"""The ready mappings, on small files of the true shape, with the odd values that the real ones have."""

from __future__ import annotations

from pathlib import Path

from featurestore.mappings import NAMES, olist, online_retail_ii, read_ready, rees46, retailrocket
from tests.mappings.foreign import events_of, store_of, utc


def test_every_name_is_a_module_with_a_mapping_of_its_name() -> None:
    assert [read_ready(name).name for name in NAMES] == list(NAMES)


def test_retailrocket_becomes_views_carts_and_buys(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n"
        "1433224214164,992329,addtocart,248676,\n"
        "1433221332117,257597,transaction,356475,4000\n"
        "1433221332117,1,unheard_of,2,\n"
        "soon,1,view,2,\n"
    )
    store = store_of(tmp_path, retailrocket.SOURCE)
    report = store.ingest("events", tmp_path / "events.csv")
    assert (report.rows_added, report.file_rows) == (3, 5)
    assert report.quarantined == {"unknown value of event": 1, "unparsable timestamp": 1}
    rows = events_of(store)
    assert [(row["event_type"], row["sku_id"], row["order_id"]) for row in rows] == [
        ("buy", 356475, 4000),
        ("view", 355908, None),
        ("cart", 248676, None),
    ]
    assert rows[0]["event_time"] == utc(2015, 6, 2, 5, 2, 12, 117000)
    assert store.ingest("events", tmp_path / "events.csv").duplicates == 3


def test_retailrocket_properties_are_kept_where_they_mean_something(tmp_path: Path) -> None:
    (tmp_path / "item_properties_part1.csv").write_text(
        "timestamp,itemid,property,value\n1435460400000,460429,categoryid,1338\n1441508400000,206783,888,1116713 960601 n277.200\n"
    )
    (tmp_path / "item_properties_part2.csv").write_text("timestamp,itemid,property,value\n1433041200000,183478,available,0\n")
    store = store_of(tmp_path, retailrocket.PROPERTIES)
    report = store.ingest("item_properties", str(tmp_path / "item_properties_part*.csv"))
    assert (report.rows_added, report.file_rows, report.ignored_rows) == (2, 3, 1)
    assert [(row["event_type"], row["value"]) for row in events_of(store, "item_properties")] == [
        ("available", "0"),
        ("category", "1338"),
    ]


def test_rees46_keeps_its_utc_and_its_gaps(tmp_path: Path) -> None:
    header = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    (tmp_path / "2019-Nov.csv").write_text(
        f"{header}2019-11-01 00:00:00 UTC,view,1003461,2053013555631882655,electronics.smartphone,xiaomi,489.07,520088904,4d3b\n"
        "2019-11-01 00:00:09 UTC,remove_from_cart,5000088,2053013566100866035,,,0.29,530496790,\n"
        "2019-11-01 00:00:09 UTC,purchase,5000088,2053013566100866035,,,n/a,530496790,8e5f\n"
    )
    store = store_of(tmp_path, rees46.SOURCE, timezone="Asia/Shanghai")
    report = store.ingest("events", tmp_path / "2019-Nov.csv")
    assert report.quarantined == {"unparsable price": 1}
    first, second = events_of(store)
    assert first["event_time"] == utc(2019, 11, 1)
    assert (first["category_id"], first["price_cents"], first["brand"]) == (2053013555631882655, 48907, "xiaomi")
    assert (second["event_type"], second["price_cents"], second["brand"], second["session_id"]) == ("uncart", 29, None, None)


OLIST = {
    "olist_orders_dataset.csv": (
        "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,order_delivered_carrier_date,"
        "order_delivered_customer_date,order_estimated_delivery_date\n"
        "o1,c1,delivered,2017-10-02 10:56:33,2017-10-02 11:07:15,2017-10-04 19:55:00,2017-10-10 21:25:13,2017-10-18 00:00:00\n"
        "o2,c2,unavailable,2017-10-03 10:00:00,2017-10-03 10:10:00,,,2017-10-20 00:00:00\n"
    ),
    "olist_order_items_dataset.csv": (
        "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value\n"
        "o1,1,p1,s1,2017-10-06 11:07:15,29.99,8.72\n"
        "o1,2,p2,s1,2017-10-06 11:07:15,10.00,0.00\n"
        "o9,1,p2,s1,2017-10-06 11:07:15,10.00,0.00\n"
    ),
    "olist_customers_dataset.csv": (
        "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state\n"
        "c1,u1,03149,sao paulo,SP\nc2,u1,03149,sao paulo,SP\n"
    ),
}


def test_olist_becomes_four_events_of_each_item(tmp_path: Path) -> None:
    folder = tmp_path / "olist"
    folder.mkdir()
    for name, text in OLIST.items():
        (folder / name).write_text(text)
    store = store_of(tmp_path, olist.SOURCE)
    report = store.ingest("events", folder)
    assert (report.file_rows, report.rows_added, report.quarantined, report.unjoined_rows) == (2, 10, {}, {"items": 1})
    rows = events_of(store, order="event_time, item")
    assert [(row["order_id"], row["event_type"], row["item"]) for row in rows] == [
        ("o1", "buy", 1),
        ("o1", "buy", 2),
        ("o1", "pay", 1),
        ("o1", "pay", 2),
        ("o2", "buy", None),
        ("o2", "pay", None),
        ("o1", "ship", 1),
        ("o1", "ship", 2),
        ("o1", "deliver", 1),
        ("o1", "deliver", 2),
    ]
    assert rows[0]["event_time"] == utc(2017, 10, 2, 13, 56, 33)
    assert (rows[0]["user_id"], rows[0]["region_id"], rows[0]["price_cents"], rows[0]["freight_cents"]) == (
        "u1",
        "SP",
        2999,
        872,
    )
    assert rows[0]["promised_at"] == utc(2017, 10, 18, 2)  # the clocks were put forward on the 15th
    again = store.ingest("events", folder)
    assert (again.rows_added, again.duplicates) == (0, 10)


def test_online_retail_tells_returns_from_sales(tmp_path: Path) -> None:
    (tmp_path / "online_retail_II.csv").write_text(
        "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
        "489434,85048,15CM CHRISTMAS GLASS BALL,12,2009-12-01 07:45:00,6.95,13085.0,United Kingdom\n"
        "489434,85048,15CM CHRISTMAS GLASS BALL,12,2009-12-01 07:45:00,6.95,13085.0,United Kingdom\n"
        "C489449,22087,PAPER BUNTING,-12,2009-12-01 10:33:00,2.95,16321.0,Australia\n"
        "489464,21733,85123a mixed,-96,12/1/2009 10:52,0,,United Kingdom\n"
        "A506401,B,Adjust bad debt,1,2010-04-29 13:36:00,-53594.36,,United Kingdom\n"
    )
    store = store_of(tmp_path, online_retail_ii.SOURCE)
    report = store.ingest("events", tmp_path / "online_retail_II.csv")
    assert (report.rows_added, report.quarantined) == (4, {"no event of the mapping comes of it": 1})
    rows = events_of(store)
    assert [(row["event_type"], row["quantity"], row["price_cents"], row["user_id"]) for row in rows] == [
        ("buy", 12, 695, 13085),
        ("buy", 12, 695, 13085),
        ("return", 12, 295, 16321),
        ("return", 96, 0, None),
    ]
    (kept,) = store.quarantine("events").column("row").to_pylist()
    assert '"Description":"Adjust bad debt"' in kept
    assert store.ingest("events", tmp_path / "online_retail_II.csv").duplicates == 4
