"""Profile: running counts of the buckets of the business calendar that an entity has filled. Differences of counts are exact."""

from __future__ import annotations

from typing import cast

import pyarrow as pa

from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.forms.measure import LOCAL_US, Measure, RowSql, buckets_measure
from featurestore.compute.items.profiles import ProfileFold
from featurestore.spec.aggregations import Aggregation, Profile
from featurestore.timeline import DAY_US, HOUR_US

# The local clock counts from a Monday.
_BUCKET_SQL = {
    "hour_of_week": f"{LOCAL_US} // {HOUR_US} % 168",
    "hour_of_day": f"{LOCAL_US} // {HOUR_US} % 24",
    "day_of_week": f"{LOCAL_US} // {DAY_US} % 7",
}


class ProfileForm:
    """Counts per bucket of the business calendar."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List one: the bucket of each row of a step."""
        aggregation = cast(Profile, aggregation)
        bucket = f"CASE WHEN {rows.condition(aggregation)} THEN {_BUCKET_SQL[aggregation.by]} END"
        return (buckets_measure(aggregation.by, bucket, ProfileFold(aggregation.buckets)),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return a fixed-size list of int64 counts, zeros without events."""
        buckets = cast(Profile, aggregation).buckets
        counts = window.counts(measures[0], buckets=buckets)
        return pa.FixedSizeListArray.from_arrays(pa.array(counts.reshape(-1)), buckets)
