"""A size that is measured once: time, memory and bytes of ingest, materialize and a training set.

Every step notes its cost beside the store when it is done, so a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import featurestore as fs
from benchmarks.findings import Bench, Findings, Row, gibibytes, plain
from benchmarks.isolated import isolated
from benchmarks.law import Law
from benchmarks.questions import ENTITIES, PLURALS, references
from benchmarks.sections.memory import AT_MOST_GIB, held, run_verb
from benchmarks.stores import VIEWS, read_json, spine_of, stored_bytes
from featurestore.synth import TIMEZONE

STORED = {"ingest": ("lake/events",), "materialize": ("lake/tiles", "lake/ledger", "lake/keys", "hot")}


def measure(bench: Bench) -> Findings:
    """Draw, ingest, materialize and read, once each; what an earlier run has done is not done again."""
    size = bench.size
    law = Law(size.events, size.users, size.skus)
    root = bench.data / "stores" / f"{law.name}-large"
    root.parent.mkdir(parents=True, exist_ok=True)
    folder = bench.data / "events" / law.name
    drawn = _once(_note(root, "drawn"), lambda: isolated(draw, law=asdict(law), folder=folder))
    steps: dict[str, dict[str, Any]] = {"ingest": {"files": drawn}, "materialize": {}}
    isolated(prepare, root=root)
    rows = []
    for verb, given in steps.items():
        call = partial(isolated, run_verb, root=root, verb=verb, given=given)
        result = _once(_note(root, verb), call)
        rows += _rows(f"{verb}, {size.events:,} events", result, events=size.events)
        stored = stored_bytes(root, *STORED[verb])
        rows.append(
            Row(f"{', '.join(STORED[verb])}: bytes an event", stored / size.events, note=f"{plain(gibibytes(stored))} GiB")
        )
    for entity in ENTITIES:
        given = {"spine": str(spine_of(root, entity, size.spine_rows)), "features": references(entity)}
        result = isolated(run_verb, root=root, verb="historical", given=given)
        rows += _rows(f"training set, {PLURALS[entity]}, {size.spine_rows:,} rows x 40 features", result, events=None)
    return Findings(tuple(rows))


def _rows(what: str, result: dict[str, Any], *, events: int | None) -> list[Row]:
    cost = result["cost"]
    rate = f"; {plain(events / cost['wall_s'])} events a second" if events else ""
    return [
        Row(what, cost["wall_s"], unit=" s", note=f"{plain(cost['cpu_s'])} CPU-s{rate}"),
        Row(f"peak memory: {what}", gibibytes(held(result)), at_most=AT_MOST_GIB, unit=" GiB"),
    ]


def _note(root: Path, step: str) -> Path:
    return root.with_name(f"{root.name}-{step}.json")


def _once(file: Path, step: Callable[[], Any]) -> Any:
    if not file.exists():
        result = step()
        file.write_text(json.dumps(result), encoding="utf-8")
    return read_json(file)


def draw(law: dict[str, Any], folder: str) -> list[str]:
    """Write the events, a file per month."""
    return [str(file) for file in Law(**law).write(Path(folder))]


def prepare(root: str) -> None:
    """Make the store and declare its views."""
    fs.FeatureStore(root, timezone=TIMEZONE).apply(VIEWS["both"]())
