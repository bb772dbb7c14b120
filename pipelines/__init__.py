"""WHEN: the store's verbs as Dagster assets, a month a partition.

    events -> tiles -> ledger -> features -> drift_report -> calibration

``build_definitions(store, partitions)`` makes all of it from one definitions module; ``definitions.py`` calls it with what the
environment names, the demo and the tests with what they need. The library below has never heard of Dagster.

These modules do without ``from __future__ import annotations``: Dagster reads the annotations of its functions.
"""
