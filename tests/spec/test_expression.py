"""Expressions: what is accepted means what SQL says, and nothing else reaches the engine."""

from __future__ import annotations

import duckdb
import pytest

from featurestore.errors import ExpressionError
from featurestore.spec.expression import parse

TYPES = {
    "a": "int64",
    "b": "double",
    "s": "string",
    "t": "timestamp",
    "d": "date",
    "f": "bool",
    "p": "profile",
    "q": "profile",
}
ROWS = """(VALUES
    (1, -7::BIGINT, 0.5::DOUBLE, 'buy', TIMESTAMPTZ '2024-01-31 00:00:00+00', DATE '2024-01-31', TRUE, [1, 2, 0], [2, 2, 2]),
    (2, 2, -2.0, 'it''s', TIMESTAMPTZ '2024-02-29 22:30:00+00', DATE '2020-02-29', FALSE, [0, 0, 0], [0, 0, 0]),
    (3, 0, 0.0, '', TIMESTAMPTZ '1999-12-31 23:59:59+00', DATE '1999-12-31', NULL, [1, 1, 1], [1, 1, 4]),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, [0, 0, 0], [1, 1, 1])
) AS rows("row", a, b, s, t, d, f, p, q)"""


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def values(engine, text: str, **options) -> list:
    sql = parse(text, TYPES, **options).sql
    return [value for (value,) in engine.sql(f'SELECT {sql} FROM {ROWS} ORDER BY "row"').fetchall()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > 0", [False, True, False, None]),
        ("a >= 0 and not a = 2", [False, False, True, None]),
        ("a in (2, 3) or f", [True, True, None, None]),
        ("a not in (2, 3)", [True, False, True, None]),
        ("a between -7 and 0", [True, False, True, None]),
        ("a not between -7 and 0", [False, True, False, None]),
        ("a is null", [False, False, False, True]),
        ("f is not true", [False, True, True, True]),
        ("s = 'it''s'", [False, True, False, None]),
        ("s <> ''", [True, True, False, None]),
        ("s like 'b%'", [True, False, False, None]),
        ("s not like 'b%'", [False, True, True, None]),
        ("s not ilike 'B%'", [False, True, True, None]),
        ("starts_with(upper(s), 'IT')", [False, True, False, None]),
        ("a + 2 * 3 - 1", [-2, 7, 5, None]),
        ("(a + 2) * 3", [-15, 12, 6, None]),
        ("- -a", [-7, 2, 0, None]),
        ("a / 2", [-3.5, 1.0, 0.0, None]),
        ("7 / a", [-1.0, 3.5, None, None]),
        ("7 // a", [-1, 3, None, None]),
        ("7 % a", [0, 1, None, None]),
        ("ln(b)", [pytest.approx(-0.6931471805599453), None, None, None]),
        ("sqrt(b)", [pytest.approx(0.7071067811865476), None, 0.0, None]),
        ("b * 0.123456789012345 * 0.123456789012345 * 0.5e0 > 0", [True, False, False, None]),
        ("case when a > 0 then 'up' when a < 0 then 'down' end", ["down", "up", None, None]),
        ("if(a > 0, 1, 0)", [0, 1, 0, 0]),
        ("coalesce(a, 5)", [-7, 2, 0, 5]),
        ("nullif(a, 0)", [-7, 2, None, None]),
        ("greatest(a, 1)", [1, 2, 1, 1]),
        ("try_cast(s as bigint)", [None, None, None, None]),
        ("cast(a as varchar)", ["-7", "2", "0", None]),
        ("round(b)", [1.0, -2.0, 0.0, None]),
        ("power(a, 2)", [49.0, 4.0, 0.0, None]),
        ("length(s)", [3, 4, 0, None]),
        ("hour(t)", [0, 22, 23, None]),
        ("t >= '2024-01-31'", [True, True, False, None]),
        ("t >= '2024-03-01T06:30:00+08:00'", [False, True, False, None]),
        ("t + interval 1 day > timestamp '2024-02-29'", [False, True, False, None]),
        ("d = '2020-02-29'", [False, True, False, None]),
        ("date_diff('day', d, t)", [0, 1461, 0, None]),
        ("profile_sum(p)", [3, 0, 3, 0]),
        ("last_bucket_at_least(p, q, 0.75)", [1, None, 1, None]),
    ],
)
def test_an_expression_means_what_sql_says_nulls_included(engine, text: str, expected: list) -> None:
    assert values(engine, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a > 1; drop table events",
        "a > 1) or (select true",
        "(select 1) = 1",
        "exists(select 1)",
        "a in (select a from read_parquet('x'))",
        "read_csv('/etc/passwd') = 1",
        "getenv('HOME') = 'x'",
        "current_setting('temp_directory') = ''",
        "s = current_user",
        "random() > 0.5",
        "now() > t",
        "t > 'now'",
        "t > 'today'",
        "t > 'infinity'",
        "d > 'epoch'",
        "count(*) > 1",
        "sum(a) over () > 1",
        "* = 1",
        "columns(*) > 1",
        "a = ?",
        "a = $1",
        "other.a = 1",
        "a::struct(x int).x = 1",
        "s similar to '.*'",
        "s ~ '.*'",
        "list_value(a)[1] = 1",
        "copy events to 'x'",
        "attach 'x'",
        "pragma version",
    ],
)
def test_what_could_leave_the_row_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, TYPES, expected="bool")


@pytest.mark.parametrize("text", ["'; DROP TABLE x; --", "\\' OR 1=1 --", "a\nb", "%_", "中文", "''''", '"', "$$x$$"])
def test_any_text_literal_arrives_as_it_was_written(engine, text: str) -> None:
    escaped = text.replace("'", "''")
    sql = parse(f"s = '{escaped}'", TYPES).sql
    with engine.cursor() as cursor:
        assert cursor.execute(f"SELECT {sql} FROM (SELECT ?::VARCHAR AS s)", [text]).fetchall() == [(True,)]


def test_comments_are_dropped() -> None:
    assert parse("a > 1 -- 'and b", TYPES).sql == parse("a /* ; */ > 1", TYPES).sql == '("a" > 1)'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("a >", "cannot be parsed"),
        ("amount > 1", "no column 'amount'"),
        ("a = 'x'", "cannot be compared"),
        ("s > 1", "cannot be compared"),
        ("p = p", "cannot be compared"),
        ("a and f", "expected a bool"),
        ("a", "expected a bool"),
        ("coalesce(a, s) = 1", "different types"),
        ("case a when 1 then true end", "CASE WHEN"),
        ("lenght(s) > 1", "Did you mean 'length'"),
        ("greatest(a) > 1", "greatest takes 2 arguments"),
        ("cast(a as decimal(3, 1)) > 1", "CAST to DECIMAL"),
        ("t - t > 1", "expected a interval"),
        ("t > '2024-13-01'", "is no timestamp"),
        ("t > s", "is no timestamp"),
        ("d > '2024-01-01 10:00'", "is no date"),
        ("a = 1e400", "too large"),
        ("calibrated('prior.a') > 1", "belongs in a Derived"),
        # Parts that would otherwise be dropped in silence.
        ("ceil(b, 2) > 1", "'decimals' is not allowed"),
        ("round(b, 1, true) > 1", "'truncate' is not allowed"),
        ("length(s, 1) > 1", "is not allowed"),
        ("a between symmetric 5 and 1", "'symmetric' is not allowed"),
        ("s like 'a' escape 'b'", "not allowed here"),
        ("+".join(["a"] * 5000) + " > 1", "nested too deeply"),
        ("(" * 2000 + "f" + ")" * 2000, "nested too deeply"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong_and_what_was_meant(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        parse(text, TYPES, expected="bool")


def test_a_cast_of_a_text_that_is_no_number_fails_and_a_try_cast_is_null(engine) -> None:
    assert values(engine, "try_cast(s as double) is null") == [True] * 4
    with pytest.raises(duckdb.ConversionException):
        values(engine, "cast(s as double) is null")


def test_calibrated_parameters_are_named_once_with_the_group_they_are_looked_up_by() -> None:
    text = "calibrated('prior.a', by = s) + calibrated('prior.b', by = lower(s)) / calibrated('prior.a', by = s) + calibrated('k.x')"
    expression = parse(text, TYPES, allow_calibrated=True)
    assert [(use.calibration, use.parameter, use.by_sql) for use in expression.calibrated] == [
        ("prior", "a", '"s"'),
        ("prior", "b", 'lower("s")'),
        ("k", "x", None),
    ]
    assert expression.columns == {"s"}
    assert expression.sql.count('"calibrated__prior__a__0"') == 2


@pytest.mark.parametrize(
    "text",
    [
        "calibrated()",
        "calibrated(a)",
        "calibrated('prior')",
        "calibrated('prior.a.b')",
        "calibrated('prior.a', s)",
        "calibrated('prior.a', by = t)",
        "calibrated('prior.a\"; drop', by = s)",
        "calibrated('prior.a', of = s)",
    ],
)
def test_a_malformed_calibrated_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, TYPES, allow_calibrated=True)
