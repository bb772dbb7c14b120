"""Plans: what applying definitions would change, and what that rebuilds."""

from __future__ import annotations

from dataclasses import dataclass

_STAYS = {
    "source": "its events stay",
    "view": "its tiles and ledger stay until vacuum",
    "service": "its publications stay until vacuum",
    "calibration": "its versions stay",
}
"""Kind of what is removed to what was computed from it and is not removed."""


@dataclass(frozen=True)
class Change:
    """One line of a plan: ``add``, ``change`` or ``remove`` a definition.

    Args:
        action: Which of these.
        kind: Kind of the definition.
        name: Its name.
        rebuilds: Whether its ledger must be computed anew.
        notes: What becomes of committed rows, and which features become another type.
    """

    action: str
    kind: str
    name: str
    rebuilds: bool
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        remarks = ["its ledger is rebuilt"] if self.rebuilds else []
        if self.action == "remove" and self.kind in _STAYS:
            remarks.append(_STAYS[self.kind])
        if self.action == "change" and self.kind == "view" and not self.rebuilds:
            remarks.append("free: its ledger stays")
        remark = "; ".join([*remarks, *self.notes])
        return f"{self.action} {self.kind.replace('_', ' ')} {self.name}{f' ({remark})' if remark else ''}"


@dataclass(frozen=True)
class Rebuild:
    """How much is read to compute one view's ledger anew, and about how long that takes on two cores.

    Args:
        view: Its name.
        months: Months of tiles that are made.
        events: Events that are read.
        estimated_s: Seconds.
        columns: The source columns that are read, where the totals of before serve for the rest; ``None``: all of the view's.
    """

    view: str
    months: int
    events: int
    estimated_s: float
    columns: tuple[str, ...] | None = None

    def __str__(self) -> str:
        kept = ""
        if self.columns is not None:
            kept = f" of {', '.join(self.columns)} alone" if self.columns else " not read"
            kept += "; the other totals are kept"
        read = f"{self.months} months, {self.events:,} events{kept}"
        return f"materialize {self.view}: {read}, about {max(self.estimated_s, 1):.0f} s"


@dataclass(frozen=True)
class Plan:
    """What applying would change, and what that rebuilds; empty when nothing would change."""

    changes: tuple[Change, ...]
    rebuilds: tuple[Rebuild, ...] = ()

    def __str__(self) -> str:
        costs = [rebuild for rebuild in self.rebuilds if rebuild.months]
        return "\n".join(map(str, [*self.changes, *costs])) if self.changes else "nothing changes"

    @property
    def rebuilt_views(self) -> tuple[str, ...]:
        """Names of the views whose ledger must be computed anew."""
        return tuple(change.name for change in self.changes if change.rebuilds)
