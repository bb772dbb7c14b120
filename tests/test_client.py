"""The store as a user meets it: define, ingest, materialize, retrieve, audit."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.timeline import Interval, Month, to_us
from featurestore.timeline.arguments import instant_us, month_list

UTC = timezone.utc
SHANGHAI = ZoneInfo("Asia/Shanghai")
SCHEMA = {
    "event_id": "int64",
    "event_time": "timestamp",
    "ingested_at": "timestamp",
    "event_type": "string",
    "user_id": "int64",
    "sku_id": "int64",
    "amount_cents": "int64",
}
USER = fs.Entity("user", key="user_id")
EVENTS = fs.EventSource("events", schema=SCHEMA, event_time="event_time", event_id="event_id", ingested_at="ingested_at")
BUY = "event_type = 'buy'"
ACTIVITY = fs.FeatureView(
    "user_activity",
    entity=USER,
    source=EVENTS,
    grain="1d",
    aggregations=[
        fs.Count("buys", where=BUY, windows=("30d", "180d", "10y", "lifetime")),
        fs.Sum("spend", "amount_cents", where=BUY, windows=("30d", "10y")),
        fs.Recency("since_buy", where=BUY),
    ],
    derived=[fs.Derived("basket_30d", "spend_30d / nullif(buys_30d, 0)")],
)
SKUS = fs.FeatureView("skus", entity=fs.Entity("sku", key="sku_id"), source=EVENTS, aggregations=[fs.Count("events")])
RECOMMENDATION = fs.FeatureService("recommendation_v1", features=["user_activity"])
OBJECTS = [EVENTS, ACTIVITY, SKUS, RECOMMENDATION]


def rows(*events: tuple) -> pa.Table:
    """Events of (id, local time, user, cents) and, if given, the time of ingestion."""
    moments = [event[1].replace(tzinfo=SHANGHAI) for event in events]
    known = [
        event[4].replace(tzinfo=SHANGHAI) if len(event) > 4 else moment for event, moment in zip(events, moments, strict=True)
    ]
    kind = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "event_id": [event[0] for event in events],
            "event_time": pa.array(moments, kind),
            "ingested_at": pa.array(known, kind),
            "event_type": ["buy" if event[3] else "view" for event in events],
            "user_id": [event[2] for event in events],
            "sku_id": [event[0] % 3 for event in events],
            "amount_cents": pa.array([event[3] for event in events], pa.int64()),
        }
    )


HISTORY = rows(
    (1, datetime(2016, 3, 1, 12), 1, 1000),
    (2, datetime(2024, 1, 10, 23, 59), 1, 500),
    (3, datetime(2024, 1, 20), 1, 700),
    (4, datetime(2024, 1, 20, 9), 1, None),
    (5, datetime(2024, 2, 1), 2, 300),
)


def spine(*pairs: tuple, **more) -> pa.Table:
    as_of = pa.array([moment.replace(tzinfo=SHANGHAI) for _, moment in pairs], pa.timestamp("us", "Asia/Shanghai"))
    return pa.table({"user_id": [user for user, _ in pairs], "as_of": as_of, **more})


def make_store(folder) -> fs.FeatureStore:
    found = fs.FeatureStore(folder / "store", timezone="Asia/Shanghai")
    found.apply(OBJECTS)
    found.ingest("events", HISTORY)
    found.materialize()
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> fs.FeatureStore:
    """For tests that change nothing in it."""
    return make_store(tmp_path_factory.mktemp("client"))


@pytest.fixture
def own(tmp_path) -> fs.FeatureStore:
    """For tests that do."""
    return make_store(tmp_path)


def value(store: fs.FeatureStore, user: int, moment: datetime, name: str) -> object:
    return store.get_historical_features(spine((user, moment)), [f"user_activity:{name}"])[f"user_activity__{name}"][0].as_py()


def test_a_training_set_has_the_spine_and_one_column_per_feature(store) -> None:
    asked = spine((1, datetime(2024, 1, 20)), (1, datetime(2024, 1, 21, 8)), (9, datetime(2024, 2, 1)), label=[0, 1, 0])
    table = store.get_historical_features(asked, "recommendation_v1")
    assert table.select(asked.column_names).equals(asked)
    answers = {name.removeprefix("user_activity__"): table[name].to_pylist() for name in table.column_names[3:]}
    assert answers == {
        "buys_30d": [1, 2, 0],
        "buys_180d": [1, 2, 0],
        "buys_10y": [2, 3, 0],
        "buys_lifetime": [2, 3, 0],
        "spend_30d": [500, 1200, 0],
        "spend_10y": [1500, 2200, 0],
        "since_buy": [pytest.approx(9 + 1 / 1440), 1.0, None],
        "basket_30d": [500.0, 600.0, None],
    }


def test_the_features_of_several_entities_come_from_their_own_keys(store) -> None:
    asked = spine((1, datetime(2025, 1, 1)), (2, datetime(2025, 1, 1)), sku_id=pa.array([1, None], pa.int64()))
    table = store.get_historical_features(asked, [ACTIVITY, "skus:events"])
    assert table["skus__events"].to_pylist() == [2, None]
    assert table["user_activity__buys_lifetime"].to_pylist() == [3, 1]


def test_a_late_row_and_a_correction_change_what_they_touch_after_the_next_materialize(own) -> None:
    assert own.ingest("events", HISTORY).rows_added == 0
    own.ingest("events", rows((6, datetime(2020, 6, 1), 1, 40)))
    with pytest.raises(fs.NotMaterializedError, match="2020-06"):
        value(own, 1, datetime(2024, 3, 1), "buys_lifetime")
    assert value(own, 1, datetime(2020, 5, 31), "buys_lifetime") == 1
    own.materialize()
    assert value(own, 1, datetime(2024, 3, 1), "buys_lifetime") == 4
    # The buy of 2016 was of another user, in 2017: its month, its year and its entity change.
    own.ingest("events", rows((1, datetime(2017, 3, 1, 12), 2, 1000, datetime(2024, 5, 1))))
    own.materialize()
    answers = [value(own, user, datetime(year, 6, 1), "buys_lifetime") for user in (1, 2) for year in (2016, 2017, 2024)]
    assert answers == [0, 0, 3, 0, 1, 2]


def test_definitions_are_recorded_and_what_is_already_there_changes_nothing(store) -> None:
    again = fs.FeatureStore(store.layout.root)
    assert again.registry == store.registry
    assert str(again.apply(OBJECTS)) == "nothing changes"
    assert again.materialize().tile_rows == 0
    assert json.loads(store.layout.registry.read_text())["view"][1]["name"] == "user_activity"


def test_a_plan_shows_and_apply_records_and_a_wrong_definition_records_nothing(own) -> None:
    more = fs.FeatureView("more", entity=USER, source=EVENTS, aggregations=[fs.Count("events")])
    assert str(own.plan([more])) == ("add view more (its ledger is rebuilt)\nmaterialize more: 3 months, 5 events, about 1 s")
    assert "more" not in own.registry.views
    with pytest.raises(fs.DefinitionError):
        own.apply([more, fs.FeatureService("s", features=["nowhere"])])
    assert "more" not in own.registry.views
    assert own.apply([more]).rebuilt_views == ("more",)
    assert str(own.remove("more")) == "remove view more (its tiles and ledger stay until vacuum)"
    with pytest.raises(fs.UnknownNameError, match="nothing named 'more'"):
        own.remove("more")
    with pytest.raises(fs.DefinitionError, match="recommendation_v1"):
        own.remove("user_activity")


def test_a_changed_condition_rebuilds_its_view_alone(own) -> None:
    changed = fs.FeatureView("user_activity", entity=USER, source=EVENTS, aggregations=[fs.Count("buys")])
    assert own.apply([fs.FeatureService("recommendation_v1", features=["user_activity"]), changed]).rebuilt_views == (
        "user_activity",
    )
    report = own.materialize()
    assert {view.view: len(view.months) for view in report.views} == {"user_activity": 3, "skus": 0}


@pytest.mark.parametrize(
    ("interval", "months"),
    [
        (("2016-01", "2024-01"), ["2016-03"]),
        (("2024-01", "2024-02"), ["2016-03", "2024-01"]),
        ((Month(2024, 1), Month(2024, 2)), ["2016-03", "2024-01"]),
        ((date(2024, 1, 1), date(2024, 2, 1)), ["2016-03", "2024-01"]),
        (("2024-01-01", "2024-02-02"), ["2016-03", "2024-01", "2024-02"]),
        ((datetime(2023, 12, 31, 16), datetime(2024, 1, 31, 16, tzinfo=UTC)), ["2016-03", "2024-01"]),
        ((datetime(2024, 1, 1), "2024-02-01 00:00"), ["2016-03", "2024-01"]),
        ((datetime(2024, 1, 1), "2024-02-01 00:00:01"), ["2016-03", "2024-01", "2024-02"]),
        (Interval(0, to_us(datetime(2024, 1, 31, 16, 0, 1))), ["2016-03", "2024-01", "2024-02"]),
        (None, ["2016-03", "2024-01", "2024-02"]),
    ],
)
def test_an_interval_takes_all_months_that_begin_before_its_end(tmp_path, interval, months: list[str]) -> None:
    store = fs.FeatureStore(tmp_path / "store", timezone="Asia/Shanghai")
    store.apply(OBJECTS)
    store.ingest("events", HISTORY)
    report = store.materialize("user_activity", interval=interval, stages=("tiles",))
    assert [str(month) for month in report.views[0].months] == months


@pytest.mark.parametrize(
    ("interval", "message"),
    [
        (("2024-05", "2024-05"), "is empty"),
        (("2024-06", "2024-05"), "must not end before it starts"),
        (("2024-06",), r"give \(start, end\)"),
        (5, r"give \(start, end\)"),
        (("x", "2024-05"), "'x' is not a moment"),
        ((1, 2), "1 is not a moment"),
    ],
)
def test_an_interval_that_holds_nothing_is_refused(store, interval, message: str) -> None:
    with pytest.raises(fs.DefinitionError, match=message):
        store.materialize(interval=interval)


def test_unknown_names_name_the_nearest_one(store) -> None:
    for call in (
        lambda: store.materialize(["user_activty"]),
        lambda: store.get_historical_features(spine((1, datetime(2024, 1, 1))), "user_activty"),
        lambda: store.drift_history("user_activty"),
        lambda: store.write_report("user_activty", "2024-01"),
    ):
        with pytest.raises(fs.UnknownNameError, match="Did you mean 'user_activity'"):
            call()
    with pytest.raises(fs.UnknownNameError, match="Did you mean 'events'"):
        store.ingest("event", HISTORY)


def test_batch_features_equal_a_training_set_of_all_entities_at_one_instant(store) -> None:
    moment = datetime(2024, 1, 25, tzinfo=SHANGHAI)
    batch = store.get_batch_features(moment, "recommendation_v1")
    assert batch["user_id"].to_pylist() == [1, 2]
    assert batch.replace_schema_metadata(None).equals(
        store.get_historical_features(batch.select(["user_id", "as_of"]), "recommendation_v1").replace_schema_metadata(None)
    )
    assert store.get_batch_features("2024-01-24T16:00:00Z", "recommendation_v1").equals(batch)


@pytest.mark.parametrize(
    ("since", "users"), [("2024-01-01", [1, 2]), ("2024-02-01", [2]), ("2024-02-02", []), ("2016-01-01", [1, 2])]
)
def test_a_batch_may_be_of_the_active_entities_alone(store, since: str, users: list[int]) -> None:
    batch = store.get_batch_features("2024-03-01", ["user_activity:buys_lifetime"], active_since=since)
    assert batch["user_id"].to_pylist() == users


def test_a_batch_may_be_of_given_entities_in_any_frame_but_of_one_kind(store) -> None:
    for frame in (
        pa.table({"user_id": [2, 8]}),
        pl.DataFrame({"user_id": [2, 8]}),
        pd.DataFrame({"user_id": [2, 8]}, index=[5, 6]),
    ):
        batch = store.get_batch_features("2024-03-01", ["user_activity:buys_lifetime"], entities=frame)
        assert batch.select(["user_id", "user_activity__buys_lifetime"]).to_pydict() == {
            "user_id": [2, 8],
            "user_activity__buys_lifetime": [1, 0],
        }
    with pytest.raises(fs.SpineError, match="about user, sku"):
        store.get_batch_features("2024-03-01", ["user_activity", "skus"])
    with pytest.raises(fs.SpineError, match="No feature was asked for"):
        store.get_batch_features("2024-03-01", [])


def test_an_empty_store_answers_and_has_a_status(tmp_path) -> None:
    store = fs.FeatureStore(tmp_path / "store")
    assert (store.materialize().views, store.status().views, store.registry.names) == ((), (), [])
    store.apply(OBJECTS)
    assert str(store.materialize()) == "everything is up to date"
    assert value(store, 1, datetime(2024, 1, 1), "buys_lifetime") == 0
    assert store.get_batch_features("2024-01-01", "recommendation_v1").num_rows == 0
    assert store.drift_history().num_rows == 0
    status = store.status()
    assert (status.sources[0].rows, status.views[0].missing_months, status.last_audit) == (0, (), None)


def test_a_status_counts_what_is_there_and_names_what_is_missing(own) -> None:
    own.ingest("events", rows((7, datetime(2024, 6, 1), 1, 1)))
    status = own.status()
    assert (status.timezone, status.sources[0].rows, status.sources[0].last_month) == ("Asia/Shanghai", 6, "2024-06")
    assert {view.name: view.missing_months for view in status.views} == {"user_activity": ("2024-06",), "skus": ("2024-06",)}
    assert json.loads(json.dumps(status.document()))["sources"][0]["rows"] == 6


def test_a_store_keeps_its_time_zone_and_its_directory_to_itself(store, tmp_path) -> None:
    with pytest.raises(fs.StoreError, match="'Asia/Shanghai' and cannot be opened with 'UTC'"):
        fs.FeatureStore(store.layout.root, timezone="UTC")
    (tmp_path / "other").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other" / "mine.parquet")
    with pytest.raises(fs.StoreError, match=r"holds mine\.parquet"):
        fs.FeatureStore(tmp_path / "other")


def test_moments_of_every_kind_are_instants_and_dates_begin_in_the_zone_that_is_asked_for() -> None:
    expected = to_us(datetime(2024, 3, 31, 16))
    for moment in (datetime(2024, 4, 1, tzinfo=SHANGHAI), "2024-04-01T00:00:00+08:00", "2024-03-31T16:00Z"):
        assert instant_us(moment, "UTC") == instant_us(moment, "America/New_York") == expected
    for moment in (
        datetime(2024, 4, 1),
        "2024-04-01 00:00",
        date(2024, 4, 1),
        "2024-04-01",
        "20240401",
        "2024-04",
        Month(2024, 4),
    ):
        assert instant_us(moment, "Asia/Shanghai") == expected
    assert instant_us(date(2024, 4, 1), "UTC", days_in="Asia/Shanghai") == expected
    assert instant_us(datetime(2024, 3, 31, 16), "UTC", days_in="Asia/Shanghai") == expected
    # A zone in which this midnight did not exist.
    assert instant_us("2018-11-04", "America/Sao_Paulo") == to_us(datetime(2018, 11, 4, 3))
    for wrong in ("2024-4-1", "tomorrow", 5, None, pd.NaT):
        with pytest.raises(fs.DefinitionError):
            instant_us(wrong, "UTC")  # type: ignore[arg-type]


def test_months_are_one_or_several_each_once_in_order() -> None:
    assert month_list("2024-08", "UTC") == month_list(date(2024, 8, 31), "UTC") == [Month(2024, 8)]
    assert month_list(["2024-08", Month(2024, 2), "2024-08"], "UTC") == [Month(2024, 2), Month(2024, 8)]
    evening = datetime(2024, 7, 31, 20, tzinfo=timezone.utc)
    assert (month_list(evening, "UTC"), month_list([evening], "Asia/Shanghai")) == ([Month(2024, 7)], [Month(2024, 8)])
    with pytest.raises(fs.DefinitionError, match="No month was given"):
        month_list([], "UTC")


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> fs.FeatureStore:
    """Two years of 40 users who buy every few days, audited month by month."""
    store = fs.FeatureStore(tmp_path_factory.mktemp("audit") / "store", timezone="Asia/Shanghai")
    view = fs.FeatureView(
        "user_activity",
        entity=USER,
        source=EVENTS,
        aggregations=[fs.Count("buys", where=BUY, windows=("30d",)), fs.Sum("spend", "amount_cents", windows=("30d",))],
    )
    store.apply([view])
    rng = np.random.default_rng(5)
    moments = [datetime(2022, 1, 1) + timedelta(days=float(day)) for day in rng.uniform(0, 730, 4000)]
    store.ingest(
        "events", rows(*((i, moment, int(rng.integers(40)), int(rng.integers(1, 900))) for i, moment in enumerate(moments)))
    )
    store.materialize()
    return store


def test_snapshots_are_taken_once(audited) -> None:
    months = ["2022-06", "2022-07"]
    assert audited.take_snapshots(months)["user_activity"] > 60
    before = {path: path.stat().st_mtime_ns for path in audited.layout.root.rglob("*.parquet")}
    audited.take_snapshots(months)
    assert {path: path.stat().st_mtime_ns for path in audited.layout.root.rglob("*.parquet")} == before
    assert audited.take_snapshots("2015-01") == {"user_activity": 0}


def test_an_audit_has_one_row_per_feature_and_month_and_again_the_same(audited) -> None:
    months = [str(Month(2022, 1).shift(i)) for i in range(24)]
    report = audited.audit(months)
    assert report.table.column_names == audited.drift_history().column_names
    assert set(report.table["month"].to_pylist()) == {Month.parse(month).first_day for month in months}
    assert set(report.table["feature"].to_pylist()) == {"user_activity__buys_30d", "user_activity__spend_30d"}
    assert audited.audit(months).table.equals(report.table)
    assert audited.drift_history("user_activity").num_rows == audited.drift_history().num_rows >= report.table.num_rows
    assert audited.status().last_audit == "2023-12"


def test_an_audit_of_months_that_are_not_materialized_fails(own) -> None:
    own.ingest("events", rows((8, datetime(2024, 4, 1), 1, 1)))
    with pytest.raises(fs.NotMaterializedError, match="2024-04"):
        own.audit("2024-04")
    own.audit("2024-02")


def test_recalibrating_and_rolling_back_need_something_to_act_on(store) -> None:
    with pytest.raises(fs.CalibrationError, match="No month has been audited"):
        store.recalibrate()
    for call in (lambda: store.recalibrate("prior"), lambda: store.rollback("prior")):
        with pytest.raises(fs.UnknownNameError, match="no calibration 'prior'"):
            call()


def test_the_status_tells_of_joined_views_and_what_their_views_lack(own) -> None:
    both = fs.JoinedView("both", views=[ACTIVITY, SKUS], derived=[fs.Derived("n", "skus__events + user_activity__buys_30d")])
    own.apply([both])
    (found,) = own.status().joined_views
    assert (found.name, found.views, found.features, found.missing_months) == ("both", ("user_activity", "skus"), 1, ())
    own.ingest("events", rows((9, datetime(2020, 6, 1), 1, 40)))
    own.materialize(["skus"])
    assert own.status().joined_views[0].missing_months == ("2020-06",)
