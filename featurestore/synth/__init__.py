"""A seeded ten-year shop with planted drifts and its ground truth.

``Shop.month`` draws the events of any month; ``Shop.truth`` tells what was planted. Nothing here is real data.
"""

from __future__ import annotations

from featurestore.synth.drift_plan import CONTROL_MONTHS, PLANTED, PlantedDrift
from featurestore.synth.events import EVENT_SCHEMA, EVENT_TYPES, TIMEZONE
from featurestore.synth.shop import Shop
from featurestore.synth.truth import Truth

__all__ = ["CONTROL_MONTHS", "EVENT_SCHEMA", "EVENT_TYPES", "PLANTED", "PlantedDrift", "Shop", "TIMEZONE", "Truth"]
