from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from featurestore.errors import DefinitionError
from featurestore.scaffold.columns import Column, look_at
from featurestore.scaffold.roles import Roles, roles_of

ROWS = 400
TIMES = [f"2023-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(ROWS)]


def columns(**values: Sequence[Any]) -> dict[str, Column]:
    return {name: look_at(name, [str(value) for value in given], None) for name, given in values.items()}


def orders(**more: Sequence[Any]) -> dict[str, Column]:
    return columns(
        **{
            "order_id": range(1, ROWS + 1),
            "created_at": TIMES,
            "updated_at": TIMES,
            "customer_id": [i % 40 for i in range(ROWS)],
            "sku": [f"s{i % 30}" for i in range(ROWS)],
            "status": ["paid", "returned"] * (ROWS // 2),
            "channel": ["web", "app", "shop", "app"] * (ROWS // 4),
            "amount": [i * 1.5 for i in range(ROWS)],
            "zip": [i % 90 + 10_000 for i in range(ROWS)],
            **more,
        }
    )


def names(roles: Roles) -> dict[str, Any]:
    return {
        "time": roles.time.column,
        "id": roles.id and roles.id.column,
        "keys": [role.column for role in roles.keys],
        "kind": roles.kind and roles.kind.column,
        "categories": [role.column for role in roles.categories],
        "measures": [role.column for role in roles.measures],
    }


def test_an_order_is_understood() -> None:
    assert names(roles_of(orders())) == {
        "time": "created_at",
        "id": "order_id",
        "keys": ["customer_id", "sku"],
        "kind": "status",
        "categories": ["channel"],
        "measures": ["amount"],
    }


def test_an_id_that_comes_twice_identifies_nothing() -> None:
    roles = roles_of(orders(order_id=[*range(1, ROWS), 1]))
    assert roles.id is None
    assert "order_id" in names(roles)["keys"]


def test_a_time_that_every_row_has_is_preferred_to_one_with_a_better_name() -> None:
    found = orders() | {"event_time": look_at("event_time", [None, *TIMES[1:]], None)}
    assert roles_of(found).time.column == "created_at"


def test_two_times_of_equal_names_leave_a_question() -> None:
    found = columns(a_date=TIMES, b_date=TIMES, user_id=[i % 9 for i in range(ROWS)])
    assert not roles_of(found).time.is_sure
    assert roles_of(found, time="b_date").time.is_sure


def test_what_was_said_is_taken() -> None:
    roles = roles_of(orders(), time="updated_at", event_id="none", keys=["sku"])
    assert (roles.time.column, roles.id, [role.column for role in roles.keys]) == ("updated_at", None, ["sku"])


def test_when_a_record_was_loaded_is_when_it_was_learned_of() -> None:
    roles = roles_of(orders(loaded_at=TIMES))
    assert roles.learned is not None
    assert roles.learned.column == "loaded_at"


def test_the_span_is_that_of_the_events() -> None:
    roles = roles_of(orders())
    assert (roles.first, roles.last) == (datetime(2023, 1, 1), datetime(2023, 12, 28))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"user_id": [1, 2, 1]}, "No column says when.*user_id"),
        ({"user_id": [1, 2, 1], "number": [1_260_759_144] * 3}, "No column says when"),
        ({"date": TIMES[:3], "amount": [1, 2, 1]}, "No column looks like a key"),
    ],
)
def test_what_is_missing_is_said_with_what_is_there(given: dict[str, Sequence[Any]], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        roles_of(columns(**given))


def test_a_mistyped_column_is_named_with_the_near_one() -> None:
    with pytest.raises(DefinitionError, match=r"'custmer_id'.*customer_id"):
        roles_of(orders(), keys=["custmer_id"])


@pytest.mark.parametrize(("name", "values"), [("ts", [1_260_759_144] * 3), ("day", ["12/31/2009"] * 3)])
def test_times_that_only_a_mapping_can_tell_of_are_found_where_there_are_no_others(name: str, values: Sequence[Any]) -> None:
    given = columns(user_id=[1, 2, 1], **{name: values})
    roles = roles_of(given)
    assert (roles.time.column, roles.first.year) == (name, 2009)
    assert roles_of(given | columns(created_at=["2020-01-01"] * 3)).time.column == "created_at"
