"""Stores of the benchmark: built once, kept, and copied where a measurement would change them."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import featurestore as fs
from benchmarks.cost import in_turn
from benchmarks.isolated import isolated
from benchmarks.law import Law, law_source
from benchmarks.questions import ENTITIES, LONG, SHORT, make_view
from featurestore.synth import TIMEZONE
from featurestore.timeline import to_us

SPREAD = datetime(2017, 7, 1, tzinfo=timezone.utc), datetime(2025, 12, 31, tzinfo=timezone.utc)
LAST_QUARTER = datetime(2025, 10, 1, tzinfo=timezone.utc), SPREAD[1]
DERIVED = ("lake/tiles", "lake/ledger", "lake/keys", "hot")


def shop_store(data: Path, events: int) -> Path:
    """Return the store of the synthetic shop: views ``user`` and ``sku``."""
    return _store(data / "stores" / f"shop-{events}", build_shop, events=events)


def law_store(data: Path, law: Law, *, kind: str = "both") -> Path:
    """Return the store of made-up events with the views of a kind (``VIEWS``)."""
    return _store(data / "stores" / f"{law.name}-{kind}", build_law, law=asdict(law), kind=kind)


def consumer_store(data: Path, events: int) -> Path:
    """Return the store of the synthetic shop with all that its consumers read."""
    return _store(data / "stores" / f"consumers-{events}", build_consumers, events=events)


def dictionary_store(data: Path, types: Sequence[str], keys: int) -> Path:
    """Return a store with keys and nothing else."""
    return _store(data / "stores" / f"keys-{'-'.join(types)}-{keys}", build_dictionary, types=types, keys=keys)


def _store(root: Path, build: Callable[..., None], **arguments: Any) -> Path:
    """Build a store unless it is there; bring its views up to date with this version of the code."""
    if not (root / "built").exists():
        shutil.rmtree(root, ignore_errors=True)
        isolated(build, root=str(root), **arguments)
        (root / "built").touch()
    isolated(bring_up_to_date, root=str(root))
    return root


def build_shop(root: str, events: int) -> None:
    """Draw a shop and ingest it."""
    from featurestore.shop import events as source

    _ingest_shop(root, [make_view(source, entity) for entity in ENTITIES], events)


def build_consumers(root: str, events: int) -> None:
    """Draw a shop and ingest it, for the views of its consumers."""
    from featurestore.shop import OBJECTS

    _ingest_shop(root, OBJECTS, events)


def _ingest_shop(root: str, objects: Sequence[Any], events: int) -> None:
    from featurestore.synth import Shop

    store = fs.FeatureStore(root, timezone=TIMEZONE)
    store.apply(objects)
    landing = Path(root) / "landing" / "events"
    Shop(events=events).write_landing(landing)
    store.ingest("events")
    shutil.rmtree(landing)


def build_dictionary(root: str, types: Sequence[str], keys: int) -> None:
    """Give codes to keys, the last hundred on another day."""
    from featurestore.compute.keys import extend_keys
    from featurestore.compute.search.key_index import renew_index

    layout = fs.FeatureStore(root).layout
    for numbers in (np.arange(keys - 100), np.arange(keys - 100, keys)):
        extend_keys(layout.keys("user"), types, key_columns(types, numbers))
    renew_index(layout, "user", types)


def key_columns(types: Sequence[str], numbers: np.ndarray) -> list[pa.Array]:
    """Make a key of each number, of 13 letters where it is a text."""
    import pyarrow.compute as pc

    texts = pc.binary_join_element_wise("user-", pa.array(numbers + 10**7).cast(pa.string()), "")
    return [pa.array(numbers) if kind == "int64" else texts.cast(pa.large_string()) for kind in types]


def build_law(root: str, law: dict[str, Any], kind: str) -> None:
    """Draw made-up events and ingest them, month by month."""
    store = fs.FeatureStore(root, timezone=TIMEZONE)
    store.apply(VIEWS[kind]())
    landing = Path(root) / "landing" / "events"
    store.ingest("events", Law(**law).write(landing))
    shutil.rmtree(landing)


def bring_up_to_date(root: str) -> None:
    """Bring the views of a store up to date with its events."""
    fs.FeatureStore(root).materialize()


VIEWS: dict[str, Callable[[], list[Any]]] = {
    "events": lambda: [law_source()],
    "month": lambda: [law_source("month")],
    "both": lambda: [make_view(law_source(), entity) for entity in ENTITIES],
    "user": lambda: [make_view(law_source(), "user")],
    "sku_grains": lambda: [
        make_view(law_source(), "sku", LONG, name=f"sku_{name}", grain=grain)
        for name, grain in (("day", "1d"), ("event", "event"))
    ],
    "long_short": lambda: [
        make_view(law_source(), "user", windows, name=f"user_{name}") for name, windows in (("long", LONG), ("short", SHORT))
    ],
}


@contextmanager
def scratch(store: Path, *, without: Sequence[str] = ()) -> Iterator[Path]:
    """Give a copy that may be changed and is thrown away; committed files are never changed, so they are linked, not copied.

    Args:
        store: What to copy.
        without: Folders to leave out, such as those in ``DERIVED``.
    """
    copy = store.with_name(f"scratch-{uuid.uuid4().hex[:12]}")
    left_out = {str(store / folder) for folder in without}

    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if os.path.join(folder, name) in left_out]

    try:
        yield Path(shutil.copytree(store, copy, copy_function=os.link, ignore=ignored))
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def event_files(store: Path) -> list[str]:
    """List the committed event files."""
    from featurestore.lake.table import Table

    layout = fs.FeatureStore(store).layout
    return sorted(str(file.path) for file in Table.open(layout.events("events")).files())


def stored_bytes(store: Path, *folders: str) -> int:
    """Return the size of some of a store's folders."""
    return sum(file.stat().st_size for folder in folders for file in (store / folder).rglob("*") if file.is_file())


def spine_of(
    store: Path, entity: str, rows: int, span: tuple[datetime, datetime] = SPREAD, *, keys: int | None = None, seed: int = 1
) -> Path:
    """Draw a spine once -> a Parquet file: ``row``, the key of a known entity, ``as_of`` between two dates, ``floor_day``.

    Args:
        store: Whose entities.
        entity: ``user`` or ``sku``.
        rows: How many.
        span: First moment, and the one after the last.
        keys: Draw from so many entities only; from all by default.
        seed: Another one draws another spine.
    """
    parts = (rows, f"{span[0]:%Y%m%d}", f"{span[1]:%Y%m%d}", keys or "all", seed)
    file = store / "spines" / f"{entity}-{'-'.join(map(str, parts))}.parquet"
    if not file.exists():
        arguments = {"span_us": [to_us(moment) for moment in span], "keys": keys, "seed": seed, "rows": rows}
        isolated(draw_spine, store=str(store), entity=entity, file=str(file), **arguments)
    return file


def draw_spine(store: str, entity: str, file: str, rows: int, span_us: list[int], keys: int | None, seed: int) -> None:
    """Draw the spine that ``spine_of`` names, and write it."""
    import pyarrow.parquet as pq

    from benchmarks.law import floor_days

    key = f"{entity}_id"
    random = np.random.default_rng(seed)
    known = known_keys(store, key)
    chosen = known if keys is None else random.choice(known, keys, replace=False)
    moments = random.integers(*span_us, rows)
    spine = {
        "row": np.arange(rows),
        key: random.choice(chosen, rows),
        "as_of": pa.array(moments, pa.timestamp("us", "UTC")),
        "floor_day": floor_days(moments),
    }
    Path(file).parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(spine), file)


def known_keys(store: str, key: str) -> np.ndarray:
    """List the keys that occur, sorted."""
    import duckdb

    distinct = duckdb.sql(
        f"SELECT DISTINCT {key} FROM read_parquet({event_files(Path(store))}) WHERE {key} IS NOT NULL ORDER BY 1"
    )
    return np.asarray(distinct.to_arrow_table()[key].to_numpy())


def read_spine(file: str) -> pa.Table:
    """Read what is asked of the store: key and as_of."""
    import pyarrow.parquet as pq

    return pq.read_table(file).drop_columns(["row", "floor_day"])


def write_answer(store: str, spine: str, features: list[str], out: str) -> None:
    """Make a training set and write it."""
    import pyarrow.parquet as pq

    Path(out).parent.mkdir(exist_ok=True)
    pq.write_table(fs.FeatureStore(store).get_historical_features(read_spine(spine), features), out)


def ask_in_turn(store: str, spine: str, features: dict[str, list[str]], runs: int) -> dict[str, Any]:
    """Make training sets of several lists of features in turn -> name to median cost."""
    opened = fs.FeatureStore(store)
    rows = read_spine(spine)
    calls = {
        name: (lambda wanted=wanted: opened.get_historical_features(rows, wanted).num_rows) for name, wanted in features.items()
    }
    return {name: asdict(cost) for name, cost in in_turn(calls, runs=runs).items()}


def read_json(file: Path) -> Any:
    """Read a JSON file."""
    return json.loads(file.read_text(encoding="utf-8"))
