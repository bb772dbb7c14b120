"""Pins: what training sets were read from, kept under a name from every vacuum."""

from __future__ import annotations

from typing import Any

from featurestore.compute.retrieval.publication import Publication
from featurestore.compute.windows.versions import ReadVersions
from featurestore.errors import VersionError
from featurestore.lake.json_files import read_json, write_json
from featurestore.lake.layout import Layout
from featurestore.lake.storage import STORAGE
from featurestore.spec.names import checked_name


def pin(layout: Layout, name: str, versions: Any) -> ReadVersions:
    """Record under a name what an answer was read from, so that ``vacuum_store`` keeps it.

    Args:
        layout: The store.
        name: Of the pin, such as that of a model; an earlier pin of that name is replaced.
        versions: As in ``ReadVersions.parse``, or a publication.
    """
    read = ReadVersions.parse(versions.versions if isinstance(versions, Publication) else versions)
    write_json(layout.pins / f"{checked_name(name, 'a pin')}.json", read.document())
    return read


def pins(layout: Layout) -> dict[str, ReadVersions]:
    """Read all pins, by name."""
    files = STORAGE.list_files(layout.pins, ending=".json")
    return {file.path.stem: ReadVersions.parse(read_json(file.path)) for file in files}


def unpin(layout: Layout, name: str) -> None:
    """Forget a pin.

    Raises:
        VersionError: there is none of that name.
    """
    path = layout.pins / f"{checked_name(name, 'a pin')}.json"
    if not STORAGE.exists(path):
        raise VersionError(f"There is no pin {name!r}. Known: {', '.join(pins(layout)) or 'none'}.")
    STORAGE.delete(path)
