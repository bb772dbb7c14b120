"""What a statistician would write in an afternoon: KS and chi-square tests, Benjamini-Hochberg over the features of a month."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

LEVEL = 0.05


def differing(month: pa.Table, reference: pa.Table) -> Iterator[str]:
    """Name the features whose p-value, adjusted over all features, is below .05; missing values are left out."""
    from scipy.stats import false_discovery_control

    names = [name for name in month.column_names if name != "region"]
    p = np.array([_p_value(month[name].drop_null(), reference[name].drop_null()) for name in names])
    adjusted = false_discovery_control(p)
    yield from (name for name, own in zip(names, adjusted, strict=True) if own < LEVEL)


def _p_value(month: pa.ChunkedArray, reference: pa.ChunkedArray) -> float:
    from scipy.stats import chi2_contingency, ks_2samp

    if not pa.types.is_dictionary(month.type):
        return float(ks_2samp(month.to_numpy(), reference.to_numpy()).pvalue)
    counts = [dict(zip(*_counted(side), strict=True)) for side in (month, reference)]
    seen = sorted({*counts[0], *counts[1]})
    return float(chi2_contingency([[side.get(name, 0) for name in seen] for side in counts]).pvalue)


def _counted(side: pa.ChunkedArray) -> tuple[list[str], list[int]]:
    counted = pc.value_counts(side.cast(pa.string()))
    return counted.field("values").to_pylist(), counted.field("counts").to_pylist()
