"""Times without a zone, dates, literals and clocks in the store's zone, around the changes of its clock, against plain loops."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.lake.session import connect
from featurestore.lake.table import Table
from featurestore.operations.panels import audited_view
from featurestore.spec.document import ledger_fingerprint
from featurestore.spec.expression import parse
from featurestore.timeline import from_us, instants_us, to_us, utc_offsets
from featurestore.timeline.arguments import instant_us

UTC = timezone.utc
# A day that a change of the clock lies in, or any: New York and Berlin fall back, the midnight of Sao Paulo does not exist,
# Sydney springs forward.
ZONES = {
    "America/New_York": date(2018, 11, 4),
    "America/Sao_Paulo": date(2018, 11, 4),
    "Europe/Berlin": date(2018, 10, 28),
    "Australia/Sydney": date(2018, 10, 7),
    "Asia/Kathmandu": date(2018, 11, 4),
    "Asia/Shanghai": date(2018, 11, 4),
    "UTC": date(2018, 11, 4),
}
SPRING = {"America/New_York": date(2019, 3, 10), "Europe/Berlin": date(2019, 3, 31), "America/Sao_Paulo": date(2019, 2, 17)}
SOURCE = fs.EventSource(
    "events",
    schema={
        "id": "int64",
        "at": "timestamp",
        "seen": "timestamp",
        "made": "timestamp",
        "due": "date",
        "user": "int64",
    },
    event_time="at",
    event_id="id",
    ingested_at="seen",
)
USER = fs.Entity("user", key="user")
NIGHT, MORNING = "01:30", "02:30"


@dataclass(frozen=True)
class Event:
    id: int
    at: datetime
    seen: datetime
    made: datetime
    due: date
    user: int


def placed(wall: datetime, zone: str) -> datetime:
    """The oracle: a repeated hour is its first, a skipped one moves forward."""
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def shown(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def first_instant(day: date, zone: str) -> datetime:
    """Search the day's first instant, a quarter of an hour at a time."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    while shown(moment, zone).date() < day:
        moment += timedelta(minutes=15)
    return moment


def conditions(zone: str) -> dict[str, tuple[str, Callable[[Event], bool]]]:
    """Name to a condition and what it must mean."""
    day = ZONES[zone]
    night, morning = (placed(datetime.fromisoformat(f"{day} {clock}"), zone) for clock in (NIGHT, MORNING))
    start, utc = first_instant(day, zone), datetime.fromisoformat(f"{day} {NIGHT}+00:00")

    def wall(moment: datetime) -> datetime:
        return shown(moment, zone)

    return {
        "night": ("hour(at) < 6", lambda e: wall(e.at).hour < 6),
        "from_day": (f"at >= '{day}'", lambda e: e.at >= start),
        "from_night": (f"at >= '{day} {NIGHT}'", lambda e: e.at >= night),
        "from_utc": (f"at >= '{day} {NIGHT}+00:00'", lambda e: e.at >= utc),
        "between": (f"made BETWEEN '{day} {NIGHT}' AND '{day}T{MORNING}:00'", lambda e: night <= e.made <= morning),
        "made_on": (f"CAST(made AS DATE) = '{day}'", lambda e: wall(e.made).date() == day),
        "on_literal": (f"made < DATE '{day}'", lambda e: e.made < start),
        "in_time": ("made < due", lambda e: e.made < first_instant(e.due, zone)),
        "same_day": ("date_diff('day', at, made) = 0", lambda e: wall(e.at).date() == wall(e.made).date()),
        "days_left": (
            "date_diff('day', made, due) > 1",
            lambda e: (e.due - wall(e.made).date()).days > 1,
        ),
        "hours": (
            "date_diff('hour', at, due) > 0",
            lambda e: to_us(first_instant(e.due, zone)) // 3_600_000_000 > to_us(e.at) // 3_600_000_000,
        ),
        "day_later": ("made <= at + INTERVAL 1 DAY", lambda e: e.made <= placed(wall(e.at) + timedelta(days=1), zone)),
        "day_before": ("made - INTERVAL 1 DAY < at", lambda e: placed(wall(e.made) - timedelta(days=1), zone) < e.at),
        "24_hours": ("made <= at + INTERVAL 24 HOUR", lambda e: e.made <= e.at + timedelta(hours=24)),
    }


def view(zone: str) -> fs.FeatureView:
    day = ZONES[zone]
    return fs.FeatureView(
        "v",
        entity=USER,
        source=SOURCE,
        aggregations=[
            *(fs.Count(f"n_{name}", where=text) for name, (text, _) in conditions(zone).items()),
            fs.Profile("clock", by="hour_of_day"),
            fs.Last("made", "made"),
            fs.Last("due", "due"),
        ],
        derived=[
            fs.Derived("made_hour", "hour(made)"),
            fs.Derived("made_late", f"made >= '{day} {NIGHT}'"),
            fs.Derived("made_day", "CAST(made AS DATE)"),
            fs.Derived("next_day", "made + INTERVAL 1 DAY"),
            fs.Derived("left", "date_diff('day', made, due)"),
        ],
    )


def drawn(zone: str) -> list[Event]:
    """Events within three days of the change, at quarters of an hour, half of them told of later."""
    source = random.Random(zone)
    middle = to_us(first_instant(ZONES[zone], zone))

    def moment(days: int) -> datetime:
        return from_us(middle + source.randrange(-days * 96, days * 96) * 900_000_000)

    events = []
    for i in range(240):
        at, made = moment(3 if i % 2 else 1), moment(1)
        seen = at + timedelta(hours=source.choice([0, 0, 5, 30]))
        events.append(Event(i, at, seen, made, ZONES[zone] + timedelta(days=source.randrange(-2, 3)), i % 3))
    return events


def table_of(events: list[Event]) -> pa.Table:
    schema = pa.schema(
        [("id", pa.int64()), *((name, pa.timestamp("us", "UTC")) for name in ("at", "seen", "made")), ("due", pa.date32())]
    ).append(pa.field("user", pa.int64()))
    return pa.Table.from_pylist([vars(event) for event in events], schema)


@pytest.fixture(scope="module", params=ZONES)
def zone(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def events(zone: str) -> list[Event]:
    return drawn(zone)


@pytest.fixture(scope="module")
def store(zone: str, events: list[Event], tmp_path_factory) -> fs.FeatureStore:
    made = fs.FeatureStore(tmp_path_factory.mktemp("zones") / "store", timezone=zone)
    made.apply([view(zone), fs.FeatureService("all", features=["v"])])
    made.ingest("events", table_of(events))
    made.materialize()
    return made


def walls(zone: str) -> list[datetime]:
    """Times of the wall clock, those that are shown twice or never among them."""
    days = [ZONES[zone], SPRING.get(zone, date(2019, 4, 7)), ZONES[zone] + timedelta(days=1)]
    clocks = ["00:00", "00:30", "01:00", NIGHT, MORNING, "03:00", "12:15", "23:59:59"]
    return [datetime.fromisoformat(f"{day} {clock}") for day in days for clock in clocks]


def test_a_time_without_a_zone_is_the_first_of_two_and_moves_forward_where_it_is_skipped(zone: str) -> None:
    at_changes = [from_us(start + shift) for start, shift in utc_offsets(zone) if to_us(datetime(1950, 1, 1)) < start]
    at_changes = [moment for moment in at_changes if moment.year < 2100]
    spread = [moment.replace(tzinfo=None) + timedelta(minutes=30 * i) for moment in at_changes for i in range(-6, 7)]
    spread += walls(zone)
    expected = [to_us(placed(wall, zone)) for wall in spread]
    assert instants_us(np.array([to_us(wall) for wall in spread]), zone).tolist() == expected
    assert [instant_us(wall, zone) for wall in spread[::9]] == expected[::9]
    assert [instant_us(wall.isoformat(), zone) for wall in walls(zone)] == [to_us(placed(wall, zone)) for wall in walls(zone)]
    # pandas calls the first of two hours that of summer time; what is skipped it cannot move by what was skipped.
    are_real = [shown(placed(wall, zone), zone) == wall for wall in spread]
    index = pd.DatetimeIndex([wall for wall, is_real in zip(spread, are_real, strict=True) if is_real]).as_unit("us")
    localized = index.tz_localize(zone, ambiguous=np.ones(len(index), bool))
    theirs = localized.tz_convert("UTC").tz_localize(None).astype("int64").tolist()
    ours = [us for us, is_real in zip(expected, are_real, strict=True) if is_real]
    # But where summer time was the first offset and the clock fell back without it (Sao Paulo never did).
    assert [us for us, other in zip(ours, theirs, strict=True) if us != other] == [] or zone in (
        "Asia/Kathmandu",
        "Asia/Shanghai",
    )


def frames_of(moments: list[datetime]) -> dict[str, object]:
    """A spine of times without a zone in every kind of frame."""
    users = [i % 3 for i in range(len(moments))]
    naive = pa.table({"user": users, "as_of": pa.array(moments, pa.timestamp("us"))})
    relation = duckdb.from_arrow(naive)
    return {
        "arrow": naive,
        "seconds": naive.set_column(1, "as_of", naive["as_of"].cast(pa.timestamp("s"))),
        "nanoseconds": naive.set_column(1, "as_of", naive["as_of"].cast(pa.timestamp("ns"))),
        "pandas": naive.to_pandas(),
        "objects": pd.DataFrame({"user": users, "as_of": pd.Series(moments, dtype=object)}),
        "polars": pl.from_arrow(naive),
        "lazy": pl.from_arrow(naive).lazy(),
        "relation": relation,
        "texts": pa.table({"user": users, "as_of": [moment.isoformat() for moment in moments]}),
        "spaced texts": pa.table({"user": users, "as_of": [moment.isoformat(sep=" ") for moment in moments]}),
        "categories": pa.table({"user": users, "as_of": pa.array([str(moment) for moment in moments]).dictionary_encode()}),
    }


def features(answer: pa.Table) -> pa.Table:
    return answer.drop_columns(["user", "as_of"]).replace_schema_metadata(None)


def asked(store: fs.FeatureStore, moments: list[datetime]) -> pa.Table:
    """The answer for instants."""
    users = [i % 3 for i in range(len(moments))]
    answer = store.get_historical_features(
        pa.table({"user": users, "as_of": pa.array(moments, pa.timestamp("us", "UTC"))}), "all"
    )
    assert b"featurestore.naive_times" not in answer.schema.metadata
    return features(answer)


def test_a_spine_without_a_zone_is_in_the_store_s(store: fs.FeatureStore, zone: str) -> None:
    moments = walls(zone)
    expected = asked(store, [placed(wall, zone) for wall in moments])
    for kind, frame in frames_of(moments).items():
        answer = store.get_historical_features(frame, "all")
        assert features(answer).equals(expected), kind
        assert answer.schema.metadata[b"featurestore.naive_times"] == zone.encode(), kind
    streamed = store.stream_historical_features(frames_of(moments)["texts"], "all", batch_rows=5).read_all()
    assert features(streamed).equals(expected)


def test_a_column_of_several_kinds_of_time_is_read_value_by_value(store: fs.FeatureStore, zone: str) -> None:
    wall, day = walls(zone)[5], ZONES[zone]
    aware = datetime(2018, 11, 5, 3, tzinfo=ZoneInfo("Asia/Tokyo"))
    mixed = [wall, aware, day, wall.isoformat(), "2018-11-05T03:00+09:00", str(day), pd.Timestamp(wall), None]
    start = first_instant(day, zone)
    expected = [placed(wall, zone), aware, start, placed(wall, zone), aware, start, placed(wall, zone), None]
    for rows in (mixed, mixed[::-1]):
        frame = pd.DataFrame({"user": [i % 3 for i in range(8)], "as_of": pd.Series(rows, dtype=object)})
        frame.index = pd.Index([*range(4), *range(4)])
        answer = store.get_historical_features(frame, "all")
        moments = expected if rows is mixed else expected[::-1]
        assert answer["as_of"].to_pylist() == moments
        assert features(answer).equals(asked(store, moments))
    with pytest.raises(fs.SpineError, match="holds 'soon'"):
        store.get_historical_features(pd.DataFrame({"user": [1, 2], "as_of": [aware, "soon"]}), "all")


def test_a_date_is_the_first_instant_of_its_business_day(store: fs.FeatureStore, zone: str) -> None:
    days = [ZONES[zone] + timedelta(days=i) for i in range(-3, 4)]
    users = [i % 3 for i in range(len(days))]
    expected = asked(store, [first_instant(day, zone) for day in days])
    frames = {
        "date32": pa.table({"user": users, "as_of": pa.array(days, pa.date32())}),
        "date64": pa.table({"user": users, "as_of": pa.array(days, pa.date64())}),
        "polars": pl.DataFrame({"user": users, "as_of": days}),
        "objects": pd.DataFrame({"user": users, "as_of": days}),
        "texts": pa.table({"user": users, "as_of": [str(day) for day in days]}),
    }
    for kind, frame in frames.items():
        assert features(store.get_historical_features(frame, "all")).equals(expected), kind


def test_conditions_and_derived_features_read_the_clock_of_the_store(store, zone: str, events: list[Event]) -> None:
    starts = [first_instant(ZONES[zone] + timedelta(days=i), zone) for i in range(-2, 4)]
    spine = pa.table({"user": [u for u in range(3) for _ in starts], "as_of": pa.array(starts * 3, pa.timestamp("us", "UTC"))})
    is_whole = zone in ("America/New_York", "America/Sao_Paulo")
    for is_as_known in (False, True) if is_whole else (False,):
        rows = store.get_historical_features(spine, "all", as_known=is_as_known).to_pylist()
        for row in rows:
            seen = [
                e
                for e in events
                if e.user == row["user"] and e.at < row["as_of"] and (not is_as_known or e.seen < row["as_of"])
            ]
            for name, (text, holds) in conditions(zone).items():
                assert row[f"v__n_{name}"] == sum(map(holds, seen)), text
            hours = [shown(e.at, zone).hour for e in seen]
            assert row["v__clock"] == [hours.count(hour) for hour in range(24)]
            assert row["v__n_night"] == sum(row["v__clock"][:6])
            assert_derived(row, seen, zone)
    assert not is_whole or store.verify().is_equal


def assert_derived(row: dict, seen: list[Event], zone: str) -> None:
    last = max(seen, key=lambda e: (e.at, e.id), default=None)
    names = ("made_hour", "made_late", "made_day", "next_day", "left")
    found = tuple(row[f"v__{name}"] for name in names)
    if last is None:
        assert found == (None,) * 5
        return
    wall = shown(last.made, zone)
    late = last.made >= placed(datetime.fromisoformat(f"{ZONES[zone]} {NIGHT}"), zone)
    next_day = placed(wall + timedelta(days=1), zone)
    assert found == (wall.hour, late, wall.date(), next_day, (last.due - wall.date()).days)


def test_every_verb_takes_a_moment_in_the_store_s_zone(store: fs.FeatureStore, zone: str) -> None:
    day, wall = ZONES[zone] + timedelta(days=1), walls(zone)[3]
    start, instant = first_instant(day, zone), placed(wall, zone)
    at_start, at_instant = (store.get_batch_features(moment, "all") for moment in (start, instant))
    for moment in (day, str(day), datetime(day.year, day.month, day.day), pd.Timestamp(day)):
        assert store.get_batch_features(moment, "all").equals(at_start), moment
    for moment in (wall, wall.isoformat(), pd.Timestamp(wall)):
        assert store.get_batch_features(moment, "all").equals(at_instant), moment
    active = store.get_batch_features(start, "all", active_since=instant)
    assert store.get_batch_features(day, "all", active_since=wall).equals(active)
    published = store.publish("all", as_of=day)
    assert published.as_of == start
    later = datetime(day.year, day.month, day.day) + timedelta(hours=6)
    assert store.published("all", max_age="6h", at=later) == published
    with pytest.raises(fs.NotPublishedError):
        store.published("all", max_age="6h", at=later + timedelta(seconds=1))


@pytest.mark.parametrize("zone", ["America/New_York", "America/Sao_Paulo"])
def test_a_store_of_before_reads_everything_in_utc(zone: str, tmp_path: Path) -> None:
    events = drawn(zone)
    fs.FeatureStore(tmp_path / "store", timezone=zone)
    record = json.loads((tmp_path / "store" / "store.json").read_text())
    (tmp_path / "store" / "store.json").write_text(
        json.dumps(record | {"naive_times": "utc", "read_version": 1, "write_version": 1})
    )
    old = fs.FeatureStore(tmp_path / "store")
    condition = f"hour(at) < 6 AND at >= '{ZONES[zone]}'"
    old.apply([fs.FeatureView("v", entity=USER, source=SOURCE, aggregations=[fs.Count("n", where=condition)])])
    old.ingest("events", table_of(events))
    old.materialize(interval=("2018-10", date(2018, 12, 1)))
    edge = datetime(*ZONES[zone].timetuple()[:3], tzinfo=UTC)
    counts = [sum(e.user == user and e.at >= edge and e.at.hour < 6 for e in events) for user in range(3)]
    naive = datetime(2018, 11, 30, 12)
    answer = old.get_historical_features(pa.table({"user": [0, 1, 2], "as_of": [naive] * 3}), ["v"])
    assert answer["v__n"].to_pylist() == counts
    assert old.get_batch_features(date(2018, 11, 30), ["v"])["as_of"].to_pylist() == [datetime(2018, 11, 30, tzinfo=UTC)] * 3
    assert old.upgrade().steps == ()


def test_what_an_audit_reads_is_by_the_store_s_clock_too(tmp_path: Path) -> None:
    zone = "America/New_York"
    store = fs.FeatureStore(tmp_path / "store", timezone=zone)
    store.apply([view(zone)])
    store.ingest("events", table_of(drawn(zone)))
    store.materialize()
    assert store.take_snapshots(datetime(2018, 12, 1, 4, tzinfo=UTC)) == {"v": 3}
    folder = audited_view(store.layout, store.registry.views["v"]).snapshots
    (file,) = Table.open(folder).files()
    taken = pq.read_table(file.path, partitioning=None)
    batch = store.get_batch_features("2018-12-01", ["v"])
    wanted = [name for name in ("v__n_night", "v__n_from_day", "v__made_hour", "v__left") if name in taken.column_names]
    assert len(wanted) == 4
    assert taken.sort_by("user").select(wanted).to_pylist() == batch.sort_by("user").select(wanted).to_pylist()


def test_an_expression_of_the_clock_has_other_totals_in_another_zone_and_any_other_the_same() -> None:

    def prints(where: str) -> set[str]:
        item = fs.FeatureView("v", entity=USER, source=SOURCE, aggregations=[fs.Count("n", where=where)])
        return {ledger_fingerprint(item, zone) for zone in ("UTC", "Asia/Shanghai", "America/New_York")}

    for text in ("hour(at) < 6", "at > '2020-01-01'", "CAST(at AS DATE) > due", "date_diff('day', at, made) > 1", "at < due"):
        assert len(prints(text)) == 3, text
    for text in (
        "user > 5",
        "at > '2020-01-01T00:00Z'",
        "made > at + INTERVAL 8 HOUR",
        "date_diff('hour', at, made) > 1",
        "due > '2020-01-01'",
    ):
        assert len(prints(text)) == 1, text


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_literals_at_the_ends_of_time_and_sums_of_intervals_are_read_in_any_zone(zone: str) -> None:
    types = {"at": "timestamp", "due": "date"}
    for text in (
        "at > '0001-01-01'",
        "at < '9999-12-31 23:59:59'",
        "hour(at) = 12",
        "at + INTERVAL 1 DAY - INTERVAL 1 WEEK + INTERVAL 6 DAY = at",
        "at IN ('2020-06-01 12:00', due)",
        "TRY_CAST(at AS DATE) = due",
    ):
        sql = parse(text, types).read_in(zone).sql
        at = f"TIMESTAMPTZ '{placed(datetime(2020, 6, 1, 12), zone).isoformat()}'"
        with connect() as session:
            found = session.sql(f"SELECT {sql} FROM (SELECT {at} AS at, DATE '2020-06-01' AS due)").fetchall()
        assert found == [(True,)], text
    for text, message in (
        ("nullif(due, at) = due", "nullif of the date"),
        ("at > 'soon'", "is no timestamp"),
        ("due > '2020-06-01 12:00'", "is no date"),
        ("hour(due) = 1", "is a date, expected a timestamp"),
        ("date_diff('day', 1, at) = 1", "is a number, expected a timestamp or date"),
    ):
        with pytest.raises(fs.ExpressionError, match=message):
            parse(text, types)
