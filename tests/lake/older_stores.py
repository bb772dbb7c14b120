"""Stores that older code wrote, unpacked for a test."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import featurestore as fs

FIXTURES = Path(__file__).parent / "fixtures"
OLDER = ("0.1",)
"""Releases of which a store is kept; see docs/formats.md."""


@dataclass(frozen=True)
class OlderStore:
    """A store as a release wrote it, and what it answered then.

    Args:
        root: The store.
        answers: Features of all users and days, now; with what they were asked.
        as_known: The same, as known at each day.
        published: The same, read from the first publication.
    """

    root: Path
    answers: pa.Table
    as_known: pa.Table
    published: pa.Table

    @property
    def spine(self) -> pa.Table:
        """The users and days that were asked for."""
        return self.answers.select(["user_id", "as_of"]).replace_schema_metadata(None)

    def answers_of(self, store: fs.FeatureStore, **options: object) -> pa.Table:
        """Ask once more."""
        return store.get_historical_features(self.spine, "recommendation_v1", **options)


def unpack(release: str, folder: Path) -> OlderStore:
    """Unpack the store of a release below a folder."""
    with tarfile.open(FIXTURES / f"store-{release}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in ("answers", "as_known", "published")}
    return OlderStore(folder / f"store-{release}", **tables)
