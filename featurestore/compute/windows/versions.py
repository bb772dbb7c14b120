"""Versions: what an answer was read from. Recorded in its schema's metadata; given back, the same call gives an equal table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from featurestore.errors import VersionError, did_you_mean
from featurestore.spec.aggregations import aggregation_document
from featurestore.spec.document import digest
from featurestore.spec.joined import JoinedView
from featurestore.spec.view import Feature, FeatureView

METADATA = b"featurestore"


@dataclass(frozen=True)
class ViewVersions:
    """What was read of one view.

    Args:
        fingerprint: Of its totals.
        ledger: Version of its ledger's table.
        events: Version of its events' table.
        superseded: Version of the table of superseded versions; ``None`` of an answer that is not as known.
        source: Its event source; ``None`` of answers that did not record it.
    """

    fingerprint: str
    ledger: int
    events: int
    superseded: int | None = None
    source: str | None = None


@dataclass(frozen=True)
class ReadVersions:
    """What an answer was read from.

    Args:
        views: View to what was read of it.
        calibrations: Calibration to the names of the versions that rows could read.
        features: Digest of the definitions of the columns.
        entities: Entity to the number of its keys that were known; only of batches, whose rows these are.
    """

    views: Mapping[str, ViewVersions]
    calibrations: Mapping[str, Sequence[str]]
    features: str
    entities: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Any) -> ReadVersions:
        """Read the versions from an answer, its schema, its metadata, or the JSON value that ``document`` gives.

        Raises:
            VersionError: there are none in it, or they are damaged.
        """
        if isinstance(value, ReadVersions):
            return value
        if isinstance(value, pa.Table | pa.RecordBatch):
            value = value.schema
        if isinstance(value, pa.Schema):
            value = value.metadata or {}
        if isinstance(value, Mapping) and METADATA in value:
            value = json.loads(value[METADATA])
        if not isinstance(value, Mapping) or not {"views", "calibrations", "features"} <= set(value):
            raise VersionError(
                f"versions={type(value).__name__} holds no versions. Give a table that get_historical_features() returned, its "
                "schema, or the JSON value in its metadata."
            )
        try:
            views = {name: ViewVersions(**read) for name, read in value["views"].items()}
            calibrations = {name: tuple(versions) for name, versions in value["calibrations"].items()}
        except (TypeError, AttributeError) as error:
            raise VersionError(
                f"These versions are damaged ({error}). Restore what they were read from, or read anew."
            ) from error
        return cls(views, calibrations, value["features"], value.get("entities", {}))

    def document(self) -> dict[str, Any]:
        """Return the versions as a JSON value."""
        views = {name: asdict(read) for name, read in self.views.items()}
        document = {
            "views": views,
            "calibrations": {n: list(v) for n, v in self.calibrations.items()},
            "features": self.features,
        }
        return {**document, **({"entities": dict(self.entities)} if self.entities else {})}

    def metadata(self) -> dict[bytes, bytes]:
        """Return the versions as metadata of an Arrow schema."""
        return {METADATA: json.dumps(self.document()).encode()}

    def of(self, view: str) -> ViewVersions:
        """Return what was read of a view.

        Raises:
            VersionError: nothing was.
        """
        if view not in self.views:
            raise VersionError(
                f"The versions name the views {', '.join(self.views)}, but features of {view!r} are asked for."
                f"{did_you_mean(view, self.views)}"
            )
        return self.views[view]

    def check_features(self, features: Sequence[tuple[FeatureView | JoinedView, Feature]], timezone: str) -> None:
        """Check that columns are defined as they were when these versions were read, in the store of that zone.

        Raises:
            VersionError: they are not: with the same versions the answer would be another.
        """
        if features_digest(features, timezone) != self.features:
            raise VersionError(
                "The features asked for are not those, or not defined as those, that these versions were read for. Ask for the "
                "same service or list, with the definitions of then, or leave versions= out."
            )


def features_digest(
    features: Sequence[tuple[FeatureView | JoinedView, Feature]], timezone: str, *, with_types: bool = True
) -> str:
    """Hash what the columns of an answer mean, where clocks and days are read in a zone.

    Args:
        features: Each with its view.
        timezone: The zone.
        with_types: Whether a column of another type means something else.
    """
    return digest([_meaning(view, feature, timezone, with_types) for view, feature in features])


def _meaning(view: FeatureView | JoinedView, feature: Feature, timezone: str, with_types: bool) -> list[Any]:
    kind = [feature.type] if with_types else []
    if feature.expression is not None:
        inputs = [_meaning(*view.operand(name), timezone, with_types) for name in sorted(feature.expression.columns)]
        keys = (
            [[key, _meaning(*view.operand(column), timezone, with_types)] for key, column in view.key_features]
            if isinstance(view, JoinedView)
            else []
        )
        return [feature.column, *kind, feature.expression.read_in(timezone).sql, inputs, *keys]
    assert isinstance(view, FeatureView)
    assert feature.aggregation is not None
    window = feature.window.text if feature.window else None
    return [feature.column, *kind, aggregation_document(feature.aggregation), window, view.delay]
