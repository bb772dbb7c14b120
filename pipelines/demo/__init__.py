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

__all__ = ["DemoResult", "PlantedOutcome", "ProbabilityError", "Recalibration", "StageTime", "TrainingSet", "run_demo"]
