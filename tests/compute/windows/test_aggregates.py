"""What is hard about single aggregations: small scatter around large means, large integers, empty windows, hot keys, all types."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.errors import DefinitionError, OverflowingResultError, StoreError
from featurestore.spec import Entity, FeatureView
from featurestore.spec.aggregations import Aggregation
from tests.compute.world import SOURCE, at

START = at(2023, 1, 1)


def ask(
    tmp_path,
    events: pa.Table,
    *aggregations: Aggregation,
    schema: dict[str, str],
    spine: list[dict],
    grain: str = "1d",
    wide: tuple[str, ...] = (),
) -> list[dict]:
    """Load events of users, and answer a spine."""
    source = fs.EventSource("events", schema=schema, event_time="event_time", event_id="event_id", wide=wide)
    view = FeatureView("v", entity=Entity("user", key="user_id"), source=source, grain=grain, aggregations=aggregations)
    store = fs.FeatureStore(tmp_path / "store", timezone="UTC")
    store.apply([source, view])
    store.ingest("events", events)
    store.materialize()
    found = store.get_historical_features(pa.Table.from_pylist(spine), ["v"])
    return [{name.removeprefix("v__"): value for name, value in row.items()} for row in found.to_pylist()]


def of_one_user(kind: pa.DataType, values: list, *, hours: float = 24.0) -> pa.Table:
    """Events of user 1, one each so many hours."""
    times = [START + timedelta(hours=hours * i) for i in range(len(values))]
    return pa.table(
        {
            "event_id": pa.array(range(len(values)), pa.int64()),
            "event_time": pa.array(times, pa.timestamp("us", "UTC")),
            "user_id": pa.array([1] * len(values), pa.int64()),
            "x": pa.array(values, kind),
        }
    )


def schema(kind: str) -> dict[str, str]:
    return {"event_id": "int64", "event_time": "timestamp", "user_id": "int64", "x": kind}


def test_the_scatter_of_one_around_a_billion_is_one(tmp_path) -> None:
    values = 1e9 + np.random.default_rng(1).normal(0, 1, 5_000)
    events = of_one_user(pa.float64(), values.tolist(), hours=1.0)
    spine = [{"user_id": 1, "as_of": START + timedelta(days=300)}]
    aggregations = fs.Std("std", "x"), fs.Var("var", "x"), fs.Std("late", "x", windows=("120d",))
    (row,) = ask(tmp_path, events, *aggregations, schema=schema("double"), spine=spine)
    assert row["std"] == pytest.approx(np.std(values - 1e9, ddof=1), rel=1e-9)
    assert row["var"] == pytest.approx(np.var(values - 1e9, ddof=1), rel=1e-9)
    assert row["late_120d"] == pytest.approx(np.std(values[180 * 24 :] - 1e9, ddof=1), rel=1e-9)


@pytest.mark.parametrize("grain", ["1d", "event"])
def test_integers_near_the_end_of_64_bits_have_an_exact_variance_and_trend(tmp_path, grain: str) -> None:
    rng = np.random.default_rng(2)
    values = [
        int(value)
        for value in [*rng.integers(2**62, 2**63 - 1, 40), *rng.integers(-(2**63), -(2**62), 40), 2**63 - 1, -(2**63)]
    ]
    spine = [{"user_id": 1, "as_of": START + timedelta(days=400)}]
    (row,) = ask(
        tmp_path,
        of_one_user(pa.int64(), values),
        fs.Var("var", "x"),
        fs.Std("std", "x"),
        fs.Trend("trend", "x"),
        schema=schema("int64"),
        spine=spine,
        grain=grain,
    )
    n, mean = len(values), Fraction(sum(values), len(values))
    assert row["var"] == pytest.approx(float(sum((value - mean) ** 2 for value in values) / (n - 1)), rel=1e-15)
    assert row["std"] == pytest.approx(row["var"] ** 0.5, rel=1e-15)
    day = Fraction(n - 1, 2)
    slope = sum((i - day) * (value - mean) for i, value in enumerate(values)) / sum((i - day) ** 2 for i in range(n))
    assert row["trend"] == pytest.approx(float(slope), rel=1e-15)


def test_small_integers_have_the_moments_that_numpy_gives(tmp_path) -> None:
    values = [3, 1, 4, 1, 5, 9, 2, 6]
    aggregations = fs.Var("var", "x"), fs.Trend("trend", "x"), fs.Std("std", "x")
    spine = [{"user_id": 1, "as_of": START + timedelta(days=400)}]
    (row,) = ask(tmp_path, of_one_user(pa.int32(), values, hours=48), *aggregations, schema=schema("int32"), spine=spine)
    assert row["var"] == pytest.approx(np.var(values, ddof=1), rel=1e-15)
    assert row["std"] == pytest.approx(np.std(values, ddof=1), rel=1e-15)
    assert row["trend"] == pytest.approx(np.polyfit(2 * np.arange(8), values, 1)[0], rel=1e-12)


def test_windows_with_no_value_or_one_say_so(tmp_path) -> None:
    windows = ("1d", "2d")
    aggregations = [
        fs.Var("var", "x", windows=windows),
        fs.Std("std", "x", windows=windows),
        fs.Trend("trend", "x", windows=windows),
        fs.Min("least", "x", windows=windows),
        fs.Max("most", "x", windows=windows),
        fs.First("first", "x", windows=windows),
        fs.Decayed("warmth", windows=windows),
        fs.Decayed("heat", "x", half_life="1d", windows=windows),
    ]
    spine = [{"user_id": 1, "as_of": START + timedelta(days=days)} for days in (0, 2, 3)]
    rows = ask(tmp_path, of_one_user(pa.float64(), [1e15, 0.25, None]), *aggregations, schema=schema("double"), spine=spine)
    nothing = {"var": None, "std": None, "trend": None, "least": None, "most": None, "first": None, "heat": 0.0}
    assert rows[0] == {
        **spine[0],
        **{f"{name}_{window}": value for name, value in {**nothing, "warmth": 0.0}.items() for window in windows},
    }
    one = {"var": None, "std": None, "trend": None, "least": 0.25, "most": 0.25, "first": 0.25}
    assert {name: rows[1][f"{name}_1d"] for name in one} == one
    assert rows[1]["trend_2d"] == 0.25 - 1e15
    assert {name: rows[2][f"{name}_1d"] for name in nothing} == nothing
    assert rows[2]["warmth_1d"] == pytest.approx(2 ** (-1 / 30))


def test_two_values_of_one_step_have_a_variance_but_no_trend(tmp_path) -> None:
    spine = [{"user_id": 1, "as_of": START + timedelta(days=400)}]
    (row,) = ask(
        tmp_path,
        of_one_user(pa.int64(), [1, 3], hours=1),
        fs.Var("var", "x"),
        fs.Trend("trend", "x"),
        schema=schema("int64"),
        spine=spine,
    )
    assert (row["var"], row["trend"]) == (2.0, None)


@pytest.mark.parametrize("damaged", [fs.Std("spread", "x"), fs.Var("spread", "x"), fs.Trend("spread", "x")])
def test_damaged_totals_are_refused_and_give_no_number(tmp_path, monkeypatch: pytest.MonkeyPatch, damaged: Aggregation) -> None:
    """A total of squares, of times or of events that is too small: what no values can have."""
    monkeypatch.setattr("featurestore.lake.digests.damage_of", lambda file: None)  # as of files of before, which have no digest
    events, spine = of_one_user(pa.int64(), [3, 1, 4, 1, 5]), [{"user_id": 1, "as_of": START + timedelta(days=400)}]
    ask(tmp_path, events, damaged, schema=schema("int64"), spine=spine)
    store = fs.FeatureStore(tmp_path / "store")
    shutil.rmtree(store.layout.hot("v"), ignore_errors=True)
    low = "squared_times0" if isinstance(damaged, fs.Trend) else "squares_x0"
    harmed = 0
    for file in store.layout.ledger("v").rglob("*.parquet"):
        table = pq.read_table(file, partitioning=None)
        for i, name in enumerate(table.column_names):
            if low in name:
                less = pc.if_else(pc.greater(table[name], 0), 1, table[name]).cast(table.schema.field(i).type)
                table, harmed = table.set_column(i, table.schema.field(i), less), harmed + 1
        file.unlink()
        pq.write_table(table, file)
    assert harmed
    with pytest.raises(StoreError, match=r"'spread'.*damaged.*store.verify\(\)"):
        store.get_historical_features(pa.Table.from_pylist(spine), ["v"])


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (pa.int32(), "int32", [-(2**31), 2**31 - 1]),
        (pa.int64(), "int64", [-(2**63), 2**63 - 1]),
        (pa.float64(), "double", [-1e300, 1e300]),
        (pa.timestamp("us", "UTC"), "timestamp", [at(1970, 1, 1), at(2090, 5, 6)]),
        (pa.date32(), "date", [date(1900, 2, 3), date(2100, 1, 1)]),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_extremes_and_first_have_the_type_of_their_column(tmp_path, kind, name: str, values: list) -> None:
    aggregations = fs.Min("least", "x"), fs.Max("most", "x"), fs.First("first", "x"), fs.Max("edge", "x", windows=("1d",))
    spine = [{"user_id": 1, "as_of": START + timedelta(days=days)} for days in (2, 1)]
    wide = ("x",) if name == "double" else ()
    rows = ask(tmp_path, of_one_user(kind, values), *aggregations, schema=schema(name), spine=spine, wide=wide)
    assert (rows[0]["least"], rows[0]["most"], rows[0]["first"], rows[0]["edge_1d"]) == (
        values[0],
        values[1],
        values[0],
        values[1],
    )
    # The smallest number there is is a maximum like any other.
    assert (rows[1]["least"], rows[1]["most"], rows[1]["edge_1d"]) == (values[0], values[0], values[0])


def test_a_key_with_more_than_20_000_rows_in_a_partition_has_the_extremes_that_numpy_gives(tmp_path) -> None:
    rng = np.random.default_rng(5)
    rows = 30_000
    values = rng.integers(-(2**40), 2**40, rows)
    missing = rng.random(rows) < 0.3
    events = of_one_user(
        pa.int64(), [None if gone else int(value) for value, gone in zip(values, missing, strict=True)], hours=0.25
    )
    hours = rng.integers(1, rows // 4 + 500, 2_000)
    windows = {"1h": 1, "2d": 48, "200d": 4_800, "lifetime": 10**6}
    aggregations = fs.Min("least", "x", windows=tuple(windows)), fs.Max("most", "x", windows=tuple(windows))
    spine = [{"user_id": 1, "as_of": START + timedelta(hours=int(hour))} for hour in hours]
    found = ask(tmp_path, events, *aggregations, schema=schema("int64"), spine=spine, grain="event")
    for row, hour in zip(found, hours, strict=True):
        for text, length in windows.items():
            inside = slice(max(0, (hour - length) * 4), max(0, hour * 4))
            seen = values[inside][~missing[inside]]
            expected = (int(seen.min()), int(seen.max())) if len(seen) else (None, None)
            assert (row[f"least_{text}"], row[f"most_{text}"]) == expected


def test_a_double_too_large_for_its_resolution_is_refused_with_what_to_change(tmp_path) -> None:
    events, spine = of_one_user(pa.float64(), [1.0, 4e16]), [{"user_id": 1, "as_of": START + timedelta(days=9)}]
    with pytest.raises(OverflowingResultError, match="resolution_bits"):
        ask(tmp_path / "fine", events, fs.Std("std", "x", resolution_bits=40), schema=schema("double"), spine=spine)
    (row,) = ask(tmp_path / "coarse", events, fs.Std("std", "x", resolution_bits=30), schema=schema("double"), spine=spine)
    assert row["std"] == pytest.approx(np.std([1.0, 4e16], ddof=1), rel=1e-15)
    (row,) = ask(tmp_path / "few", events, fs.Std("std", "x", where="x < 10"), schema=schema("double"), spine=spine)
    assert row["std"] is None


@pytest.mark.parametrize(
    ("half_life", "message"),
    [("12h", "not a whole number of days"), ("lifetime", "'lifetime' has no length"), ("a month", "is not a window")],
)
def test_a_half_life_is_a_whole_number_of_steps(half_life: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=f"half_life of 'warmth'.*{message}"):
        view(fs.Decayed("warmth", half_life=half_life))
    if half_life == "12h":
        view(fs.Decayed("warmth", half_life=half_life), grain="1h")


def test_a_decayed_sum_takes_plain_windows_alone() -> None:
    with pytest.raises(DefinitionError, match="cannot look back over"):
        fs.Decayed("warmth", windows=(fs.Offset("30d", by="1y"),))


def view(aggregation: Aggregation, grain: str = "1d") -> FeatureView:
    return FeatureView("v", entity=Entity("user", key="user_id"), source=SOURCE, grain=grain, aggregations=[aggregation])
