"""Operators, literals, CASE and CAST of expressions: the rule of each, writing its own SQL from checked parts."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

from featurestore.errors import did_you_mean
from featurestore.spec.grammar import (
    DAYS_AND_LONGER,
    UNITS,
    Render,
    Rendered,
    Rule,
    Scope,
    operand,
    render,
    source_text,
)
from featurestore.spec.wall_clock import moment_literal, placed, shown

_CASTS = {"BIGINT": "number", "INT": "number", "DOUBLE": "number", "VARCHAR": "string", "TEXT": "string", "DATE": "date"}


def _column(node: Any, scope: Scope) -> Rendered:
    name = f"{node.table}.{node.name}" if node.args.get("table") else node.name  # as mappings tell files apart
    if (node.args.get("table") and name not in scope.families) or node.args.get("db"):
        raise scope.fail(f"{node.sql()!r} has a table before the column; use the column alone.")
    if name not in scope.families:
        raise scope.fail(f"there is no column {name!r}.{did_you_mean(name, scope.families)}")
    scope.columns.add(name)
    return '"' + name.replace('"', '""') + '"', scope.families[name]


def _literal(node: Any, scope: Scope) -> Rendered:
    if node.is_string:
        return "'" + node.this.replace("'", "''") + "'", "string"
    value = float(node.this)
    if not math.isfinite(value):
        raise scope.fail(f"the number {node.this} is too large.")
    if node.this.isdigit():
        return str(int(node.this)), "number"
    text = repr(value)
    # With an exponent DuckDB reads a double; without one a decimal, whose products soon have too many digits.
    return (text if "e" in text else f"{text}e0"), "number"


def _binary(symbol: str, families: tuple[str, ...], result: str) -> Render:
    def write(node: Any, scope: Scope) -> Rendered:
        left, right = operand(node.this, scope, *families), operand(node.expression, scope, *families)
        return f"({left} {symbol} {right})", result

    return write


def _divide(symbol: str) -> Render:
    def write(node: Any, scope: Scope) -> Rendered:
        left, right = operand(node.this, scope, "number"), operand(node.expression, scope, "number")
        return f"({left} {symbol} nullif({right}, 0))", "number"

    return write


def _like(symbol: str) -> Render:
    def write(node: Any, scope: Scope) -> Rendered:
        left, right = operand(node.this, scope, "string"), operand(node.expression, scope, "string")
        return f"({left} {'NOT ' if node.args.get('negate') else ''}{symbol} {right})", "bool"

    return write


def _shift(symbol: str) -> Render:
    """Write a plus or a minus: of numbers, or of a timestamp and an interval."""

    def write(node: Any, scope: Scope) -> Rendered:
        left, family = render(node.this, scope)
        if family == "timestamp":
            return _moved(left, symbol, node.expression, scope), "timestamp"
        if family not in ("number", "null"):
            raise scope.fail(f"{left} is a {family}; {symbol} takes numbers, or a timestamp and an interval.")
        return f"({left} {symbol} {operand(node.expression, scope, 'number')})", "number"

    return write


def _moved(instant: str, symbol: str, node: Any, scope: Scope) -> str:
    """Write an instant an interval earlier or later: days and longer by the wall clock, hours and shorter as time that passes."""
    interval = operand(node, scope, "interval")
    if scope.timezone == "UTC" or not interval.endswith(DAYS_AND_LONGER):
        return f"({instant} {symbol} {interval})"
    return placed(f"{shown(instant, scope.timezone)} {symbol} {interval}", scope.timezone)


def _compare(symbol: str) -> Render:
    def write(node: Any, scope: Scope) -> Rendered:
        left, right = _alike([node.this, node.expression], scope)
        return f"({left} {symbol} {right})", "bool"

    return write


def _alike(nodes: list[Any], scope: Scope) -> list[str]:
    """Write operands that are compared with each other: of one family, or moments.

    Beside a timestamp a date is its first instant, and a string literal a timestamp; beside a date alone it is a date.
    """
    rendered = [render(node, scope) for node in nodes]
    families = {family for _, family in rendered} - {"null"}
    if len(families) > 1 and families <= {"timestamp", "date", "string"}:
        kind = "timestamp" if "timestamp" in families else "date"
        return [_as_moment(node, each, kind, scope) for node, each in zip(nodes, rendered, strict=True)]
    if len(families) > 1 or "profile" in families:
        raise scope.fail(f"{' and '.join(sql for sql, _ in rendered)} cannot be compared: {' and '.join(sorted(families))}.")
    return [sql for sql, _ in rendered]


def _as_moment(node: Any, rendered: Rendered, kind: str, scope: Scope) -> str:
    sql, family = rendered
    if family == "string":
        return _moment(node, kind, scope)
    return placed(sql, scope.timezone) if family == "date" and kind == "timestamp" else sql


def _moment(node: Any, kind: str, scope: Scope) -> str:
    """Write a string literal as a timestamp or a date; ISO only, so no 'now' and no 'today'."""
    text = node.this if type(node).__name__ == "Literal" and node.is_string else ""
    try:
        return f"DATE '{date.fromisoformat(text).isoformat()}'" if kind == "date" else moment_literal(text, scope.timezone)
    except ValueError:
        raise scope.fail(
            f"{source_text(node)} is no {kind}; compare with a {kind} column or a literal such as '2024-01-31'."
        ) from None


def _in(node: Any, scope: Scope) -> Rendered:
    if not node.args.get("expressions") or any(node.args.get(part) for part in ("query", "unnest", "field")):
        raise scope.fail("IN takes a list of values, no subquery.")
    subject, *values = _alike([node.this, *node.expressions], scope)
    return f"({subject} IN ({', '.join(values)}))", "bool"


def _between(node: Any, scope: Scope) -> Rendered:
    subject, low, high = _alike([node.this, node.args["low"], node.args["high"]], scope)
    return f"({subject} BETWEEN {low} AND {high})", "bool"


def _is(node: Any, scope: Scope) -> Rendered:
    right = type(node.expression).__name__
    if right == "Null":
        return f"({render(node.this, scope)[0]} IS NULL)", "bool"
    if right == "Boolean":
        return f"({operand(node.this, scope, 'bool')} IS {str(node.expression.this).upper()})", "bool"
    raise scope.fail("IS takes NULL, TRUE or FALSE.")


def _common(pairs: list[Rendered], scope: Scope) -> str:
    families = {family for _, family in pairs} - {"null"}
    if len(families) > 1:
        raise scope.fail(
            f"the branches {', '.join(sql for sql, _ in pairs)} have different types: {', '.join(sorted(families))}."
        )
    return families.pop() if families else "null"


def _case(node: Any, scope: Scope) -> Rendered:
    if node.this is not None:
        raise scope.fail("write CASE WHEN condition THEN value, without an operand after CASE.")
    branches = [(operand(branch.this, scope, "bool"), render(branch.args["true"], scope)) for branch in node.args["ifs"]]
    default = render(node.args["default"], scope) if node.args.get("default") else ("NULL", "null")
    family = _common([value for _, value in branches] + [default], scope)
    whens = " ".join(f"WHEN {condition} THEN {value}" for condition, (value, _) in branches)
    return f"(CASE {whens} ELSE {default[0]} END)", family


def _if(node: Any, scope: Scope) -> Rendered:
    condition = operand(node.this, scope, "bool")
    yes = render(node.args["true"], scope)
    no = render(node.args["false"], scope) if node.args.get("false") else ("NULL", "null")
    return f"(CASE WHEN {condition} THEN {yes[0]} ELSE {no[0]} END)", _common([yes, no], scope)


def _coalesce(node: Any, scope: Scope) -> Rendered:
    values = [render(value, scope) for value in (node.this, *node.expressions)]
    return f"coalesce({', '.join(sql for sql, _ in values)})", _common(values, scope)


def _nullif(node: Any, scope: Scope) -> Rendered:
    value, family = render(node.this, scope)
    left, right = _alike([node.this, node.expression], scope)
    if family == "date" and left != value:
        raise scope.fail(f"nullif of the date {value} takes a date.")
    return f"nullif({value}, {right})", family


def _cast(node: Any, scope: Scope) -> Rendered:
    kind = node.args["to"].sql(dialect="duckdb").upper()
    if kind in ("TIMESTAMP", "TIMESTAMPTZ") and type(node.this).__name__ == "Literal":
        return _moment(node.this, "timestamp", scope), "timestamp"
    if kind not in _CASTS:
        raise scope.fail(f"CAST to {kind} is not allowed; use {', '.join(_CASTS)}.")
    cast = "TRY_CAST" if node.args.get("safe") else "CAST"
    if kind == "DATE":
        sql, family = render(node.this, scope)
        if family == "timestamp":
            return f"CAST({shown(sql, scope.timezone)} AS DATE)", "date"
    return f"{cast}({operand(node.this, scope, 'number', 'string', 'bool', 'date')} AS {kind})", _CASTS[kind]


def _interval(node: Any, scope: Scope) -> Rendered:
    unit = node.args["unit"].name.upper().removesuffix("S") if node.args.get("unit") else ""
    amount = node.this.this if type(node.this).__name__ == "Literal" else ""
    if unit not in UNITS or not str(amount).isdigit():
        raise scope.fail("write an interval as INTERVAL 45 DAY.")
    return f"INTERVAL '{int(amount)}' {unit}", "interval"


OPERATORS: dict[str, Rule] = {
    "Column": Rule(_column, ("this", "table", "db")),
    "Literal": Rule(_literal, ("this", "is_string")),
    "Boolean": Rule(lambda node, scope: (str(node.this).upper(), "bool")),
    "Null": Rule(lambda node, scope: ("NULL", "null")),
    "Paren": Rule(lambda node, scope: render(node.this, scope)),
    "And": Rule(_binary("AND", ("bool",), "bool")),
    "Or": Rule(_binary("OR", ("bool",), "bool")),
    "Not": Rule(lambda node, scope: (f"(NOT {operand(node.this, scope, 'bool')})", "bool")),
    "Neg": Rule(lambda node, scope: (f"(-{operand(node.this, scope, 'number')})", "number")),
    "Add": Rule(_shift("+")),
    "Sub": Rule(_shift("-")),
    "Mul": Rule(_binary("*", ("number",), "number")),
    "Div": Rule(_divide("/"), ("this", "expression", "typed", "safe")),
    "IntDiv": Rule(_divide("//")),
    "Mod": Rule(_divide("%")),
    "EQ": Rule(_compare("=")),
    "NEQ": Rule(_compare("<>")),
    "LT": Rule(_compare("<")),
    "LTE": Rule(_compare("<=")),
    "GT": Rule(_compare(">")),
    "GTE": Rule(_compare(">=")),
    "Like": Rule(_like("LIKE"), ("this", "expression", "negate")),
    "ILike": Rule(_like("ILIKE"), ("this", "expression", "negate")),
    "In": Rule(_in, ("this", "expressions", "query", "unnest", "field")),
    "Between": Rule(_between, ("this", "low", "high")),
    "Is": Rule(_is),
    "Case": Rule(_case, ("this", "ifs", "default")),
    "If": Rule(_if, ("this", "true", "false")),
    "Coalesce": Rule(_coalesce, ("this", "expressions", "is_nvl", "is_null")),
    "Nullif": Rule(_nullif),
    "Cast": Rule(_cast, ("this", "to")),
    "TryCast": Rule(_cast, ("this", "to", "safe")),
    "Interval": Rule(_interval, ("this", "unit")),
}
