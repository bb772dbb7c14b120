"""Which months of tiles make up each partition of a ledger, and what its files are called. Pure: derived from names and sizes.

1. A partition may begin with a business year, if the rows since the last boundary are at least twice the entities: so the
   balances stay below half of the rows, and a view with few rows an entity (pairs of keys) has few boundaries or none.
2. The newest month becomes a partition of its own once its partition has to be written again: a daily append then rewrites
   one month. When the next month comes, it is folded into the months before it. It has balances of those entities alone
   that are active in it, so a day costs what happened in its month, however many entities there are. In stores of
   version 1 it has balances of all, and is split off where these are below half of the rows before it.
3. A ledger is named after its tiles, balances after all ledgers before them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from featurestore.compute.state import ACTIVE, BALANCES, LEDGER, MONTH
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
        active: The partition whose balances are those of its active entities alone, if there is one.
    """

    months: dict[str, dict[str, str]]
    ledgers: dict[str, str]
    balances: dict[str, str]
    active: str | None = None

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
    has_active: bool = True,
) -> LedgerPlan:
    """Derive partitions, and the names of their files, from the tiles they are made of.

    Args:
        tile_digests: Month to name of its tiles.
        sizes: Sizes of the tiles; a month without one counts as empty.
        committed: First month of a partition to the names of its committed files.
        has_active: Whether the store may have balances of active entities alone.
    """
    there = committed or {}
    groups, is_open = _groups(tile_digests, sizes or {}, there, has_active=has_active)
    months = {start: {str(month): tile_digests[month] for month in group} for start, group in groups}
    ledgers = {start: _ledger_name(start, tiles) for start, tiles in months.items()}
    balances = {}
    active = None
    before = ""
    for start, name in ledgers.items():
        balances[start] = digest([BALANCES, before, name])
        if is_open and has_active and start == groups[-1][0] and balances[start] not in there.get(start, ()):
            active, balances[start] = start, digest([ACTIVE, before, name])
        before = balances[start]
    return LedgerPlan(months, ledgers, balances, active)


def _groups(
    tile_digests: Mapping[Month, str],
    sizes: Mapping[Month, TileSize],
    committed: Mapping[str, Collection[str]],
    *,
    has_active: bool,
) -> tuple[list[tuple[str, list[Month]]], bool]:
    """List ``(name of the partition, its months)``, and say whether the last is the newest month alone, which grows."""
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
        return [], False
    start, last = groups[-1]
    whole = _ledger_name(start, {str(month): tile_digests[month] for month in last})
    is_rewritten = start in committed and whole not in committed[start]
    is_cheap = has_active or rows_before_newest >= _ROWS_PER_ENTITY * entities
    if len(last) > 1 and is_rewritten and is_cheap:
        groups[-1:] = [(start, last[:-1]), (str(last[-1]), last[-1:])]
        return groups, True
    return groups, len(groups) > 1 and len(last) == 1 and bool(committed)


def _ledger_name(start: str, tiles: Mapping[str, str]) -> str:
    return digest([LEDGER, start, dict(tiles)])
