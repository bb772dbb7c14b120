"""Fitters against what drew their rows: indices, cutoffs and windows are known here."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.recalibration.fitters import FITTERS, fitter
from featurestore.drift.recalibration.fitters.order_cutoff import LEVEL, NEVER
from featurestore.drift.recalibration.fitters.seasonal_index import SEASONS, season_of
from featurestore.errors import CalibrationError
from featurestore.timeline import Month, months_between

MONTHS = months_between(Month(2021, 1), Month(2022, 12))


def demand_rows(months: list[Month], *, double11: float = 2.0, groups: int = 40, seed: int = 0) -> pa.Table:
    """Groups that sell 364 orders a year and more, twice as much in Double 11, overdispersed."""
    rng = np.random.default_rng(seed)
    parts = []
    for month in months:
        days = (month.next().first_day - month.first_day).days
        size = 364.0 * (1 + np.arange(groups))
        own = rng.gamma(50, 1 / 50, groups)
        index = double11 if month.month == 11 else 1.0
        parts.append(
            pa.table(
                {
                    "month": pa.array([month.first_day] * groups, pa.date32()),
                    "code": np.arange(groups),
                    "group": [f"c{i:02d}" for i in range(groups)],
                    "orders": size.astype(np.int64),
                    "inflow_orders": rng.poisson(size / 364 * days * index * own),
                }
            )
        )
    return pa.concat_tables(parts)


def test_the_seasonal_index_finds_the_season_that_drew_the_orders() -> None:
    found = fitter("seasonal_index").fit(demand_rows(MONTHS), None)
    assert found["group"].to_pylist()[-1] == "*"
    whole = found.to_pylist()[-1]
    assert whole["double11"] == pytest.approx(2.0, rel=0.05)
    assert whole["august"] == pytest.approx(1.0, rel=0.05)
    own = np.array(found["double11"].to_pylist()[:-1])
    assert own == pytest.approx(2.0, rel=0.35)
    assert own[20:].std() > 0.02


def test_a_group_with_few_orders_borrows_the_index_of_all() -> None:
    rows = demand_rows(MONTHS)
    tiny = pa.table(
        {
            "month": pa.array([date(2021, 11, 1)], pa.date32()),
            "code": [99],
            "group": ["tiny"],
            "orders": [12],
            "inflow_orders": [5],
        }
    )
    found = {row["group"]: row for row in fitter("seasonal_index").fit(pa.concat_tables([rows, tiny]), None).to_pylist()}
    raw = 5 / (12 / 364 * 30)
    assert abs(found["tiny"]["double11"] - found["*"]["double11"]) < 0.2 * abs(raw - found["*"]["double11"])


def test_a_season_that_has_not_come_round_since_the_change_keeps_the_champions_index() -> None:
    champion = fitter("seasonal_index").fit(demand_rows(MONTHS), None)
    since = demand_rows([Month(2023, 7), Month(2023, 8)], seed=1)
    found = fitter("seasonal_index").fit(since, champion)
    assert found["double11"].equals(champion["double11"])
    assert not found["august"].equals(champion["august"])


def test_the_deviance_prefers_the_index_that_is_true() -> None:
    champion = fitter("seasonal_index").fit(demand_rows(MONTHS), None)
    moved = fitter("seasonal_index").fit(demand_rows(MONTHS, double11=3.0, seed=2), None)
    held_out = demand_rows([Month(2023, 11)], double11=3.0, seed=3)
    old, new = (fitter("seasonal_index").loss(each, held_out, "poisson_deviance") for each in (champion, moved))
    assert new.values.sum() < 0.5 * old.values.sum()
    assert (old.values >= 0).all()
    assert set(old.trials) == {1.0}


def test_every_month_has_a_season_and_every_season_a_month() -> None:
    assert {season_of(month.first_day) for month in months_between(Month(2016, 1), Month(2030, 12))} <= set(SEASONS)
    assert fitter("seasonal_index").fit(demand_rows(MONTHS), None).num_columns == len(SEASONS) + 2


def promise_rows(share: np.ndarray, *, orders: int = 400, regions: int = 31, seed: int = 0) -> pa.Table:
    """Orders by hour; an hour's share on time is given by region and hour."""
    rng = np.random.default_rng(seed)
    made = rng.poisson(orders / 24, (regions, 24))
    kept = rng.binomial(made, share)
    lists = [pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 24) for values in (made, kept)]
    return pa.table(
        {
            "month": pa.array([date(2022, 1, 1)] * regions, pa.date32()),
            "code": np.arange(regions),
            "group": [str(i + 1) for i in range(regions)],
            "inflow_orders": lists[0],
            "inflow_on_time": lists[1],
        }
    )


def falling_shares(regions: int = 31) -> tuple[np.ndarray, np.ndarray]:
    """Shares on time that fall below 95 % behind an hour of each region's own."""
    last = 8 + np.arange(regions) % 12
    return np.where(np.arange(24) <= last[:, None], 0.985, 0.86), last


def test_the_cutoff_is_the_last_hour_that_keeps_the_promise() -> None:
    share, last = falling_shares()
    found = fitter("order_cutoff").fit(promise_rows(share, orders=40_000), None)
    hours = dict(zip(found["group"].to_pylist(), found["hour"].to_pylist(), strict=True))
    assert [hours[str(i + 1)] for i in range(31)] == last.tolist()
    accepted = np.array(found["on_time_share"].to_pylist()[:-1])
    assert (accepted >= LEVEL).all()


def test_few_orders_do_not_move_a_cutoff_far() -> None:
    share, last = falling_shares()
    share[:] = share[5]
    found = fitter("order_cutoff").fit(promise_rows(share, orders=240), None)
    off = np.abs(np.array(found["hour"].to_pylist()[:-1]) - last[5])
    assert np.mean(off <= 2) >= 0.9


def test_a_region_that_is_always_late_has_no_cutoff() -> None:
    found = fitter("order_cutoff").fit(promise_rows(np.full((31, 24), 0.5)), None)
    assert set(found["hour"].to_pylist()) == {NEVER}
    assert set(found["on_time_share"].to_pylist()) == {None}


def test_the_pinball_loss_of_a_cutoff_equals_a_slow_loop_and_is_least_at_the_fitted_one() -> None:
    share, _ = falling_shares()
    rows = promise_rows(share, orders=40_000)
    fitted = fitter("order_cutoff").fit(rows, None)
    found = fitter("order_cutoff").loss(fitted, rows, "pinball")
    orders, on_time = (np.array(rows[f"inflow_{name}"].to_pylist()) for name in ("orders", "on_time"))

    def slow(region: int, cutoff: float) -> float:
        hours = range(24)
        late = sum(LEVEL * (orders[region, h] - on_time[region, h]) for h in hours if h <= cutoff)
        return late + sum((1 - LEVEL) * on_time[region, h] for h in hours if h > cutoff)

    for row in fitted.to_pylist()[:-1]:
        i = int(row["group"]) - 1
        assert found.values[i] == pytest.approx(slow(i, row["hour"]))
        assert found.values[i] <= min(slow(i, hour) for hour in range(-1, 24)) * 1.001
    assert found.trials.sum() == orders.sum()


def taste_rows(*, lives_on: str, members: int = 20_000, seed: int = 0) -> pa.Table:
    """Members with amounts over three windows; whether they buy depends on one of them."""
    rng = np.random.default_rng(seed)
    short = rng.poisson(0.3, members)
    year = short + rng.poisson(1.0, members)
    decade = year + rng.poisson(4.0, members)
    amounts = {"buys_90d": short, "buys_1y": year, "buys_10y": decade}
    rate = 1 / (1 + np.exp(-(-3 + 1.2 * np.log1p(amounts[lives_on]))))
    bought = rng.random(members) < rate
    columns = {"code": np.arange(members), **amounts}
    return pa.table(columns | {f"inflow_{name}": bought.astype(np.int64) for name in amounts})


@pytest.mark.parametrize("lives_on", ["buys_90d", "buys_1y", "buys_10y"])
def test_the_window_that_drives_purchases_is_chosen_with_its_curve(lives_on: str) -> None:
    (found,) = fitter("window_choice").fit(taste_rows(lives_on=lives_on), None).to_pylist()
    assert {name: found[f"uses_{name}"] for name in ("buys_90d", "buys_1y", "buys_10y")} == {
        name: float(name == lives_on) for name in ("buys_90d", "buys_1y", "buys_10y")
    }
    assert (found["intercept"], found["slope"]) == (pytest.approx(-3, abs=0.2), pytest.approx(1.2, abs=0.15))


def test_the_curve_is_the_maximum_of_the_likelihood() -> None:
    from scipy.optimize import minimize

    rows = taste_rows(lives_on="buys_1y", members=3000)
    (found,) = fitter("window_choice").fit(rows, None).to_pylist()
    own = next(name for name in ("buys_90d", "buys_1y", "buys_10y") if found[f"uses_{name}"])
    is_usable = rows["buys_10y"].to_numpy() > 0
    x, y = np.log1p(rows[own].to_numpy()[is_usable]), (rows["inflow_buys_1y"].to_numpy() > 0)[is_usable]

    def loss(curve: np.ndarray) -> float:
        return float(np.logaddexp(0, -(curve[0] + curve[1] * x) * np.where(y, 1, -1)).mean())

    best = minimize(loss, np.zeros(2))
    assert found[f"loss_{own}"] == pytest.approx(best.fun, abs=1e-6)


def test_nobody_or_everybody_buying_gives_a_finite_curve() -> None:
    rows = taste_rows(lives_on="buys_1y", members=500)
    for value in (0, 1):
        names = [name for name in rows.column_names if name.startswith("inflow_")]
        same = rows.drop_columns(names)
        for name in names:
            same = same.append_column(name, pa.array([value] * len(rows)))
        (found,) = fitter("window_choice").fit(same, None).to_pylist()
        assert np.isfinite([found["intercept"], found["slope"]]).all()


@pytest.mark.parametrize("name", FITTERS)
def test_rows_without_anything_are_refused_with_a_reason(name: str) -> None:
    rows = {
        "beta_binomial": pa.table({"code": [0], "inflow_successes": [0], "inflow_trials": [0]}),
        "order_cutoff": promise_rows(np.zeros((31, 24)), orders=0),
        "seasonal_index": demand_rows(MONTHS[:1]).set_column(3, "orders", pa.array([0] * 40)),
        "window_choice": pa.table({"code": [0], "a": [0], "b": [0], "inflow_a": [0], "inflow_b": [0]}),
    }[name]
    with pytest.raises(CalibrationError, match=r"nothing to|so no|so none"):
        FITTERS[name].fit(rows, None)
