"""Commands that change what a store knows of: definitions recorded, definitions removed."""

from __future__ import annotations

from typing import Annotated

import typer

import featurestore
from featurestore.cli import screen
from featurestore.cli.opening import has_store, open_store
from featurestore.cli.options import DEFAULT_ROOT, Json, Root
from featurestore.spec.loading import load_definitions
from featurestore.spec.registry import Registry

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; record nothing.")]


def apply(
    module: Annotated[
        str,
        typer.Argument(
            metavar="MODULE", help="Importable name, or path ending in .py, of a module with OBJECTS (and TIMEZONE)."
        ),
    ],
    root: Root = DEFAULT_ROOT,
    is_pruning: Annotated[
        bool, typer.Option("--prune", help="Also forget what is recorded and not in the module; no event is deleted.")
    ] = False,
    is_dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Record definitions in a store, creating it when missing."""
    definitions = load_definitions(module)
    if is_dry_run and not has_store(root):
        plan = Registry().plan(Registry().only(definitions.objects))
        screen.note(f"There is no store in {root} yet; without --dry-run it is made.")
    else:
        store = featurestore.FeatureStore(root, timezone=definitions.timezone)
        plan = (store.plan if is_dry_run else store.apply)(definitions.objects, prune=is_pruning)
    screen.show_json(plan) if as_json else screen.say(str(plan))


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An entity, source, view, joined view, service or calibration.")],
    root: Root = DEFAULT_ROOT,
    is_dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Forget one definition that no other reads; its events stay, what was computed of them goes with the next vacuum."""
    store = open_store(root)
    registry = store.registry
    plan = registry.plan(registry.without(name)) if is_dry_run else store.remove(name)
    screen.show_json(plan) if as_json else screen.say(str(plan))
