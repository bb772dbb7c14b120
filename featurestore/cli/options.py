"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_ROOT = Path("data/shop")


def _root(context: typer.Context, parameter: typer.CallbackParam, given: Path) -> Path:
    """Return the store's directory: what is said, else that of the project in this folder, else the demo's."""
    source = context.get_parameter_source(parameter.name or "")
    if source is None or source.name != "DEFAULT":
        return given
    from featurestore.scaffold.settings import read_settings

    settings = read_settings(Path())
    return given if settings is None else settings.root


Root = Annotated[
    Path,
    typer.Option(
        "--root",
        envvar="FEATURESTORE_ROOT",
        callback=_root,
        help="The store's directory; by default as featurestore.toml says.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout, for machines.")]
Views = Annotated[list[str] | None, typer.Option("--view", help="Only this view; may be repeated.")]
