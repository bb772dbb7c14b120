"""The rules of recalibration: cool-down, budget, one run at a time; a reader never sees a mix."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from featurestore.drift.episode import Episode
from featurestore.drift.recalibration.calibration_versions import (
    active_resets,
    champion,
    parameter_values,
    parameters,
    record,
    rollback,
)
from featurestore.drift.recalibration.fitters import FITTERS
from featurestore.drift.recalibration.rules import (
    DEFINITION,
    NOTHING,
    RUNS,
    WAITS,
    Outlook,
    RecalibrationPolicy,
    Runs,
    budget_spent,
    outlook,
    running_alone,
)
from featurestore.errors import CommitConflictError, DefinitionError
from featurestore.timeline import Month
from tests.drift.recalibration.test_calibration_versions import challenger, decision

FIRST, ONSET = Month(2020, 1), Month(2022, 3)
EPISODE = Episode("v", "v__rate", None, ONSET.shift(1), ONSET, "location", 2.0, "more", ("prior",))
POLICY = RecalibrationPolicy()


def tried(month: str, *, held_out: int, is_promoted: bool = False) -> dict:
    return {"trigger": {"month": month}, "held_out_months": ["m"] * held_out, "is_promoted": is_promoted}


FIRST_VERSION = tried("2020-12", held_out=0, is_promoted=True)


def ask(month: Month, *runs: dict, episodes: tuple[Episode, ...] = (EPISODE,), spent: int = 0, forced: bool = False) -> Outlook:
    return outlook(
        Runs(runs), FITTERS["beta_binomial"], month=month, first=FIRST, episodes=episodes, policy=POLICY,
        runs_this_month=spent, is_forced=forced,
    )  # fmt: skip


def test_a_calibration_without_a_version_waits_for_a_year_of_history() -> None:
    assert ask(Month(2020, 11)).action == WAITS
    found = ask(Month(2020, 12))
    assert (found.action, found.held_out, len(found.months)) == (RUNS, 0, 12)


def test_a_calibration_is_asked_for_until_its_episode_has_a_final_answer() -> None:
    month, fitted = ONSET.shift(3), FITTERS["beta_binomial"]
    early, final = (tried(str(month), held_out=held_out) for held_out in (1, 3))
    asked = {
        len(runs): Runs(runs).is_asked_for(fitted, month, episodes)
        for runs, episodes in (
            ((), ()),
            ((FIRST_VERSION,), (EPISODE,)),
            ((FIRST_VERSION, early), (EPISODE,)),
            ((FIRST_VERSION, early, final), (EPISODE,)),
        )
    }
    assert asked == {0: True, 1: True, 2: True, 3: False}
    assert not Runs((FIRST_VERSION,)).is_asked_for(fitted, month, [])
    assert Runs((FIRST_VERSION, final)).is_asked_for(fitted, month.shift(-1), [EPISODE]), "that decision came later"


def test_another_definition_asks_for_a_version_of_its_own() -> None:
    fitted, runs = FITTERS["beta_binomial"], Runs(({**FIRST_VERSION, "data": {DEFINITION: "beta_binomial(v:a, v:b)"}},))
    for definition, is_another in (("beta_binomial(v:a, v:b)", False), ("beta_binomial(v:a, v:c)", True), (None, False)):
        assert runs.is_of_another(definition) == is_another
        assert runs.is_asked_for(fitted, ONSET, [], definition=definition) == is_another
        found = outlook(
            runs, fitted, month=ONSET, first=FIRST, episodes=(), policy=POLICY, runs_this_month=0, definition=definition
        )
        assert found.action == (RUNS if is_another else NOTHING)
    assert not Runs((FIRST_VERSION,)).is_of_another("beta_binomial(v:a, v:c)"), "an older log does not say"


def test_without_a_drift_nothing_is_done_unless_a_person_asks() -> None:
    assert ask(ONSET, FIRST_VERSION, episodes=()).action == NOTHING
    assert ask(ONSET, FIRST_VERSION, episodes=(), forced=True).action == RUNS


def test_a_fitter_may_ask_for_a_review_so_many_months_after_its_last_decision() -> None:
    def asked(month: Month, *runs: dict, episodes: tuple[Episode, ...] = (), spent: int = 0) -> Outlook:
        return outlook(
            Runs(runs),
            FITTERS["window_choice"],
            month=month,
            first=FIRST,
            episodes=episodes,
            policy=POLICY,
            runs_this_month=spent,
        )

    assert asked(Month(2022, 11), FIRST_VERSION).action == NOTHING
    found = asked(Month(2022, 12), FIRST_VERSION)
    assert (found.action, found.reason, found.is_review) == (RUNS, "its review is due", True)
    assert (len(found.months), found.held_out, found.months[-1]) == (12, 3, Month(2022, 12))
    assert asked(Month(2022, 12), FIRST_VERSION, spent=POLICY.runs_per_month).action == WAITS
    assert asked(Month(2023, 1), FIRST_VERSION, tried("2022-12", held_out=3)).action == NOTHING
    assert not asked(Month(2022, 12), FIRST_VERSION, episodes=(EPISODE,)).is_review
    assert ask(Month(2032, 12), FIRST_VERSION, episodes=()).action == NOTHING


def test_a_drift_waits_until_months_enough_are_behind_it_and_says_so() -> None:
    found = ask(ONSET.shift(1), FIRST_VERSION)
    assert (found.action, found.reason) == (WAITS, "2 of 3 months since 2022-03 are audited")
    assert ask(ONSET.shift(2), FIRST_VERSION).action == RUNS
    again = ask(ONSET.shift(4), FIRST_VERSION, tried("2022-05", held_out=1))
    assert again.action == WAITS
    assert ask(ONSET.shift(5), FIRST_VERSION, tried("2022-05", held_out=1)).held_out == 2


def test_a_calibration_cools_down_before_another_drift_is_answered_but_a_person_need_not_wait() -> None:
    later = Episode("v", "v__rate", None, Month(2022, 7), Month(2022, 5), "location", 3.0, "less", ("prior",))
    runs = FIRST_VERSION, tried("2022-06", held_out=1, is_promoted=True)
    found = ask(Month(2022, 8), *runs, episodes=(EPISODE, later))
    assert (found.action, found.reason) == (WAITS, "it cools down until 2022-09: it was last tried as of 2022-06")
    assert ask(Month(2022, 9), *runs, episodes=(EPISODE, later)).episodes == (later,)
    assert ask(Month(2022, 8), *runs, episodes=(EPISODE, later), forced=True).action == RUNS


def test_the_budget_of_a_month_is_shared_by_all_calibrations(tmp_path: Path) -> None:
    found = ask(ONSET.shift(2), FIRST_VERSION, spent=POLICY.runs_per_month)
    assert (found.action, found.reason) == (WAITS, "the budget of 4 runs as of 2022-05 is used up")
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        record(folder, challenger(1.0), decision())
    assert budget_spent(folders)(Month(2024, 10)) == 2
    assert budget_spent(folders)(Month(2024, 11)) == 0


def test_policies_that_forbid_everything_are_refused() -> None:
    for wrong in ({"cool_down_months": -1}, {"runs_per_month": 0}):
        with pytest.raises(DefinitionError, match="too small"):
            RecalibrationPolicy(**wrong)


def test_two_runs_of_a_calibration_do_not_overlap_and_two_calibrations_may(tmp_path: Path) -> None:
    with (
        running_alone(tmp_path / "a"),
        running_alone(tmp_path / "b"),
        pytest.raises(CommitConflictError, match="right now"),
        running_alone(tmp_path / "a"),
    ):
        pass
    with running_alone(tmp_path / "a"):
        pass


def _hold(folder: Path, ready: object) -> None:
    with running_alone(folder):
        ready.set()
        time.sleep(60)


def test_the_lock_of_a_run_that_is_killed_is_free_again(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "a", ready))
    holder.start()
    assert ready.wait(20)
    with pytest.raises(CommitConflictError), running_alone(tmp_path / "a"):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with running_alone(tmp_path / "a"):
        pass


def test_a_reader_during_promotions_and_rollbacks_sees_old_or_new_and_never_a_mix(tmp_path: Path) -> None:
    """Version ``i`` has a = i, b = i and its own reset: a reader that finds two numbers has seen a mix."""
    folder = tmp_path / "prior"

    def write() -> None:
        for i in range(1, 40):
            table = challenger(float(i)).parameters.set_column(2, "b", [[float(i), float(i)]])
            table = table.set_column(1, "a", [[float(i), float(i)]])
            given = challenger(float(i), resets={"x": (f"20{i:02d}-01",)})
            record(folder, type(given)(**{**vars(given), "parameters": table}), decision())
            if i % 3 == 0:
                rollback(folder)

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while writer.is_alive():
        version = champion(folder)
        if version is None:
            continue
        values = parameter_values(parameters(folder, version))
        numbers = {*values["a"].values(), *values["b"].values()}
        assert len(numbers) == 1
        (number,) = numbers
        assert version.resets == (("x", (f"20{int(number):02d}-01",)),)
        seen.add(number)
    writer.join()
    assert len(seen) > 3
    assert "2039-01" not in active_resets(folder)["x"]
