"""Whatever a month brings is answered with a state and a reason: no exception, no false alarm."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.drift.monitor.state import STATES

ROWS, MONTHS = 300, 40


def month(t: int) -> date:
    return date(2019 + t // 12, t % 12 + 1, 1)


def calm(t: int, rows: int = ROWS) -> pa.Table:
    rng = np.random.default_rng((5, t))
    return pa.table({"x": rng.normal(size=rows), "colour": rng.choice(["red", "blue"], rows).tolist()})


def judged(snapshots: Iterable[tuple[date, pa.Table]]) -> list[dict]:
    rows = fs.monitor_drift(snapshots).to_pylist()
    assert {row["state"] for row in rows} <= set(STATES)
    assert all(row["reason"] for row in rows)
    assert not [row for row in rows if row["state"] in ("drift", "latched")]
    return rows


def of(rows: list[dict], feature: str, t: int) -> dict:
    (row,) = (row for row in rows if row["feature"] == feature and row["month"] == month(t))
    return row


def test_a_million_categories_in_one_month_are_no_drift_of_a_column_of_ids() -> None:
    def ids(t: int) -> pa.Table:
        rows = 10**6 if t == 26 else ROWS
        return pa.table({"id": pa.array(np.arange(rows) + t * 10**6).cast(pa.string())})

    rows = judged((month(t), ids(t)) for t in range(28))
    assert of(rows, "id", 26)["state"] in ("ok", "watch")


def test_a_feature_younger_than_its_reference_says_how_old_it_is() -> None:
    def born(t: int) -> pa.Table:
        late = pa.array(np.random.default_rng((6, t)).gamma(2.0, size=ROWS))
        return calm(t).append_column("late", late) if t >= 25 else calm(t)

    rows = judged((month(t), born(t)) for t in range(MONTHS))
    assert {row["state"] for row in rows if row["feature"] == "late"} == {"insufficient"}
    assert of(rows, "late", 30)["reason"] == "insufficient: month 6 of its history; it is judged after 24"
    assert of(rows, "x", 30)["state"] in ("ok", "watch")


def test_a_view_of_three_months_is_insufficient_throughout() -> None:
    rows = judged((month(t), calm(t)) for t in range(3))
    assert [row["state"] for row in rows] == ["insufficient"] * 6


def test_a_view_of_ten_rows_is_insufficient_for_its_rows() -> None:
    rows = judged((month(t), calm(t, rows=10)) for t in range(MONTHS))
    assert {row["reason"] for row in rows} == {"insufficient: 10 rows; 20 are needed"}


def test_months_of_few_values_among_many_rows_say_how_few() -> None:
    def sparse(t: int) -> pa.Table:
        rng = np.random.default_rng((7, t))
        return pa.table({"colour": pa.array(rng.choice(["red", "blue"], ROWS).tolist(), mask=np.arange(ROWS) >= 10)})

    rows = judged((month(t), sparse(t)) for t in range(30))
    assert {row["state"] for row in rows} == {"insufficient"}
    assert not [row for row in rows if "no rows" in row["reason"]]


def test_months_out_of_order_are_judged_in_order() -> None:
    order = np.random.default_rng(8).permutation(MONTHS)
    rows = judged((month(int(t)), calm(int(t))) for t in order)
    assert sorted({row["month"] for row in rows}) == [month(t) for t in range(MONTHS)]
    assert all((row["state"] == "insufficient") == (row["month"] < month(24)) for row in rows)


def test_of_a_month_that_comes_twice_the_last_counts() -> None:
    wrong = pa.table({"x": np.full(ROWS, 50.0), "colour": ["green"] * ROWS})
    once = [(month(t), calm(t)) for t in range(MONTHS)]
    assert fs.monitor_drift([*once[:30], (month(30), wrong), *once[30:]]).equals(fs.monitor_drift(once))


def test_integers_that_become_floats_are_the_same_numbers() -> None:
    def counts(t: int) -> pa.Table:
        values = pa.array(np.random.default_rng((9, t)).poisson(3.0, ROWS))
        return pa.table({"n": values if t < 30 else values.cast(pa.float64())})

    rows = judged((month(t), counts(t)) for t in range(MONTHS))
    assert of(rows, "n", 30)["state"] in ("ok", "watch")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_feature_that_was_never_finite_is_never_judged(value: float) -> None:
    rows = judged((month(t), pa.table({"x": np.full(ROWS, value)})) for t in range(30))
    assert {row["state"] for row in rows} == {"insufficient"}


def test_a_month_without_rows_says_so() -> None:
    rows = judged((month(t), calm(t, rows=0 if t == 30 else ROWS)) for t in range(MONTHS))
    assert of(rows, "x", 30)["reason"] == "insufficient: no rows in this month"
    assert of(rows, "x", 31)["state"] in ("ok", "watch")
