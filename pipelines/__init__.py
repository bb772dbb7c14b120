"""WHEN: the store's verbs as Dagster assets, one for each definition, a month a partition.

    events -> tiles -> ledger -> features -> drift_report -> audit -> calibration
                                         └-> services

``build_definitions(objects, store)`` makes all of it from a list of definitions; ``definitions.py`` calls it with those of the
module that the environment names, the demo and the tests with what they need. The library below has never heard of Dagster.

These modules do without ``from __future__ import annotations``: Dagster reads the annotations of its functions.
"""
