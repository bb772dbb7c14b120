"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_ROOT = Path("data/shop")

Root = Annotated[Path, typer.Option("--root", envvar="FEATURESTORE_ROOT", help="The store's directory.")]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout, for machines.")]
Views = Annotated[list[str] | None, typer.Option("--view", help="Only this view; may be repeated.")]
