"""A long-horizon feature store: ten-year windows at the cost of six-month ones, with drift monitoring that knows the calendar.

>>> import featurestore as fs
>>> fs.Entity("user", key="user_id").keys
('user_id',)
"""

from __future__ import annotations

import importlib
import typing

from featurestore.calendar import retail_season
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.errors import (
    CalibrationError,
    CommitConflictError,
    DefinitionError,
    ExpressionError,
    FeatureStoreError,
    FrameError,
    IngestError,
    MissingExtraError,
    NotMaterializedError,
    NotPublishedError,
    OverflowingResultError,
    SpineError,
    StoreError,
    UnknownNameError,
    VersionError,
)
from featurestore.lake.bounds import Bounds
from featurestore.spec import (
    Calibration,
    Count,
    Csv,
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
    Mapping,
    Max,
    Mean,
    Min,
    Outcome,
    Profile,
    Quantile,
    Recency,
    SeasonWindow,
    Std,
    Sum,
    Trend,
    Var,
    YearBefore,
)
from featurestore.timeline import Offset

if typing.TYPE_CHECKING:
    from featurestore.client import FeatureStore
    from featurestore.drift.monitor.monitor import monitor_drift
    from featurestore.operations.damages import Damage
    from featurestore.operations.doctoring import DoctorReport

__version__ = "0.2.0"

__all__ = [
    "Bounds",
    "Calibration",
    "CalibrationError",
    "CommitConflictError",
    "Count",
    "Csv",
    "Damage",
    "Decayed",
    "DefinitionError",
    "Derived",
    "Distinct",
    "DoctorReport",
    "DriftPolicy",
    "Entity",
    "EventSource",
    "ExpressionError",
    "FeatureService",
    "FeatureStore",
    "FeatureStoreError",
    "FeatureView",
    "First",
    "FrameError",
    "IngestError",
    "JoinedView",
    "Last",
    "Mapping",
    "Max",
    "Mean",
    "Min",
    "MissingExtraError",
    "NotMaterializedError",
    "NotPublishedError",
    "Offset",
    "Outcome",
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
    "YearBefore",
    "__version__",
    "monitor_drift",
    "retail_season",
]

# Loaded when they are first used: a module of definitions, or `--help`, needs none of it.
_ON_FIRST_USE = {
    "Damage": "featurestore.operations.damages",
    "DoctorReport": "featurestore.operations.doctoring",
    "FeatureStore": "featurestore.client",
    "monitor_drift": "featurestore.drift.monitor.monitor",
}


def __getattr__(name: str) -> typing.Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_ON_FIRST_USE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_FIRST_USE})
