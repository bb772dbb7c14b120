from __future__ import annotations

import json
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from scipy.stats import betabinom, binom

from featurestore.drift.recalibration.fitters import fitter
from featurestore.drift.recalibration.fitters.beta_binomial import MAX_STRENGTH, fit_beta_binomial, shrunken_rates
from featurestore.drift.recalibration.fitters.fitter import binomial_loss
from featurestore.drift.recalibration.gate import ConsumerVerdict, HeldOut, back_test, gate
from featurestore.drift.recalibration.recalibrate import Trigger, challenge, fit_parameters
from featurestore.errors import CalibrationError, UnknownNameError

TRUTH = {"apparel": (4.0, 12.0), "fresh": (1.0, 40.0), "toys": (30.0, 70.0)}


def members(rng: np.random.Generator, *, per_group: int = 3000, scale: float = 1.0) -> pa.Table:
    """SKUs whose own rate is drawn from the group's prior; ``scale`` multiplies every rate."""
    parts = []
    for group, (a, b) in TRUTH.items():
        rate = np.minimum(rng.beta(a, b, per_group) * scale, 0.98)
        trials, later = rng.poisson(12, per_group), rng.poisson(12, per_group)
        parts.append(
            pa.table(
                {
                    "code": np.arange(per_group) + len(parts) * per_group,
                    "group": [group] * per_group,
                    "successes": rng.binomial(trials, rate),
                    "trials": trials,
                    "inflow_successes": rng.binomial(later, rate),
                    "inflow_trials": later,
                }
            )
        )
    return pa.concat_tables(parts)


def prior_of(parameters: pa.Table, group: str) -> tuple[float, float]:
    row = next(row for row in parameters.to_pylist() if row["group"] == group)
    return row["a"], row["b"]


def test_moments_find_the_prior_that_drew_the_rates() -> None:
    rows = members(np.random.default_rng(0), per_group=60_000)
    parameters = fit_parameters(rows, fit="beta_binomial")
    assert parameters["group"].to_pylist() == ["apparel", "fresh", "toys", "*"]
    for group, (a, b) in TRUTH.items():
        found_a, found_b = prior_of(parameters, group)
        assert found_a / (found_a + found_b) == pytest.approx(a / (a + b), rel=0.02)
        assert found_a + found_b == pytest.approx(a + b, rel=0.2)


def test_moments_are_nearly_as_likely_as_the_maximum_likelihood_of_scipy() -> None:
    rows = members(np.random.default_rng(1)).slice(0, 3000)
    x, n = (rows[name].to_numpy() for name in ("inflow_successes", "inflow_trials"))

    def loss(log_prior: np.ndarray) -> float:
        return -betabinom(n, *np.exp(log_prior)).logpmf(x).sum()

    best = minimize(loss, np.log([1.0, 1.0]), method="Nelder-Mead")
    own = loss(np.log(prior_of(fit_parameters(rows, fit="beta_binomial"), "apparel")))
    assert own - best.fun < 3


def test_moments_equal_a_slow_loop_over_members() -> None:
    rows = members(np.random.default_rng(2), per_group=50).slice(0, 50)
    pairs = [(x, n) for x, n in zip(rows["inflow_successes"].to_pylist(), rows["inflow_trials"].to_pylist(), strict=True) if n]
    total = sum(n for _, n in pairs)
    p = (sum(x for x, _ in pairs) + 0.5) / (total + 1)
    spread = sum(n * (x / n - p) ** 2 for x, n in pairs)
    chance = p * (1 - p) * (len(pairs) - 1)
    correlation = (spread - chance) / (p * (1 - p) * (total - sum(n * n for _, n in pairs) / total) - chance)
    strength = 1 / correlation - 1
    assert prior_of(fit_parameters(rows, fit="beta_binomial"), "apparel") == pytest.approx((p * strength, (1 - p) * strength))


def test_small_groups_and_equal_members_fall_back_openly() -> None:
    rows = members(np.random.default_rng(3), per_group=400)
    small = pa.table({"group": ["new"] * 3, "successes": [0, 1, 0], "trials": [2, 4, 9]})
    parameters = fit_beta_binomial(
        *(pa.chunked_array([*rows[name].chunks, *small[name].chunks]) for name in ("successes", "trials", "group"))
    )
    found = {row["group"]: row for row in parameters.to_pylist()}
    assert found["new"]["is_pooled"]
    assert (found["new"]["a"], found["new"]["b"]) == (found["*"]["a"], found["*"]["b"])
    assert not found["apparel"]["is_pooled"]
    equal = fit_beta_binomial(pa.chunked_array([[3] * 100]), pa.chunked_array([[10] * 100]))
    a, b = prior_of(equal, "*")
    assert (a + b, a / (a + b)) == (MAX_STRENGTH, pytest.approx(0.3, abs=0.001))


def test_rates_that_never_or_always_succeed_stay_inside_zero_and_one() -> None:
    for successes in (0, 10):
        parameters = fit_beta_binomial(pa.chunked_array([[successes] * 50]), pa.chunked_array([[10] * 50]))
        rates = shrunken_rates(parameters, pa.chunked_array([[successes]]), pa.chunked_array([[10]]))
        assert 0 < rates[0] < 1


def test_missing_counts_and_unknown_groups_are_answered() -> None:
    rows = members(np.random.default_rng(4))
    parameters = fit_parameters(rows, fit="beta_binomial")
    a, b = prior_of(parameters, "*")
    rates = shrunken_rates(
        parameters,
        pa.chunked_array([[None, 1.0, 2.0]]),
        pa.chunked_array([[None, 4.0, 4.0]]),
        pa.chunked_array([[None, "?", "toys"]]),
    )
    assert rates[:2] == pytest.approx([a / (a + b), (1 + a) / (4 + a + b)])
    with_gaps = fit_beta_binomial(
        pa.chunked_array([[None, 1.0, float("nan"), 2.0]]),
        pa.chunked_array([[5.0, 4.0, 5.0, None]]),
        pa.chunked_array([[1, 2, 3, 4]]),
    )
    assert [(row["group"], row["members"]) for row in with_gaps.to_pylist()] == [("2", 1), ("*", 1)]


@pytest.mark.parametrize(
    ("successes", "trials", "message"),
    [([3], [2], "3 successes of 2 trials"), ([-1], [2], "cannot be negative"), ([0], [0], "No member has any trials")],
)
def test_impossible_counts_are_named(successes: list[int], trials: list[int], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        fit_beta_binomial(pa.chunked_array([successes]), pa.chunked_array([trials]))


def test_losses_equal_scipy_up_to_the_binomial_coefficient_and_a_loop() -> None:
    rng = np.random.default_rng(0)
    rates, trials = rng.uniform(0.01, 0.99, 200), rng.integers(0, 30, 200)
    successes = rng.binomial(trials, rates)
    coefficient = binom.logpmf(successes, trials, 0.5) + trials * np.log(2)
    log_loss, brier = (binomial_loss(rates, successes, trials, name).values for name in ("log_loss", "brier"))
    assert log_loss == pytest.approx(coefficient - binom.logpmf(successes, trials, rates))
    slow = [
        sum((p - 1) ** 2 for _ in range(x)) + sum(p**2 for _ in range(n - x))
        for p, x, n in zip(rates, successes, trials, strict=True)
    ]
    assert brier == pytest.approx(slow)


def compare(scale: float, *, seed: int = 0, consumers: tuple[str, ...] = ("demand_v1",)):
    """The champion was fitted before rates were multiplied by ``scale``, the challenger after."""
    rng = np.random.default_rng(seed)
    old, new, held_out = members(rng), members(rng, scale=scale), members(rng, scale=scale)
    return challenge(
        "return_prior",
        champion=fit_parameters(old, fit="beta_binomial"),
        challenger=fit_parameters(new, fit="beta_binomial"),
        held_out=held_out,
        consumers=consumers,
        fit="beta_binomial",
        loss="log_loss",
        trigger=Trigger("2024-10", "sku__return_rate", None, 3.2, date(2024, 8, 1)),
        fitted_us=(10, 20),
        held_out_months=("2024-11", "2024-12"),
    )


def test_a_challenger_that_follows_a_real_change_is_promoted() -> None:
    decision = compare(1.6, consumers=("demand_v1", "routing_v1"))
    assert decision.is_promoted
    assert all(one.improvement > 0 and one.low > 0 for one in decision.comparisons)
    plain = json.loads(json.dumps(decision.document()))
    assert plain["trigger"] == {
        "month": "2024-10",
        "feature": "sku__return_rate",
        "segment": None,
        "score": 3.2,
        "since": "2024-08-01",
        "episodes": [],
        "is_review": False,
    }
    assert [row["consumer"] for row in plain["comparisons"]] == ["demand_v1", "routing_v1"]
    assert plain["comparisons"][0]["improvement"] == decision.comparisons[0].improvement


def test_without_a_change_challengers_are_almost_never_promoted() -> None:
    promoted = [compare(1.0, seed=seed).is_promoted for seed in range(12)]
    assert sum(promoted) <= 1


def test_the_same_seed_gives_the_same_interval() -> None:
    assert compare(1.2) == compare(1.2)


def test_the_bootstrap_interval_agrees_with_the_normal_one() -> None:
    rng = np.random.default_rng(0)
    trials = rng.integers(1, 9, 5000).astype(float)
    successes = rng.binomial(trials.astype(int), 0.3)
    old, new = (
        binomial_loss(rng.uniform(*span, 5000), successes, trials, "brier").values for span in ((0.2, 0.4), (0.25, 0.35))
    )
    found = back_test({"c": HeldOut(np.arange(5000), old, new, trials, np.ones(5000))}, loss="brier")[0]
    difference = old - new
    mean = difference.sum() / trials.sum()
    error = np.sqrt(np.square(difference - mean * trials).sum()) / trials.sum()
    assert found.improvement == pytest.approx(mean)
    assert (found.low, found.high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.3 * error)


def verdict(low: float, high: float, *, members: int = 100, trials: int = 500, consumer: str = "c") -> ConsumerVerdict:
    return ConsumerVerdict(consumer, "brier", members, trials, 0.3, 0.3 - (low + high) / 2, low, high)


def test_the_gate_wants_one_consumer_better_beyond_noise_and_none_worse() -> None:
    better, noise, worse = verdict(0.01, 0.02), verdict(-0.01, 0.02), verdict(-0.02, -0.01, consumer="routing_v1")
    assert gate((better, noise))[0]
    assert not gate((noise,))[0]
    assert gate((better, worse)) == (False, gate((better, worse))[1])
    assert "worse for routing_v1" in gate((better, worse))[1]
    assert not gate((verdict(0.01, 0.02, members=5),))[0]
    assert "no trials" in gate((verdict(0, 0, members=0, trials=0),))[1]
    assert not gate(())[0]


def test_the_first_version_needs_no_champion_to_beat() -> None:
    parameters = fit_parameters(members(np.random.default_rng(0)), fit="beta_binomial")
    decision = challenge(
        "return_prior", champion=None, challenger=parameters, held_out=pa.table({}), consumers=("c",),
        fit="beta_binomial", loss="log_loss",
        trigger=Trigger("2018-01"), fitted_us=(0, 1), held_out_months=(),
    )  # fmt: skip
    assert decision.is_promoted
    assert "first version" in decision.reason


def test_unknown_fitters_losses_and_columns_are_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'beta_binomial'"):
        fitter("beta_binomal")
    with pytest.raises(CalibrationError, match="lack the column 'inflow_trials'"):
        fit_parameters(pa.table({"code": [0], "inflow_successes": [1], "trial": [2]}), fit="beta_binomial")
    with pytest.raises(CalibrationError, match="cannot be judged by 'mse'; its losses are log_loss, brier"):
        challenge("x", champion=None, challenger=pa.table({}), held_out=pa.table({}), consumers=(), fit="beta_binomial",
                  loss="mse", trigger=Trigger("2018-01"), fitted_us=(0, 1), held_out_months=())  # fmt: skip
    with pytest.raises(CalibrationError, match="must have one row each"):
        HeldOut(*(np.zeros(1 + (i == 2)) for i in range(5)))


def test_consumers_judge_by_the_rows_they_serve() -> None:
    """Half of the members changed; who serves the other half alone is made worse, and the challenger is rejected for that."""
    rng = np.random.default_rng(3)
    old, new, held_out = members(rng), members(rng, scale=1.6), members(rng, scale=1.6)
    calm = members(rng)
    is_calm = np.r_[np.zeros(len(held_out)), np.ones(len(calm))]
    both = pa.concat_tables([held_out, calm.set_column(0, "code", pa.array(calm["code"].to_numpy() + len(held_out)))])
    both = both.append_column("weight_calm", pa.array(is_calm)).append_column("weight_moved", pa.array(1 - is_calm))
    decision = challenge(
        "return_prior", champion=fit_parameters(old, fit="beta_binomial"), challenger=fit_parameters(new, fit="beta_binomial"),
        held_out=both, consumers=("calm", "moved", "all"), fit="beta_binomial", loss="log_loss", trigger=Trigger("2018-01"),
        fitted_us=(0, 1), held_out_months=("2018-02",), data={"events of shop": "7"},
    )  # fmt: skip
    calm_side, moved_side, whole = decision.comparisons
    assert calm_side.is_worse
    assert moved_side.is_better
    assert (calm_side.members, moved_side.members) == (
        len(calm["code"].unique()) - sum_of_idle(calm),
        whole.members - calm_side.members,
    )
    assert not decision.is_promoted
    assert decision.reason.startswith("worse for calm")
    assert decision.document()["data"] == {"events of shop": "7"}


def sum_of_idle(rows: pa.Table) -> int:
    return int((rows["inflow_trials"].to_numpy() == 0).sum())
