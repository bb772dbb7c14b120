"""Commands that watch features and answer their drift."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.cli import screen
from featurestore.cli.opening import open_store
from featurestore.cli.options import DEFAULT_ROOT, Json, Root, Views
from featurestore.errors import DefinitionError
from featurestore.timeline import Month, months_between

if TYPE_CHECKING:
    from featurestore.client import FeatureStore

Months = Annotated[list[str] | None, typer.Option("--month", help="Month such as 2024-08; may be repeated.")]


def audit(
    months: Months = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every month that has events.")] = False,
    writes_page: Annotated[bool, typer.Option("--page", help="Write the page of the last of these months.")] = False,
    root: Root = DEFAULT_ROOT,
    views: Views = None,
    as_json: Json = False,
) -> None:
    """Score features against their own past; without a month, the last one that has events."""
    store = open_store(root)
    wanted = _months(store, months or [], is_all=is_all)
    with screen.counting("audit") as progress:
        report = store.audit(wanted, views=views, progress=lambda view, month: progress(view, "snapshots", month))
    page = store.write_page(report.months[-1]) if writes_page else None
    if as_json:
        document = {"months": report.months, "states": report.states, "entered": report.entered, "rows": report.table}
        document |= {"faults": report.faults}
        screen.show_json(document | ({"page": page} if page else {}))
        return
    nothing = f"nothing to audit in {', '.join(map(str, report.months))}: no view has events before its end"
    screen.say(str(report) if report.table.num_rows else nothing)
    for episode in report.entered:
        screen.say(f"  {episode}")
    for fault in report.faults:
        if fault.is_new:
            screen.say(f"  {fault}")
    if page:
        screen.say(f"page: {page}")


def alerts(
    months: Months = None,
    since: Annotated[str | None, typer.Option("--since", help="Instead: this month and all after it.")] = None,
    as_text: Annotated[bool, typer.Option("--markdown", help="Write each alert in full, as Markdown to send.")] = False,
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Say what people should be told: one alert per drift and change of its state, then the month's digest."""
    store = open_store(root)
    last = _last_audit(store)
    raised = store.alerts(since=since) if since else store.alerts(months or [last])
    digests = [] if since else [store.digest(month) for month in months or [last]]
    if as_json:
        screen.show_json({"alerts": [alert.document() for alert in raised], "digests": [each.document() for each in digests]})
        return
    for alert in raised:
        screen.say(alert.text() if as_text else str(alert))
    for digest in digests:
        screen.say(digest.text() if as_text else str(digest))


def acknowledge(
    feature: Annotated[str, typer.Argument(metavar="FEATURE", help="A feature in drift: view:feature, or its column.")],
    note: Annotated[str, typer.Option("--note", help="Why it needs no recalibration.")],
    month: Annotated[
        str | None, typer.Option("--month", help="Audited month in which it is open; by default the last.")
    ] = None,
    segment: Annotated[str | None, typer.Option("--segment", help="Segment of the drift, such as region=9.")] = None,
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Accept a real change: the feature has a new baseline from the next month on."""
    accepted = open_store(root).acknowledge(feature, month=month, segment=segment, note=note)
    screen.show_json(asdict(accepted)) if as_json else screen.say(str(accepted))


def recalibrate(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A calibration; by default all that a drift has triggered.")
    ] = None,
    month: Annotated[str | None, typer.Option("--month", help="Fit on what was known when this month ended.")] = None,
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Fit challengers, back-test them against the champions, promote the better ones."""
    store = open_store(root)
    if name is None:
        _last_audit(store)
    decisions = store.recalibrate(name, month=month)
    if as_json:
        screen.show_json([decision.document() for decision in decisions])
    elif not decisions:
        screen.say("no drift calls for a recalibration now")
        for waiting, outlook in store.outlooks(month=month).items():
            screen.say(f"  {waiting}: {outlook.action}, {outlook.reason}")
    for decision in () if as_json else decisions:
        screen.say(f"{decision.calibration}: {'promoted' if decision.is_promoted else 'rejected'}, {decision.reason}")


def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A calibration.")],
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Make the earlier champion of a calibration champion again, with its drift reference."""
    champion = open_store(root).rollback(name)
    screen.show_json({"calibration": name, "champion": champion}) if as_json else screen.say(
        f"{name}: {champion} is champion again"
    )


def _last_audit(store: FeatureStore) -> str:
    from featurestore.operations.auditing import last_audit  # heavy

    scores, _ = last_audit(store.layout, store.registry)
    if not scores.num_rows:
        raise DefinitionError("No month has been audited yet. Run `featurestore audit` first.")
    return str(Month.parse(scores["month"][0].as_py()))


def _months(store: FeatureStore, given: list[str], *, is_all: bool) -> list[Month]:
    if given and is_all:
        raise DefinitionError("--month and --all were both given; use one of them.")
    if given:
        return [Month.parse(month) for month in given]
    known = all_months(store)
    if not known:
        raise DefinitionError("The store has no events to audit. Ingest some: `featurestore ingest SOURCE FILES`.")
    return known if is_all else known[-1:]


def all_months(store: FeatureStore) -> list[Month]:
    """List the months from a store's first event to its last, of all sources."""
    spans = [(source.first_month, source.last_month) for source in store.status().sources]
    months = (months_between(Month.parse(first), Month.parse(last)) for first, last in spans if first and last)
    return sorted({month for span in months for month in span})
