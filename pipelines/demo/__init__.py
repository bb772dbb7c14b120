"""The demo: the whole path in one call, on a made-up shop or on real data."""

from featurestore_pipelines.demo.result import (
    DemoResult,
    PlantedOutcome,
    ProbabilityError,
    Recalibration,
    StageTime,
    TrainingSet,
)
from featurestore_pipelines.demo.run import run_demo
from featurestore_pipelines.demo.watch import StageEnd

__all__ = [
    "DemoResult",
    "PlantedOutcome",
    "ProbabilityError",
    "Recalibration",
    "StageEnd",
    "StageTime",
    "TrainingSet",
    "run_demo",
]
