"""The command that brings a store to the newest version of its format."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.cli import screen
from featurestore.cli.opening import open_store
from featurestore.cli.options import DEFAULT_ROOT, Json, Root


def upgrade(
    root: Root = DEFAULT_ROOT,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which migrations apply, and why; change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring a store to the newest version of its format; older programs may refuse it afterwards."""
    report = open_store(root).upgrade(dry_run=is_dry_run)
    screen.show_json(report) if as_json else screen.say(str(report))
