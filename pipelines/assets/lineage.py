"""Lineage: the columns of each asset, and from which source columns a feature comes."""

from collections.abc import Iterable

import dagster as dg

from featurestore.spec.lineage import calibrations_read, columns_read
from featurestore.spec.registry import Registry
from featurestore.spec.source import EventSource
from featurestore.spec.view import Feature, FeatureView
from featurestore_pipelines.assets.shared import CALIBRATION, EVENTS, FEATURES, key_of
from featurestore_pipelines.metadata import Metadata

SCHEMA, LINEAGE = "dagster/column_schema", "dagster/column_lineage"


def source_columns(source: EventSource) -> Metadata:
    """Describe a source's declared columns."""
    roles = {source.event_time: "when it happened", source.id_column: "identifies the event"}
    roles |= {source.ingested_at: "when we learned of it"} if source.ingested_at else {}
    return {SCHEMA: _schema([(column, kind, roles.get(column, "")) for column, kind in source.schema])}


def view_columns(view: FeatureView) -> Metadata:
    """Describe a view's keys and features, each with the source columns that it is computed from."""
    keys = [(key, kind, "key") for (key, _), kind in zip(view.key_columns, view.key_types, strict=True)]
    features = [(feature.column, feature.type, _in_words(feature)) for feature in view.features]
    events = key_of(EVENTS, view.source.name)
    lineage = {key: [dg.TableColumnDep(events, column)] for key, column in view.key_columns}
    for feature in view.features:
        lineage[feature.column] = [
            *(dg.TableColumnDep(events, column) for column in sorted(columns_read(view, [feature]))),
            *(dg.TableColumnDep(key_of(CALIBRATION, name), name) for name in sorted(calibrations_read(view, [feature]))),
        ]
    return {SCHEMA: _schema([*keys, *features]), LINEAGE: _lineage(lineage)}


def service_columns(features: Iterable[Feature]) -> Metadata:
    """Describe a service's features, each with the asset of the view that computes it."""
    listed = list(features)
    lineage = {each.column: [dg.TableColumnDep(key_of(FEATURES, each.view), each.column)] for each in listed}
    return {SCHEMA: _schema([(each.column, each.type, _in_words(each)) for each in listed]), LINEAGE: _lineage(lineage)}


def joined_columns(registry: Registry, name: str) -> Metadata:
    """Describe a joined view's features, each with the features of its views that it is computed from."""
    joined = registry.joined_views[name]
    lineage: dict[str, list[dg.TableColumnDep]] = {}
    for feature in joined.features:
        operands = [joined.operand(each) for each in sorted(feature.expression.columns)] if feature.expression else []
        lineage[feature.column] = [dg.TableColumnDep(key_of(FEATURES, view.name), each.column) for view, each in operands]
    return {
        SCHEMA: _schema([(each.column, each.type, _in_words(each)) for each in joined.features]),
        LINEAGE: _lineage(lineage),
    }


def _in_words(feature: Feature) -> str:
    return feature.expression.text if feature.expression else (feature.aggregation and type(feature.aggregation).__name__) or ""


def _schema(columns: Iterable[tuple[str, str, str]]) -> dg.TableSchemaMetadataValue:
    listed = [dg.TableColumn(name, kind, description=text or None) for name, kind, text in columns]
    return dg.MetadataValue.table_schema(dg.TableSchema(listed))


def _lineage(columns: dict[str, list[dg.TableColumnDep]]) -> dg.TableColumnLineageMetadataValue:
    return dg.MetadataValue.column_lineage(dg.TableColumnLineage(columns))
