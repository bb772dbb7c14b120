"""What people are told: an alert about an episode or a data fault, and a digest of a month; as values, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from featurestore.drift.reporting.dependence import Dependants
from featurestore.drift.reporting.markup import markdown, plain_text

OPENED, REJECTED, RECALIBRATED, ROLLED_BACK = "opened", "rejected", "recalibrated", "rolled_back"
ACKNOWLEDGED, FOLLOWED, RELEASED, ENDED = "acknowledged", "followed", "released", "ended"
ALERT_STATES = (OPENED, REJECTED, RECALIBRATED, ROLLED_BACK, ACKNOWLEDGED, FOLLOWED, RELEASED, ENDED)


@dataclass(frozen=True)
class Alert:
    """One thing to know about one episode, with all that is needed to act on it.

    Attributes:
        name: The same whenever the alert is derived again: episode, state and month.
        episode: Name of the episode.
        state: One of ``ALERT_STATES``.
        month: Audited month in which the state began.
        view: Of the feature.
        feature: Its column.
        segment: ``region=9``, or ``None`` for all rows.
        kind: The distance that decided.
        since: Month in which the change is estimated to have begun.
        score: How far, in units of its threshold, when it entered ``drift``.
        what: The change in words.
        reference_months: Months of the same season that it was compared with.
        dependants: Services, owners, features and calibrations that depend on the feature.
        done: What was decided, in words; empty when nothing was.
        next: What happens next, or what a person should do.
        page: The audit's page and the episode's place in it, relative to the store.
    """

    name: str
    episode: str
    state: str
    month: str
    view: str
    feature: str
    segment: str | None
    kind: str
    since: str
    score: float
    what: str
    reference_months: tuple[str, ...]
    dependants: Dependants
    done: str
    next: str
    page: str

    @property
    def about(self) -> str:
        """What it is about, for a title: the feature."""
        return self.feature

    def __str__(self) -> str:
        where = f" ({self.segment})" if self.segment else ""
        return plain_text(f"{self.month} {self.state}: {self.feature}{where} since {self.since}: {self.done or self.what}")

    def document(self) -> dict[str, Any]:
        """Return the alert as plain values that ``json`` can write."""
        plain = asdict(self)
        return plain | {"reference_months": list(self.reference_months), "dependants": _lists(plain["dependants"])}

    def text(self) -> str:
        """Return the alert as Markdown; names and values are escaped."""
        where = f" ({markdown(self.segment)})" if self.segment else ""
        compared = f", compared with {', '.join(self.reference_months)}" if self.reference_months else ""
        who = self.dependants
        lines = [
            f"**{self.state.replace('_', ' ')}: {markdown(self.feature)}{where}**, since {self.since} (audit of {self.month})",
            f"- What: {markdown(self.what)}",
            f"- How much: {self.score:.1f} times its threshold ({markdown(self.kind)}){compared}",
            f"- Read by: {_listed(who.services)}; computed from it: {_listed(who.features)}",
            f"- Calibrations: {_listed(who.calibrations)}; owners: {_listed(who.owners)}",
            *([f"- Done: {markdown(self.done)}"] if self.done else []),
            f"- Next: {markdown(self.next)}",
            f"- Page: {markdown(self.page)}",
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class FaultAlert:
    """One thing to know about a fault in a source's record, with all that is needed to act on it.

    Attributes:
        name: The same whenever the alert is derived again: fault, state and month.
        fault: Name of the fault.
        state: ``opened`` or ``ended``.
        month: Audited month in which the state began.
        source: Whose record it is.
        column: What is wrong in it; ``rows`` for events as a whole.
        kind: ``unit``, ``nulls``, ``clock``, ``stopped`` or ``duplicates``.
        since: Month in which it began.
        what: The fault in words, with days and rows.
        dependants: Services, owners, features and calibrations that depend on the column.
        done: What has become of it, in words; empty while it lasts.
        next: What a person should do.
        page: The audit's page and the fault's place in it, relative to the store.
    """

    name: str
    fault: str
    state: str
    month: str
    source: str
    column: str
    kind: str
    since: str
    what: str
    dependants: Dependants
    done: str
    next: str
    page: str

    @property
    def about(self) -> str:
        """What it is about, for a title: ``source.column``."""
        return f"{self.source}.{self.column}"

    def __str__(self) -> str:
        return plain_text(f"{self.month} {self.state}: data fault in {self.about} since {self.since}: {self.done or self.what}")

    def document(self) -> dict[str, Any]:
        """Return the alert as plain values that ``json`` can write."""
        plain = asdict(self)
        return plain | {"dependants": _lists(plain["dependants"])}

    def text(self) -> str:
        """Return the alert as Markdown; names and values are escaped."""
        who = self.dependants
        lines = [
            f"**{self.state}: data fault in {markdown(self.about)}**, since {self.since} (audit of {self.month})",
            f"- What: {markdown(self.what)}",
            f"- Kind: {markdown(self.kind)}",
            f"- Read by: {_listed(who.services)}; features computed from it: {len(who.features)}",
            f"- Calibrations: {_listed(who.calibrations)}; owners: {_listed(who.owners)}",
            *([f"- Done: {markdown(self.done)}"] if self.done else []),
            f"- Next: {markdown(self.next)}",
            f"- Page: {markdown(self.page)}",
        ]
        return "\n".join(lines) + "\n"


AnyAlert = Alert | FaultAlert


@dataclass(frozen=True)
class Digest:
    """What an audit saw that is no alert.

    Attributes:
        month: The audited month.
        states: Number of features by state.
        opened: Episodes that began in it.
        still_open: Episodes that began before and are open.
        watched: Features worth an eye, the loudest first: column, score, what.
        faults: Faults in the sources' records, new and lasting: ``source.column``, kind.
    """

    month: str
    states: Mapping[str, int]
    opened: tuple[str, ...]
    still_open: tuple[str, ...]
    watched: tuple[tuple[str, float, str], ...]
    faults: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        counted = ", ".join(f"{count} {state}" for state, count in self.states.items()) or "nothing audited"
        faults = f", {len(self.faults)} data {'fault' if len(self.faults) == 1 else 'faults'}" if self.faults else ""
        return f"audit of {self.month}: {counted}; {len(self.opened)} opened, {len(self.still_open)} still open{faults}"

    def document(self) -> dict[str, Any]:
        """Return the digest as plain values that ``json`` can write."""
        watched = [dict(zip(("feature", "score", "what"), each, strict=True)) for each in self.watched]
        faults = [dict(zip(("place", "kind"), each, strict=True)) for each in self.faults]
        lists = {"opened": list(self.opened), "still_open": list(self.still_open), "watched": watched, "faults": faults}
        return {"month": self.month, "states": dict(self.states), **lists}

    def text(self) -> str:
        """Return the digest as Markdown; names and values are escaped."""
        counted = ", ".join(f"{count} {state}" for state, count in self.states.items())
        lines = [f"**Drift audit of {self.month}**: {counted or 'nothing audited'}"]
        for title, names in (("Opened", self.opened), ("Still open", self.still_open)):
            lines += [f"- {title}: {_listed(names)}"] if names else []
        lines += [f"- Data fault: {markdown(place)} ({markdown(kind)})" for place, kind in self.faults]
        lines += [
            f"- Watch: {markdown(name)}, {score:.1f} times its threshold: {markdown(what)}"
            for name, score, what in self.watched
        ]
        return "\n".join(lines) + "\n"


def _lists(plain: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(values) for name, values in plain.items()}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(markdown, names)) or "none"
