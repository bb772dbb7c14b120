"""The functions that an expression may call, each with the families of its arguments and the family of its result."""

from __future__ import annotations

from typing import Any

from featurestore.errors import did_you_mean
from featurestore.spec.grammar import DAYS_AND_LONGER, UNITS, CalibratedUse, Rendered, Rule, Scope, operand, render
from featurestore.spec.wall_clock import placed, shown

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
# What reads the clock of the store's zone.
_ON_THE_CLOCK = ("hour",)
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


def _date_diff(node: Any, scope: Scope) -> Rendered:
    unit = node.args["unit"].name.upper() if node.args.get("unit") else ""
    if unit not in UNITS:
        raise scope.fail(f"date_diff takes one of {', '.join(UNITS)}, then two timestamps.")
    sides = [render(part, scope) for part in (node.expression, node.this)]
    for sql, family in sides:
        if family not in ("timestamp", "date", "null"):
            raise scope.fail(f"{sql} is a {family}, expected a timestamp or date.")
    if scope.timezone == "UTC" or {family for _, family in sides} <= {"date", "null"}:
        start, end = (sql for sql, _ in sides)
    elif unit in DAYS_AND_LONGER:
        start, end = (shown(sql, scope.timezone) if family == "timestamp" else sql for sql, family in sides)
    else:
        start, end = (placed(sql, scope.timezone) if family == "date" else sql for sql, family in sides)
    return f"date_diff('{unit.lower()}', {start}, {end})", "number"


def _function(name: str, arguments: list[Any], scope: Scope) -> Rendered:
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
    sql = [operand(argument, scope, family) for argument, family in zip(arguments, wanted, strict=True)]
    if name in _ON_THE_CLOCK:
        sql = [shown(argument, scope.timezone) for argument in sql]
    if name in _MACROS:
        return f"({_MACROS[name].format(*sql)})", result
    return f"{name}({', '.join(sql)})", result


def _anonymous(node: Any, scope: Scope) -> Rendered:
    name = str(node.this).lower()
    return _calibrated(node.expressions, scope) if name == "calibrated" else _function(name, node.expressions, scope)


def _calibrated(arguments: list[Any], scope: Scope) -> Rendered:
    if not scope.allow_calibrated:
        raise scope.fail("calibrated(...) is read at retrieval and belongs in a Derived, not in a where.")
    path = arguments[0].this.split(".") if arguments and getattr(arguments[0], "is_string", False) else []
    keyed = len(arguments) == 2 and type(arguments[1]).__name__ == "EQ" and arguments[1].this.name == "by"
    if len(path) != 2 or not all(part.isidentifier() for part in path) or not (len(arguments) == 1 or keyed):
        raise scope.fail("write calibrated('calibration.parameter') or calibrated('calibration.parameter', by = column).")
    by_sql = operand(arguments[1].expression, scope, "string", "number") if keyed else None
    for use in scope.calibrated:
        if (use.calibration, use.parameter, use.by_sql) == (path[0], path[1], by_sql):
            return f'"{use.column}"', "number"
    use = CalibratedUse(path[0], path[1], by_sql, f"calibrated__{path[0]}__{path[1]}__{len(scope.calibrated)}")
    scope.calibrated.append(use)
    return f'"{use.column}"', "number"


def _rule(name: str, *parts: str, ignored: tuple[str, ...] = ()) -> Rule:
    """Make the rule of a function that sqlglot knows as a node of its own; ``parts`` are its arguments in order."""

    def write(node: Any, scope: Scope) -> Rendered:
        arguments: list[Any] = []
        for part in parts:
            value = node.args.get(part)
            arguments.extend(value if isinstance(value, list) else [] if value is None else [value])
        return _function(name, arguments, scope)

    return Rule(write, (*parts, *ignored))


FUNCTION_RULES: dict[str, Rule] = {
    "Abs": _rule("abs", "this"),
    "Ceil": _rule("ceil", "this"),
    "DateDiff": Rule(_date_diff, ("this", "expression", "unit", "date_part_boundary")),
    "Exp": _rule("exp", "this"),
    "Floor": _rule("floor", "this"),
    "Greatest": _rule("greatest", "this", "expressions", ignored=("ignore_nulls",)),
    "Hour": _rule("hour", "this"),
    "Least": _rule("least", "this", "expressions", ignored=("ignore_nulls",)),
    "Length": _rule("length", "this"),
    "Ln": _rule("ln", "this"),
    "Lower": _rule("lower", "this"),
    "Pow": _rule("power", "this", "expression"),
    "Round": _rule("round", "this", "decimals"),
    "Sqrt": _rule("sqrt", "this"),
    "StartsWith": _rule("starts_with", "this", "expression"),
    "Upper": _rule("upper", "this"),
    "Anonymous": Rule(_anonymous, ("this", "expressions")),
}
