"""When a recalibration may run: what asks for it, what it waits for, and that it runs alone.

1. A calibration without a champion gets its first version from ``FIRST_MONTHS`` months of history, without a test; so does one
   whose definition is another than that of its champion, which features no longer read.
2. Afterwards it is asked for by episodes of the features that it is fitted from or that read it, since its last decision that
   was final. A rejection on fewer than ``MAX_HELD_OUT`` held-out months is not final: another challenger is tried when one more
   can be held out.
3. A fitter may ask for a review: a challenger so many months after the last decision, though nothing has drifted.
4. It waits for months enough after the change, for its cool-down, and for the month's budget. A person's call waits for neither
   of the last two; its run counts for both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from featurestore.drift.episode import Episode
from featurestore.drift.recalibration.calibration_versions import ROLLED_BACK, audit_entries
from featurestore.drift.recalibration.fitters import Fitter
from featurestore.errors import DefinitionError
from featurestore.lake.lock import exclusive
from featurestore.timeline import Month, months_between

FIRST_MONTHS = 12
MAX_HELD_OUT = 3
NOTHING, WAITS, RUNS = "nothing", "waits", "runs"
DEFINITION = "definition of the calibration"
"""What a decision's data calls ``Calibration.fitted_from``."""


@dataclass(frozen=True)
class RecalibrationPolicy:
    """How often a calibration may be refitted without a person asking.

    Attributes:
        cool_down_months: Audited months from one run of a calibration to its next.
        runs_per_month: Runs of all calibrations as of one audited month; first versions do not count.
    """

    cool_down_months: int = 3
    runs_per_month: int = 4

    def __post_init__(self) -> None:
        for name, least in (("cool_down_months", 0), ("runs_per_month", 1)):
            if getattr(self, name) < least:
                raise DefinitionError(f"RecalibrationPolicy({name}={getattr(self, name)}) is too small; use at least {least}.")


@dataclass(frozen=True)
class Outlook:
    """What would be done about one calibration as of an audited month.

    Attributes:
        action: ``runs``, ``waits`` (the reason says for what) or ``nothing`` (nothing asks for it).
        reason: In words.
        months: What a challenger would be fitted and tested on; the last ``held_out`` of them are for the test.
        held_out: Months of the test; 0 for a first version.
        episodes: Those that ask, the loudest first.
        is_review: Whether no episode asks, but it is time for a review.
    """

    action: str
    reason: str
    months: tuple[Month, ...] = ()
    held_out: int = 0
    episodes: tuple[Episode, ...] = ()
    is_review: bool = False


@dataclass(frozen=True)
class Runs:
    """What a calibration's log says.

    Attributes:
        decisions: Its decisions in order, as ``Decision.document`` writes them, each with the ``version`` it is about.
        rollbacks: The rollbacks: when (UTC), which version, and why.
    """

    decisions: tuple[dict[str, Any], ...] = ()
    rollbacks: tuple[tuple[datetime, str, str], ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Runs:
        """Read the log in a calibration's folder, in order; nothing without a folder."""
        log = audit_entries(folder)
        return cls(
            tuple(json.loads(row["decision"]) | {"version": row["version"]} for row in log if row["decision"]),
            tuple((row["at"], row["version"], row["reason"]) for row in log if row["event"] == ROLLED_BACK),
        )

    def before(self, month: Month) -> Runs:
        """Return the runs as of earlier months."""
        return Runs(tuple(one for one in self.decisions if one["trigger"]["month"] < str(month)), self.rollbacks)

    def as_of(self, month: Month) -> int:
        """Count the challengers that were tested as of a month."""
        return sum(one["trigger"]["month"] == str(month) and bool(one["held_out_months"]) for one in self.decisions)

    @property
    def has_champion(self) -> bool:
        """Whether there is a version in production: the first one cannot be rolled back."""
        return any(one["is_promoted"] for one in self.decisions)

    def is_of_another(self, definition: str | None) -> bool:
        """Whether the version in production was fitted by another definition; False where the log does not say."""
        promoted = [one for one in self.decisions if one["is_promoted"]]
        known = promoted[-1].get("data", {}).get(DEFINITION) if promoted else None
        return None not in (known, definition) and known != definition

    @property
    def last(self) -> Month | None:
        """The month as of which the last challenger was tested."""
        tested = [one for one in self.decisions if one["held_out_months"]]
        return Month.parse(tested[-1]["trigger"]["month"]) if tested else None

    def is_due(self, fitter: Fitter, month: Month) -> bool:
        """Say whether a review is due as of a month."""
        if fitter.review_months is None or not self.decisions:
            return False
        return month >= Month.parse(self.decisions[-1]["trigger"]["month"]).shift(fitter.review_months)

    def is_asked_for(self, fitter: Fitter, month: Month, episodes: Sequence[Episode], *, definition: str | None = None) -> bool:
        """Say whether anything asks for a run as of a month: no version yet of the definition, an unanswered episode, or a review.

        Args:
            fitter: How the calibration is fitted.
            month: The audited month; no decision as of a later one is looked at.
            episodes: Episodes up to the month of the features that it depends on.
            definition: ``Calibration.fitted_from``.
        """
        then = self.before(month.next())
        if not then.has_champion or then.is_of_another(definition):
            return True
        return bool(then.unanswered(episodes)[0]) or then.is_due(fitter, month)

    def unanswered(self, episodes: Sequence[Episode]) -> tuple[tuple[Episode, ...], int]:
        """List the episodes since the last final decision, the loudest first, and the most months a challenger was tested on."""
        final, tried = "", 0
        for decision in self.decisions:
            held_out = len(decision["held_out_months"])
            if decision["is_promoted"] or held_out >= MAX_HELD_OUT:
                final = decision["trigger"]["month"]
                tried = 0
            else:
                tried = max(tried, held_out)
        since = [episode for episode in episodes if str(episode.month) > final]
        return tuple(sorted(since, key=lambda episode: -episode.score)), tried


def outlook(
    runs: Runs,
    fitter: Fitter,
    *,
    month: Month,
    first: Month,
    episodes: Sequence[Episode],
    policy: RecalibrationPolicy,
    runs_this_month: int,
    is_forced: bool = False,
    definition: str | None = None,
) -> Outlook:
    """Say what would be done about a calibration as of a month.

    Args:
        runs: What its log says.
        fitter: How it is fitted.
        month: The audited month; nothing after it is looked at.
        first: First month with rows.
        episodes: Episodes up to the month of the features that it depends on.
        policy: Cool-down and budget.
        runs_this_month: Challengers that were tested as of the month, of all calibrations.
        is_forced: Whether a person asks for it: it then runs without an episode too, on the last months.
        definition: ``Calibration.fitted_from``; without it the champion's is not looked at.
    """
    if not runs.has_champion or runs.is_of_another(definition):
        start = month.shift(1 - FIRST_MONTHS)
        if start < first:
            return Outlook(WAITS, f"its first version needs {FIRST_MONTHS} months of history from {first} on")
        why = "its champion was fitted for another definition" if runs.has_champion else "it has no version yet"
        return Outlook(RUNS, why, tuple(months_between(start, month)))
    pending, tried = runs.unanswered(episodes)
    is_review = not pending and not is_forced
    if is_review and not runs.is_due(fitter, month):
        return Outlook(NOTHING, "no drift asks for it")
    span = max(FIRST_MONTHS, fitter.least_months)
    since = pending[0].since if pending else month.shift(1 - span)
    months = tuple(months_between(max(since, month.shift(1 - fitter.most_months), first), month))
    held_out = _held_out_count(len(months), fitter.least_months)
    waits = _waits(runs, month, policy, runs_this_month) if not is_forced else None
    if held_out <= (0 if is_forced else tried):
        needed = fitter.least_months if not held_out else (held_out + 1) * max(fitter.least_months, MAX_HELD_OUT)
        waits = f"{len(months)} of {needed} months since {months[0] if months else since} are audited"
    runs_for = "its review is due" if is_review else f"it answers {len(pending)} episodes"
    return Outlook(WAITS if waits else RUNS, waits or runs_for, months, held_out, pending, is_review)


@contextmanager
def running_alone(folder: Path) -> Iterator[None]:
    """Keep other runs of a calibration out while the block runs, in this and other processes.

    Raises:
        CommitConflictError: another run is under way; the same call may be made again.
    """
    busy = f"Calibration {folder.name!r} is being recalibrated or rolled back right now. Make the call again afterwards."
    with exclusive(folder / "run.lock", wait_s=0, busy=busy):
        yield


def budget_spent(folders: Sequence[Path]) -> Callable[[Month], int]:
    """Return a function that counts the challengers of all calibrations that were tested as of a month."""
    return lambda month: sum(Runs.of(folder).as_of(month) for folder in folders)


def _held_out_count(months: int, least: int) -> int:
    return 0 if months < least else min(MAX_HELD_OUT, months // MAX_HELD_OUT)


def _waits(runs: Runs, month: Month, policy: RecalibrationPolicy, runs_this_month: int) -> str | None:
    """Say what keeps a run back; ``None`` when nothing does."""
    last = runs.last
    if last is not None and month < last.shift(policy.cool_down_months):
        return f"it cools down until {last.shift(policy.cool_down_months)}: it was last tried as of {last}"
    if runs_this_month >= policy.runs_per_month:
        return f"the budget of {policy.runs_per_month} runs as of {month} is used up"
    return None
