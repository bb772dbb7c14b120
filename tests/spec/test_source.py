"""Event sources: wrong roles, types and options fail when they are written down."""

from __future__ import annotations

import pytest

from featurestore.errors import DefinitionError
from tests.spec.definitions import SCHEMA, source


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": {**SCHEMA, "amount_cents": "int65"}}, "Did you mean 'int64'"),
        ({"event_time": "event_tme"}, "Did you mean 'event_time'"),
        ({"event_time": "amount_cents"}, "must be timestamp; column 'amount_cents' is int64"),
        ({"event_id": "weight"}, "must be int64 or string"),
        ({"ingested_at": "category"}, "must be timestamp"),
        ({"values": {"amount_cents": ["1"]}}, "must be string"),
        ({"values": {"event_type": "buy"}}, r"write \['buy'\]"),
        ({"timezone": "Mars/Olympus"}, "is not a time zone"),
        ({"id_scope": "year"}, "use 'source' or 'month'"),
    ],
)
def test_a_wrong_source_says_what_is_wrong_and_what_was_meant(changes: dict, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        source(**changes)


def test_a_source_keeps_its_schema_in_order_and_is_a_value() -> None:
    assert list(source().types) == list(SCHEMA)
    assert source() == source()
    assert hash(source(ingested_at=None)) != hash(source())
    assert source(values={"event_type": ["buy", "view"]}).values == (("event_type", ("buy", "view")),)
