"""The audit of a month as one HTML page: the decade, what is open and since when, who depends on it, what was done.

The page holds all that it needs: styles and drawings are inline, there are no scripts, and its policy forbids loading anything.
Every name and value in it is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pyarrow as pa

from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.monitor.state import STATES
from featurestore.drift.recalibration.rules import Runs
from featurestore.drift.reporting.alert import OPENED, RECALIBRATED, REJECTED, Alert, AnyAlert, Digest, FaultAlert
from featurestore.drift.reporting.drift_alerts import anchor_of
from featurestore.drift.reporting.markup import html
from featurestore.drift.reporting.page.figure import figure
from featurestore.drift.reporting.page.reliability import reliability_figure
from featurestore.drift.reporting.page.states import states_figure
from featurestore.drift.reporting.portrait import Portrait, ReliabilityPortrait, months_text
from featurestore.timeline import Month

CONTENT_SECURITY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MAX_DECISIONS = 40


@dataclass(frozen=True)
class AuditPage:
    """What a page shows.

    Attributes:
        title: Of the store.
        month: The audited month.
        history: All scores up to it (``HISTORY_SCHEMA``).
        faults: All faults in the sources' records up to it.
        digest: The month's.
        stories: Alerts of each episode to show, in order of time, the first of them ``opened``.
        fault_stories: Alerts of each data fault to show, likewise.
        portraits: Episode to its distribution, or how far the forecasts were right, then and now, where there is one.
        runs: Calibration to what its log says.
    """

    title: str
    month: Month
    history: pa.Table
    faults: Sequence[DataFault]
    digest: Digest
    stories: Sequence[Sequence[Alert]]
    fault_stories: Sequence[Sequence[FaultAlert]]
    portraits: Mapping[str, Portrait | ReliabilityPortrait]
    runs: Mapping[str, Runs]


def render_page(page: AuditPage) -> str:
    """Return the page as HTML; equal input gives an equal page."""
    heading = f"Drift audit of {page.month}"
    body = "".join(
        (
            f"<header><h1>{html(heading)}</h1><p class=soft>{html(page.title)}</p>{_chips(page.digest)}</header>",
            _section("The years", f"{_legend()}<div class=wide>{states_figure(page.history, page.faults, page.month)}</div>"),
            _section("What is open", "".join(_episode(story, page) for story in page.stories) or "<p>Nothing is open.</p>"),
            _section("Data faults in the sources", "".join(map(_fault, page.fault_stories))) if page.fault_stories else "",
            _section("Watched", _watched(page.digest)) if page.digest.watched else "",
            _section("Recalibrations", _decisions(page.runs, page.month)),
        )
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{html(CONTENT_SECURITY)}">'
        f"<title>{html(heading)}, {html(page.title)}</title><style>{_style()}</style>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{body}</main></body></html>\n'


@cache
def _style() -> str:
    return files("featurestore.drift.reporting.page").joinpath("page.css").read_text(encoding="utf-8")


def _section(title: str, content: str) -> str:
    return f"<section><h2>{html(title)}</h2>{content}</section>"


def _chips(digest: Digest) -> str:
    chips = "".join(
        f'<span class=chip><i class="dot {state}"></i>{digest.states[state]} {state}</span>'
        for state in STATES
        if digest.states.get(state)
    )
    return f"<div class=chips>{chips}</div>"


def _legend() -> str:
    return "<div class=legend>" + "".join(f'<span><i class="dot {state}"></i> {state}</span>' for state in STATES) + "</div>"


def _episode(story: Sequence[Alert], page: AuditPage) -> str:
    """Draw one episode: what, since when, then and now, who depends on it, what was done."""
    first = story[0]
    last = story[-1]
    where = f" <small>{html(first.segment)}</small>" if first.segment else ""
    facts = {
        "What": html(first.what.partition("; against")[0]),
        "Since": f"{first.since}, found in the audit of {first.month}",
        "How much": f"{first.score:.1f} times its threshold ({html(first.kind)})",
        "Compared with": html(", ".join(first.reference_months) or "its own past"),
        "Read by": _names(first.dependants.services),
        "Computed from it": _names(first.dependants.features),
        "Calibrations": _names(first.dependants.calibrations),
        "Owners": html(", ".join(first.dependants.owners) or "none"),
        "Next": html(last.next),
    }
    drawn = _portrait(page.portraits.get(first.episode))
    return (
        f'<article class=card id="{anchor_of(first.episode)}"><div class=head><h3>{html(first.feature)}{where}</h3>'
        f"<span class=soft>{html(last.state.replace('_', ' '))} · {html(first.view)}</span></div>"
        f"<div class=two><dl>{_listed(facts)}</dl><div>{drawn}</div></div>{_answered(story)}</article>"
    )


def _fault(story: Sequence[FaultAlert]) -> str:
    """Draw one data fault: what, since when, who depends on the column, whether it is over."""
    first = story[0]
    last = story[-1]
    facts = {
        "What": html(first.what),
        "Since": f"{first.since}, found in the audit of {first.month}",
        "Kind": html(first.kind),
        "Read by": _names(first.dependants.services),
        "Computed from it": f"{len(first.dependants.features)} features",
        "Owners": html(", ".join(first.dependants.owners) or "none"),
        "Next": html(last.next),
    }
    return (
        f'<article class=card id="{anchor_of(first.fault)}"><div class=head><h3>{html(first.about)}</h3>'
        f"<span class=soft>{html(last.state)} · source {html(first.source)}</span></div>"
        f"<dl>{_listed(facts)}</dl>{_answered(story)}</article>"
    )


def _listed(facts: Mapping[str, str]) -> str:
    return "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())


def _answered(story: Sequence[AnyAlert]) -> str:
    done = "".join(
        f"<li><b>{alert.month}</b> {html(alert.state.replace('_', ' '))}: {html(alert.done)}</li>"
        for alert in story
        if alert.state != OPENED
    )
    return f"<details open><summary>What was done</summary><ul>{done}</ul></details>" if done else ""


def _portrait(portrait: Portrait | ReliabilityPortrait | None) -> str:
    if portrait is None:
        return "<p class=soft>There is no distribution to compare: one side has no values in the same bins.</p>"
    before, after = portrait.missing
    missing = "" if max(before, after) < 0.0005 else f" · without a value {before:.1%} → {after:.1%}"
    what = "forecasts" if isinstance(portrait, ReliabilityPortrait) else "rows"
    then = f"then: {html(months_text(portrait.reference))}, {portrait.rows[0]:,} {what}"
    now = f"now: {portrait.month}, {portrait.rows[1]:,} {what}{missing}"
    legend = f'<span><i class="dot old"></i> {then}</span><span><i class="dot new"></i> {now}</span>'
    drawn = reliability_figure(portrait) if isinstance(portrait, ReliabilityPortrait) else figure(portrait)
    return f"{drawn}<div class=legend>{legend}</div>"


def _watched(digest: Digest) -> str:
    rows = "".join(
        f"<tr><td>{html(name)}</td><td class=n>{score:.2f}</td><td>{html(what)}</td></tr>"
        for name, score, what in digest.watched
    )
    return f"<div class=wide><table><tr><th>feature</th><th class=n>score</th><th>what</th></tr>{rows}</table></div>"


def _decisions(runs: Mapping[str, Runs], month: Month) -> str:
    decided = [(name, one) for name, own in runs.items() for one in own.decisions if one["trigger"]["month"] <= str(month)]
    decided.sort(key=lambda each: (each[1]["trigger"]["month"], each[0]), reverse=True)
    if not decided:
        return "<p>No calibration has been fitted yet.</p>"
    rows = "".join(_decision(name, one) for name, one in decided[:MAX_DECISIONS])
    titles = ("month", "calibration", "decision", "asked by", "consumer")
    head = "".join(f"<th>{title}</th>" for title in titles)
    head += "".join(f"<th class=n>{title}</th>" for title in ("loss before", "after", "better by"))
    return f"<div class=wide><table><tr>{head}</tr>{rows}</table></div>"


def _decision(name: str, one: Mapping[str, Any]) -> str:
    trigger = one["trigger"]
    unasked = "a review" if trigger.get("is_review") else "a person" if one["held_out_months"] else "the first version"
    asked = trigger["feature"] or unasked
    state = RECALIBRATED if one["is_promoted"] else REJECTED
    cells = "".join(f"<td>{html(cell)}</td>" for cell in (trigger["month"], name, state, asked))
    lines = []
    for each in one["comparisons"] or [None]:
        if each is None:
            lines.append(f"<tr>{cells}<td colspan=4 class=soft>{html(one['reason'])}</td></tr>")
            continue
        better = f"{each['improvement']:+.5f} [{each['low']:+.5f}, {each['high']:+.5f}]"
        numbers = (f"{each['champion']:.5f}", f"{each['challenger']:.5f}", better)
        lines.append(
            f"<tr>{cells}<td>{html(each['consumer'])}</td>" + "".join(f"<td class=n>{cell}</td>" for cell in numbers) + "</tr>"
        )
        cells = "<td></td>" * 4
    return "".join(lines)


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"<code>{html(name)}</code>" for name in names) or "none"
