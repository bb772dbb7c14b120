"""Exact sums of numbers that leave 64 bits: a number is several int64 sums, the weight of each 2^32 times that of the one before.

Integers are taken as they are. A double x is first rounded to k = round(x * 2^bits), which must fit 95 bits, or 159 where bits
are more than 60: with 64, the usual, every double up to 2^62 fits, and no total of such leaves its limbs. Integer sums are
exact and independent of order and batch, and the difference of two running totals cannot lose a small window beside a large
history, as a running double would.

The sums of one tile are split so that every limb but the highest stays below 2^34; so totals of 2^29 tile rows fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.forms.measure import Measure, RowSql, counting, sum_measure
from featurestore.compute.wide import DIGIT_BITS, Wide
from featurestore.lake.session import quote
from featurestore.spec.aggregations import Aggregation
from featurestore.spec.document import digest

_MASK = 2**DIGIT_BITS - 1
# Stores have recorded resolutions up to this one, whose totals lie in two columns.
TWO_DIGITS_UP_TO = 60


@dataclass(frozen=True)
class Number:
    """A number column of the rows that count, as SQL.

    Args:
        name: The column.
        kind: Its type: ``int32``, ``int64`` or ``double``.
        condition: Which rows count; the column is not NULL there.
        resolution_bits: Doubles are counted in units of ``2 ** -resolution_bits``.
    """

    name: str
    kind: str
    condition: str
    resolution_bits: int

    @property
    def exponent(self) -> int:
        """Sums of the column count units of ``2 ** exponent``."""
        return -self.resolution_bits if self.kind == "double" else 0

    @property
    def prepared(self) -> tuple[tuple[str, str], ...]:
        """Columns computed first, NULL where a row does not count.

        Of a double its whole number of units, and this in two or four parts, each of its sign; of an integer itself, unless
        every value of it counts. Every step is exact: a double times a power of two, its whole part, and what is left of it. A
        number of too many bits raises in the cast of its highest part.
        """
        if self.kind != "double":
            counted = counting(quote(self.name), self.condition)
            return () if counted == quote(self.name) else ((self._counted, counted),)
        scaled = f"round({quote(self.name)} * {2.0**self.resolution_bits!r})"
        units = (self._part("whole"), f"CASE WHEN {self.condition} THEN {scaled} END")
        whole, high = quote(self._part("whole")), quote(self._part("high"))
        if not self._has_four_digits:
            return (
                units,
                (self._part("high"), f"CAST(trunc({whole} / {2.0**DIGIT_BITS!r}) AS BIGINT)"),
                (self._part("low"), f"CAST({whole} - {high} * {2.0**DIGIT_BITS!r} AS BIGINT)"),
            )
        above = [f"trunc({whole} / {2.0 ** (DIGIT_BITS * digit)!r})" if digit else whole for digit in range(4)]
        digits = [f"{low} - {high} * {2.0**DIGIT_BITS!r}" for low, high in pairwise(above)] + above[-1:]
        return units, *((self._part(f"digit {i}"), f"CAST({sql} AS BIGINT)") for i, sql in enumerate(digits))

    @property
    def _has_four_digits(self) -> bool:
        return self.resolution_bits > TWO_DIGITS_UP_TO

    def _part(self, which: str) -> str:
        return f"{which} {digest([self.name, self.condition, self.resolution_bits])[:12]}"

    @property
    def _counted(self) -> str:
        return f"counted {digest([self.name, self.condition])[:12]}"

    @property
    def halves(self) -> tuple[str, ...]:
        """The number per row in signed limbs, the lowest first; the highest is as wide as an int64."""
        if self.kind == "double":
            names = [f"digit {i}" for i in range(4)] if self._has_four_digits else ["low", "high"]
            return tuple(quote(self._part(name)) for name in names)
        column = quote(self.name)
        return (f"({column} & {_MASK})", f"({column} >> {DIGIT_BITS})") if self.kind == "int64" else (f"{column}::BIGINT",)

    @property
    def limbs(self) -> tuple[str, ...]:
        """The number per row in signed limbs of 32 bits, the lowest first."""
        if self.kind != "double" or self._has_four_digits:
            return self.halves
        low, high = self.halves
        return low, f"({high} & {_MASK})", f"({high} >> {DIGIT_BITS})"

    def sum(self, sql: str) -> str:
        """Render the sum of an expression over the rows that count; what is computed is ``unfiltered`` of it."""
        return f"sum({sql})" if self.kind == "double" else f"sum({sql}) FILTER (WHERE {self.condition})"

    def unfiltered(self, sql: str) -> str:
        """Render sums of integers without FILTER (see ``counting``), over the prepared column; names are made with it."""
        if self.kind == "double":
            return sql
        column = quote(self._counted) if self.prepared else quote(self.name)
        return sql.replace(f" FILTER (WHERE {self.condition})", "").replace(quote(self.name), column)

    def _computed(self, measure: Measure, exponent: int) -> Measure:
        return replace(measure, sql=self.unfiltered(measure.sql), prepared=self.prepared, exponent=exponent)

    def total(self) -> Measure:
        """Return the sum of a column of integers, in 64 bits."""
        return self._computed(sum_measure(f"sum_{self.name}", self.sum(quote(self.name))), 0)

    def totals(self) -> tuple[Measure, ...]:
        """Return the limbs of the column's sum."""
        return tuple(
            self._computed(sum_measure(f"sum{limb}_{self.name}", self.sum(half)), self.exponent + DIGIT_BITS * limb)
            for limb, half in enumerate(self.halves)
        )

    def squares(self) -> tuple[Measure, ...]:
        """Return the limbs of the sum of the column's squares."""
        limbs = self.limbs
        parts: list[list[str]] = [[] for _ in range(2 * len(limbs) - 1)]
        for i, a in enumerate(limbs):
            for j, b in enumerate(limbs[i:], start=i):
                product = self.sum(f"{a}::HUGEINT * {b}")
                parts[i + j].append(product if i == j else f"2 * {product}")
        measures = split_sum(f"squares_{self.name}", [" + ".join(part) for part in parts], limbs=2 * len(limbs))
        return tuple(self._computed(measure, measure.exponent + 2 * self.exponent) for measure in measures)

    def products(self, factor: str, factor_limbs: int) -> tuple[Measure, ...]:
        """Return the limbs of the column's sum times ``factor``, a number of the whole tile whose highest limb is below 2^30."""
        parts = [f"{self.sum(half)} * {factor}" for half in self.halves]
        measures = split_sum(f"products_{self.name}", parts, limbs=len(self.limbs) + factor_limbs, digits=4)
        return tuple(self._computed(measure, measure.exponent + self.exponent) for measure in measures)


def number_of(column: str, aggregation: Aggregation, rows: RowSql, resolution_bits: int) -> Number:
    """Return a column of the rows that count for an aggregation."""
    return Number(column, rows.types[column], rows.condition(aggregation, quote(column)), resolution_bits)


def split_sum(what: str, parts: Sequence[str], *, limbs: int, digits: int = 3) -> tuple[Measure, ...]:
    """Split the sum of ``parts[k] * 2 ** (32 * k)`` of a tile into limbs, the lowest first.

    Args:
        what: Starts the names.
        parts: SQL of HUGEINT, the lowest weight first.
        limbs: How many; the highest takes what is left.
        digits: Each part is spread over so many limbs; it must stay below ``2 ** (32 * digits + 30)``.
    """
    terms: list[list[str]] = [[] for _ in range(limbs)]
    for k, part in enumerate(parts):
        last = min(k + digits, limbs) - 1
        for limb in range(k, last + 1):
            shifted = f"(({part}) >> {DIGIT_BITS * (limb - k)})" if limb > k else f"({part})"
            terms[limb].append(shifted if limb == last else f"({shifted} & {_MASK})")
    return tuple(sum_measure(f"{what}{limb}", " + ".join(term), exponent=DIGIT_BITS * limb) for limb, term in enumerate(terms))


def numbers_of(measures: Sequence[Measure]) -> list[tuple[Measure, ...]]:
    """Group measures into numbers: a number ends where the weight of the limbs does not rise."""
    numbers: list[tuple[Measure, ...]] = [(measures[0],)]
    for before, measure in pairwise(measures):
        if measure.exponent > before.exponent:
            numbers[-1] += (measure,)
        else:
            numbers.append((measure,))
    return numbers


def wide_numbers(numbers: Sequence[tuple[Measure, ...]], window: WindowTotals) -> list[Wide]:
    """Return the value of each number over a window, exact."""
    return [Wide.of([window.difference(limb) for limb in number]) for number in numbers]
