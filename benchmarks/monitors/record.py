"""The record: what each monitor did in each world, when, how large, on which machine; measured again, an entry replaces itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.monitors.score import Score
from benchmarks.record import machine, write_record


def read_record(file: Path) -> dict[str, Any]:
    """Read a record; an empty one when there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"scores": {}}


def add_score(
    file: Path, score: Score, *, world: str, monitor: str, features: int, rows: int, seeds: Sequence[int]
) -> dict[str, Any]:
    """Put a score into a record and write it."""
    record = read_record(file)
    entry = {
        "world": world,
        "monitor": monitor,
        "features": features,
        "rows": rows,
        "seeds": list(seeds),
        **_now(),
        **asdict(score),
    }
    record["scores"][f"{world}; {monitor}"] = entry
    return write_record(file, record)


def add_growing(file: Path, rows: Sequence[dict[str, Any]], *, users: int, seed: int) -> dict[str, Any]:
    """Put what the growing shop's features did into a record and write it."""
    record = read_record(file) | {"growing": {"users": users, "seed": seed, **_now(), "rows": list(rows)}}
    return write_record(file, record)


def _now() -> dict[str, Any]:
    return {"measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"), "machine": machine()}
