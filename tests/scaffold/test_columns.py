from __future__ import annotations

import pyarrow as pa
import pytest

from featurestore.scaffold.columns import look_at


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "20", "-3"], "int64"),
        (["176709.0", "12.0"], "int64"),
        (["00037", "00112"], "string"),
        (["1.5", "2", "1e3"], "double"),
        (["true", "False"], "bool"),
        (["2024-01-05", "2024-01-06 10:00"], "timestamp"),
        (["19970101", "19970118"], "timestamp"),
        (["20240199", "20240101"], "int64"),
        (["05/01/2024", "06/01/2024"], "string"),
        (["a", "b"], "string"),
        (["1" * 30, "2"], "double"),
        ([], "string"),
    ],
)
def test_a_type_is_what_all_values_have(values: list[str], kind: str) -> None:
    assert look_at("column", values, None).type == kind


def test_one_odd_value_among_hundreds_changes_no_type_and_is_named() -> None:
    found = look_at("amount", [*map(str, range(500)), "x17", None], None)
    assert (found.type, found.odd, found.odd_values, found.nulls) == ("int64", 1, ("x17",), 1)
    assert look_at("amount", [*map(str, range(50)), *["x17"] * 3], None).type == "string"


def test_spellings_of_null_count_as_null_only_where_the_rest_is_no_text() -> None:
    found = look_at("delay", ["1", "NA", "3", "NA"], None)
    assert (found.type, found.null_words, found.nulls) == ("int64", ("NA",), 2)
    assert look_at("country", ["NA", "SA"], None).values == ["NA", "SA"]


def test_a_comma_may_be_the_point_of_numbers() -> None:
    found = look_at("price", ["12,50", "3,1"], None)
    assert (found.type, found.has_comma, found.values) == ("double", True, [12.5, 3.1])


@pytest.mark.parametrize(("factor", "unit"), [(1, "s"), (1_000, "ms"), (1_000_000, "us")])
def test_whole_numbers_of_our_time_look_like_instants(factor: int, unit: str) -> None:
    assert look_at("timestamp", [str(1_260_759_144 * factor), str(1_400_000_000 * factor)], None).epoch == unit
    assert look_at("user_id", [7, 1_400_000_000 * factor], pa.int64()).epoch is None


def test_dates_whose_day_and_month_could_be_either_are_told() -> None:
    assert look_at("date", ["05/01/2024", "12/01/2024"], None).time_formats == ("%d/%m/%Y", "%m/%d/%Y")
    assert look_at("date", ["12/1/2010 8:26", "12/31/2010 9:00"], None).time_formats == ("%m/%d/%Y %H:%M",)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.int16(), "int64"),
        (pa.decimal128(9, 2), "double"),
        (pa.dictionary(pa.int32(), pa.string()), "string"),
        (pa.string_view(), "string"),
        (pa.timestamp("ns"), "timestamp"),
        (pa.date32(), "date"),
        (pa.list_(pa.int64()), None),
    ],
)
def test_types_of_files_that_have_types_are_kept(kind: pa.DataType, expected: str | None) -> None:
    assert look_at("column", [None], kind).type == expected


def test_texts_of_times_in_a_file_that_has_types_are_times() -> None:
    assert look_at("at", ["2024-01-05T10:00:00", "2024-01-06T10:00:00"], pa.string()).type == "timestamp"
    assert look_at("code", ["17", "18"], pa.string()).type == "string"
