"""Commands for the first hour: ``init`` looks at files and writes a project, ``up`` brings all of it up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import featurestore
from featurestore.cli import screen
from featurestore.cli.drift import all_months
from featurestore.cli.options import Json
from featurestore.errors import DefinitionError
from featurestore.spec.loading import load_definitions, objects_in
from featurestore.timeline import zone_of

if TYPE_CHECKING:
    from featurestore.client import FeatureStore
    from featurestore.drift.audit import AuditReport
    from featurestore.lake.ingestion.ingest_report import IngestReport
    from featurestore.scaffold.look import Look
    from featurestore.scaffold.module import Found
    from featurestore.scaffold.roles import Role
    from featurestore.scaffold.settings import Settings

_SHORT = 22


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the project: NAME.py, the source and the service NAME_v1.")],
    given: Annotated[
        list[str], typer.Option("--from", help="Files, folders, patterns of one kind of events; may be repeated.")
    ],
    time_column: Annotated[str | None, typer.Option("--time", help="Column that says when; found by default.")] = None,
    time_format: Annotated[
        str | None,
        typer.Option("--time-format", help="How it is written, such as %d/%m/%Y, where day and month could be either."),
    ] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="Column that identifies an event, or none.")] = None,
    keys: Annotated[list[str] | None, typer.Option("--key", help="Column that features are about; may be repeated.")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="Business time zone, such as Europe/Berlin.")] = None,
    as_json: Json = False,
    folder: Annotated[Path, typer.Option("--into", help="Folder to write it in; this one by default.")] = Path(),
) -> None:
    """Look at files and write a project: definitions with a first view and a service, settings, what to do next."""
    from featurestore.lake.ingestion.inputs import find_files
    from featurestore.scaffold.look import look
    from featurestore.scaffold.project import project_files, write_project

    looked = look(find_files(given))
    asks = sys.stdin.isatty() and sys.stderr.isatty()
    said: dict[str, Any] = {
        "time": time_column,
        "time_format": time_format,
        "event_id": id_column,
        "keys": keys or [],
        "timezone": timezone,
    }
    found = _ask(looked, name, said) if asks else looked.found(name, **{**said, "timezone": timezone or "UTC"})
    zone_of(found.timezone)
    texts = project_files(folder, found, given=given)
    _check(texts[folder / f"{found.name}.py"])
    write_project(texts)
    if as_json:
        screen.show_json({"written": list(texts), "source": found.source, "roles": found.roles, "left_out": found.left_out})
        return
    _show_found(looked, found, is_zone_said=timezone is not None)
    screen.say(f"\nWritten: {', '.join(str(path) for path in texts)}")
    screen.say("Next: featurestore up" + ("" if folder == Path() else f" {folder}"))


def _ask(looked: Look, name: str, said: dict[str, Any]) -> Found:
    """Ask what the look and the options leave open, each time with what would be taken; an empty answer takes it."""
    from featurestore.scaffold.roles import NOTHING, roles_of

    roles = roles_of(looked.columns, time=said["time"], event_id=said["event_id"], keys=said["keys"])
    if said["time"] is None and not roles.time.is_sure:
        said["time"] = typer.prompt("Column that says when it happened", default=roles.time.column, err=True)
    formats = looked.columns[said["time"] or roles.time.column].time_formats
    if len(formats) > 1 and said["time_format"] is None:
        said["time_format"] = typer.prompt(
            f"How {roles.time.column} is written: {' or '.join(formats)}", default=formats[0], err=True
        )
    if said["event_id"] is None and (roles.id is None or not roles.id.is_sure):
        text = "Column that identifies an event (none: there is none)"
        said["event_id"] = typer.prompt(text, default=roles.id.column if roles.id else NOTHING, err=True)
    if not said["keys"] and len(roles.keys) > 1:
        text = "Columns that features are about, the first above all"
        said["keys"] = (
            typer.prompt(text, default=" ".join(role.column for role in roles.keys), err=True).replace(",", " ").split()
        )
    if said["timezone"] is None:
        said["timezone"] = typer.prompt("Business time zone", default="UTC", err=True)
    return looked.found(name, **said)


def _show_found(looked: Look, found: Found, *, is_zone_said: bool) -> None:
    roles = found.roles
    few = f"{found.rows:,} rows of {found.files}"
    screen.say(f"{few}: {len(found.columns)} columns, {roles.first:%Y-%m-%d} to {roles.last:%Y-%m-%d}")
    of: list[tuple[str, Iterable[Role | None]]] = [
        ("when", [roles.time]),
        ("identity", [roles.id]),
        ("learned", [roles.learned]),
        ("about", roles.keys),
        ("kinds", [roles.kind]),
        ("groups", roles.categories),
        ("numbers", roles.measures),
    ]
    rows = [(what, screen.printable(role.column), screen.printable(role.reason)) for what, each in of for role in each if role]
    if roles.id is None:
        rows.insert(1, ("identity", "none", "no column: what is delivered again is known by all of its columns"))
    screen.show_table("What was found", ("what", "column", "why"), rows)
    for column in (column for column in found.columns.values() if column.odd):
        shown = ", ".join(map(repr, column.odd_values))
        screen.note(
            f"{column.name}: {column.odd:,} rows have something else than {column.type}, such as {screen.printable(shown)}"
        )
    for path in looked.differing:
        screen.note(f"{screen.printable(str(path))} has other columns: it is no file of this source. Leave it out of --from.")
    for column_name, why in found.left_out.items():
        screen.note(f"{screen.printable(column_name)} is left out: {why}")
    if not is_zone_said:
        screen.note(f"Days and times that name no zone are taken as {found.timezone}; --timezone says another.")


def _check(text: str) -> None:
    """Run what is going to be written: a module that the library refuses is our fault, and must not wait for the next command."""
    from featurestore.spec.registry import Registry

    Registry().merged(objects_in(text))


def up(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where the project is; this folder by default.")] = Path(),
    as_json: Json = False,
) -> None:
    """Bring a project up to date: apply, ingest, materialize, audit; then say what to try next."""
    from featurestore.scaffold.settings import SETTINGS, read_settings

    settings = read_settings(folder)
    if settings is None:
        raise DefinitionError(
            f"There is no {SETTINGS} in {folder.absolute()}. `featurestore init NAME --from FILES` writes one; or name the "
            "folder that has it."
        )
    defined = load_definitions(settings.module)
    store = featurestore.FeatureStore(settings.root, timezone=defined.timezone)
    plan = store.apply(defined.objects)
    screen.note(f"apply: {len(plan.changes)} definitions changed")
    reports = _ingest_all(store, settings)
    with screen.counting("materialize") as progress:
        materialized = store.materialize(progress=progress)
    audited = _audit(store)
    if as_json:
        found = {"plan": plan, "ingested": reports, "materialized": materialized}
        screen.show_json(
            {**found, "audited": None if audited is None else {"months": audited.months, "states": audited.states}}
        )
        return
    for report in reports:
        screen.say(str(report))
    screen.say(str(materialized))
    screen.say("audit: no month is over yet" if audited is None else _in_words(audited))
    screen.say("\nNext:")
    _say_what_next(settings, folder)


def _ingest_all(store: FeatureStore, settings: Settings) -> list[IngestReport]:
    reports: list[IngestReport] = []
    for source in store.registry.sources:
        files = settings.files.get(source)
        with screen.counting_rows(f"ingest {source}") as progress:
            reports.append(store.ingest(source, list(files) if files else None, progress=progress))
    return reports


def _audit(store: FeatureStore) -> AuditReport | None:
    """Audit the months that are over by the events' own clock; nothing where there are none yet."""
    months = all_months(store)[:-1]
    if not months:
        return None
    with screen.counting("audit") as progress:
        return store.audit(months, progress=lambda view, month: progress(view, "snapshots", month))


def _in_words(report: AuditReport) -> str:
    """Say what an audit has found, and from when on it judges what it does not judge yet."""
    judged = sum(count for state, count in report.states.items() if state != "insufficient")
    told = (
        [str(report)]
        if judged
        else [f"audit of {report.months[0]} to {report.months[-1]}: too short a history to judge any feature"]
    )
    told += [f"  {episode}" for episode in report.entered] + [f"  {fault}" for fault in report.faults if fault.is_new]
    return "\n".join(told)


def _say_what_next(settings: Settings, folder: Path) -> None:
    """Name three things to try, which work as they stand."""
    own = Path(settings.module).with_suffix(".md")
    readme = own if own.exists() else folder / "README.md"
    place = "" if folder == Path() else f" --root {settings.root}"
    module = "" if folder == Path() else f" --module {settings.module}"
    for what, why in (
        (f"featurestore status{place}", "what the store holds"),
        (str(readme), "a training set in six lines of Python"),
        (f"featurestore ui{place}{module}", "the same in Dagster's user interface"),
    ):
        screen.say(f"  {what:<22}{why}" if len(what) < _SHORT else f"  {what}\n      {why}")
