"""Doubles: sums are exact in multiples of 2^-64 and rounded once; a decayed window knows nothing of what lies before it."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.errors import DefinitionError, OverflowingResultError
from featurestore.lake.layout import create_or_open
from featurestore.spec import Entity, FeatureView
from tests.compute.windows.test_aggregates import START, ask, of_one_user, schema
from tests.compute.world import SOURCE, at, commit_events, event

LATE = [{"user_id": 1, "as_of": START + timedelta(days=3_000)}]
LARGEST = 2.0**62


def rounded(value: float) -> Fraction:
    """A value as a multiple of 2^-64."""
    return Fraction(round(Fraction(value) * 2**64), 2**64)


def make_store(root, *aggregations, **source) -> fs.FeatureStore:
    store = fs.FeatureStore(root, timezone="UTC")
    events = fs.EventSource("events", schema=schema("double"), event_time="event_time", event_id="event_id", **source)
    store.apply([FeatureView("v", entity=Entity("user", key="user_id"), source=events, aggregations=aggregations)])
    return store


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1], 0.1),
        ([0.1] * 10, float(10 * rounded(0.1))),
        ([1e-13], float(rounded(1e-13))),
        ([1e-300, 5e-324, -1e-300], 0.0),
        ([LARGEST, 1e-13, -LARGEST], float(rounded(1e-13))),
        ([LARGEST, LARGEST, LARGEST, -LARGEST], 2.0**63),
        ([2.0**53, 1.0, 2.0**-64], 2.0**53 + 2),
        ([-(2.0**53), -1.0], -(2.0**53)),
        ([9_007_199_254_740_993 / 2**64, 2.0**-64], 9_007_199_254_740_993 / 2**64),
    ],
)
def test_a_sum_of_doubles_is_exact_and_rounded_once(tmp_path, values: list[float], expected: float) -> None:
    (row,) = ask(tmp_path, of_one_user(pa.float64(), values), fs.Sum("s", "x"), schema=schema("double"), spine=LATE)
    assert row["s"] == expected == float(sum(map(rounded, values)))


def test_a_value_below_the_resolution_is_within_half_a_unit(tmp_path) -> None:
    (row,) = ask(tmp_path, of_one_user(pa.float64(), [1e-13]), fs.Sum("s", "x"), schema=schema("double"), spine=LATE)
    assert abs(Fraction(row["s"]) - Fraction(1e-13)) <= Fraction(1, 2**65)


@pytest.mark.parametrize("seed", [1, 2])
def test_sums_of_all_magnitudes_in_any_order_and_batches_equal_fractions(tmp_path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    magnitudes = np.exp2(rng.uniform(-80, 62, 3_000))
    values = np.concatenate([magnitudes * rng.choice([-1, 1], 3_000), -magnitudes[:1_500], [5e-324, 1e-300, LARGEST, -LARGEST]])
    table = of_one_user(pa.float64(), rng.permutation(values).tolist(), hours=1.0)
    windows = {"7d": 168, "50d": 1_200, "lifetime": 10**6}
    store = make_store(
        tmp_path, *(kind(name, "x", windows=tuple(windows)) for name, kind in (("s", fs.Sum), ("m", fs.Mean), ("v", fs.Var)))
    )
    order = rng.permutation(table.num_rows)
    for part in np.array_split(order, 2):
        store.ingest("events", table.take(pa.array(part)))
        store.materialize()
    hours = rng.integers(1, 200, 40) * 24
    spine = pa.Table.from_pylist([{"user_id": 1, "as_of": START + timedelta(hours=int(hour))} for hour in hours])
    known = store.get_historical_features(spine, ["v"], as_known=True)
    found = store.get_historical_features(spine, ["v"])
    assert known.drop_columns(["as_of"]).equals(found.drop_columns(["as_of"]))
    given = table["x"].to_pylist()
    for row, hour in zip(found.to_pylist(), hours, strict=True):
        for text, length in windows.items():
            inside = [rounded(value) for value in given[max(0, hour - length) : hour]]
            assert row[f"v__s_{text}"] == float(sum(inside))
            if len(inside) > 1:
                middle = sum(inside) / len(inside)
                assert math.isclose(row[f"v__m_{text}"], float(middle), rel_tol=3e-16)
                spread = sum((value - middle) ** 2 for value in inside) / (len(inside) - 1)
                assert math.isclose(row[f"v__v_{text}"], float(spread), rel_tol=1e-15)
    assert store.verify().is_equal


def test_an_integer_source_keeps_its_integers(tmp_path) -> None:
    (row,) = ask(tmp_path, of_one_user(pa.int64(), [2**62, 2**61]), fs.Sum("s", "x"), schema=schema("int64"), spine=LATE)
    assert row["s"] == 2**62 + 2**61


def test_an_absurd_double_is_quarantined_with_its_column_and_stops_nothing(tmp_path) -> None:
    store = make_store(tmp_path, fs.Sum("s", "x"))
    table = of_one_user(pa.float64(), [1.0, 1e19, -math.inf, LARGEST, -1e300, math.nextafter(LARGEST, math.inf)])
    report = store.ingest("events", table)
    assert (dict(report.quarantined), report.rows_added) == ({"absurd x": 3}, 3)
    store.materialize()
    assert store.get_historical_features(pa.Table.from_pylist(LATE), ["v"])["v__s"].to_pylist() == [LARGEST]


def test_a_finite_text_too_large_for_a_double_is_quarantined_and_an_infinity_is_null(tmp_path) -> None:
    file = tmp_path / "events.csv"
    rows = ["1e400", "-1E+999", "inf", "-Infinity", "nan", "1e-400", "2.5", "9" * 400]
    lines = [f"{i},2024-01-0{i + 1}T00:00:00Z,1,{text}" for i, text in enumerate(rows)]
    file.write_text("\n".join(["event_id,event_time,user_id,x", *lines]) + "\n")
    report = make_store(tmp_path / "store", fs.Sum("s", "x")).ingest("events", file)
    assert (dict(report.quarantined), report.rows_added) == ({"out of range x": 3}, 5)
    assert report.non_finite == 3


def test_a_wide_column_takes_every_double_and_is_never_added_up(tmp_path) -> None:
    table = of_one_user(pa.float64(), [1e300, -1e200])
    aggregations = [fs.Max("most", "x"), fs.Min("least", "x"), fs.Last("last", "x"), fs.Quantile("q", "x"), fs.Count("n")]
    store = make_store(tmp_path, *aggregations, wide=("x",))
    assert store.ingest("events", table).rows_added == 2
    store.materialize()
    (row,) = store.get_historical_features(pa.Table.from_pylist(LATE), ["v"]).to_pylist()
    assert (row["v__most"], row["v__least"], row["v__last"], row["v__n"]) == (1e300, -1e200, -1e200, 2)
    for kind in (fs.Sum, fs.Mean, fs.Var, fs.Std, fs.Trend, fs.Decayed):
        with pytest.raises(DefinitionError, match=rf"{kind.__name__} of 'x' is not possible.* wide"):
            make_store(tmp_path / kind.__name__, kind("a", "x"), wide=("x",))


def test_a_source_becomes_wide_only_when_nothing_adds_its_column_up(tmp_path) -> None:
    store = make_store(tmp_path, fs.Sum("s", "x"))
    wide = fs.EventSource("events", schema=schema("double"), event_time="event_time", event_id="event_id", wide=["x"])
    with pytest.raises(DefinitionError, match="view 'v': Sum of 'x'"):
        store.apply([wide])


def old_store(tmp_path):
    """A store with a row that today's ingest would refuse."""
    layout = create_or_open(tmp_path / "store")
    commit_events(layout, [event(1, at(2024), weight=1e30), event(2, at(2024), weight=3.0)])
    store = fs.FeatureStore(tmp_path / "store")
    store.apply([FeatureView("v", entity=Entity("user", key="user_id"), source=SOURCE, aggregations=[fs.Sum("s", "weight")])])
    return store


def test_a_committed_row_that_stops_a_view_is_named_with_its_month_and_a_correction_mends_it(tmp_path) -> None:
    store = old_store(tmp_path)
    with pytest.raises(
        OverflowingResultError, match=r"The event 1 of source 'events', of the month 2024-01, has 1e\+30 in 'weight'"
    ):
        store.materialize()
    row = event(1, at(2024), weight=0.1)
    corrected = pa.Table.from_pylist([row | {"ingested_at": at(2024, 6)}] if SOURCE.ingested_at else [row])
    store.ingest("events", corrected, replace=SOURCE.ingested_at is None)
    store.materialize()
    spine = pa.Table.from_pylist([{"user_id": 1, "as_of": at(2025)}, {"user_id": 1, "as_of": at(2024, 3)}])
    assert store.get_historical_features(spine, ["v"])["v__s"].to_pylist() == [3.1, 3.1]
    known = store.get_historical_features(spine, ["v"], as_known=True)["v__s"].to_pylist()
    assert known[0] == 3.1


def faded(values: list[tuple[float, float]], half_life: float) -> Fraction:
    """The decayed sum of (age, value) pairs."""
    return sum((Fraction(value) * Fraction(2.0 ** (-age / half_life)) for age, value in values), Fraction())


@pytest.mark.parametrize("before", [1e12, -1e18, LARGEST, 1e6])
@pytest.mark.parametrize("grain", ["1d", "1h", "event"])
def test_a_decayed_window_is_as_precise_as_its_own_sum(tmp_path, before: float, grain: str) -> None:
    # Days 0 to 399 hold what the window must not see; one value of 1.0 lies in it, and later nothing does.
    values = [before if i % 2 else -before / 3 for i in range(400)] + [1.0]
    spine = [{"user_id": 1, "as_of": START + timedelta(days=day)} for day in (403, 404, 408)]
    warmth = fs.Decayed("h", "x", half_life="7d", windows=("4d",)), fs.Decayed("n", half_life="7d", windows=("4d",))
    rows = ask(tmp_path, of_one_user(pa.float64(), values), *warmth, schema=schema("double"), spine=spine, grain=grain)
    assert rows[0]["h_4d"] == pytest.approx(float(faded([(4, values[-2]), (3, 1.0)], 7)), rel=1e-15)
    assert rows[1]["h_4d"] == pytest.approx(2 ** (-4 / 7), rel=1e-15)
    assert rows[1]["n_4d"] == pytest.approx(2 ** (-4 / 7), rel=1e-15)
    assert (rows[2]["h_4d"], rows[2]["n_4d"]) == (0.0, 0.0)


def test_a_long_decayed_window_of_a_busy_entity_is_the_plain_sum_alone_and_among_others(tmp_path) -> None:
    rng = np.random.default_rng(5)
    values = rng.exponential(1, 20_000)
    store = make_store(tmp_path, fs.Decayed("h", "x", half_life="30d", windows=("1d", "300d", "lifetime")))
    store.ingest("events", of_one_user(pa.float64(), values.tolist(), hours=1.0))
    store.materialize()
    days = rng.integers(1, 900, 300)
    spine = pa.Table.from_pylist([{"user_id": 1, "as_of": START + timedelta(days=int(day))} for day in days])
    found = store.get_historical_features(spine, ["v"]).drop_columns(["as_of"])
    steps = np.arange(len(values)) // 24
    for row, day in list(zip(found.to_pylist(), days, strict=True))[:40]:
        for text, length in (("1d", 1), ("300d", 300), ("lifetime", 10**6)):
            inside = (steps < day) & (steps >= day - length)
            expected = math.fsum(values[inside] * np.exp2((steps[inside] - day) / 30))
            assert row[f"v__h_{text}"] == pytest.approx(expected, rel=1e-14)
    alone = store.get_historical_features(spine.slice(7, 1), ["v"]).drop_columns(["as_of"])
    assert alone.equals(found.slice(7, 1))
    assert store.verify().is_equal


def test_an_unknown_error_of_a_decayed_sum_is_refused() -> None:
    with pytest.raises(DefinitionError, match="use 'window' or 'history'"):
        fs.Decayed("h", relative_to="all")
