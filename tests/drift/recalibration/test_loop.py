"""The loop: an episode asks, months since its onset are split, a challenger is tested, the log remembers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.episode import Episode
from featurestore.drift.recalibration.calibration_versions import (
    active_resets,
    audit_log,
    champion,
    parameter_values,
    parameters,
    rollback,
)
from featurestore.drift.recalibration.fitters import fitter
from featurestore.drift.recalibration.loop import CalibrationRows, recalibrate
from featurestore.errors import CalibrationError
from featurestore.spec import Calibration
from featurestore.timeline import Month, months_between

FIRST, ONSET, LAST = Month(2020, 1), Month(2022, 3), Month(2022, 12)
PRIOR = Calibration(
    "prior", fit="beta_binomial", inputs=["v:returns_1y", "v:orders_1y"], by="v:category", loss="log_loss", consumers=["demand"]
)
EPISODE = Episode("v", "v__returns_1y", None, ONSET.shift(1), ONSET, "location", 2.0, "more returns", ("prior",))


def rows(*, rate_after: float, members: int = 400) -> CalibrationRows:
    """Members of two groups with few orders a month; their return rate is .1 until the onset."""
    seen: list[Month] = []

    def of(month: Month) -> pa.Table:
        seen.append(month)
        rng = np.random.default_rng(month.year * 100 + month.month)
        strength = rng.beta(2, 18, members) / 0.1
        rate = np.clip(strength * (rate_after if month >= ONSET else 0.1), 0, 0.95)
        orders = rng.poisson(3, members)
        return pa.table(
            {
                "code": np.arange(members),
                "group": pa.array(np.where(np.arange(members) % 2, "toys", "fresh")),
                "successes": np.zeros(members, np.int64),
                "trials": np.zeros(members, np.int64),
                "inflow_successes": rng.binomial(orders, rate),
                "inflow_trials": orders,
            }
        )

    found = CalibrationRows(of=of, first=FIRST, end_us=lambda month: month.interval("UTC").end_us)
    object.__setattr__(found, "seen", seen)
    return found


def run(folder: Path, given: CalibrationRows, months: list[Month], episodes: list[Episode], **options):
    return recalibrate(PRIOR, given, folder=folder, months=months, episodes=episodes, **options)


def test_the_first_version_needs_a_year_of_history_and_no_champion_to_beat(tmp_path) -> None:
    decisions = run(tmp_path, rows(rate_after=0.1), months_between(FIRST, Month(2021, 3)), [])
    assert [(d.trigger.month, d.is_promoted, d.comparisons) for d in decisions] == [("2020-12", True, ())]


def test_a_real_change_is_promoted_on_months_that_the_fit_has_not_seen(tmp_path) -> None:
    given = rows(rate_after=0.25)
    first, second = run(tmp_path, given, months_between(FIRST, LAST), [EPISODE])
    assert first.is_promoted
    assert second.is_promoted
    assert second.trigger.since == ONSET.first_day
    held_out = {Month.parse(month) for month in second.held_out_months}
    assert second.fitted_from_us == ONSET.interval("UTC").start_us
    assert second.fitted_until_us == max(held_out).interval("UTC").end_us
    assert second.comparisons[0].improvement > 0
    values = parameter_values(parameters(tmp_path, champion(tmp_path)))
    mean = values["a"]["toys"] / (values["a"]["toys"] + values["b"]["toys"])
    assert mean == pytest.approx(0.25, abs=0.05)


def test_a_false_alarm_is_rejected_and_answered_once_three_months_were_held_out(tmp_path) -> None:
    decisions = run(tmp_path, rows(rate_after=0.1), months_between(FIRST, LAST), [EPISODE])
    assert [d.is_promoted for d in decisions] == [True, False, False, False]
    assert [len(d.held_out_months) for d in decisions] == [0, 1, 2, 3]
    assert active_resets(tmp_path) == {}


@pytest.mark.parametrize(("fit", "names"), [("window_choice", ("a", "b")), ("beta_binomial", ("successes", "trials"))])
def test_a_champion_of_another_definition_gives_way_without_a_test(tmp_path, fit: str, names: tuple[str, ...]) -> None:
    """Features read parameters that it does not have, so they are NULL until there is another."""

    def given(*names: str) -> CalibrationRows:
        def of(month: Month) -> pa.Table:
            rng = np.random.default_rng(month.year * 100 + month.month)
            columns = {
                f"{kind}{name}": rng.poisson(2.0 + 4.0 * i, 300) for i, name in enumerate(names) for kind in ("", "inflow_")
            }
            return pa.table({"code": np.arange(300), **columns})

        return CalibrationRows(of=of, first=FIRST, end_us=lambda month: month.interval("UTC").end_us)

    options = {"folder": tmp_path, "months": [Month(2021, 3)], "episodes": [], "is_forced": True}
    recalibrate(Calibration("choice", fit="window_choice", inputs=["v:a"], consumers=["demand"]), given("a"), **options)
    changed = Calibration("choice", fit=fit, inputs=[f"v:{name}" for name in names], loss="log_loss", consumers=["demand"])
    (decision,) = recalibrate(changed, given(*names), **options | {"is_forced": False})
    assert decision.is_promoted
    assert decision.reason.endswith("was fitted for another definition, which features no longer read")
    assert not recalibrate(changed, given(*names), **options | {"is_forced": False})
    (again,) = recalibrate(changed, given(*names), **options)
    assert not again.is_promoted
    assert again.comparisons


def test_a_choice_of_windows_is_reviewed_once_they_can_be_told_apart(tmp_path) -> None:
    def of(month: Month) -> pa.Table:
        rng = np.random.default_rng(month.year * 100 + month.month)
        short = rng.poisson(1.0, 2000)
        is_young = month < FIRST.shift(12)  # both windows hold the whole history
        bought = rng.random(2000) < 1 / (1 + np.exp(2.0 - short))
        return pa.table(
            {
                "code": np.arange(2000),
                "a_long": short if is_young else short + rng.poisson(2.0, 2000),
                "a_short": short,
                "inflow_a_long": bought.astype(int),
                "inflow_a_short": bought.astype(int),
            }
        )

    choice = Calibration("window", fit="window_choice", inputs=["v:a_long", "v:a_short"], consumers=["demand"])
    given = CalibrationRows(of=of, first=FIRST, end_us=lambda month: month.interval("UTC").end_us)
    first, review = recalibrate(choice, given, folder=tmp_path, months=months_between(FIRST, Month(2023, 6)), episodes=[])
    assert (first.trigger.month, review.trigger.month, review.is_promoted) == ("2020-12", "2022-12", True)
    assert review.document()["trigger"]["is_review"]
    assert not first.document()["trigger"]["is_review"]
    new = champion(tmp_path)
    assert new is not None
    assert parameters(tmp_path, new)["uses_a_short"].to_pylist() == [1.0]


def test_nothing_after_the_audited_month_is_looked_at(tmp_path) -> None:
    given = rows(rate_after=0.25)
    run(tmp_path, given, [Month(2020, 12), Month(2022, 5)], [EPISODE])
    assert max(given.seen) <= Month(2022, 5)


def test_a_drift_with_too_few_months_waits(tmp_path) -> None:
    run(tmp_path, rows(rate_after=0.25), [Month(2020, 12)], [])
    assert run(tmp_path, rows(rate_after=0.25), [ONSET.shift(1)], [EPISODE]) == []
    assert len(audit_log(tmp_path)) == 1


def test_rolling_back_restores_parameters_and_reference_row_for_row(tmp_path) -> None:
    run(tmp_path, rows(rate_after=0.25), [Month(2020, 12)], [])
    before = parameters(tmp_path, champion(tmp_path)), active_resets(tmp_path)
    run(tmp_path, rows(rate_after=0.25), months_between(Month(2022, 4), LAST), [EPISODE])
    assert active_resets(tmp_path)
    rollback(tmp_path)
    assert parameters(tmp_path, champion(tmp_path)).equals(before[0])
    assert active_resets(tmp_path) == before[1]


def test_a_calibration_with_the_wrong_number_of_inputs_says_what_its_fitter_takes() -> None:
    with pytest.raises(CalibrationError, match="takes successes, trials"):
        fitter("beta_binomial").input_names("prior", ("returns_1y",))
    with pytest.raises(CalibrationError, match="chooses among two or more"):
        fitter("window_choice").input_names("taste", ("buys_1y",))
    assert fitter("window_choice").input_names("taste", ("buys_1y", "buys_3y")) == ("buys_1y", "buys_3y")
