"""Truth: the served return probability against the one that the shop draws returns by."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from featurestore.client import FeatureStore
from featurestore.compute.keys import load_keys
from featurestore.drift.recalibration.calibration_versions import champion, parameters, versions
from featurestore.drift.recalibration.fitters.beta_binomial import shrunken_rates
from featurestore.synth import Truth
from featurestore.timeline import Month
from featurestore_pipelines.demo.result import ProbabilityError

TRUE_MONTHS = 3
CALIBRATION = "return_prior"
COUNTS = ("sku_returns:returns_1y", "sku_returns:orders_1y", "sku_returns:category", "sku_demand:units_28d")


def score_return_probability(store: FeatureStore, truth: Truth, months: Sequence[Month]) -> ProbabilityError | None:
    """Compare the probability with the parameters of the first version, and with the champion's, with the truth of some months.

    Both read the same counts, as of the first instant of each month; only the prior differs.

    Returns:
        ``None`` while the first version is the champion.
    """
    folder = store.layout.calibrations(CALIBRATION)
    accepted = [version for version in versions(folder) if version.is_accepted]
    present = champion(folder)
    if present is None or accepted[0] == present:
        return None
    counts = _counts(store, months)
    skus = counts["sku_id"].to_numpy()
    true = [truth.return_probability(own, month) for own, month in zip(np.split(skus, len(months)), months, strict=True)]
    units = np.nan_to_num(counts["sku_demand__units_28d"].to_numpy().astype(float))
    x, n, groups = (counts[f"sku_returns__{name}"] for name in ("returns_1y", "orders_1y", "category"))
    errors = (
        np.abs(shrunken_rates(parameters(folder, version), x, n, groups) - np.concatenate(true))
        for version in (accepted[0], present)
    )
    first, now = (float(np.average(each, weights=units)) for each in errors)
    return ProbabilityError(months[0], months[-1], len(set(skus[units > 0].tolist())), first, now, present.name)


def _counts(store: FeatureStore, months: Sequence[Month]) -> pa.Table:
    """Retrieve what the probability is computed from, for all SKUs at the first instant of each month."""
    view = store.registry.views["sku_returns"]
    (keys,) = load_keys(store.layout.keys(view.entity.name), view.key_types).columns
    starts = np.repeat([month.interval(store.layout.timezone).start_us for month in months], len(keys))
    as_of = pa.array(starts).cast(pa.timestamp("us", tz="UTC"))
    return store.get_historical_features(pa.table({"sku_id": pa.concat_arrays([keys] * len(months)), "as_of": as_of}), COUNTS)
