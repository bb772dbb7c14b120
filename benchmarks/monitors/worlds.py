"""Worlds: how features move when nothing has changed, and which changes are planted."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.timeline import Month, months_between

MONTHS = months_between(Month(2016, 1), Month(2025, 12))
FIRST_SCORED = 36
FIRST_ONSET, LAST_ONSET = 40, 95
REGIONS = 8


@dataclass(frozen=True)
class World:
    """How features move when nothing has changed.

    Attributes:
        name: What it is called in the table.
        amplitude: Variation of the season's size.
        has_own_seasons: Whether each occurrence of a season has a size of its own, rather than each year.
        wander: Innovation of the AR(1) level, in standard deviations.
        memory: Its coefficient.
        shocks: Scale of heavy-tailed (t with 3 degrees) shocks of single months.
        spread_wander: Innovation of an AR(1) in the log spread.
        one_offs: Share of months with a campaign of .3 to 1 standard deviations.
        kept: Share of a row's variance that belongs to its entity; an entity has three rows a month, and its own value is
            carried on with coefficient .8.
        planted: Which changes two of five features have: ``usual``, ``local`` (in one of eight regions), ``fault``, ``two``
            (one after the other).
    """

    name: str
    amplitude: float = 0.2
    has_own_seasons: bool = False
    wander: float = 0.035
    memory: float = 0.9
    shocks: float = 0.0
    spread_wander: float = 0.0
    one_offs: float = 0.0
    kept: float = 0.0
    planted: str = "usual"

    @property
    def segments(self) -> tuple[str, ...]:
        """Columns that are monitored apart."""
        return ("region",) if self.planted == "local" else ()


HARD = World("hard")
WORLDS = {
    world.name: world
    for world in (
        HARD,
        World("own seasons", has_own_seasons=True),
        World("amplitude 40 %", amplitude=0.4),
        World("wander .06, phi .95", wander=0.06, memory=0.95),
        World("t3 month shocks", shocks=0.05),
        World("spread wanders", spread_wander=0.03),
        World("one-off months 2 %", one_offs=0.02),
        World("autocorrelated rows", kept=0.5),
        World("local drifts", planted="local"),
        World("data faults", planted="fault"),
        World("two drifts", planted="two"),
    )
}
