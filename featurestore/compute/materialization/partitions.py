"""Which months of tiles make up each partition of a ledger, and what its files are called. Pure: derived from names and sizes.

1. A partition may begin with a business year, if the rows since the last boundary are at least twice the entities: so the
   balances stay below half of the rows, and a view with few rows an entity (pairs of keys) has few boundaries or none.
2. The newest month becomes a partition of its own once its partition has to be written again and is large enough: a daily
   append then rewrites one month. When the next month comes, it is folded into the months before it.
3. A ledger is named after its tiles, balances after all ledgers before them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from featurestore.compute.state import BALANCES, LEDGER, MONTH
from featurestore.lake.table import Table
from featurestore.spec.document import digest
from featurestore.timeline import Month

_ROWS_PER_ENTITY = 2


@dataclass(frozen=True)
class TileSize:
    """Rows of a month's tiles, and the number of codes up to its largest."""

    rows: int
    entities: int


@dataclass(frozen=True)
class LedgerPlan:
    """The files that a view's ledger must have, each by the first month of its partition.

    Args:
        months: The partition's months, each to the name of its tiles.
        ledgers: Name of the ledger file.
        balances: Name of the balances file.
    """

    months: dict[str, dict[str, str]]
    ledgers: dict[str, str]
    balances: dict[str, str]

    @property
    def names(self) -> set[str]:
        """The names of all ledger and balances files."""
        return {*self.ledgers.values(), *self.balances.values()}


def tile_sizes(tiles: Table) -> dict[Month, TileSize]:
    """Read the sizes of committed tiles from their statistics."""
    return {
        Month.parse(file.partition[MONTH]): TileSize(file.rows, int(file.largest("code")) + 1 if file.rows else 0)
        for file in tiles.files()
    }


def plan_ledger(
    tile_digests: Mapping[Month, str],
    *,
    sizes: Mapping[Month, TileSize] | None = None,
    committed: Mapping[str, Collection[str]] | None = None,
) -> LedgerPlan:
    """Derive partitions, and the names of their files, from the tiles they are made of.

    Args:
        tile_digests: Month to name of its tiles.
        sizes: Sizes of the tiles; a month without one counts as empty.
        committed: First month of a partition to the names of its committed files.
    """
    months = {
        group[0]: {str(month): tile_digests[month] for month in group[1]}
        for group in _groups(tile_digests, sizes or {}, committed or {})
    }
    ledgers = {start: _ledger_name(start, tiles) for start, tiles in months.items()}
    balances = {}
    before = ""
    for start, name in ledgers.items():
        balances[start] = digest([BALANCES, before, name])
        before = balances[start]
    return LedgerPlan(months, ledgers, balances)


def _groups(
    tile_digests: Mapping[Month, str], sizes: Mapping[Month, TileSize], committed: Mapping[str, Collection[str]]
) -> list[tuple[str, list[Month]]]:
    """List ``(name of the partition, its months)``."""
    groups: list[tuple[str, list[Month]]] = []
    rows = entities = rows_before_newest = 0
    nothing = TileSize(0, 0)
    for month in sorted(tile_digests):
        is_boundary = not groups or (groups[-1][1][-1].year != month.year and rows >= _ROWS_PER_ENTITY * entities)
        if is_boundary:
            groups.append((str(Month(month.year, 1)), []))
            rows = 0
        groups[-1][1].append(month)
        size = sizes.get(month, nothing)
        rows_before_newest = rows
        rows += size.rows
        entities = max(entities, size.entities)
    if not groups:
        return []
    start, last = groups[-1]
    whole = _ledger_name(start, {str(month): tile_digests[month] for month in last})
    is_rewritten = start in committed and whole not in committed[start]
    if len(last) > 1 and is_rewritten and rows_before_newest >= _ROWS_PER_ENTITY * entities:
        groups[-1:] = [(start, last[:-1]), (str(last[-1]), last[-1:])]
    return groups


def _ledger_name(start: str, tiles: Mapping[str, str]) -> str:
    return digest([LEDGER, start, dict(tiles)])
