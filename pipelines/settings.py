"""Settings: the environment variables that name a store, its definitions and its months, and what holds without them."""

INSTANCE = ".dagster"
"""Folder of Dagster's own files in a store's directory."""
ROOT, DEFINITIONS, FIRST_MONTH = "data/shop", "featurestore.shop", "2016-01"
ROOT_VARIABLE, DEFINITIONS_VARIABLE = "FEATURESTORE_ROOT", "FEATURESTORE_DEFINITIONS"
FIRST_MONTH_VARIABLE, LAST_MONTH_VARIABLE = "FEATURESTORE_FIRST_MONTH", "FEATURESTORE_LAST_MONTH"
