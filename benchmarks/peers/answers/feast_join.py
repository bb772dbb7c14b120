"""Feast: a feature view over a Parquet file of precomputed rows, its DuckDB offline store, one historical join."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Int64
from peer import serve


def answer(question, spine):
    """Ask for the newest row of each key at or before as_of."""
    store = _store(question)
    frame = spine.select(["row", question["key"], "as_of"]).rename_columns(["row", question["key"], "event_timestamp"])
    names = [f"sku:{name}" for name in question["features"]]
    joined = store.get_historical_features(entity_df=frame.to_pandas(), features=names).to_arrow()
    features = {name: joined[name].cast(pa.int64()) for name in question["features"]}
    return pa.table({"row": joined["row"], **features})


def _store(question):
    registry = Path(question["out"]) / "registry.db"
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(registry),
        offline_store={"type": "duckdb"},
        online_store={"type": "sqlite", "path": str(registry.with_name("online.db"))},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    if not store.list_feature_views():
        sku = Entity(name="sku", join_keys=[question["key"]], value_type=ValueType.INT64)
        source = FileSource(path=question["files"][0], timestamp_field="event_timestamp")
        schema = [Field(name=question["key"], dtype=Int64), *(Field(name=name, dtype=Int64) for name in question["features"])]
        view = FeatureView(name="sku", entities=[sku], ttl=timedelta(0), schema=schema, source=source)
        store.apply([sku, view])
    return store


serve(answer)
