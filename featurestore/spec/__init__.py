"""WHAT: entities, sources, aggregations, views, services, calibrations and the registry that holds them."""

from __future__ import annotations

from featurestore.spec.aggregations import (
    Aggregation,
    Count,
    Decayed,
    Distinct,
    First,
    Last,
    Max,
    Mean,
    Min,
    Profile,
    Quantile,
    Recency,
    Std,
    Sum,
    Trend,
    Var,
)
from featurestore.spec.calibration import Calibration
from featurestore.spec.csv_format import Csv
from featurestore.spec.entity import Entity
from featurestore.spec.joined import JoinedView
from featurestore.spec.mapping import Mapping
from featurestore.spec.outcome import Outcome
from featurestore.spec.plan import Change, Plan
from featurestore.spec.registry import Registry
from featurestore.spec.season_windows import SeasonWindow, YearBefore
from featurestore.spec.service import FeatureService
from featurestore.spec.source import EventSource
from featurestore.spec.view import Derived, Feature, FeatureView

__all__ = [
    "Aggregation",
    "Calibration",
    "Change",
    "Count",
    "Csv",
    "Decayed",
    "Derived",
    "Distinct",
    "Entity",
    "EventSource",
    "Feature",
    "FeatureService",
    "FeatureView",
    "First",
    "JoinedView",
    "Last",
    "Mapping",
    "Max",
    "Mean",
    "Min",
    "Outcome",
    "Plan",
    "Profile",
    "Quantile",
    "Recency",
    "Registry",
    "SeasonWindow",
    "Std",
    "Sum",
    "Trend",
    "Var",
    "YearBefore",
]
