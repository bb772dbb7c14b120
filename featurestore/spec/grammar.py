"""The grammar of expressions: what a rule for one kind of syntax node is, and how nodes are written by their rules.

A rule names the parts of its node that it writes; a node with any other part (the ESCAPE of a LIKE, a SYMMETRIC) is refused,
so nothing is dropped in silence. A rule returns SQL and its family: ``number``, ``string``, ``bool``, ``timestamp``, ``date``,
``interval``, ``profile`` or ``null`` (fits anywhere).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from featurestore.errors import ExpressionError

UNITS = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "YEAR")
DAYS_AND_LONGER = UNITS[5:]
"""Units that are counted by the wall clock of the store's zone; the others are time that passes, from the epoch."""

Rendered: TypeAlias = tuple[str, str]
Render: TypeAlias = "Callable[[Any, Scope], Rendered]"


@dataclass(frozen=True)
class Rule:
    """How one kind of node is written, and which of its parts that covers."""

    write: Render
    parts: tuple[str, ...] = ("this", "expression")


@dataclass(frozen=True)
class CalibratedUse:
    """One ``calibrated('calibration.parameter', by = key)`` inside an expression.

    ``column`` is the name under which the retrieval must provide the parameter; ``by_sql`` is NULL without ``by``.
    """

    calibration: str
    parameter: str
    by_sql: str | None
    column: str


@dataclass
class Scope:
    """What the nodes of one expression may use (``families``: column to family), and what they have used.

    ``timezone`` is the zone of clocks, days and times that name none.
    """

    text: str
    families: Mapping[str, str]
    rules: Mapping[str, Rule]
    functions: tuple[str, ...]
    allow_calibrated: bool
    timezone: str = "UTC"
    columns: set[str] = field(default_factory=set)
    calibrated: list[CalibratedUse] = field(default_factory=list)

    def fail(self, problem: str) -> ExpressionError:
        """Return an error that names the expression."""
        return ExpressionError(f"In the expression {self.text!r}: {problem}")


def render(node: Any, scope: Scope) -> Rendered:
    """Write a node by its rule.

    Raises:
        ExpressionError: it has no rule, or a part that its rule does not write.
    """
    rule = scope.rules.get(type(node).__name__)
    if rule is None:
        raise scope.fail(
            f"{source_text(node)!r} is not allowed here; use columns, literals, operators, CASE and the functions "
            f"{', '.join(scope.functions)}."
        )
    for part, value in node.args.items():
        if value and part not in rule.parts:
            raise scope.fail(f"{part!r} is not allowed in {source_text(node)!r}.")
    return rule.write(node, scope)


def operand(node: Any, scope: Scope, *families: str) -> str:
    """Write a node that must be of one of some families, or NULL."""
    sql, family = render(node, scope)
    if family not in (*families, "null"):
        raise scope.fail(f"{sql} is a {family}, expected a {' or '.join(families)}.")
    return sql


def source_text(node: Any) -> str:
    """Return a node as its user might have written it, for errors."""
    return str(node.sql(dialect="duckdb", comments=False))
