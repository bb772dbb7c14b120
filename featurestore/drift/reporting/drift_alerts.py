"""Alerts as values: one per episode, another only when its state changes, and a digest of everything else.

    opened          a feature entered ``drift``
    rejected        a challenger did not beat the champion (said once, however often it is tried again)
    recalibrated    a challenger did: the feature has a new baseline
    rolled_back     the new champion was taken back
    acknowledged    a person accepted the change: new baseline
    followed        another change of the feature entered ``drift`` on top of it
    released        nobody answered for a year: new baseline
    ended           a data fault is over: the record is right again

Alerts are derived, not stored: the same history, definitions and answers give the same alerts with the same names, so whoever
delivers them knows by the name what has been delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.episode import Episode, episodes
from featurestore.drift.monitor.state import DRIFT, INSUFFICIENT, LATCHED, WATCH
from featurestore.drift.recalibration.fitters import fitter
from featurestore.drift.recalibration.rules import MAX_HELD_OUT, RUNS, RecalibrationPolicy, Runs, outlook
from featurestore.drift.reliability import CALIBRATION
from featurestore.drift.reporting.acknowledge import Acknowledgement
from featurestore.drift.reporting.alert import (
    ACKNOWLEDGED,
    ALERT_STATES,
    ENDED,
    FOLLOWED,
    OPENED,
    RECALIBRATED,
    REJECTED,
    RELEASED,
    ROLLED_BACK,
    Alert,
    Digest,
)
from featurestore.drift.reporting.dependence import calibrations_of, dependants_of
from featurestore.spec.registry import Registry
from featurestore.timeline import Month

MAX_WATCHED = 10
MEND = "A data fault is no drift: nothing is recalibrated. Mend the record and deliver the rows again."
MENDED, NOTHING = "the record is right again", "Nothing, if the rows have been delivered again."


@dataclass(frozen=True)
class Answers:
    """What was done about drifts.

    Attributes:
        runs: Calibration to what its log says.
        acknowledgements: What people accepted.
        policy: Rules of recalibration, for what happens next.
    """

    runs: Mapping[str, Runs] = field(default_factory=dict)
    acknowledgements: Sequence[Acknowledgement] = ()
    policy: RecalibrationPolicy = field(default_factory=RecalibrationPolicy)


@dataclass(frozen=True)
class _Change:
    """An episode took on a state in a month; what was decided, and what is next."""

    state: str
    month: Month
    done: str
    next: str


@dataclass(frozen=True)
class _Past:
    """What is known about all episodes."""

    rows: Mapping[tuple[str, str | None], Mapping[Month, Mapping[str, Any]]]
    episodes: tuple[Episode, ...]
    registry: Registry
    answers: Answers
    first: Month


def alerts(
    history: pa.Table, registry: Registry, answers: Answers, *, since: Month | None = None, until: Month | None = None
) -> tuple[Alert, ...]:
    """Derive the alerts of some audited months.

    Args:
        history: All committed scores (``HISTORY_SCHEMA``).
        registry: The definitions: who depends on a feature.
        answers: What was done.
        since: First month whose alerts are wanted; all by default.
        until: Last one.

    Returns:
        In order of time; equal input gives equal alerts.
    """
    entered = episodes(history, lambda feature: calibrations_of(registry, feature))
    told_of = pa.array({episode.feature for episode in entered}, pa.string())
    rows = dict[tuple[str, str | None], dict[Month, Mapping[str, Any]]]()
    for row in history.filter(pc.is_in(history["feature"], value_set=told_of)).to_pylist():
        rows.setdefault((row["feature"], row["segment"]), {})[Month.parse(row["month"])] = row
    first = Month.parse(pc.min(history["month"]).as_py()) if history.num_rows else Month(1970, 1)
    past = _Past(rows, entered, registry, answers, first)
    derived = [
        _alert(episode, change, rows[episode.feature, episode.segment][episode.month], registry)
        for episode in entered
        for change in _story(episode, past)
        if (since is None or since <= change.month) and (until is None or change.month <= until)
    ]
    return tuple(sorted(derived, key=lambda alert: (alert.month, alert.name)))


def digest_of(history: pa.Table, faults: Sequence[DataFault], month: Month) -> Digest:
    """Summarise an audited month.

    Args:
        history: All committed scores (``HISTORY_SCHEMA``).
        faults: All faults in the sources' records.
        month: The month.
    """
    rows = history.filter(pc.equal(history["month"], pa.scalar(month.first_day))).to_pylist()
    watched = sorted((row for row in rows if row["state"] == WATCH), key=lambda row: (-row["score"], row["feature"]))
    counted = Counter(row["state"] for row in rows)
    return Digest(
        str(month),
        {state: counted[state] for state in sorted(counted)},
        tuple(sorted(_label(row) for row in rows if row["state"] == DRIFT)),
        tuple(sorted(_label(row) for row in rows if row["state"] == LATCHED)),
        tuple((_label(row), row["score"], row["reason"]) for row in watched[:MAX_WATCHED]),
        tuple(sorted((fault.place, fault.kind) for fault in faults if fault.month == month)),
    )


def page_of(month: Month) -> str:
    """Return the page of an audit, relative to the store."""
    return f"reports/{month}/audit.html"


def anchor_of(episode: str) -> str:
    """Return the place of an episode in an audit's page.

    >>> anchor_of("sku__rate[region=9]@2024-09")
    'sku__rate-region-9--2024-09'
    """
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter == "_") else "-" for letter in episode)


def _story(episode: Episode, past: _Past) -> list[_Change]:
    """List the states that an episode has taken on, each once, in order of time."""
    opened = _Change(OPENED, episode.month, "", _outlooks(episode, past))
    changes = [opened, *_decisions(episode, past.answers), *_ending(episode, past)]
    changes.sort(key=lambda change: (change.month, ALERT_STATES.index(change.state)))
    firsts: dict[str, _Change] = {}
    for change in changes:
        firsts.setdefault(change.state, change)
    return list(firsts.values())


def _decisions(episode: Episode, answers: Answers) -> Iterator[_Change]:
    for name in episode.calibrations:
        runs = answers.runs.get(name, Runs())
        for decision in runs.decisions:
            if episode.name not in decision["trigger"]["episodes"]:
                continue
            month = Month.parse(decision["trigger"]["month"])
            done = f"{name}: {decision['reason']}"
            if not decision["is_promoted"]:
                yield _Change(REJECTED, month, done, _after_rejection(episode, name, len(decision["held_out_months"])))
                continue
            undo = f"featurestore rollback {name}"
            on = f"The baseline is new from {month.next()} on"
            if episode.kind == CALIBRATION:
                on = f"Forecasts read it from {month.next()} on, and have a new baseline when their first outcomes are known"
            yield _Change(RECALIBRATED, month, done, f"{on}; to take it back: {undo}")
            for at, version, reason in runs.rollbacks:
                if version == decision["version"]:
                    again = f"Fit again when it is understood: featurestore recalibrate {name}"
                    yield _Change(ROLLED_BACK, max(Month.parse(at.date()), month), f"{name}: {reason}", again)


def _ending(episode: Episode, past: _Past) -> Iterator[_Change]:
    """Yield how an episode ended without a recalibration: accepted by a person, followed by the next change, or released."""
    key = episode.feature, episode.segment
    later = [each for each in past.episodes if (each.feature, each.segment) == key and each.month > episode.month]
    calm = [month for month, row in past.rows[key].items() if month > episode.month and _is_calm(row)]
    end = min((each.month for each in later), default=None)
    quiet = min(calm, default=None)
    for each in past.answers.acknowledgements:
        month = Month.parse(each.month)
        if (each.feature, each.segment) == key and episode.month <= month and (end is None or month < end):
            yield _Change(ACKNOWLEDGED, month, each.note, f"The baseline is new from {each.reset} on.")
            return
    if episode.is_fault:
        over = min((month for month in (quiet, end) if month is not None), default=None)
        if over is not None:
            yield _Change(ENDED, over, MENDED, NOTHING)
        return
    if end is not None and (quiet is None or end < quiet):
        yield _Change(FOLLOWED, end, f"it changed again: {later[0].reason}", f"See {later[0].name}.")
    elif quiet is not None and not any(change.state == RECALIBRATED for change in _decisions(episode, past.answers)):
        yield _Change(RELEASED, quiet, "its level of the last months is its baseline now", "Nothing, if that level is right.")


def _is_calm(row: Mapping[str, Any]) -> bool:
    return row["since"] is None and row["state"] != INSUFFICIENT


def _outlooks(episode: Episode, past: _Past) -> str:
    """Say what happens to the calibrations of a new episode, or what a person should do."""
    if episode.is_fault:
        return MEND
    if not episode.calibrations:
        return f"No calibration depends on it. Mend its source, or accept the change: {_acknowledge(episode)}"
    told = []
    for name in episode.calibrations:
        known = [each for each in past.episodes if name in each.calibrations and each.month <= episode.month]
        ruling = outlook(
            past.answers.runs.get(name, Runs()).before(episode.month),
            fitter(past.registry.calibrations[name].fit),
            month=episode.month,
            first=past.first,
            episodes=known,
            policy=past.answers.policy,
            runs_this_month=0,
        )
        told.append(f"{name} is fitted anew" if ruling.action == RUNS else f"{name} waits: {ruling.reason}")
    return "; ".join(told) + "."


def _after_rejection(episode: Episode, name: str, held_out: int) -> str:
    if held_out < MAX_HELD_OUT:
        return f"The champion of {name} stays; another challenger is tried when one more month can be held out."
    return f"The champion of {name} stays. If the change is right as it is: {_acknowledge(episode)}"


def _acknowledge(episode: Episode) -> str:
    where = f" --segment {quote(episode.segment)}" if episode.segment else ""
    return f"featurestore acknowledge {episode.feature}{where} --note WHY"


def _alert(episode: Episode, change: _Change, entry: Mapping[str, Any], registry: Registry) -> Alert:
    return Alert(
        name=f"{episode.name}:{change.state}:{change.month}",
        episode=episode.name,
        state=change.state,
        month=str(change.month),
        view=episode.view,
        feature=episode.feature,
        segment=episode.segment,
        kind=episode.kind,
        since=str(episode.since),
        score=episode.score,
        what=episode.reason,
        reference_months=tuple(entry["reference_months"] or ()),
        dependants=dependants_of(registry, episode.feature),
        done=change.done,
        next=change.next,
        page=f"{page_of(change.month)}#{anchor_of(episode.name)}",
    )


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['feature']}[{row['segment']}]" if row["segment"] else str(row["feature"])
