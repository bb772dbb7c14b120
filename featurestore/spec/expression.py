"""Expressions of users: parsed to a syntax tree, checked, and rendered again from the tree.

``where`` and ``Derived`` take SQL text. Nothing of that text reaches an engine: ``parse`` walks sqlglot's tree through the
rules of ``spec/operators.py`` and ``spec/functions.py``, and each writes its own SQL from quoted names, numbers and escaped
strings. A node without a rule (a subquery, a star, a file function, a statement) is refused, and so is a column that the
source does not have or an operand of the wrong family.

Conditions and features must not fail on one odd row: a division by zero, the logarithm of a negative number and the like are
NULL. ``CAST`` of a text that is no number does fail, ``TRY_CAST`` gives NULL. Numbers with a fraction are doubles, timestamp
literals are ISO.

A definition belongs to no store, so an expression has no zone of its own: it is checked in UTC, and ``read_in`` writes it for the
zone of a store. There ``hour`` reads the clock, ``CAST`` to DATE the calendar, a literal without a zone is in it, a date is its
first instant, and days and longer are counted by the calendar; hours and shorter are time that passes, from the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from featurestore.errors import ExpressionError
from featurestore.spec.functions import FUNCTION_RULES, FUNCTIONS
from featurestore.spec.grammar import CalibratedUse, Scope, render
from featurestore.spec.operators import OPERATORS

__all__ = ["CalibratedUse", "Expression", "parse"]

FAMILY_OF_TYPE = {
    "int64": "number",
    "int32": "number",
    "double": "number",
    "string": "string",
    "bool": "bool",
    "timestamp": "timestamp",
    "date": "date",
    "profile": "profile",
}
_RULES = {**OPERATORS, **FUNCTION_RULES}


@dataclass(frozen=True)
class Expression:
    """A checked expression, ready to be placed into a DuckDB query over its columns: ``sql`` for stores in UTC."""

    text: str
    sql: str
    family: str
    columns: frozenset[str]
    calibrated: tuple[CalibratedUse, ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    allow_calibrated: bool = False

    def read_in(self, timezone: str) -> Expression:
        """Return the expression with the clock of a zone."""
        return self if timezone == "UTC" else _checked(self.text, self.types, self.allow_calibrated, None, timezone)


def parse(text: str, types: Mapping[str, str], *, allow_calibrated: bool = False, expected: str | None = None) -> Expression:
    """Check SQL text against the columns it may use.

    Args:
        text: One SQL expression, no statement.
        types: Column to type (``SCHEMA_TYPES`` or ``profile``).
        allow_calibrated: Whether ``calibrated(...)`` may be used (in ``Derived`` only).
        expected: Family the result must have, such as ``"bool"`` for a ``where``.

    Raises:
        ExpressionError: it does not parse, uses something not on the allow list, an unknown column or a wrong type.
    """
    # Each opening of a store checks all its expressions again: parsed once, they are looked up.
    check = _checked if isinstance(text, str) else _checked.__wrapped__
    return check(text, tuple(types.items()), allow_calibrated, expected, "UTC")


@lru_cache(maxsize=4096)
def _checked(
    text: str, types: tuple[tuple[str, str], ...], allow_calibrated: bool, expected: str | None, timezone: str
) -> Expression:
    import sqlglot
    from sqlglot.errors import SqlglotError

    families = {column: FAMILY_OF_TYPE[kind] for column, kind in types}
    scope = Scope(text, families, _RULES, tuple(sorted(FUNCTIONS)), allow_calibrated, timezone)
    if not isinstance(text, str) or not text.strip():
        raise scope.fail("it is empty. Write a SQL expression over the columns.")
    try:
        trees = sqlglot.parse(text, read="duckdb")
        if len(trees) != 1 or trees[0] is None:
            raise scope.fail("it must be one expression.")
        sql, family = render(trees[0], scope)
    except SqlglotError as error:
        raise scope.fail(f"it cannot be parsed ({str(error).splitlines()[0]}).") from error
    except RecursionError:
        raise ExpressionError(
            f"The expression {text[:60]!r}... is nested too deeply. Split it into several features."
        ) from None
    if expected and family not in (expected, "null"):
        raise scope.fail(f"it gives a {family}, expected a {expected}.")
    return Expression(text, sql, family, frozenset(scope.columns), tuple(scope.calibrated), types, allow_calibrated)


def columns_in(text: str) -> frozenset[str]:
    """Name the columns that an expression mentions, with what stands before a point: ``items.price``.

    Raises:
        ExpressionError: it cannot be parsed.

    >>> sorted(columns_in("items.price * quantity"))
    ['items.price', 'quantity']
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        trees = sqlglot.parse(text, read="duckdb")
    except (SqlglotError, RecursionError) as error:
        raise ExpressionError(f"In the expression {text!r}: it cannot be parsed ({str(error).splitlines()[0]}).") from error
    return frozenset(
        f"{node.table}.{node.name}" if node.table else node.name
        for tree in trees
        if tree is not None
        for node in tree.find_all(exp.Column)
    )
