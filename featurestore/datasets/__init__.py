"""WHENCE: public data sets, one importer with its definitions each.

Every module named in ``NAMES`` has the same face:

    NAME, TIMEZONE, SOURCE    what it is called, the business time zone of its store, its event source
    OBJECTS                   all definitions, ready for ``FeatureStore.apply``
    months()                  its business months
    write_landing(folder)     one Parquet file of events per month, read from the installed package

The packages belong to the extra ``realdata``. They are read at run time; none of their data is in this library.
"""

from __future__ import annotations

NAMES = ("completejourney", "movielens")
"""Modules below this one; each needs its own store, since business time zones and service names differ."""
