"""Profile: events by bucket of the business calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.aggregations.aggregation import Aggregation

PROFILES = {"hour_of_week": 168, "hour_of_day": 24, "day_of_week": 7}


@dataclass(frozen=True)
class Profile(Aggregation):
    """Number of events in each bucket of the business calendar; a fixed-size list of int64.

    Args:
        by: ``"hour_of_week"`` (168 buckets, from Monday 00:00), ``"hour_of_day"`` (24) or ``"day_of_week"`` (7, from Monday).
    """

    by: str = field(default="hour_of_week", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by not in PROFILES:
            raise DefinitionError(f"Profile {self.name!r} is by {self.by!r}.{did_you_mean(self.by, PROFILES)}")

    @property
    def buckets(self) -> int:
        """Number of buckets, the length of the list."""
        return PROFILES[self.by]

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``profile``."""
        return "profile"
