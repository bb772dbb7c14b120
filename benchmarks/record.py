"""The record of a size: what each section found, when and on which machine; a section that is measured again replaces itself."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.findings import Bench, Findings, Row
from featurestore.lake.whole_file import write_atomically

LIBRARIES = ("duckdb", "polars", "pyarrow", "numpy", "deltalake")


def read_record(file: Path) -> dict[str, Any]:
    """Read a record; an empty one when there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"sections": {}}


def add_section(file: Path, bench: Bench, name: str, findings: Findings, *, seconds: float) -> dict[str, Any]:
    """Put a section's findings into a record and write it, whole or not at all."""
    record = read_record(file)
    section = {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "machine": machine(),
        "rows": [{**asdict(row), "target": row.target, "verdict": row.verdict} for row in findings.rows],
        "series": findings.series,
    }
    record = {"size": bench.size.name, "events": bench.size.events, "sections": {**record["sections"], name: section}}
    return write_record(file, record)


def write_record(file: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Write a record, whole or not at all; return it."""
    write_atomically(file, (json.dumps(record, indent=1) + "\n").encode())
    return record


def rows_of(section: dict[str, Any]) -> list[Row]:
    """Read a section's rows back."""
    derived = ("target", "verdict")
    return [Row(**{name: value for name, value in row.items() if name not in derived}) for row in section["rows"]]


def machine() -> dict[str, Any]:
    """Describe what measured: cores, memory, how busy it is, versions."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
    }
