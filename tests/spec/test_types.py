"""The one table of column types: what each word of a schema is in SQL and in Arrow."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pytest

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
