"""A long-horizon feature store: ten-year windows at the cost of six-month ones, with drift monitoring that knows the calendar.

>>> import featurestore as fs
>>> fs.Entity("user", key="user_id").keys
('user_id',)
"""

from __future__ import annotations

from featurestore.calendar import retail_season
from featurestore.client import FeatureStore
from featurestore.drift.monitor import monitor_drift
from featurestore.drift.policy import DriftPolicy
from featurestore.errors import (
    CalibrationError,
    CommitConflictError,
    DefinitionError,
    ExpressionError,
    FeatureStoreError,
    IngestError,
    MissingExtraError,
    NotMaterializedError,
    OverflowingResultError,
    SpineError,
    StoreError,
    UnknownNameError,
    VersionError,
)
from featurestore.spec import (
    Calibration,
    Count,
    Decayed,
    Derived,
    Distinct,
    Entity,
    EventSource,
    FeatureService,
    FeatureView,
    First,
    JoinedView,
    Last,
    Max,
    Mean,
    Min,
    Profile,
    Quantile,
    Recency,
    SeasonWindow,
    Std,
    Sum,
    Trend,
    Var,
)
from featurestore.timeline import Offset

__version__ = "0.1.0"

__all__ = [
    "Calibration",
    "CalibrationError",
    "CommitConflictError",
    "Count",
    "Decayed",
    "DefinitionError",
    "Derived",
    "Distinct",
    "DriftPolicy",
    "Entity",
    "EventSource",
    "ExpressionError",
    "FeatureService",
    "FeatureStore",
    "FeatureStoreError",
    "FeatureView",
    "First",
    "IngestError",
    "JoinedView",
    "Last",
    "Max",
    "Mean",
    "Min",
    "MissingExtraError",
    "NotMaterializedError",
    "Offset",
    "OverflowingResultError",
    "Profile",
    "Quantile",
    "Recency",
    "SeasonWindow",
    "SpineError",
    "Std",
    "StoreError",
    "Sum",
    "Trend",
    "UnknownNameError",
    "Var",
    "VersionError",
    "__version__",
    "monitor_drift",
    "retail_season",
]
