"""Mappings as values: read from YAML and from Python alike, and refused with file, line, key and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import featurestore as fs
from featurestore.spec.document import document, fingerprint, source_from

OLIST = """\
name: olist
sources: {orders: {glob: "olist_orders*.csv"}, items: {glob: "olist_order_items*.csv"}}
joins: [{left: orders, right: items, "on": order_id}]
timezone: America/Sao_Paulo
columns: {order_id: order_id, user_id: customer_id, sku_id: product_id, seller_id: seller_id, paid_price: price}
events:
  - {type: buy,     time: order_purchase_timestamp}
  - {type: ship,    time: order_delivered_carrier_date}
  - {type: deliver, time: order_delivered_customer_date, set: {promised_at: order_estimated_delivery_date}}
"""
SCHEMA = {
    "event_id": "string",
    "event_time": "timestamp",
    "event_type": "string",
    "order_id": "string",
    "user_id": "string",
    "sku_id": "string",
    "seller_id": "string",
    "paid_price": "double",
    "promised_at": "timestamp",
}


def _read(folder: Path, text: str) -> fs.Mapping:
    file = folder / "mapping.yaml"
    file.write_text(text)
    return fs.Mapping.read(file)


def _source(mapping: fs.Mapping | None, **more: Any) -> fs.EventSource:
    return fs.EventSource("events", schema=SCHEMA, event_time="event_time", event_id="event_id", mapping=mapping, **more)


def test_yaml_and_python_say_the_same(tmp_path: Path) -> None:
    written = fs.Mapping(
        "olist",
        sources={"orders": {"glob": "olist_orders*.csv"}, "items": {"glob": "olist_order_items*.csv"}},
        joins=[{"left": "orders", "right": "items", "on": "order_id"}],
        timezone="America/Sao_Paulo",
        columns={
            "order_id": "order_id",
            "user_id": "customer_id",
            "sku_id": "product_id",
            "seller_id": "seller_id",
            "paid_price": "price",
        },
        events=[
            {"type": "buy", "time": "order_purchase_timestamp"},
            {"type": "ship", "time": "order_delivered_carrier_date"},
            {
                "type": "deliver",
                "time": "order_delivered_customer_date",
                "set": {"promised_at": "order_estimated_delivery_date"},
            },
        ],
    )
    assert _read(tmp_path, OLIST) == written


def test_a_source_keeps_its_mapping_in_the_registry_and_means_what_it_meant(tmp_path: Path) -> None:
    source = _source(_read(tmp_path, OLIST))
    assert source_from(document(source)) == source
    assert source.timezone == "America/Sao_Paulo"
    assert fingerprint(source) == fingerprint(_source(None, timezone="America/Sao_Paulo"))


def test_on_and_no_are_words_and_not_truth_values(tmp_path: Path) -> None:
    mapping = _read(
        tmp_path,
        "name: no\nsources: {a: {}, b: {}}\njoins:\n  - {left: a, right: b, on: no}\ntime: at\ncolumns: {answer: {constant: no}}\n",
    )
    assert mapping.name == "no"
    assert mapping.joins[0].on == (("no", "no"),)
    assert dict(mapping.columns)["answer"].constant == "no"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("timezone:", "timezon:", "line 4, timezon: the key 'timezon' is unknown. Did you mean 'timezone'?"),
        ("America/Sao_Paulo", "America/Sao_Paolo", "line 4, timezone: 'America/Sao_Paolo' is not a time zone."),
        ("right: items", "right: item", "line 3, joins[0].right: there is no source 'item'. Did you mean 'items'?"),
        ("time: order_purchase_timestamp", "", "line 7, events[0]: when did it happen?"),
        ("- {type: ship, ", "- {typ: ship, ", "line 8, events[1].typ: the key 'typ' is unknown. Did you mean 'type'?"),
        ("columns: {", "columns: {order_id: x, ", "line 5: the key 'columns.order_id' is there twice"),
        ("joins: [", "joins: &a [", None),
        ("timezone: America/Sao_Paulo", "id: *a", "it is no YAML"),
        (
            "paid_price: price",
            "paid_price: {column: price, unit: s, format: '%Y'}",
            "line 5, columns.paid_price.unit: a time is a",
        ),
        ("paid_price: price", "paid_price: {column: price, expression: '1'}", "it is made of column and expression"),
        ("paid_price: price", "paid_price: {column: price, on_unknown: keep}", "there is no map that could not know a value"),
        (
            "paid_price: price",
            "paid_price: {column: a, map: {b: 1}, on_unknown: drop}",
            "'drop' is none of quarantine, null, keep.",
        ),
        ("paid_price: price", "paid_price: {column: d, assume_year: 2014}", "say how the rest is written: format:"),
        ('"olist_orders*.csv"', '"olist_{month}.csv"', "braces of another kind than {delivery}"),
        ('glob: "olist_orders*.csv"', "glob: a, decimal: ';'", "Csv has decimal=';'; use '.' or ','."),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: str | None) -> None:
    assert old in OLIST
    text = OLIST.replace(old, new)
    if told is None:
        assert _read(tmp_path, text) == _read(tmp_path, OLIST)
        return
    with pytest.raises(fs.DefinitionError) as raised:
        _read(tmp_path, text)
    assert told in str(raised.value)
    assert str(tmp_path / "mapping.yaml") in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "sku_id: product_id",
            "skuid: product_id",
            "line 5, columns.skuid: source 'events' has no column 'skuid'. Did you mean 'sku_id'?",
        ),
        (", seller_id: seller_id", "", "nothing makes the column 'seller_id', which source 'events' declares"),
        (
            "paid_price: price",
            "paid_price: {constant: many}",
            "line 5, columns.paid_price: 'many' is no value of 'paid_price', which is double",
        ),
        ("paid_price: price", "paid_price: {column: price, unit: ms}", "'paid_price' is double, and no time"),
        ("paid_price: price", "paid_price: {expression: price * 2}", "Columns of files are texts unless the source says types"),
        ("paid_price: price", "paid_price: {expression: price +}", "line 5, columns.paid_price: In the expression 'price +'"),
        ("paid_price: price", "paid_price: {expression: read_text('x')}", "is not allowed"),
        ("{type: buy, ", "{type: buy, when: order_id, ", "line 7, events[0].when: In the expression 'order_id'"),
        ("{type: ship, ", "{type: buy, ", "line 8, events[1]: another event of the same rows has its type"),
        (
            "promised_at: order_est",
            "promised: order_est",
            "line 9, events[2].set.promised: source 'events' has no column 'promised'",
        ),
    ],
)
def test_what_does_not_fit_the_source_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in OLIST
    mapping = _read(tmp_path, OLIST.replace(old, new))
    with pytest.raises(fs.DefinitionError) as raised:
        _source(mapping)
    assert told in str(raised.value)


def test_ids_that_are_computed_need_a_column_of_texts(tmp_path: Path) -> None:
    with pytest.raises(fs.DefinitionError, match="is int64; ids that are computed are texts"):
        fs.EventSource(
            "events",
            schema={**SCHEMA, "event_id": "int64"},
            event_time="event_time",
            event_id="event_id",
            mapping=_read(tmp_path, OLIST),
        )


def test_a_source_and_its_mapping_say_one_zone(tmp_path: Path) -> None:
    with pytest.raises(
        fs.DefinitionError, match="line 4, timezone: 'America/Sao_Paulo' is not what source 'events' says: 'UTC'"
    ):
        _source(_read(tmp_path, OLIST), timezone="UTC")


def test_files_that_no_event_reads_are_told(tmp_path: Path) -> None:
    with pytest.raises(fs.DefinitionError, match="of which files does it come"):
        _read(tmp_path, OLIST.replace("items: {", "cards: {}, items: {"))
    text = OLIST.replace("items: {", "cards: {}, items: {").replace("{type", "{source: orders, type")
    with pytest.raises(fs.DefinitionError, match=r"sources\.cards: no event reads it, and nothing joins it"):
        _read(tmp_path, text)
