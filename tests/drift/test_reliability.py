"""Forecasts against what came of them: scores, tallies that add up, and statistics whose sampling variance is known."""

from __future__ import annotations

import itertools
import json
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.monitor.monitor import monitor_drift, sketch_months
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.reliability import (
    LIMITS,
    Reliability,
    level_and_slope,
    outcome_sketches,
    reliability_table,
    with_outcomes,
)
from featurestore.drift.reporting.page.reliability import reliability_figure
from featurestore.drift.reporting.portrait import ReliabilityPortrait
from featurestore.errors import CalibrationError
from featurestore.timeline import Month, months_between

MONTHS = months_between(Month(2016, 1), Month(2022, 12))
ONSET = Month(2021, 3)
POLICY = DriftPolicy(min_rows=20)


def forecasts(seed: int, *, size: int = 600, factor: float = 1.0, trials: int = 4, noise: float = 0.0) -> pa.Table:
    """Draw forecasts and outcomes; what comes is ``factor`` times as likely as forecast, all of a month together off by noise."""
    rng = np.random.default_rng(seed)
    p, n = rng.beta(2, 18, size), rng.integers(1, trials + 1, size)
    rates = np.clip(p * factor * np.exp(noise * rng.normal()), 0, 1)
    return pa.table({"forecast": p, "successes": rng.binomial(n, rates).astype(float), "trials": n.astype(float)})


def snapshot(month: Month, rows: dict[str, pa.Table]) -> tuple[date, pa.Table]:
    """Return a month whose forecasts are distributed as ever, with the outcomes of those before."""
    rng = np.random.default_rng(month.year * 12 + month.month)
    table = pa.table({name: rng.beta(2, 18, 300) for name in rows})
    return month.first_day, with_outcomes(table, rows)


def rows_of(table: pa.Table, feature: str) -> dict[Month, dict]:
    return {Month.parse(row["month"]): row for row in table.to_pylist() if row["feature"] == feature}


def test_scores_equal_those_of_a_loop_over_trials() -> None:
    rows = forecasts(1, size=300)
    trials = [(row["forecast"], float(i < row["successes"])) for row in rows.to_pylist() for i in range(int(row["trials"]))]
    found, limits = Reliability.of(rows), (0.0, *LIMITS, 1.1)
    assert found.brier == pytest.approx(np.mean([(came - p) ** 2 for p, came in trials]))
    assert found.mean_forecast == pytest.approx(np.mean([p for p, _ in trials]))
    assert found.observed_share == pytest.approx(np.mean([came for _, came in trials]))
    gaps = [abs(sum(came - p for p, came in trials if low <= p < high)) for low, high in itertools.pairwise(limits)]
    assert found.ece == pytest.approx(sum(gaps) / len(trials))
    assert found.document()["buckets"][0]["trials"] == sum(p < LIMITS[0] for p, _ in trials)


def test_what_is_no_probability_says_nothing() -> None:
    rows = pa.table(
        {
            "forecast": [None, float("nan"), 1.2, -0.1, 0.5, 0.5],
            "successes": [1.0] * 6,
            "trials": [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        }
    )
    assert (Reliability.of(rows).forecasts, Reliability.of(rows).trials.sum()) == (1, 1.0)
    with pytest.raises(CalibrationError, match="lack the column 'trials'"):
        Reliability.of(rows.drop_columns(["trials"]))


def test_certain_forecasts_lie_in_the_outer_buckets() -> None:
    found = Reliability.of(pa.table({"forecast": [0.0, 1.0], "successes": [0.0, 3.0], "trials": [2.0, 3.0]}))
    assert (found.trials[0], found.trials[-1], found.brier, found.ece) == (2.0, 3.0, 0.0, 0.0)
    level, _, variance = level_and_slope(found.counts[None, :])
    assert np.isfinite(level).all()
    assert (variance > 0).all()


def test_without_outcomes_scores_are_null() -> None:
    empty = Reliability.of(forecasts(1).slice(0, 0)).document()
    assert (empty["forecasts"], empty["brier"], empty["ece"], empty["buckets"]) == (0, None, None, [])


def test_tallies_of_parts_add_up_to_those_of_all() -> None:
    rows = forecasts(2)
    parts = [snapshot(MONTHS[0], {"v__p": part})[1] for part in (rows.slice(0, 200), rows.slice(200))]
    tallies = [Reliability.from_counts(row["rows"], row["counts"]) for part in parts for row in outcome_sketches(part)]
    added = Reliability.from_counts(sum(own.forecasts for own in tallies), sum(own.counts for own in tallies)).document()
    expected = Reliability.of(rows).document()
    for name in ("forecasts", "trials", "mean_forecast", "observed_share", "brier", "ece"):
        assert added[name] == pytest.approx(expected[name])
    assert [row["feature"] for part in parts for row in outcome_sketches(part)] == ["v__p.calibration"] * 2


def test_level_and_slope_of_forecasts_that_hold_vary_as_much_as_they_say() -> None:
    counts = np.stack([Reliability.of(forecasts(seed)).counts for seed in range(400)])
    level, slope, variance = level_and_slope(counts)
    for z in (level / np.sqrt(variance), slope / np.sqrt(variance)):
        assert abs(z.mean()) < 0.2
        assert 0.9 < z.std() < 1.1


def test_a_slope_says_that_forecasts_are_too_bold() -> None:
    rng = np.random.default_rng(5)
    p = rng.beta(2, 6, 4000)
    tame = 0.25 + 0.3 * (p - 0.25)
    rows = pa.table({"forecast": p, "successes": rng.binomial(1, tame).astype(float), "trials": np.ones(len(p))})
    level, slope, variance = level_and_slope(Reliability.of(rows).counts[None, :])
    assert slope[0] / np.sqrt(variance[0]) < -8
    assert abs(level[0] / np.sqrt(variance[0])) < 4


def test_what_comes_of_equal_forecasts_changes_and_is_found_while_their_values_stay_calm() -> None:
    drawn = {month: forecasts(i, factor=1.6 if month >= ONSET else 1.0) for i, month in enumerate(MONTHS)}
    table = monitor_drift([snapshot(month, {"v__p": rows}) for month, rows in drawn.items()], policy=POLICY)
    found, values = rows_of(table, "v__p.calibration"), rows_of(table, "v__p")
    entered = [month for month, row in found.items() if row["state"] == "drift"]
    assert len(entered) == 1
    assert ONSET <= entered[0] <= ONSET.shift(1)
    row = found[entered[0]]
    assert (row["kind"], Month.parse(row["since"])) == ("calibration", ONSET)
    assert "came where" in row["reason"]
    assert "ECE" in row["reason"]
    assert "Brier" in row["reason"]
    assert not any(each["state"] in ("drift", "latched") for each in values.values())


def test_forecasts_that_were_never_right_but_stay_as_wrong_are_quiet() -> None:
    drawn = {month: forecasts(i, factor=1.6) for i, month in enumerate(MONTHS)}
    table = monitor_drift([snapshot(month, {"v__p": rows}) for month, rows in drawn.items()], policy=POLICY)
    assert not any(row["state"] in ("drift", "latched") for row in rows_of(table, "v__p.calibration").values())


def test_forecasts_whose_months_are_off_together_seldom_alarm() -> None:
    names = [f"v__p{i}" for i in range(20)]
    given = [
        snapshot(month, {name: forecasts(1000 * i + t, size=300, noise=0.1) for i, name in enumerate(names)})
        for t, month in enumerate(MONTHS)
    ]
    table = monitor_drift(given, policy=POLICY)
    episodes = [row for row in table.to_pylist() if row["kind"] == "calibration" and row["state"] == "drift"]
    assert len(episodes) <= 2  # of 20 forecasts in 4 judged years


def test_months_without_mature_labels_are_insufficient_and_say_so() -> None:
    drawn = {month: forecasts(i) if month.year > 2016 else forecasts(i).slice(0, 0) for i, month in enumerate(MONTHS[:30])}
    found = rows_of(monitor_drift([snapshot(month, {"v__p": rows}) for month, rows in drawn.items()]), "v__p.calibration")
    assert found[Month(2016, 12)]["state"] == "insufficient"
    assert found[Month(2016, 12)]["reason"].startswith("insufficient: labels not mature: 0 forecasts with a known outcome")
    assert "of its history" in found[Month(2017, 1)]["reason"]


def test_a_snapshot_without_forecasts_is_sketched_as_ever() -> None:
    ((_, plain),) = sketch_months([(MONTHS[0].first_day, pa.table({"v__x": np.arange(50.0)}))])
    assert plain["kind"].to_pylist() == ["numeric"]
    assert reliability_table({MONTHS[0]: plain}).num_rows == 0


def test_a_forecast_keeps_its_other_metadata() -> None:
    field = pa.field("v__p", pa.float64(), metadata={"full_since": "2016-02-01"})
    noted = with_outcomes(pa.table([pa.array([0.1])], schema=pa.schema([field])), {"v__p": forecasts(1)})
    assert noted.schema.field("v__p").metadata[b"full_since"] == b"2016-02-01"
    assert json.loads(noted.schema.field("v__p").metadata[b"outcomes"])["forecasts"] == 600


def test_the_picture_shows_each_bucket_of_both_sides_and_their_scores() -> None:
    then, now = Reliability.of(forecasts(1, size=3000)), Reliability.of(forecasts(2, size=3000, factor=1.6))
    drawn = reliability_figure(ReliabilityPortrait(now, then, ONSET, (ONSET.shift(-12),)))
    shown = sum(int((side.trials >= 10).sum()) for side in (then, now))
    assert drawn.count("<circle") == shown
    assert f"{now.ece:.4f}" in drawn
    assert f"{then.brier:.4f}" in drawn
    assert drawn == reliability_figure(ReliabilityPortrait(now, then, ONSET, (ONSET.shift(-12),)))
