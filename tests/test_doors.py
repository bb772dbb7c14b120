"""Damage at every door is an error of the library that says what to do: no error of Python, Arrow, DuckDB or Delta gets out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.lake import delta_runtime

EVENTS = fs.EventSource(
    "events",
    schema={"id": "int64", "at": "timestamp", "user": "string", "known": "timestamp", "price": "double"},
    event_time="at",
    event_id="id",
    ingested_at="known",
    csv=fs.Csv(delimiter=";"),
)
VIEW = fs.FeatureView(
    "activity",
    entity=fs.Entity("user", key="user"),
    source=EVENTS,
    aggregations=[fs.Count("n", windows=("30d", "lifetime")), fs.Sum("spent", "price", where="price > 1")],
)
REPLACEMENTS: tuple[Any, ...] = (None, 1, "x", [], {}, [[1]])


@pytest.fixture
def store(tmp_path: Path) -> fs.FeatureStore:
    made = fs.FeatureStore(tmp_path / "store")
    made.apply([VIEW, fs.FeatureService("ranking", features=[VIEW])])
    at = [datetime(2024, 1, 1 + day) for day in range(20)]
    rows = {"id": range(20), "at": at, "user": ["a", "b"] * 10, "known": at, "price": [2.5] * 20}
    made.ingest("events", pa.table(rows))
    made.ingest("events", pa.table({**rows, "id": pa.nulls(20, pa.int64())}))
    return made


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the ways to every value in a JSON document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*at, key)
        yield from places(each, (*at, key))


def test_a_registry_in_which_anything_is_something_else_is_read_or_refused(store: fs.FeatureStore) -> None:
    registry = store.layout.registry
    written = json.loads(registry.read_text())
    refused = 0
    for number, way in enumerate(places(written)):
        changed = copy.deepcopy(written)
        at = changed
        for key in way[:-1]:
            at = at[key]
        at[way[-1]] = REPLACEMENTS[number % len(REPLACEMENTS)]
        registry.write_text(json.dumps(changed))
        for read in (lambda: store.registry, lambda: store.plan([VIEW])):
            try:
                read()
            except fs.FeatureStoreError:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"", b"[]", b"{}", b'{"view": [{}]}'], ids=repr)
def test_a_registry_of_any_bytes_is_read_or_refused(store: fs.FeatureStore, content: bytes) -> None:
    store.layout.registry.write_bytes(content)
    if content == b"{}":
        return
    with pytest.raises(fs.FeatureStoreError):
        assert not store.registry.views


@pytest.mark.parametrize("kind", ["events", "quarantine", "tiles", "keys"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"PAR1 no more"), Path.unlink], ids=["bytes", "gone"])
def test_a_damaged_file_of_a_table_is_told(store: fs.FeatureStore, kind: str, damage: Callable[[Path], object]) -> None:
    if kind not in ("events", "quarantine"):
        store.materialize()
    for file in (store.layout.root / "lake" / kind).rglob("*.parquet"):
        damage(file)
    told = []
    spine = pa.table({"user": ["a"], "as_of": [datetime(2024, 3, 1)]})
    for call in (
        store.materialize,
        lambda: store.get_historical_features(spine, [VIEW]),
        lambda: store.get_historical_features(spine, [VIEW], as_known=True),
        lambda: store.quarantine("events"),
        store.verify,
        store.status,
    ):
        try:
            call()
        except fs.FeatureStoreError as error:
            told.append(str(error))
    # Of what is computed there are copies to read from, and verify() reports what is damaged.
    assert told or kind in ("tiles", "keys")


def test_a_panic_of_rust_becomes_an_error(tmp_path: Path) -> None:
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    with pytest.raises(fs.StoreError, match="deltalake stopped at"), delta_runtime.deltalake_at(tmp_path):
        raise panic("no")
    with pytest.raises(KeyboardInterrupt), delta_runtime.deltalake_at(tmp_path):
        raise KeyboardInterrupt
