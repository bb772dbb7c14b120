"""Foreign files: what is read through a mapping, found and checked before anything is read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.errors import IngestError
from featurestore.lake.bounds import Bounds
from featurestore.lake.frames import FrameDoor, is_frame, open_frame
from featurestore.lake.ingestion.deliveries import Delivery, sort_files
from featurestore.lake.ingestion.foreign_columns import locate, wanted_of
from featurestore.lake.ingestion.inputs import InputFile, check_files, find_files
from featurestore.lake.ingestion.landing import LandedFile, tell_of
from featurestore.spec.csv_format import Csv
from featurestore.spec.mapping import Mapping as FilesMapping
from featurestore.spec.mapping.mapping import Branch
from featurestore.spec.source import EventSource


@dataclass(frozen=True)
class CheckedDelivery:
    """The files of a delivery, checked; or rows that come from no file.

    Args:
        branch: What they are read as.
        inputs: Source to its files.
        places: Column, as the mapping writes it, to the source that has it and its name there.
    """

    branch: Branch
    inputs: Mapping[str, list[InputFile] | pa.RecordBatchReader]
    places: Mapping[str, tuple[str, str]]

    @property
    def files(self) -> list[InputFile]:
        """All files, in the order of the branch's sources."""
        return [file for inputs in self.inputs.values() if isinstance(inputs, list) for file in inputs]


def check_foreign(
    source: EventSource,
    rows: Any,
    landed: Sequence[LandedFile],
    waiting: Mapping[Path, str],
    *,
    folder: Path,
    csv: Csv | None,
    bounds: Bounds,
) -> list[CheckedDelivery]:
    """Find and check what is read through the mapping of a source.

    Args:
        source: The source, with a mapping.
        rows: What ``ingest`` was given; ``None``: what has landed.
        landed: The files of complete deliveries that have landed.
        waiting: Those of them that are not committed: a delivery with none of them is not read again.
        folder: The landing folder: what a call names in it is sorted into deliveries as if it had landed.
        csv: How CSV files are written, in place of what mapping and source say.
        bounds: What reading may cost.

    Raises:
        IngestError: a file is damaged, belongs to no kind of files, or to an incomplete delivery; or a column is in no file.
    """
    mapping = source.mapping
    assert mapping is not None
    if rows is not None and is_frame(rows):
        return [_frame(mapping, source, rows)]
    if rows is None:
        every = sort_files(mapping, {file.path: file.name for file in landed}).deliveries
        found = [delivery for delivery in every if any(path in waiting for path in delivery.paths)]
    else:
        found = _given(mapping, find_files(rows), folder)
    return [_checked(mapping, source, delivery, csv, bounds) for delivery in found]


def _given(mapping: FilesMapping, paths: list[Path], folder: Path) -> list[Delivery]:
    """Sort files that a call names; all must be read."""
    if len(mapping.sources) == 1 and len(paths) == 1:  # what it is needs no name
        branch = mapping.branches[0]
        return [Delivery(str(paths[0]), branch, {branch.root: tuple(paths)})]
    is_landed = all(path.is_relative_to(folder) for path in paths)
    home = folder if is_landed else Path(os.path.commonpath([path.parent for path in paths]))
    names = {path: path.relative_to(home).as_posix() for path in paths}
    found = sort_files(mapping, names)
    if found.left:
        told = [f"{names[path]} ({why})" for path, why in found.left.items()]
        raise IngestError(
            f"{len(told)} of {len(paths)} files below {home} cannot be read through mapping {mapping.name!r}: {tell_of(told)}. "
            "Give whole deliveries, and nothing else. Nothing was committed."
        )
    return list(found.deliveries)


def _frame(mapping: FilesMapping, source: EventSource, rows: Any) -> CheckedDelivery:
    branch = mapping.branches[0]
    if len(mapping.sources) > 1:
        names = ", ".join(files.name for files in mapping.sources)
        raise IngestError(
            f"Mapping {mapping.name!r} reads files of several kinds ({names}), which no frame is. Give the files."
        )
    wanted = wanted_of(mapping, branch, branch.root, source.event_time)
    reader = open_frame(rows, FrameDoor("input", IngestError, needed=wanted.types))
    places = locate(mapping, branch, {branch.root: reader.schema.names}, source.event_time)
    return CheckedDelivery(branch, {branch.root: reader}, places)


def _checked(
    mapping: FilesMapping, source: EventSource, delivery: Delivery, csv: Csv | None, bounds: Bounds
) -> CheckedDelivery:
    branch = delivery.branch
    inputs: dict[str, list[InputFile] | pa.RecordBatchReader] = {}
    columns: dict[str, set[str]] = {}
    for name, paths in delivery.files.items():
        wanted = wanted_of(mapping, branch, name, source.event_time)
        files = check_files(paths, replace(wanted, csv=wanted.csv or source.csv), csv=csv, bounds=bounds)
        inputs[name] = files
        # Of files that a delivery need not have none of the columns is missed.
        columns[name] = set.intersection(*(set(file.columns) for file in files)) if files else set(wanted.types)
    absent = [name for name, paths in delivery.files.items() if not paths]
    return CheckedDelivery(branch, inputs, locate(mapping, branch, columns, source.event_time, absent=absent))
