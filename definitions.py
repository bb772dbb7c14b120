"""Dagster's entry in this repository, by the name that it looks for: see ``featurestore_pipelines.definitions``."""

from featurestore_pipelines.definitions import defs

__all__ = ["defs"]
