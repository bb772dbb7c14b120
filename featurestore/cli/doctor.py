"""The command that looks for damage."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.cli import screen
from featurestore.cli.opening import has_store, open_store
from featurestore.cli.options import DEFAULT_ROOT, Json, Root
from featurestore.lake.layout import unopened


def doctor(
    root: Root = DEFAULT_ROOT,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Name what is damaged; heal nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Read all of a store, name every damage and heal what can be made again; exit code 1 when something is left."""
    damaged = unopened(root) if has_store(root) else None
    store = None if damaged is not None else open_store(root)
    with screen.counting("doctor") as progress:
        if store is not None:
            report = store.doctor(dry_run=is_dry_run, progress=progress)
        else:
            from featurestore.operations.doctoring import examine  # help needs none of it

            assert damaged is not None
            report = examine(damaged, dry_run=is_dry_run, progress=progress)
    if as_json:
        screen.show_json({"is_sound": report.is_sound, **screen.plain(report)})
    else:
        screen.say(str(report))
    if not report.is_sound:
        raise typer.Exit(1)
