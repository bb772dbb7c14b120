"""The command that opens Dagster's user interface on a store."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from featurestore.cli.opening import open_store
from featurestore.cli.options import DEFAULT_ROOT, Root
from featurestore.errors import DefinitionError, MissingExtraError, how_to_install

PORT = 3000


def ui(
    root: Root = DEFAULT_ROOT,
    module: Annotated[
        str | None, typer.Option("--module", help="Definitions: a name or a .py file; by default as featurestore.toml says.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Where to listen; nobody is asked for a password there.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port there.")] = PORT,
) -> None:
    """Show a store and its assets in Dagster's user interface, until Ctrl-C."""
    from featurestore.scaffold.settings import SETTINGS, read_settings

    store = open_store(root)
    settings = read_settings(Path())
    said = module or (settings.module if settings else None)
    if said is None:
        raise DefinitionError(f"There is no {SETTINGS} here that says which module defines the store. Name it with --module.")
    try:
        from featurestore_pipelines.ui import Ui, show
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The user interface needs Dagster, which is not installed. {how_to_install('pipelines')}"
        ) from error
    months = [source.first_month for source in store.status().sources if source.first_month]
    first = min(months, default=f"{datetime.now():%Y-%m}")
    definitions = str(Path(said).resolve()) if said.endswith(".py") else said
    raise typer.Exit(show(Ui(root=root, definitions=definitions, first_month=first, host=host, port=port)))
