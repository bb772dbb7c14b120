"""The command that looks for damage."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.cli import screen
from featurestore.cli.opening import open_store
from featurestore.cli.options import DEFAULT_ROOT, Json, Root


def doctor(
    root: Root = DEFAULT_ROOT,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Name what is damaged; heal nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Read all of a store, name every damage and heal what can be made again; exit code 1 when something is left."""
    store = open_store(root)
    with screen.counting("doctor") as progress:
        report = store.doctor(dry_run=is_dry_run, progress=progress)
    if as_json:
        screen.show_json({"is_sound": report.is_sound, **screen.plain(report)})
    else:
        screen.say(str(report))
    if not report.is_sound:
        raise typer.Exit(1)
