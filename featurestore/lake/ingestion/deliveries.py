"""Deliveries: which files belong together, and which of them still wait for others.

Files of a mapping without joins stand alone. Files that are joined make a delivery: those whose pattern has one text at
``{delivery}``, else those with one date in their paths, else those of one folder. It is complete when all its files are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from featurestore.spec.landing_place import date_in
from featurestore.spec.mapping import Mapping as FilesMapping
from featurestore.spec.mapping.files import DELIVERY
from featurestore.spec.mapping.mapping import Branch


@dataclass(frozen=True)
class Delivery:
    """Files that are read together.

    Args:
        key: What they have in common.
        branch: What they are read as.
        files: Source to its files, in the order of their names.
    """

    key: str
    branch: Branch
    files: Mapping[str, tuple[Path, ...]]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of its files."""
        return tuple(path for paths in self.files.values() for path in paths)


@dataclass(frozen=True)
class SortedFiles:
    """Complete deliveries, in the order of their keys, and why each of the other files is not read."""

    deliveries: tuple[Delivery, ...]
    left: Mapping[Path, str]


@dataclass
class _Gathered:
    """Files of one key, by source."""

    files: dict[str, list[Path]] = field(default_factory=dict)


def sort_files(mapping: FilesMapping, names: Mapping[Path, str]) -> SortedFiles:
    """Sort files into deliveries.

    Args:
        mapping: Whose files they are.
        names: File to its path relative to where they lie, with slashes: dates and folders in it tell deliveries apart.
    """
    left: dict[Path, str] = {}
    keyed: dict[str, _Gathered] = {}
    for path, name in sorted(names.items(), key=lambda pair: pair[1]):
        taken = [(files.name, match) for files in mapping.sources if (match := files.takes(path.as_posix())) is not None]
        if len(taken) != 1:
            left[path] = _not_one(mapping, [source for source, _ in taken])
            continue
        ((source, match),) = taken
        key = match["delivery"] if DELIVERY in mapping.source(source).glob else date_in(name) or str(PurePosixPath(name).parent)
        keyed.setdefault(key, _Gathered()).files.setdefault(source, []).append(path)
    found: list[Delivery] = []
    waiting: dict[Path, str] = {}
    for key, gathered in sorted(keyed.items()):
        for branch in mapping.branches:
            files = {source: tuple(gathered.files.get(source, ())) for source in branch.sources}
            if not branch.joins:
                found += [Delivery(str(path), branch, {branch.root: (path,)}) for path in files[branch.root]]
                continue
            lacking = _lacking(mapping, branch, files)
            if not lacking:
                found.append(Delivery(key, branch, files))
            for path in (path for paths in files.values() for path in paths) if lacking else ():
                waiting.setdefault(path, f"waits for {' and '.join(lacking)} of its delivery {key!r}")
    read = {path for delivery in found for path in delivery.paths}
    return SortedFiles(tuple(found), {**left, **{path: why for path, why in waiting.items() if path not in read}})


def _lacking(mapping: FilesMapping, branch: Branch, files: Mapping[str, tuple[Path, ...]]) -> list[str]:
    """Say which files of a delivery are not there yet."""
    lacking = []
    for source in branch.sources:
        expected = mapping.source(source)
        if len(files[source]) < expected.parts and (expected.required or source == branch.root or files[source]):
            found = f" ({len(files[source])} of {expected.parts} files)" if expected.parts > 1 else ""
            lacking.append(f"{source} {expected.glob!r}{found}")
    return lacking


def _not_one(mapping: FilesMapping, taken: list[str]) -> str:
    if taken:
        return f"its name is of {' and '.join(taken)}: mapping {mapping.name!r} cannot tell"
    patterns = ", ".join(f"{files.name} {files.glob!r}" for files in mapping.sources)
    return f"its name is none of mapping {mapping.name!r}: {patterns}"
