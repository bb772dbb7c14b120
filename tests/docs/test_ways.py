"""The ways of architecture.md are walked: each file it names is entered, in that order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from docs.drawing import DRAWING, PAGE, Step, draw, ways
from featurestore.timeline import Month, months_between
from tests.docs.pages import ROOT, read

LIBRARY = ROOT / "featurestore"
MONTHS = months_between(Month(2022, 1), Month(2024, 6))
USERS = range(30)
COLUMNS = {"event_id": "int64", "event_time": "timestamp", "ingested_at": "timestamp", "user_id": "int64", "cents": "int64"}
EVENTS = fs.EventSource("events", schema=COLUMNS, event_time="event_time", event_id="event_id", ingested_at="ingested_at")
ACTIVITY = fs.FeatureView(
    "user",
    entity=fs.Entity("user", key="user_id"),
    source=EVENTS,
    aggregations=[fs.Count("buys", windows=("30d",)), fs.Sum("spent", "cents", windows=("30d", "1y"))],
)


class Entered:
    """The files of the library in which functions were called, in the order of their first."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self._seen: set[str] = set()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name not in self._seen and frame.f_code.co_name != "<module>":
            self._seen.add(name)
            if Path(name).is_relative_to(LIBRARY):
                self.files.append(Path(name).relative_to(ROOT).as_posix())

    def during(self, *calls: Callable[[], object]) -> list[str]:
        """Call functions, and list what was entered."""
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            for call in calls:
                call()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        return self.files


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> fs.FeatureStore:
    made = fs.FeatureStore(tmp_path_factory.mktemp("store"), timezone="Asia/Shanghai")
    made.apply([ACTIVITY])
    made.ingest("events", pa.concat_tables([_rows(month.first_day.year, month.first_day.month) for month in MONTHS]))
    landing = made.layout.landing(made.registry.sources["events"])
    landing.mkdir(parents=True)
    corrected = _rows(2022, 1, cents=7, ingested_at=datetime(2022, 2, 1))
    absurd = _rows(1970, 1)
    pq.write_table(pa.concat_tables([corrected, absurd]), landing / "2022-01.parquet")
    return made


def _rows(year: int, month: int, *, cents: int = 100, ingested_at: datetime | None = None) -> pa.Table:
    happened = [datetime(year, month, 5)] * len(USERS)
    return pa.table(
        {
            "event_id": [(year * 100 + month) * 1000 + user for user in USERS],
            "event_time": happened,
            "ingested_at": [ingested_at] * len(USERS) if ingested_at else happened,
            "user_id": list(USERS),
            "cents": [cents] * len(USERS),
        }
    )


def test_the_ways_are_walked_in_the_order_of_the_page(store: fs.FeatureStore) -> None:
    spine = pa.table({"user_id": [7, 99], "as_of": [datetime(2024, 6, 1)] * 2})
    last = MONTHS[-1]
    walks: dict[str, tuple[Callable[[], object], ...]] = {
        "The way of an event": (lambda: store.ingest("events"), store.materialize),
        "The way of a question": (lambda: store.get_historical_features(spine, [ACTIVITY]),),
        "The way of an audit": (lambda: store.audit(MONTHS), lambda: store.alerts(last), lambda: store.write_page(last)),
    }
    found = ways(read(PAGE))
    assert set(found) == set(walks)
    for title, calls in walks.items():
        entered = Entered().during(*calls)
        named = [step.path for step in found[title] if isinstance(step, Step)]
        walked = f"{title}. What was entered, in order:\n" + "\n".join(entered)
        assert [path for path in named if path not in entered] == [], walked
        assert sorted(named, key=entered.index) == named, walked


def test_the_names_of_the_ways_are_those_of_their_links() -> None:
    steps = [step for passed in ways(read(PAGE)).values() for step in passed if isinstance(step, Step)]
    assert len(steps) > 30
    assert [step for step in steps if step.path != f"featurestore/{step.name}"] == []


def test_the_drawing_is_that_of_the_page() -> None:
    assert DRAWING.read_text(encoding="utf-8") == draw(read(PAGE)), "Draw it anew: python -m docs.drawing"
