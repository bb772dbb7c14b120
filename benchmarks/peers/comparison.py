"""A peer's answer beside ours: every row of the spine, every feature."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

TOLERANCE = 1e-9


def compare(ours: str, theirs: str, spine: str, prefix: str, features: list[str]) -> str:
    """Compare two answers -> ``equal``, or what was lost and what differs.

    Args:
        ours: Parquet file in the spine's order; it may have more features.
        theirs: Parquet file with ``row``, in any order, and the features.
        spine: Parquet file with ``row``.
        prefix: What our feature names have before theirs.
        features: What was asked for.
    """
    import pyarrow.parquet as pq

    rows = pq.read_table(spine, columns=["row"])["row"].to_numpy()
    return verdict(pq.read_table(ours), pq.read_table(theirs), rows, prefix=prefix, features=features)


def verdict(ours: pa.Table, theirs: pa.Table, rows: np.ndarray, *, prefix: str, features: list[str]) -> str:
    """Compare two tables; see ``compare``."""
    shared = [name for name in features if name in theirs.column_names]
    faults = []
    if len(shared) != len(features):
        faults.append(f"{len(shared)} features instead of {len(features)}")
    answered = theirs["row"].to_numpy()
    if lost := len(np.setdiff1d(rows, answered)):
        faults.append(f"lost {lost:,} of {len(rows):,} rows")
    if len(answered) != len(np.unique(answered)):
        faults.append("rows occur twice")
    order = np.argsort(rows, kind="stable")
    place = order[np.searchsorted(rows, answered, sorter=order).clip(0, len(rows) - 1)]
    ours = ours.take(pa.array(place))
    counts = {name: _different(ours[f"{prefix}{name}"], theirs[name]) for name in shared}
    faults += [f"{name} differs in {count:,} rows" for name, count in counts.items() if count]
    return "equal" if not faults else ", ".join(faults[:3])


def _different(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> int:
    """Count the values that are not the same: integers exactly, doubles within the tolerance, NULL equal to NULL alone."""
    mine, other = (np.asarray(column.is_null().to_numpy(zero_copy_only=False)) for column in (ours, theirs))
    both = ~mine & ~other
    a, b = (column.fill_null(0).to_numpy() for column in (ours, theirs))
    is_exact = pa.types.is_integer(ours.type)
    differs = a != b if is_exact else np.abs(a - b) > TOLERANCE * np.maximum(np.abs(a), 1)
    return int((mine != other).sum() + (differs & both).sum())
