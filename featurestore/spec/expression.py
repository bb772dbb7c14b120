"""Expressions of users: parsed to a syntax tree, checked, and rendered again from the tree.

``where`` and ``Derived`` take SQL text. Nothing of that text reaches an engine: ``parse`` walks sqlglot's tree through
``_RULES``, one function per kind of node, and each writes its own SQL from quoted names, numbers and escaped strings. A node
without a rule (a subquery, a star, a file function, a statement) is refused, and so is a column that the source does not
have, an operand of the wrong family, or a part of a node that its rule does not write (``_PARTS``).

Conditions and features must not fail on one odd row: a division by zero, the logarithm of a negative number and the like are
NULL. ``CAST`` of a text that is no number does fail, ``TRY_CAST`` gives NULL. Numbers with a fraction are doubles.

Families: ``number``, ``string``, ``bool``, ``timestamp``, ``date``, ``interval``, ``profile`` and ``null`` (fits anywhere).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from featurestore.errors import ExpressionError, did_you_mean
from featurestore.timeline import UTC

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
_CASTS = {"BIGINT": "number", "INT": "number", "DOUBLE": "number", "VARCHAR": "string", "TEXT": "string", "DATE": "date"}
_UNITS = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "YEAR")
_N, _S, _T = "number", "string", "timestamp"
# name: (families of the arguments, family of the result); "..." repeats the family before it
FUNCTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "abs": ((_N,), _N),
    "ceil": ((_N,), _N),
    "exp": ((_N,), _N),
    "floor": ((_N,), _N),
    "greatest": ((_N, "..."), _N),
    "hour": ((_T,), _N),
    "least": ((_N, "..."), _N),
    "length": ((_S,), _N),
    "ln": ((_N,), _N),
    "lower": ((_S,), _S),
    "power": ((_N, _N), _N),
    "round": ((_N, _N), _N),
    "sqrt": ((_N,), _N),
    "starts_with": ((_S, _S), "bool"),
    "upper": ((_S,), _S),
    "last_bucket_at_least": (("profile", "profile", _N), _N),
    "profile_sum": (("profile",), _N),
}
_MACROS = {
    "ln": "ln(CASE WHEN {0} > 0 THEN {0} END)",
    "sqrt": "sqrt(CASE WHEN {0} >= 0 THEN {0} END)",
    # The last bucket whose share part/whole reaches the bound; buckets count from 0; NULL when none does.
    "last_bucket_at_least": (
        "list_max(list_filter(range(len({0})), "
        "lambda bucket__: ({1})[bucket__ + 1] > 0 AND ({0})[bucket__ + 1] >= ({2}) * ({1})[bucket__ + 1]))"
    ),
    "profile_sum": "list_sum({0})",
}


@dataclass(frozen=True)
class CalibratedUse:
    """One ``calibrated('calibration.parameter', by = key)`` inside an expression.

    ``column`` is the name under which the retrieval must provide the parameter; ``by_sql`` is NULL without ``by``.
    """

    calibration: str
    parameter: str
    by_sql: str | None
    column: str


@dataclass(frozen=True)
class Expression:
    """A checked expression, ready to be placed into a DuckDB query over its columns."""

    text: str
    sql: str
    family: str
    columns: frozenset[str]
    calibrated: tuple[CalibratedUse, ...] = ()


@dataclass
class _Scope:
    text: str
    families: Mapping[str, str]
    allow_calibrated: bool
    columns: set[str] = field(default_factory=set)
    calibrated: list[CalibratedUse] = field(default_factory=list)

    def fail(self, problem: str) -> ExpressionError:
        return ExpressionError(f"In the expression {self.text!r}: {problem}")


_Rendered = tuple[str, str]


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
    import sqlglot
    from sqlglot.errors import SqlglotError

    scope = _Scope(text, {column: FAMILY_OF_TYPE[kind] for column, kind in types.items()}, allow_calibrated)
    if not isinstance(text, str) or not text.strip():
        raise scope.fail("it is empty. Write a SQL expression over the columns.")
    try:
        trees = sqlglot.parse(text, read="duckdb")
        if len(trees) != 1 or trees[0] is None:
            raise scope.fail("it must be one expression.")
        sql, family = _render(trees[0], scope)
    except SqlglotError as error:
        raise scope.fail(f"it cannot be parsed ({str(error).splitlines()[0]}).") from error
    except RecursionError:
        raise ExpressionError(
            f"The expression {text[:60]!r}... is nested too deeply. Split it into several features."
        ) from None
    if expected and family not in (expected, "null"):
        raise scope.fail(f"it gives a {family}, expected a {expected}.")
    return Expression(text, sql, family, frozenset(scope.columns), tuple(scope.calibrated))


def _render(node: Any, scope: _Scope) -> _Rendered:
    rule = _RULES.get(type(node).__name__)
    if rule is None:
        raise scope.fail(
            f"{node.sql(dialect='duckdb', comments=False)!r} is not allowed here; "
            f"use columns, literals, operators, CASE and the functions {', '.join(sorted(FUNCTIONS))}."
        )
    kind = type(node).__name__
    for part, value in node.args.items():
        if value and part not in _PARTS.get(kind, ("this", "expression")):
            raise scope.fail(f"{part!r} is not allowed in {node.sql(dialect='duckdb', comments=False)!r}.")
    return rule(node, scope)


def _operand(node: Any, scope: _Scope, *families: str) -> str:
    sql, family = _render(node, scope)
    if family not in (*families, "null"):
        raise scope.fail(f"{sql} is a {family}, expected a {' or '.join(families)}.")
    return sql


def _column(node: Any, scope: _Scope) -> _Rendered:
    if node.args.get("table") or node.args.get("db"):
        raise scope.fail(f"{node.sql()!r} has a table before the column; use the column alone.")
    if node.name not in scope.families:
        raise scope.fail(f"there is no column {node.name!r}.{did_you_mean(node.name, scope.families)}")
    scope.columns.add(node.name)
    return '"' + node.name.replace('"', '""') + '"', scope.families[node.name]


def _literal(node: Any, scope: _Scope) -> _Rendered:
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


def _binary(symbol: str, families: tuple[str, ...], result: str) -> Callable[[Any, _Scope], _Rendered]:
    def render(node: Any, scope: _Scope) -> _Rendered:
        left, right = _operand(node.this, scope, *families), _operand(node.expression, scope, *families)
        return f"({left} {symbol} {right})", result

    return render


def _divide(symbol: str) -> Callable[[Any, _Scope], _Rendered]:
    def render(node: Any, scope: _Scope) -> _Rendered:
        left, right = _operand(node.this, scope, "number"), _operand(node.expression, scope, "number")
        return f"({left} {symbol} nullif({right}, 0))", "number"

    return render


def _like(symbol: str) -> Callable[[Any, _Scope], _Rendered]:
    def render(node: Any, scope: _Scope) -> _Rendered:
        left, right = _operand(node.this, scope, "string"), _operand(node.expression, scope, "string")
        return f"({left} {'NOT ' if node.args.get('negate') else ''}{symbol} {right})", "bool"

    return render


def _shift(symbol: str) -> Callable[[Any, _Scope], _Rendered]:
    """Plus and minus: of numbers, or of a timestamp and an interval."""

    def render(node: Any, scope: _Scope) -> _Rendered:
        left, family = _render(node.this, scope)
        if family == "timestamp":
            return f"({left} {symbol} {_operand(node.expression, scope, 'interval')})", "timestamp"
        if family not in ("number", "null"):
            raise scope.fail(f"{left} is a {family}; {symbol} takes numbers, or a timestamp and an interval.")
        return f"({left} {symbol} {_operand(node.expression, scope, 'number')})", "number"

    return render


def _compare(symbol: str) -> Callable[[Any, _Scope], _Rendered]:
    def render(node: Any, scope: _Scope) -> _Rendered:
        left, right = _alike([node.this, node.expression], scope)
        return f"({left} {symbol} {right})", "bool"

    return render


def _alike(nodes: list[Any], scope: _Scope) -> list[str]:
    """Render operands that are compared with each other: one family, or a string literal as a timestamp."""
    rendered = [_render(node, scope) for node in nodes]
    families = {family for _, family in rendered} - {"null"}
    if families in ({"timestamp", "string"}, {"date", "string"}):
        kind = "timestamp" if "timestamp" in families else "date"
        pairs = zip(nodes, rendered, strict=True)
        return [_moment(node, kind, scope) if family == "string" else sql for node, (sql, family) in pairs]
    if len(families) > 1 or "profile" in families:
        raise scope.fail(f"{' and '.join(sql for sql, _ in rendered)} cannot be compared: {' and '.join(sorted(families))}.")
    return [sql for sql, _ in rendered]


def _moment(node: Any, kind: str, scope: _Scope) -> str:
    """Render a string literal as a timestamp (UTC without a zone) or a date; ISO only, so no 'now' and no 'today'."""
    text = node.this if type(node).__name__ == "Literal" and node.is_string else ""
    try:
        if kind == "date":
            return f"DATE '{date.fromisoformat(text).isoformat()}'"
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise scope.fail(
            f"{node.sql(dialect='duckdb')} is no {kind}; compare with a {kind} column or a literal such as '2024-01-31'."
        ) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"TIMESTAMPTZ '{aware.astimezone(UTC).isoformat(sep=' ')}'"


def _in(node: Any, scope: _Scope) -> _Rendered:
    if not node.args.get("expressions") or any(node.args.get(part) for part in ("query", "unnest", "field")):
        raise scope.fail("IN takes a list of values, no subquery.")
    subject, *values = _alike([node.this, *node.expressions], scope)
    return f"({subject} IN ({', '.join(values)}))", "bool"


def _between(node: Any, scope: _Scope) -> _Rendered:
    subject, low, high = _alike([node.this, node.args["low"], node.args["high"]], scope)
    return f"({subject} BETWEEN {low} AND {high})", "bool"


def _is(node: Any, scope: _Scope) -> _Rendered:
    right = type(node.expression).__name__
    if right == "Null":
        return f"({_render(node.this, scope)[0]} IS NULL)", "bool"
    if right == "Boolean":
        return f"({_operand(node.this, scope, 'bool')} IS {str(node.expression.this).upper()})", "bool"
    raise scope.fail("IS takes NULL, TRUE or FALSE.")


def _common(pairs: list[_Rendered], scope: _Scope) -> str:
    families = {family for _, family in pairs} - {"null"}
    if len(families) > 1:
        raise scope.fail(
            f"the branches {', '.join(sql for sql, _ in pairs)} have different types: {', '.join(sorted(families))}."
        )
    return families.pop() if families else "null"


def _case(node: Any, scope: _Scope) -> _Rendered:
    if node.this is not None:
        raise scope.fail("write CASE WHEN condition THEN value, without an operand behind CASE.")
    branches = [(_operand(branch.this, scope, "bool"), _render(branch.args["true"], scope)) for branch in node.args["ifs"]]
    default = _render(node.args["default"], scope) if node.args.get("default") else ("NULL", "null")
    family = _common([value for _, value in branches] + [default], scope)
    whens = " ".join(f"WHEN {condition} THEN {value}" for condition, (value, _) in branches)
    return f"(CASE {whens} ELSE {default[0]} END)", family


def _if(node: Any, scope: _Scope) -> _Rendered:
    condition = _operand(node.this, scope, "bool")
    yes = _render(node.args["true"], scope)
    no = _render(node.args["false"], scope) if node.args.get("false") else ("NULL", "null")
    return f"(CASE WHEN {condition} THEN {yes[0]} ELSE {no[0]} END)", _common([yes, no], scope)


def _coalesce(node: Any, scope: _Scope) -> _Rendered:
    values = [_render(value, scope) for value in (node.this, *node.expressions)]
    return f"coalesce({', '.join(sql for sql, _ in values)})", _common(values, scope)


def _nullif(node: Any, scope: _Scope) -> _Rendered:
    value, family = _render(node.this, scope)
    return f"nullif({value}, {_alike([node.this, node.expression], scope)[1]})", family


def _cast(node: Any, scope: _Scope) -> _Rendered:
    kind = node.args["to"].sql(dialect="duckdb").upper()
    if kind in ("TIMESTAMP", "TIMESTAMPTZ") and type(node.this).__name__ == "Literal":
        return _moment(node.this, "timestamp", scope), "timestamp"
    if kind not in _CASTS:
        raise scope.fail(f"CAST to {kind} is not allowed; use {', '.join(_CASTS)}.")
    cast = "TRY_CAST" if node.args.get("safe") else "CAST"
    return f"{cast}({_operand(node.this, scope, 'number', 'string', 'bool', 'date')} AS {kind})", _CASTS[kind]


def _interval(node: Any, scope: _Scope) -> _Rendered:
    unit = node.args["unit"].name.upper().removesuffix("S") if node.args.get("unit") else ""
    amount = node.this.this if type(node.this).__name__ == "Literal" else ""
    if unit not in _UNITS or not str(amount).isdigit():
        raise scope.fail("write an interval as INTERVAL 45 DAY.")
    return f"INTERVAL '{int(amount)}' {unit}", "interval"


def _date_diff(node: Any, scope: _Scope) -> _Rendered:
    unit = node.args["unit"].name.upper() if node.args.get("unit") else ""
    if unit not in _UNITS:
        raise scope.fail(f"date_diff takes one of {', '.join(_UNITS)}, then two timestamps.")
    start, end = (_operand(part, scope, "timestamp", "date") for part in (node.expression, node.this))
    return f"date_diff('{unit.lower()}', {start}, {end})", "number"


def _function(name: str, arguments: list[Any], scope: _Scope) -> _Rendered:
    if name not in FUNCTIONS:
        raise scope.fail(f"the function {name!r} is not allowed.{did_you_mean(name, FUNCTIONS)}")
    families, result = FUNCTIONS[name]
    wanted = list(families)
    if wanted[-1] == "...":
        wanted = [wanted[0]] * max(len(arguments), 2)
    elif name == "round" and len(arguments) == 1:
        wanted = wanted[:1]
    if len(arguments) != len(wanted):
        raise scope.fail(f"{name} takes {len(wanted)} arguments, not {len(arguments)}.")
    sql = [_operand(argument, scope, family) for argument, family in zip(arguments, wanted, strict=True)]
    if name in _MACROS:
        return f"({_MACROS[name].format(*sql)})", result
    return f"{name}({', '.join(sql)})", result


def _named(name: str, *parts: str) -> Callable[[Any, _Scope], _Rendered]:
    """A function that sqlglot knows as a node of its own; ``parts`` are its arguments in order."""

    def render(node: Any, scope: _Scope) -> _Rendered:
        arguments: list[Any] = []
        for part in parts:
            value = node.args.get(part)
            arguments.extend(value if isinstance(value, list) else [] if value is None else [value])
        return _function(name, arguments, scope)

    return render


def _anonymous(node: Any, scope: _Scope) -> _Rendered:
    name = str(node.this).lower()
    return _calibrated(node.expressions, scope) if name == "calibrated" else _function(name, node.expressions, scope)


def _calibrated(arguments: list[Any], scope: _Scope) -> _Rendered:
    if not scope.allow_calibrated:
        raise scope.fail("calibrated(...) is read at retrieval and belongs in a Derived, not in a where.")
    path = arguments[0].this.split(".") if arguments and getattr(arguments[0], "is_string", False) else []
    keyed = len(arguments) == 2 and type(arguments[1]).__name__ == "EQ" and arguments[1].this.name == "by"
    if len(path) != 2 or not all(part.isidentifier() for part in path) or not (len(arguments) == 1 or keyed):
        raise scope.fail("write calibrated('calibration.parameter') or calibrated('calibration.parameter', by = column).")
    by_sql = _operand(arguments[1].expression, scope, "string", "number") if keyed else None
    for use in scope.calibrated:
        if (use.calibration, use.parameter, use.by_sql) == (path[0], path[1], by_sql):
            return f'"{use.column}"', "number"
    use = CalibratedUse(path[0], path[1], by_sql, f"calibrated__{path[0]}__{path[1]}__{len(scope.calibrated)}")
    scope.calibrated.append(use)
    return f'"{use.column}"', "number"


_RULES: dict[str, Callable[[Any, _Scope], _Rendered]] = {
    "Column": _column,
    "Literal": _literal,
    "Boolean": lambda node, scope: (str(node.this).upper(), "bool"),
    "Null": lambda node, scope: ("NULL", "null"),
    "Paren": lambda node, scope: _render(node.this, scope),
    "And": _binary("AND", ("bool",), "bool"),
    "Or": _binary("OR", ("bool",), "bool"),
    "Not": lambda node, scope: (f"(NOT {_operand(node.this, scope, 'bool')})", "bool"),
    "Neg": lambda node, scope: (f"(-{_operand(node.this, scope, 'number')})", "number"),
    "Add": _shift("+"),
    "Sub": _shift("-"),
    "Mul": _binary("*", ("number",), "number"),
    "Div": _divide("/"),
    "IntDiv": _divide("//"),
    "Mod": _divide("%"),
    "EQ": _compare("="),
    "NEQ": _compare("<>"),
    "LT": _compare("<"),
    "LTE": _compare("<="),
    "GT": _compare(">"),
    "GTE": _compare(">="),
    "Like": _like("LIKE"),
    "ILike": _like("ILIKE"),
    "In": _in,
    "Between": _between,
    "Is": _is,
    "Case": _case,
    "If": _if,
    "Coalesce": _coalesce,
    "Nullif": _nullif,
    "Cast": _cast,
    "TryCast": _cast,
    "Interval": _interval,
    "DateDiff": _date_diff,
    "Abs": _named("abs", "this"),
    "Ceil": _named("ceil", "this"),
    "Exp": _named("exp", "this"),
    "Floor": _named("floor", "this"),
    "Greatest": _named("greatest", "this", "expressions"),
    "Hour": _named("hour", "this"),
    "Least": _named("least", "this", "expressions"),
    "Length": _named("length", "this"),
    "Ln": _named("ln", "this"),
    "Lower": _named("lower", "this"),
    "Pow": _named("power", "this", "expression"),
    "Round": _named("round", "this", "decimals"),
    "Sqrt": _named("sqrt", "this"),
    "StartsWith": _named("starts_with", "this", "expression"),
    "Upper": _named("upper", "this"),
    "Anonymous": _anonymous,
}

# The parts of each node that its rule writes or checks; most have only ``this`` and ``expression``.
_PARTS: dict[str, tuple[str, ...]] = {
    "Column": ("this", "table", "db"),
    "Literal": ("this", "is_string"),
    "Div": ("this", "expression", "typed", "safe"),
    "Like": ("this", "expression", "negate"),
    "ILike": ("this", "expression", "negate"),
    "In": ("this", "expressions", "query", "unnest", "field"),
    "Between": ("this", "low", "high"),
    "Case": ("this", "ifs", "default"),
    "If": ("this", "true", "false"),
    "Coalesce": ("this", "expressions", "is_nvl", "is_null"),
    "Cast": ("this", "to"),
    "TryCast": ("this", "to", "safe"),
    "Interval": ("this", "unit"),
    "DateDiff": ("this", "expression", "unit", "date_part_boundary"),
    "Greatest": ("this", "expressions", "ignore_nulls"),
    "Least": ("this", "expressions", "ignore_nulls"),
    "Round": ("this", "decimals"),
    "Anonymous": ("this", "expressions"),
}
