"""What the tests of the command line call, and the definitions that they apply."""

from __future__ import annotations

from collections.abc import Callable

DEFINITIONS = """
import featurestore as fs

TIMEZONE = "Asia/Shanghai"
events = fs.EventSource("events", event_time="event_time", event_id="event_id", schema={
    "event_id": "int64", "event_time": "timestamp", "event_type": "string", "user_id": "int64"})
activity = fs.FeatureView("activity", entity=fs.Entity("user", key="user_id"), source=events, aggregations=[
    fs.Count("buys", where="event_type = 'buy'", windows=("30d", "10y"))])
OBJECTS = [activity, fs.FeatureService("recommendation_v1", features=[activity])]
"""

Run = Callable[..., tuple[int, str, str]]
