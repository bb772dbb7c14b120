"""The one table of column types: what each word of a schema is in SQL and in Arrow."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from featurestore.errors import DefinitionError
from featurestore.spec import EventSource
from featurestore.spec.types import SCHEMA_TYPES, SQL_TYPES, arrow_schema, arrow_type


@pytest.mark.parametrize("kind", SCHEMA_TYPES)
def test_a_schema_type_is_the_same_in_sql_and_in_arrow(kind: str) -> None:
    with duckdb.connect(":memory:") as session:
        session.execute("SET TimeZone = 'UTC'")
        found = session.sql(f"SELECT NULL::{SQL_TYPES[kind]} AS x").to_arrow_table().schema.field("x").type
    assert found == arrow_type(kind)


def test_every_type_can_stand_in_a_schema() -> None:
    found = arrow_schema([(f"a_{kind}", kind) for kind in SCHEMA_TYPES])
    assert found.names == [f"a_{kind}" for kind in SCHEMA_TYPES]
    assert [field.type for field in found] == [arrow_type(kind) for kind in SCHEMA_TYPES]


def test_definitions_do_not_load_arrow() -> None:
    code = "import sys, featurestore as fs; fs.EventSource('e', schema={'i': 'int64', 't': 'timestamp'}, event_id='i', "
    code += "event_time='t'); print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


def source(kind: object, **changed: object) -> EventSource:
    arguments = {"schema": {"i": "int64", "t": "timestamp", "x": kind}, "event_id": "i", "event_time": "t"}
    return EventSource("events", **{**arguments, **changed})


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (int, "int64"),
        (float, "double"),
        (str, "string"),
        (bool, "bool"),
        (datetime, "timestamp"),
        (date, "date"),
        (pa.int64(), "int64"),
        (pa.int32(), "int32"),
        (pa.float64(), "double"),
        (pa.string(), "string"),
        (pa.large_string(), "string"),
        (pa.string_view(), "string"),
        (pa.bool_(), "bool"),
        (pa.timestamp("us", "UTC"), "timestamp"),
        (pa.timestamp("ns"), "timestamp"),
        (pa.date32(), "date"),
        (pa.date64(), "date"),
    ],
    ids=str,
)
def test_a_type_of_python_or_arrow_is_the_schema_type_that_it_equals(kind: object, expected: str) -> None:
    assert source(kind) == source(expected)
    assert type(source(kind).types["x"]) is str


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("float64", "'double'"),
        ("float", "'double'"),
        ("datetime", "'timestamp'"),
        ("datetime64[ns]", "'timestamp'"),
        ("int", "'int64'"),
        ("bigint", "'int64'"),
        ("Int64", "'int64'"),
        ("int16", "'int32'"),
        ("str", "'string'"),
        ("varchar(20)", "'string'"),
        ("boolean", "'bool'"),
        ("timestmp", "'timestamp'"),
        (pa.int64, "'int64'"),
        (pa.int16(), "'int32'"),
        (pa.float32(), "'double'"),
        (np.float64, "'double'"),
        (np.dtype("int64"), "'int64'"),
        (pl.Float64, "'double'"),
        (pl.String(), "'string'"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_hint_at_another_type_is_true(kind: object, hint: str) -> None:
    with pytest.raises(DefinitionError, match=f"Column 'x' of source 'events' has the type .*Did you mean {hint}"):
        source(kind)


@pytest.mark.parametrize(
    "kind", [1.5, None, ["int64"], {}, b"int64", pa.list_(pa.int64()), "decimal(10,2)", pa.decimal128(9, 2)]
)
def test_what_is_no_type_is_refused_with_those_that_are(kind: object) -> None:
    with pytest.raises(DefinitionError, match=r"Column 'x' of source 'events' has the type .*int64.*double"):
        source(kind)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"event_time": None}, "has event_time=None; give the name of a column: i, t, x"),
        ({"event_id": 1.5}, "has event_id=1.5"),
        ({"event_time": ["t"]}, r"has event_time=\['t'\]"),
        ({"ingested_at": 5}, "has ingested_at=5"),
        ({"schema": None}, "has schema=None"),
        ({"schema": [("i", "int64")]}, "give columns and their types"),
        ({"schema": {1: "int64"}}, "1 cannot be a column"),
        ({"timezone": 5}, "5 is not a time zone"),
        ({"values": 5}, "has values=5"),
        ({"values": {"x": 5}}, "values of 'x' in source 'events' is 5"),
        ({"initial_load_until": 5, "ingested_at": "t"}, "has initial_load_until=5"),
    ],
)
def test_an_argument_of_another_kind_is_a_definition_error(changed: dict[str, object], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        source("string", **changed)
