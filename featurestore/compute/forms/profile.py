"""Profile: one running count per bucket of the business calendar. Differences of bucket counts are exact."""

from __future__ import annotations

from typing import cast

import pyarrow as pa

from featurestore.compute.folds import SumFold
from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.measure import LOCAL_US, Measure, Rows, counts_measure
from featurestore.spec.aggregations import Aggregation, Profile
from featurestore.timeline import DAY_US, HOUR_US

# The local clock counts from a Monday.
_BUCKET_SQL = {
    "hour_of_week": f"{LOCAL_US} // {HOUR_US} % 168",
    "hour_of_day": f"{LOCAL_US} // {HOUR_US} % 24",
    "day_of_week": f"{LOCAL_US} // {DAY_US} % 7",
}


class ProfileForm:
    """Counts per bucket."""

    def measures(self, aggregation: Aggregation, rows: Rows) -> tuple[Measure, ...]:
        """One list of counts."""
        aggregation = cast(Profile, aggregation)
        bucket = f"CASE WHEN {rows.condition(aggregation)} THEN {_BUCKET_SQL[aggregation.by]} END"
        return (counts_measure(aggregation.by, bucket, aggregation.buckets),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return a fixed-size list of int64 counts, zeros without events."""
        return SumFold(cast(Profile, aggregation).buckets).arrow(window.difference(measures[0]))
