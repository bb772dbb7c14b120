from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

import featurestore.drift.monitor.monitor as monitor
from featurestore.drift.monitor.monitor import DRIFT_SCHEMA, monitor_drift
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.monitor.state import STATES
from featurestore.errors import DefinitionError, UnknownNameError

ROWS = 400


def month(index: int) -> date:
    return date(2016 + index // 12, index % 12 + 1, 1)


def snapshots(columns, *, months: int = 60, seed: int = 0) -> Iterator[tuple[date, pa.Table]]:
    """``columns(t, rng)`` gives the month's columns."""
    for t in range(months):
        yield month(t), pa.table(columns(t, np.random.default_rng((seed, t))))


def states(found: pa.Table, feature: str = "x", segment: str | None = None) -> dict[date, str]:
    return {r["month"]: r["state"] for r in found.to_pylist() if r["feature"] == feature and r["segment"] == segment}


def first(found: pa.Table, state: str, feature: str = "x", segment: str | None = None) -> date | None:
    return min((day for day, is_in in states(found, feature, segment).items() if is_in == state), default=None)


def stepped(t: int, rng: np.random.Generator) -> dict:
    november = 0.9 * (t % 12 == 10)
    return {
        "x": np.exp(rng.normal(size=ROWS) + november + 0.9 * (t >= 40)),
        "quiet": np.exp(rng.normal(size=ROWS) + november),
        "colour": rng.choice(["a", "b", "c"], ROWS, p=[0.5, 0.3, 0.2]).tolist(),
    }


def test_a_step_is_found_and_latched_and_double_11_is_not() -> None:
    found = monitor_drift(snapshots(stepped))
    assert found.schema.equals(DRIFT_SCHEMA)
    assert len(found) == 60 * 3
    assert first(found, "drift") in (month(41), month(40))
    assert set(list(states(found).values())[42:]) == {"latched"}
    rows = [row for row in found.to_pylist() if row["feature"] == "x" and row["state"] in ("drift", "latched")]
    assert {row["since"] for row in rows} <= {month(39), month(40), month(41)}
    for feature in ("quiet", "colour"):
        assert set(states(found, feature).values()) <= {"insufficient", "ok", "watch"}


def test_cold_start_is_insufficient_with_a_reason_and_a_null_score() -> None:
    found = monitor_drift(snapshots(stepped, months=30)).to_pylist()
    early = [row for row in found if row["month"] < month(24)]
    assert {row["state"] for row in early} == {"insufficient"}
    assert {row["score"] for row in early} == {None}
    assert all("judged after 24" in row["reason"] for row in early)
    assert {row["state"] for row in found if row["month"] >= month(25)} <= {"ok", "watch"}


def test_a_reset_unlatches_and_the_next_drift_is_found() -> None:
    def twice(t: int, rng: np.random.Generator) -> dict:
        return {"x": np.exp(rng.normal(size=ROWS) + 0.9 * (t >= 40) - 1.1 * (t >= 70))}

    without = list(states(monitor_drift(snapshots(twice, months=84))).values())
    assert [t for t, state in enumerate(without) if state == "drift"] == [41, 71]
    assert set(without[42:71] + without[72:]) == {"latched"}
    found = monitor_drift(snapshots(twice, months=84), resets={"x": ["2019-08"]})
    after = states(found)
    assert all(after[month(t)] in ("ok", "watch") for t in range(43, 70))
    assert [day for day, state in after.items() if state == "drift"][1:] in ([month(70)], [month(71)])


def test_a_change_that_went_back_leaves_the_old_baseline_and_what_follows_is_found() -> None:
    def excursion(t: int, rng: np.random.Generator) -> dict:
        return {"x": np.exp(rng.normal(size=ROWS) + 0.9 * (t in (40, 41)) + 0.7 * (t >= 60))}

    found = list(states(monitor_drift(snapshots(excursion, months=72))).values())
    assert [t for t, state in enumerate(found) if state == "drift"] == [41, 61]


def test_an_unanswered_episode_is_released_after_the_policys_months() -> None:
    def twice(t: int, rng: np.random.Generator) -> dict:
        return {"x": np.exp(rng.normal(size=ROWS) + 0.9 * (t >= 40) - 1.1 * (t >= 70))}

    sketches = list(monitor.sketch_months(snapshots(twice, months=84)))
    policy = DriftPolicy(release_months=12)
    found = monitor.monitor_sketches(sketches, policy=policy)
    after = list(states(found).values())
    assert [t for t, state in enumerate(after) if state == "drift"] == [41, 71]
    assert after[42:53] == ["latched"] * 11
    assert set(after[53:70]) <= {"ok", "watch"}
    for years in (4, 5, 6):
        scored = found.slice(0, years * 12)
        assert monitor.monitor_sketches(sketches, policy=policy, scored=scored).equals(found.slice(years * 12))


def test_a_window_that_is_not_full_is_insufficient_until_it_is() -> None:
    field = pa.field("x", pa.float64(), metadata={b"full_since": b"2017-01-01"})

    def tables() -> Iterator[tuple[date, pa.Table]]:
        for t in range(44):
            x = np.random.default_rng(t).normal(size=ROWS) + min(t, 12)
            yield month(t), pa.table([x], schema=pa.schema([field]))

    rows = monitor_drift(tables()).to_pylist()
    assert {row["reason"] for row in rows[:12]} == {"insufficient: window not full: its first full month is 2017-01"}
    assert {row["state"] for row in rows[:36]} == {"insufficient"}
    assert {row["state"] for row in rows[37:]} <= {"ok", "watch"}


def test_monitoring_sketches_gives_the_same_table_as_monitoring_snapshots() -> None:
    sketches = list(monitor.sketch_months(snapshots(stepped)))
    assert monitor.monitor_sketches(sketches).equals(monitor_drift(snapshots(stepped)))


def test_the_order_of_the_sketches_does_not_matter_and_of_a_month_given_twice_the_last_counts() -> None:
    sketches = list(monitor.sketch_months(snapshots(stepped)))
    expected = monitor.monitor_sketches(sketches)
    wrong = (sketches[50][0], sketches[3][1])
    assert monitor.monitor_sketches([wrong, *reversed(sketches)]).equals(expected)


def test_a_local_drift_is_found_in_its_segment_only() -> None:
    def local(t: int, rng: np.random.Generator) -> dict:
        region = np.repeat([1, 2, 3, 4, 5, 6, 7, 8], 200)
        return {"x": rng.normal(size=1600) + 1.2 * (t >= 40) * (region == 3), "region": region}

    found = monitor_drift(snapshots(local), policy=DriftPolicy(segments=("region",)))
    assert set(found["feature"].to_pylist()) == {"x"}
    assert first(found, "drift", segment="region=3") in (month(40), month(41))
    for region in (1, 2, 4, 5, 6, 7, 8):
        assert first(found, "drift", segment=f"region={region}") is None


def awkward(t: int, rng: np.random.Generator) -> dict:
    x = rng.normal(size=ROWS)
    return {
        "nothing": pa.nulls(ROWS, pa.float64()),
        "constant": np.full(ROWS, 7.0),
        "one_category": ["same"] * ROWS,
        "infinite": np.full(ROWS, np.inf),
        "mixed": np.where(rng.random(ROWS) < 0.1, np.inf, x),
        "retyped": pa.array(x).cast(pa.string()) if t == 45 else pa.array(x),
        "vanishing": pa.nulls(ROWS, pa.float64()) if t == 45 else pa.array(x),
        "many": [f"u{i}" for i in rng.integers(0, 10**6, ROWS)],
        "listed": pa.array([[1.0]] * ROWS),
        "untyped": pa.nulls(ROWS),
        "wide": pa.FixedSizeListArray.from_arrays(pa.array(rng.gamma(1.0, size=ROWS * 168)), 168),
    }


def test_bad_input_is_answered_with_a_state_and_a_reason() -> None:
    found = monitor_drift(snapshots(awkward, months=50))
    rows = found.to_pylist()
    assert {row["state"] for row in rows} <= set(STATES)
    assert all(row["reason"] for row in rows)
    for feature in ("constant", "one_category", "mixed", "many", "wide"):
        assert set(list(states(found, feature).values())[24:]) <= {"ok", "watch"}, feature
    for feature in ("nothing", "infinite", "listed", "untyped"):
        assert set(states(found, feature).values()) == {"insufficient"}, feature
    for feature in ("retyped", "vanishing"):
        assert first(found, "drift", feature) == month(45)
    kinds = {row["feature"]: row["kind"] for row in rows if row["state"] == "drift"}
    assert kinds == {"retyped": "schema", "vanishing": "nulls"}


def test_a_month_without_rows_and_one_with_ten_rows_are_insufficient_and_change_nothing_else() -> None:
    def holes(t: int, rng: np.random.Generator) -> dict:
        rows = {30: 0, 34: 10}.get(t, ROWS)
        return {"x": rng.normal(size=rows)}

    found = monitor_drift(snapshots(holes, months=48))
    assert [day for day, state in states(found).items() if state == "insufficient"][24:] == [month(30), month(34)]
    assert set(list(states(found).values())[25:]) <= {"ok", "watch", "insufficient"}


def test_skipped_months_have_no_rows() -> None:
    found = monitor_drift((day, table) for day, table in snapshots(stepped) if day.month != 3)
    assert not [day for day in found["month"].to_pylist() if day.month == 3]
    assert len(found) == 55 * 3


def test_no_snapshots_and_snapshots_without_columns_give_an_empty_table() -> None:
    assert monitor_drift([]).equals(DRIFT_SCHEMA.empty_table())
    assert monitor_drift([(month(0), pa.table({}))]).equals(DRIFT_SCHEMA.empty_table())


def test_an_unknown_segment_column_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="'regoin' is not in the snapshot"):
        monitor_drift([(month(0), pa.table({"x": [1.0], "region": ["a"]}))], policy=DriftPolicy(segments=("regoin",)))


def test_a_policy_says_what_is_wrong_with_it() -> None:
    with pytest.raises(DefinitionError, match="segments='region'"):
        DriftPolicy(segments="region")
    with pytest.raises(DefinitionError, match="release_months=0"):
        DriftPolicy(release_months=0)
    with pytest.raises(DefinitionError, match="min_months=3"):
        DriftPolicy(min_months=3)


def test_a_months_answer_does_not_depend_on_later_months_nor_on_being_replayed() -> None:
    def growing(t: int, rng: np.random.Generator) -> dict:
        region = np.repeat([1, 2, 3], 200)[: 600 if t > 50 else 400]
        rows = len(region)
        columns = {"x": rng.normal(size=rows) + 0.9 * (t >= 40), "y": rng.poisson(1 + (t % 12 == 10), rows), "region": region}
        return columns | ({"late": rng.normal(size=rows)} if t > 20 else {})

    policy = DriftPolicy(segments=("region",))
    sketches = list(monitor.sketch_months(snapshots(growing, months=66), policy=policy))
    resets = {"x": ["2019-09", "2020-08"]}
    whole = monitor.monitor_sketches(sketches, policy=policy, resets=resets)
    for months in (30, 42, 48, 53, 60):
        part = monitor.monitor_sketches(sketches[:months], policy=policy, resets=resets)
        assert part.equals(whole.slice(0, len(part))), months
        if months % 12 == 0:
            rest = monitor.monitor_sketches(sketches, policy=policy, resets=resets, scored=part)
            assert rest.equals(whole.slice(len(part))), months


def garbage(rng: np.random.Generator, rows: int) -> pa.Array:
    """A column that no one would send on purpose."""
    values = rng.normal(size=rows) * 10.0 ** rng.integers(-300, 300)
    columns = [
        pa.array(values),
        pa.array(values, mask=rng.random(rows) < rng.random()),
        pa.nulls(rows, pa.float32()),
        pa.nulls(rows),
        pa.array(np.where(rng.random(rows) < 0.5, np.inf, -np.inf)),
        pa.array(rng.integers(-(2**62), 2**62, rows)),
        pa.array(np.full(rows, 2**63 - 1)),
        pa.array(rng.integers(0, 2, rows).astype(bool)),
        pa.array([f"</script>{i}" for i in rng.integers(0, 10 ** rng.integers(1, 6), rows)]),
        pa.array([""] * rows).dictionary_encode(),
        pa.array(rng.integers(0, 10**6, rows).astype(np.int32)).cast(pa.date32()),
        pa.array(rng.integers(0, 10**15, rows)).cast(pa.timestamp("ns")),
        pa.array(rng.integers(0, 10**9, rows)).cast(pa.duration("ms")),
        pa.array(rng.integers(0, 10**6, rows)).cast(pa.decimal128(30, 2)),
        pa.array([{"a": 1}] * rows),
        pa.array([b"\xff"] * rows),
        pa.FixedSizeListArray.from_arrays(pa.array(rng.normal(size=3 * rows)), 3),
        pa.FixedSizeListArray.from_arrays(pa.array(np.full(3 * rows, np.nan)), 3),
        pa.array([[0.0] * 3] * rows, pa.list_(pa.float64(), 3)),
    ]
    return columns[rng.integers(len(columns))]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_every_row_has_a_state_and_a_reason(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fixed = {f"kind{i}": int(rng.integers(10**6)) for i in range(6)}

    def columns(t: int, _: np.random.Generator) -> dict:
        rows = int(rng.choice([0, 1, 10, 60, 200], p=[0.05, 0.05, 0.1, 0.2, 0.6]))
        steady = {name: garbage(np.random.default_rng(kind), rows) for name, kind in fixed.items()}
        wild = {f"wild{i}": garbage(rng, rows) for i in range(3) if rng.random() < 0.8}
        return steady | wild | {"region": pa.array(rng.choice(["a", "b", None], rows).tolist(), pa.string())}

    found = monitor_drift(snapshots(columns, months=32), policy=DriftPolicy(segments=("region",), min_months=13))
    for row in found.to_pylist():
        assert row["state"] in STATES
        assert row["reason"]
        assert (row["score"] is None) == (row["state"] == "insufficient")
        assert row["score"] is None or 0 <= row["score"] <= 100
        assert (row["since"] is not None) or row["state"] not in ("drift", "latched")
