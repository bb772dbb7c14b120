"""Names become columns, folders and files: nothing else than plain identifiers gets through."""

from __future__ import annotations

import pytest

from featurestore.errors import DefinitionError
from featurestore.spec import Count, Entity, FeatureService
from featurestore.spec.names import checked_column, checked_name
from tests.spec.definitions import source, view


@pytest.mark.parametrize("name", ["a", "user", "user_2", "x" * 63])
def test_lower_case_identifiers_are_names(name: str) -> None:
    assert checked_name(name, "a thing") == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "1a", "_a", "a__b", "a_", "a-b", "a b", "a.b", "../a", "a/b", "a'b", 'a"b', "é", "a\n", "x" * 64, None, 5],
)
def test_everything_else_is_refused_with_what_is_expected(name: object) -> None:
    with pytest.raises(DefinitionError, match="lower-case letters"):
        checked_name(name, "a thing")  # type: ignore[arg-type]


def test_columns_may_have_capitals_but_no_quotes_blanks_or_digits_first() -> None:
    assert checked_column("UserId_2", "a source") == "UserId_2"
    for column in ("", "2a", "a b", 'a"', "a'", "a;b", "é", None):
        with pytest.raises(DefinitionError, match="cannot be a column"):
            checked_column(column, "a source")  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="the store's own columns begin with"):
        checked_column("$row", "a source")


@pytest.mark.parametrize(
    "define",
    [
        lambda name: Entity(name, key="user_id"),
        lambda name: view(name),
        lambda name: Count(name),
        lambda name: FeatureService(name, features=["activity"]),
        lambda name: FeatureService("demand_v1", features=[f"activity:{name}"]),
    ],
)
def test_every_definition_checks_its_name(define) -> None:
    define("fine")
    with pytest.raises(DefinitionError, match="cannot name"):
        define("not__fine")


def test_an_entity_needs_different_key_columns() -> None:
    assert Entity("lane", key=("origin", "destination")).keys == ("origin", "destination")
    for key in ((), ("a", "a")):
        with pytest.raises(DefinitionError, match="one column or several different ones"):
            Entity("lane", key=key)
    with pytest.raises(DefinitionError, match="differ only in their case"):
        Entity("lane", key=("place", "PLACE"))


def test_a_source_names_its_columns_so_that_no_engine_confuses_them() -> None:
    with pytest.raises(DefinitionError, match="differ only in their case"):
        source(schema={**source().types, "User_ID": "string"})
    for reserved in ("month", "Month", "filename", "file_row_number"):
        with pytest.raises(DefinitionError, match="the lake uses itself"):
            source(schema={**source().types, reserved: "string"})
