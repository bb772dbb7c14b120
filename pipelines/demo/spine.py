"""Spine: rows to enrich, drawn from the committed events of all months."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.client import FeatureStore
from featurestore.lake.table import Table
from featurestore.spec.service import FeatureService


def sample_spine(store: FeatureStore, service: FeatureService, *, rows: int, seed: int) -> pa.Table:
    """Draw events that carry all keys of a service, evenly over the whole history.

    An event becomes a row as of itself: what was known of its user, SKU, ... before that day.

    Args:
        store: Its committed events are read, a file at a time.
        service: Whose keys; its views share one source.
        rows: How many, at most.
        seed: Of the draw.

    Returns:
        The key columns, ``as_of`` and ``month``, in the order of the files.
    """
    registry = store.registry
    views = registry.views_of(registry.resolve(service))
    keys = dict(pair for view in views for pair in view.key_columns)
    source = views[0].source
    files = [file for file in Table.open(store.layout.events(source.name)).files() if file.rows]
    committed = sum(file.rows for file in files)
    random = np.random.default_rng(seed)
    drawn = []
    for file in files:
        table = pq.read_table(file.path, columns=[*keys.values(), source.event_time], partitioning=None)
        table = pa.table(dict(zip([*keys, "as_of"], table.columns, strict=True)))  # nullable, whoever wrote the file
        complete = np.flatnonzero(_has_all(table.select(list(keys))))
        wanted = min(round(rows * file.rows / committed), len(complete))
        chosen = table.take(pa.array(np.sort(random.choice(complete, wanted, replace=False))))
        drawn.append(chosen.append_column("month", pa.array([file.partition["month"]] * len(chosen))))
    return pa.concat_tables(drawn).slice(0, rows)


def _has_all(keys: pa.Table) -> np.ndarray:
    present = np.ones(len(keys), bool)
    for column in keys.columns:
        present &= pc.is_valid(column).to_numpy(zero_copy_only=False)
    return present
