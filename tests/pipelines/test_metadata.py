from __future__ import annotations

from featurestore_pipelines.metadata import table_of


def test_a_table_keeps_its_columns_where_a_row_has_none():
    table = table_of([{"version": "v1", "loss": 0.5}, {"version": None, "loss": None}])
    assert [dict(record.data) for record in table.records] == [{"version": "v1", "loss": 0.5}, {"version": "", "loss": ""}]
    assert [column.type for column in table.schema.columns] == ["string", "float"]
