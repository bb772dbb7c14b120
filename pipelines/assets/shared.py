"""What all assets share: how they are named, months as partitions, ranges in one run, owners and tags from the definitions."""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import dagster as dg

from featurestore.client import FeatureStore
from featurestore.spec.document import Definition, digest, document, joined_from, view_from
from featurestore.spec.evolution import with_earlier
from featurestore.spec.joined import JoinedView
from featurestore.spec.registry import Registry
from featurestore.spec.source import EventSource
from featurestore.spec.view import FeatureView
from featurestore_pipelines.resources import Progress, StoreResource

OWNER = "feature-platform"
EVENTS, TILES, LEDGER, FEATURES, SERVICES = "events", "tiles", "ledger", "features", "services"
DRIFT_REPORT, AUDIT, CALIBRATION = "drift_report", "audit", "calibration"
STAGES = (EVENTS, TILES, LEDGER, FEATURES, SERVICES, DRIFT_REPORT, CALIBRATION)
"""One op each: it makes the assets of its stage for all sources, views, services or calibrations, or for some of them.

An op is also what takes a place in a pool: all that writes a stage's tables waits in the pool of its name.
"""

WHAT_IT_IS = {TILES: "_tiles", LEDGER: "_ledger", DRIFT_REPORT: "_drift"}
"""What the last part of a key ends with, by stage: the graph shows that part alone, and a view has an asset in each of these
stages beside its features, which have its own name."""


def source_version(source: EventSource) -> str:
    """Hash what tells the events of a source apart and when they count; committed events stay what they are if the rest changes."""
    return digest([source.name, source.event_id, source.event_time, source.ingested_at, source.id_scope])


def as_read(view: FeatureView) -> FeatureView:
    """Return a view whose fingerprints leave out what it does not read of its source: a new column makes nothing stale."""
    return view_from(document(view), view.entity, with_earlier(view.source, dict.fromkeys(view.source.types)))


def joined_as_read(joined: JoinedView) -> JoinedView:
    """Return a joined view of such views; see ``as_read``."""
    return joined_from(document(joined), {view.name: as_read(view) for view in joined.views})


@dataclass(frozen=True)
class Blueprint:
    """What the assets are made from.

    Args:
        objects: The definitions; a run applies them first.
        partitions: Months, the same for all assets.
    """

    objects: tuple[Definition, ...]
    partitions: dg.MonthlyPartitionsDefinition

    @cached_property
    def registry(self) -> Registry:
        """The definitions by name, without a look at the store."""
        return Registry().merged(self.objects)

    def open(self, store: StoreResource) -> FeatureStore:
        """Open the store, creating it when missing, with the definitions applied."""
        return store.store(self.objects)


def key_of(stage: str, name: str) -> dg.AssetKey:
    """Return the key of one definition's asset.

    >>> [key_of(stage, "user_activity").to_user_string() for stage in (TILES, FEATURES)]
    ['tiles/user_activity_tiles', 'features/user_activity']
    """
    return dg.AssetKey([stage, f"{name}{WHAT_IT_IS.get(stage, '')}"])


def definition_of(key: dg.AssetKey) -> str:
    """Return the name of the definition that an asset is made of.

    >>> definition_of(key_of(TILES, "user_activity"))
    'user_activity'
    """
    stage, name = key.path
    return name.removesuffix(WHAT_IT_IS.get(stage, ""))


AUDIT_KEY = dg.AssetKey(AUDIT)


def stage_asset(
    stage: str, specs: Sequence[dg.AssetSpec], blueprint: Blueprint, *, can_subset: bool = True
) -> Callable[[Callable[..., object]], dg.AssetsDefinition]:
    """Make a decorator that turns a function of a run's months into the assets of a stage.

    A range of months is one run: a month costs a fraction of a run's start, and a partition of the ledger is folded once.
    """
    return dg.multi_asset(
        name=stage,
        specs=specs,
        partitions_def=blueprint.partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=can_subset and bool(specs),
        pool=stage,
    )


def chosen(context: dg.AssetExecutionContext, stage: str) -> list[str]:
    """List the definitions that a run makes a stage's assets of, in the order of the definitions."""
    selected = {definition_of(key) for key in context.selected_asset_keys if key.path[0] == stage}
    order = [definition_of(key) for key in context.assets_def.keys if key.path[0] == stage]
    return [name for name in order if name in selected]


def units(progress: Progress, stage: str) -> Callable[[str, object], None]:
    """Return a function that tells the progress of each view and month that is done."""
    return lambda view, done: progress(stage, f"{view} {done}")


class TimedUnits:
    """Tells of each view and month that is done, as ``units`` does, and keeps how long each took.

    Attributes:
        elapsed_s: View and month to wall seconds since the thread that made it was done with the one before.
    """

    def __init__(self, progress: Progress, stage: str) -> None:
        self.elapsed_s: dict[tuple[str, str], float] = {}
        self._told, self._started_s, self._last_s = units(progress, stage), time.perf_counter(), dict[int, float]()

    def __call__(self, view: str, done: object) -> None:
        """Take note that a view's month is done."""
        thread = threading.get_ident()
        now_s = time.perf_counter()
        self.elapsed_s[view, str(done)] = now_s - self._last_s.get(thread, self._started_s)
        self._last_s[thread] = now_s
        self._told(view, done)


def owners_of(*owners: str | None) -> list[str]:
    """Write the owners that definitions name as Dagster's: an address stays, anything else is a team."""
    named = list(dict.fromkeys(owner for owner in owners if owner)) or [OWNER]
    return [owner if "@" in owner else f"team:{_plain(owner)}" for owner in named]


def tags_of(grain: str, tags: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """Write a definition's free labels as Dagster's, beside the grain of the asset's rows."""
    return {**{_plain(name): _plain(str(value)) for name, value in dict(tags).items()}, "grain": grain}


def after_the_month_before(key: dg.AssetKey) -> dg.AssetDep:
    """Let an asset depend on its own partition of the month before."""
    return dg.AssetDep(key, partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1))


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-_.")[:63] or "none"
