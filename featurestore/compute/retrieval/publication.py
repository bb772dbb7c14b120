"""Publications: the last good snapshot of a service, which consumers go on reading while a refresh is late or has failed.

    publications/<service>/<number>.json    as_of, versions of tables and calibrations, definitions; never changed

The highest number counts. A publication appears whole or not at all, and of two writers of one number one fails: a reader sees
the one before or the one after, never a mix. It carries the definitions that it was made with, so that it is read as it was
meant after they have changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from featurestore.compute.windows.versions import ReadVersions
from featurestore.errors import NotPublishedError, StoreError, VersionError
from featurestore.lake.json_files import read_json
from featurestore.lake.storage import STORAGE
from featurestore.spec.registry import Registry
from featurestore.timeline import Clock, from_us

METADATA = b"featurestore.publication"


@dataclass(frozen=True)
class Publication:
    """A service as of one instant.

    Args:
        service: Its name.
        number: From 0; the highest one of a service is its last good.
        as_of_us: Up to which all its views were complete, UTC microseconds.
        published_us: When it was made, UTC microseconds.
        versions: Of its views and of the calibrations that training rows could read.
        champions: Calibration to the version that batches read; ``None`` before the first promotion.
        definitions: Of the service and its views, as ``Registry.document`` writes them.
    """

    service: str
    number: int
    as_of_us: int
    published_us: int
    versions: ReadVersions
    champions: Mapping[str, str | None]
    definitions: Mapping[str, Any]

    @property
    def as_of(self) -> datetime:
        """Instant up to which all its views were complete, UTC."""
        return from_us(self.as_of_us)

    @property
    def published_at(self) -> datetime:
        """When it was made, UTC."""
        return from_us(self.published_us)

    @cached_property
    def registry(self) -> Registry:
        """The definitions that it was made with."""
        return Registry.from_document(self.definitions)

    def check(self, clock: Clock, as_of_us: int) -> None:
        """Refuse an as_of of which the publication knows nothing.

        Raises:
            NotPublishedError: its floor lies after the floor of the publication's as_of.
        """
        if clock.step(as_of_us) > clock.step(self.as_of_us):
            raise NotPublishedError(
                f"{self.service!r} is published as of {self.as_of.isoformat()}, and a row's as_of is "
                f"{from_us(as_of_us).isoformat()}. Give the rows the publication's as_of, or publish again when the refresh is done."
            )

    def served_us(self, asked_us: int, *, clocks: Sequence[Clock]) -> int:
        """Return the as_of that is answered: the one that is asked for where it floors to what is published, else its own."""
        is_known = all(clock.step(asked_us) <= clock.step(self.as_of_us) for clock in clocks)
        return asked_us if is_known else self.as_of_us

    def metadata(self, *, asked_us: int | None = None, served_us: int | None = None) -> dict[bytes, bytes]:
        """Return what was served, as metadata of an Arrow schema: a JSON value.

        Args:
            asked_us: The as_of that was asked for, if it was one for all rows.
            served_us: The one that was answered: it is a fallback when that is another.
        """
        facts: dict[str, Any] = {
            "service": self.service,
            "number": self.number,
            "as_of": self.as_of.isoformat(),
            "published_at": self.published_at.isoformat(),
        }
        if asked_us is not None and served_us is not None:
            late_us = asked_us - served_us
            facts |= {"asked": from_us(asked_us).isoformat(), "served": from_us(served_us).isoformat()}
            facts |= {"is_fallback": late_us > 0, "age_s": late_us / 1e6}
        return {METADATA: json.dumps(facts).encode()}

    def is_same(self, other: Publication) -> bool:
        """Say whether both read the same versions and definitions, whenever they were made."""
        return replace(self, number=other.number, published_us=other.published_us) == other

    def document(self) -> dict[str, Any]:
        """Return the publication as a JSON value."""
        return {**asdict(self), "versions": self.versions.document()}


def write_publication(folder: Path, publication: Publication) -> None:
    """Make a publication the last good one of its service.

    Raises:
        CommitConflictError: another writer took its number.
    """
    content = json.dumps(publication.document(), ensure_ascii=False, sort_keys=True).encode()
    STORAGE.create(publication_path(folder, publication.number), content)


def publication_path(folder: Path, number: int) -> Path:
    """Return where the publication of a number lies, in the folder of its service."""
    return folder / f"{number:08d}.json"


def publications(folder: Path) -> list[Publication]:
    """Read the publications of a service that are kept, oldest first.

    Raises:
        StoreError: one is damaged.
    """
    kept = []
    for path in _files(folder):
        try:
            kept.append(_parse(path, read_json(path)))
        except StoreError:
            if STORAGE.exists(path):
                raise  # else it has expired meanwhile
    return kept


def last_publication(folder: Path) -> Publication | None:
    """Return the last good publication of a service; ``None`` before the first."""
    return next(reversed(publications(folder)), None)


def definitions_of(registry: Registry, service: str) -> dict[str, Any]:
    """Return the definitions of a service and its views, as a publication carries them: what JSON gives back."""
    definitions: dict[str, Any] = json.loads(json.dumps(registry.part(service).document()))
    return definitions


def expire(folder: Path, *, keep: int) -> None:
    """Forget all but the last publications of a service; ``vacuum`` may then delete what only they were read from."""
    for path in _files(folder)[:-keep]:
        STORAGE.delete(path)


def _files(folder: Path) -> list[Path]:
    """List the files of a service's publications, oldest first."""
    return [file.path for file in STORAGE.list_files(folder, ending=".json")]


def _parse(path: Path, value: Any) -> Publication:
    try:
        return Publication(**{**value, "versions": ReadVersions.parse(value["versions"])})
    except (TypeError, KeyError, VersionError) as error:
        raise StoreError(f"{path} is no publication ({error}). Delete it, and publish the service again.") from error
