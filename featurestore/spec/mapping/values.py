"""Values of a mapping: what a column of an event is made of, and when the event happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from featurestore.spec.mapping.place import Place, Scalar

QUARANTINE, NULL, KEEP = "quarantine", "null", "keep"
UNITS_US = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
"""Units of time, in microseconds."""
EPOCH_UNITS = ("s", "ms", "us")
_KEYS = ("column", "expression", "constant", "strip", "map", "on_unknown", "default", "unit", "format", "assume_year")
_CUMULATED_KEYS = ("anchor", "cumulate", "unit", "by", "order", "plus")


@dataclass(frozen=True)
class Value:
    """What one column of an event is made of: columns of the files, an expression, or a constant.

    Args:
        at: Its way in the mapping's document.
        columns: Columns that are copied; of several the texts, with a blank between.
        expression: A checked expression over columns, or ``None``.
        constant: The same for all events, where there are no columns and no expression.
        strip: Text that is cut off at the end.
        map: Text to what it becomes; ``None``: it stays.
        on_unknown: What becomes of a row whose text the map does not have.
        default: What stands in place of NULL.
        unit: A number of these since 1970 UTC is meant.
        formats: How the text of a time is written, in the words of ``strptime``.
        assume_year: Year of a time that is written without one.
    """

    at: str
    columns: tuple[str, ...] = ()
    expression: str | None = None
    constant: Scalar = None
    strip: str | None = None
    map: tuple[tuple[str, Scalar], ...] | None = None
    on_unknown: str = QUARANTINE
    default: Scalar = None
    unit: str | None = None
    formats: tuple[str, ...] = ()
    assume_year: int | None = None

    @property
    def is_copy(self) -> bool:
        """Whether it is one column as it is."""
        return len(self.columns) == 1 and not self.formats and self.unit is None and self.strip is None and self.map is None

    @property
    def is_constant(self) -> bool:
        """Whether it reads nothing."""
        return not self.columns and self.expression is None


@dataclass(frozen=True)
class Cumulated:
    """A time that is told by what passed since the one before: ``anchor`` plus the sum of all so far, as a wall clock.

    Args:
        at: Its way in the mapping's document.
        anchor: Wall clock of the beginning.
        column: What passed since the row before; NULL is nothing.
        unit: Unit of that.
        by: Columns whose rows are added up together.
        order: Column, a number, that orders them.
        plus: Columns that are added to the sum, each with its unit, such as the hour of the day.
    """

    at: str
    anchor: datetime
    column: str
    unit: str
    by: tuple[str, ...]
    order: str
    plus: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it reads."""
        return (self.column, *self.by, self.order, *(column for column, _ in self.plus))


def value_of(place: Place) -> Value:
    """Read a value: the name of a column, or a table that says more.

    Raises:
        DefinitionError: it is neither, or contradicts itself.
    """
    if isinstance(place.value, str):
        return Value(place.path, (place.text(),))
    found = place.keys(_KEYS)
    made_of = [key for key in ("column", "expression", "constant") if key in found]
    if len(made_of) != 1:
        raise place.fail(f"it is made of {' and '.join(made_of) or 'nothing'}; say one of column, expression and constant.")
    if made_of != ["column"]:
        extra = next((key for key in found if key not in (made_of[0], "default", "map", "on_unknown")), None)
        if extra is not None or (made_of == ["constant"] and len(found) > 1):
            raise place.fail(f"{extra or 'more'!r} does not go with {made_of[0]}; it is of columns.")
    if "on_unknown" in found and "map" not in found:
        raise found["on_unknown"].fail("there is no map that could not know a value. Leave it out, or say map.")
    formats = found["format"].texts() if "format" in found else ()
    if "assume_year" in found and not formats:
        raise found["assume_year"].fail("say how the rest is written: format: '%m-%d %H:%M:%S'.")
    if formats and "unit" in found:
        raise found["unit"].fail("a time is a number (unit) or a text (format), not both.")
    return Value(
        place.path,
        found["column"].texts() if "column" in found else (),
        found["expression"].text() if "expression" in found else None,
        found["constant"].scalar() if "constant" in found else None,
        strip=found["strip"].text() if "strip" in found else None,
        map=_map(found["map"]) if "map" in found else None,
        on_unknown=found["on_unknown"].word((QUARANTINE, NULL, KEEP)) if "on_unknown" in found else QUARANTINE,
        default=found["default"].scalar() if "default" in found else None,
        unit=found["unit"].word(EPOCH_UNITS) if "unit" in found else None,
        formats=formats,
        assume_year=found["assume_year"].whole(least=1) if "assume_year" in found else None,
    )


def time_of(place: Place) -> Value | Cumulated:
    """Read when an event happened: as any value, or cumulated.

    Raises:
        DefinitionError: it is neither, or contradicts itself.
    """
    if not isinstance(place.value, dict) or not ({"cumulate", "anchor"} & set(place.value)):
        value = value_of(place)
        if value.map is not None or (value.is_constant and value.constant is None):
            raise place.fail("a time has no map, and is not nothing.")
        return value
    found = place.keys(_CUMULATED_KEYS, required=("anchor", "cumulate", "unit", "by", "order"))
    anchor = found["anchor"].text()
    try:
        moment = datetime.fromisoformat(anchor)
    except ValueError:
        raise found["anchor"].fail(f"{anchor!r} is no day or time such as 2015-01-01.") from None
    if moment.tzinfo is not None:
        raise found["anchor"].fail(
            f"{anchor!r} names a zone; it is a wall clock in the mapping's timezone. Leave the zone out."
        )
    return Cumulated(
        place.path,
        moment,
        found["cumulate"].text(),
        found["unit"].word(tuple(UNITS_US)),
        found["by"].texts(),
        found["order"].text(),
        tuple(_plus(item) for item in _listed(found["plus"])) if "plus" in found else (),
    )


def _listed(place: Place) -> Sequence[Place]:
    return place.items() if isinstance(place.value, list | tuple) else [place]


def _plus(place: Place) -> tuple[str, str]:
    found = place.keys(("column", "unit"), required=("column", "unit"))
    return found["column"].text(), found["unit"].word(tuple(UNITS_US))


def _map(place: Place) -> tuple[tuple[str, Scalar], ...]:
    entries = tuple((key, item.scalar()) for key, item in place.entries().items())
    if not entries:
        raise place.fail("the map is empty.")
    return entries
