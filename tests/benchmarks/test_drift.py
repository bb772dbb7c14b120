"""The drift benchmark counts what it says: worlds, alarms against the truth, tables, the record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.drift import main
from benchmarks.monitors import evidently, tests
from benchmarks.monitors.alarms import Alarms, of_months
from benchmarks.monitors.features import Change, Feature, draw_features
from benchmarks.monitors.growing import orders
from benchmarks.monitors.picture import draw
from benchmarks.monitors.record import add_growing, add_score, read_record
from benchmarks.monitors.references import FIRST_YEAR, PREVIOUS, compared
from benchmarks.monitors.rows import snapshots
from benchmarks.monitors.score import OURS, Score, run
from benchmarks.monitors.table import render
from benchmarks.monitors.tally import Tally
from benchmarks.monitors.worlds import MONTHS, WORLDS, World


def planted(*changes: Change) -> Feature:
    zeros = np.zeros(len(MONTHS))
    return Feature("f", False, False, zeros, zeros, zeros, np.zeros((len(MONTHS), 10)), zeros + 1, changes)


def counted(feature: Feature, *alarms: Alarms) -> Tally:
    total = Tally()
    total.add([feature], {"f": alarms})
    return total


def test_an_episode_before_the_change_is_false_and_the_first_after_it_finds_it() -> None:
    total = counted(planted(Change("step", 0.6, 60)), Alarms(None, (40, 62, 70), (40, 41, 62, 70)))
    assert (total.feature_years, total.false_episodes, total.false_months, total.again) == (2.0, 1, 2, 1)
    assert total.delays == {"step 0.6": [2]}


def test_an_alarm_that_stood_already_is_no_find() -> None:
    total = counted(planted(Change("step", 0.6, 60)), Alarms(None, (40,), tuple(range(40, 120))))
    assert (total.false_months, total.delays) == (20, {"step 0.6": [None]})


def test_a_local_drift_is_found_in_its_segment_and_others_are_false() -> None:
    change = Change("local step", 0.6, 60, region=3)
    total = counted(
        planted(change), Alarms(None, (61,), (61,)), Alarms("region=3", (63,), (63,)), Alarms("region=4", (64,), (64,))
    )
    assert (total.false_episodes, total.delays) == (1, {"local step 0.6": [3]})


def test_behind_a_fault_a_feature_is_quiet_again() -> None:
    total = counted(planted(Change("unit", 100.0, 60, 62)), Alarms(None, (60, 62), (60, 61, 62), faults=(60,)))
    assert (total.delays, total.named_faults, total.false_episodes) == ({"unit 100": [0]}, 1, 1)
    assert total.feature_years == (120 - 36 - 2) / 12


def test_of_two_drifts_each_has_its_own_find() -> None:
    total = counted(planted(Change("step", 0.6, 50), Change("step", 0.8, 70)), Alarms(None, (51, 73), (51, 73)))
    assert total.delays == {"first step": [1], "second step": [3]}


def test_runs_of_alarms_are_episodes() -> None:
    (alarms,) = of_months({"f": [10, 36, 37, 40, 119]})["f"]
    assert (alarms.entered, alarms.standing) == ((36, 40, 119), (36, 37, 40, 119))


@pytest.mark.parametrize("world", WORLDS.values(), ids=lambda world: world.name)
def test_every_world_draws_ten_years_of_rows_that_a_seed_repeats(world: World) -> None:
    drawn = draw_features(world, 4, 1)
    months = list(snapshots(world, drawn, 24, 1))
    assert len(months) == 120
    assert months[50][1].equals(next(table for t, (_, table) in enumerate(snapshots(world, drawn, 24, 1)) if t == 50))
    assert ("region" in months[0][1].column_names) == (world.planted == "local")


def test_a_mean_of_autocorrelated_rows_is_less_certain() -> None:
    world = WORLDS["autocorrelated rows"]
    drawn = [feature for feature in draw_features(world, 8, 1) if not feature.is_category][:1]
    calm = [Feature(**{**vars(drawn[0]), "level": np.zeros(120), "is_lognormal": False, "changes": ()})]
    spread = {}
    for of in (world, WORLDS["hard"]):
        means = [np.nanmean(rows[calm[0].name].to_numpy()) for _, rows in snapshots(of, calm, 300, 2)]
        spread[of.name] = float(np.std(means))
    assert spread["autocorrelated rows"] > 1.15 * spread["hard"]


@pytest.mark.parametrize("differing", [tests.differing, evidently.differing])
def test_peers_name_what_differs_and_nothing_else(differing: object) -> None:
    rng = np.random.default_rng(3)

    def rows(shift: float) -> pa.Table:
        colours = pa.array(rng.choice(["a", "b"], 1200, p=[0.5 - shift / 4, 0.5 + shift / 4])).dictionary_encode()
        return pa.table({"moved": rng.normal(shift, 1, 1200), "calm": rng.normal(size=1200), "mix": colours})

    assert set(differing(rows(1.0), rows(0.0))) == {"moved", "mix"}


@pytest.mark.parametrize(("reference", "months"), [(PREVIOUS, [60]), (FIRST_YEAR, list(range(60, 120)))])
def test_a_step_stands_out_from_the_first_year_for_good_and_from_the_month_before_once(reference: str, months: list) -> None:
    step = ((month.first_day, pa.table({"x": [float(t >= 60)]})) for t, month in enumerate(MONTHS))
    cried = compared(step, reference, lambda now, then: ["x"] if now["x"][0].as_py() != then["x"][0].as_py() else [])
    assert list(cried["x"][0].standing) == months


def test_our_monitor_is_scored_in_a_world_with_segments() -> None:
    found = run("local drifts", "ours, latched", features=1, rows=160, seed=1, data="")
    assert found["tally"]["feature_years"] > 0
    assert found["cpu_s"] > 0


def test_scores_are_recorded_and_shown_with_what_was_not_measured(tmp_path: Path) -> None:
    file, asked = tmp_path / "drift.json", {"features": 2, "rows": 100, "seeds": [1]}
    total = counted(planted(Change("step", 0.6, 60)), Alarms(None, (40, 62), (40, 62)))
    add_score(file, Score(total, 1.5, 2**30), world="hard", monitor="ours, latched", **asked)
    add_score(file, Score(None, reason="needs Python 1.5"), world="hard", monitor="NannyML; three years", **asked)
    add_growing(file, [{"feature": "v__n", "months": 84, "raw": (3, 30), "scored": (0, 0)}], users=10, seed=1)
    text = render(read_record(file))
    assert ".00 / .00 / 1.00 (1)" in text
    assert "needs Python 1.5" in text
    assert "3, 30" in text
    assert "hard: found within" in text
    assert draw(read_record(file), tmp_path / "picture.png") is None
    add_score(file, Score(total), world="hard", monitor="KS, chi-square, BH; first year", **asked)
    add_score(file, Score(total), world="hard", monitor="ours, recalibrated", **asked)
    text = render(read_record(file))
    assert "| hard: steps from .45 sd within 1 months" in text
    assert (draw(read_record(file), tmp_path / "picture.png") or tmp_path).stat().st_size > 10_000


def test_customers_of_the_growing_shop_stay_as_they_are() -> None:
    months = list(orders(600, 1))
    early, late = (sum(len(table) for table in months[t : t + 12]) for t in (0, 108))
    assert 3 < late / early < 6
    assert sum(len(table) for table in months) == len({i for table in months for i in table["event_id"].to_pylist()})


def test_the_command_measures_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--worlds", "data faults", "--features", "1", "--rows", "40", "--seeds", "1", "--no-peers"]
    main([*asked, "--results", str(tmp_path), "--pictures", str(tmp_path)])
    assert set(read_record(tmp_path / "drift.json")["scores"]) == {f"data faults; {monitor}" for monitor in OURS}
    assert "| data faults | ours, latched" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--worlds", "hard; nothing"])
    assert "nothing; there are hard; own seasons" in capsys.readouterr().err
