"""Data faults alert at once as their own kind, are no evidence, and leave the feature where it stood."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.audit_tables import HISTORY_SCHEMA
from featurestore.drift.data_faults.data_fault import data_faults
from featurestore.drift.data_faults.source_audit import audit_source, read_faults
from featurestore.drift.data_faults.source_fault import find_source_faults
from featurestore.drift.monitor import monitor
from featurestore.drift.year_files import commit_years
from featurestore.lake.daily import DAY_SCHEMA
from featurestore.timeline import Month
from tests.drift.monitor.test_monitor import ROWS, month, snapshots

DAYS, FIRST = 425, date(2020, 1, 1)


def judged(columns, *, months: int = 50, **options) -> list[dict]:
    return monitor.monitor_drift(snapshots(columns, months=months), **options).to_pylist()


def in_drift(rows: list[dict]) -> list[tuple]:
    return [(row["month"], row["kind"]) for row in rows if row["state"] == "drift"]


def test_cents_for_yuan_are_a_fault_of_their_months_and_nothing_after_them() -> None:
    def priced(t: int, rng: np.random.Generator) -> dict:
        return {"price": np.exp(rng.normal(3, 0.6, ROWS)) * (100 if t in (40, 41) else 1)}

    rows = judged(priced)
    assert in_drift(rows) == [(month(40), "unit")]
    assert [row["state"] for row in rows[40:43]] == ["drift", "latched", "ok"]
    assert rows[40]["reason"] == f"values times 100, of the same shape: a change of unit ({ROWS:,} rows)"
    assert {row["since"] for row in rows[40:42]} == {month(40)}
    assert {row["state"] for row in rows[42:]} <= {"ok", "watch"}


def test_cents_for_yuan_are_a_fault_of_a_feature_with_large_seasons_too() -> None:
    def priced(t: int, rng: np.random.Generator) -> dict:
        season = 4.0 if month(t).month == 11 else 0.3 if month(t).month in (2, 3) else 1.0
        faulty = {"november": t == 46, "march": t in (38, 39)}
        return {name: np.exp(rng.normal(3, 0.6, ROWS)) * season * (100 if is_so else 1) for name, is_so in faulty.items()}

    rows = judged(priced)
    assert in_drift([row for row in rows if row["feature"] == "november"]) == [(month(46), "unit")]
    assert in_drift([row for row in rows if row["feature"] == "march"]) == [(month(38), "unit")]


def test_a_festival_that_sells_ten_times_as_much_every_year_is_no_fault_for_long() -> None:
    def sold(t: int, rng: np.random.Generator) -> dict:
        return {"units": np.exp(rng.normal(3, 0.6, ROWS)) * (10 if month(t).month == 11 else 1)}

    kinds = [kind for _, kind in in_drift(judged(sold, months=84))]
    assert kinds.count("unit") <= 1


def test_a_burst_of_nulls_is_a_fault_and_a_slow_loss_is_drift() -> None:
    def lossy(t: int, rng: np.random.Generator) -> dict:
        share = {"burst": 0.6 * (t == 40), "drifting": 0.02 + 0.13 * (t >= 40)}
        return {name: pa.array(rng.normal(size=ROWS), mask=rng.random(ROWS) < missing) for name, missing in share.items()}

    rows = judged(lossy)
    assert in_drift([row for row in rows if row["feature"] == "burst"]) == [(month(40), "nulls")]
    assert [kind for _, kind in in_drift([row for row in rows if row["feature"] == "drifting"])] == ["missing"]


def test_a_fault_during_an_episode_leaves_it_open() -> None:
    def both(t: int, rng: np.random.Generator) -> dict:
        return {"x": np.exp(rng.normal(3, 0.5, ROWS) + 0.6 * (t >= 36)) * (1000 if t == 38 else 1)}

    rows = judged(both, months=44)
    assert in_drift(rows) == [(month(37), "location"), (month(38), "unit")]
    assert rows[39]["state"] == "latched"
    assert rows[39]["since"] == month(36)


def test_replaying_scored_years_gives_the_same_with_faults() -> None:
    def priced(t: int, rng: np.random.Generator) -> dict:
        return {"price": np.exp(rng.normal(3, 0.6, ROWS) + 0.5 * (t >= 50)) * (100 if t in (35, 36, 37) else 1)}

    sketches = list(monitor.sketch_months(snapshots(priced, months=60)))
    spoiled = {"price": {Month(2018, 8): "src.amount: something"}}
    whole = monitor.monitor_sketches(sketches, spoiled=spoiled)
    for years in (3, 4):
        part = whole.slice(0, years * 12)
        assert monitor.monitor_sketches(sketches, spoiled=spoiled, scored=part).equals(whole.slice(years * 12))
    assert whole["reason"][31].as_py() == "insufficient: a data fault in its window: src.amount: something"


def daily(
    *,
    missing: dict | None = None,
    gone: tuple = (),
    late: dict | None = None,
    times: dict | None = None,
    hours: dict | None = None,
    moved_types: tuple = ("buy", "view"),
    buys: int = 200,
):
    """A record of two event types; arguments say by day what is wrong."""
    rng, rows = np.random.default_rng(0), []
    profile = np.array([1, 1, 1, 1, 1, 1, 2, 4, 8, 8, 6, 6, 6, 5, 5, 5, 6, 7, 9, 12, 16, 14, 8, 3], float)
    for t in range(DAYS):
        festival = 5.0 if (FIRST + timedelta(days=t)).strftime("%m-%d") == "11-11" else 1.0
        for kind, usual in (("buy", buys * festival), ("view", 900)):
            count = int(rng.poisson(usual)) if t not in gone else 0
            if not count:
                continue
            shared = {"day": FIRST + timedelta(days=t), "type": kind, "rows": count}
            own = np.roll(profile, (hours or {}).get(t, 0) if kind in moved_types else 0)
            drawn = rng.multinomial(count, own / own.sum()).tolist()
            early = (late or {}).get(t, 0) if kind == "buy" else 0
            rows.append({**shared, "column": None, "present": count, "early": early, "hours": drawn})
            lost = int(rng.binomial(count, (missing or {}).get(t, 0.001)))
            level = 3.5 + rng.normal() * 0.5 / count**0.5 + np.log10((times or {}).get(t, 1))
            rows.append(
                {**shared, "column": "cents", "present": count - lost, "log_mean": level, "log_sd": 0.5 + rng.normal() * 0.01}
            )
    return pa.Table.from_pylist(rows, schema=DAY_SCHEMA)


FAULTS = {
    "nulls": {"missing": dict.fromkeys(range(200, 207), 0.2)},
    "unit": {"times": dict.fromkeys((300, 301, 302), 100)},
    "stopped": {"gone": (250, 251)},
    "clock": {"hours": dict.fromkeys((220, 221), 8)},
}


def test_a_sound_record_has_no_fault_festivals_included() -> None:
    assert find_source_faults("orders", daily(), {Month(2020, 5): 3}) == []


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_found_on_its_days_and_no_other(kind: str) -> None:
    found = find_source_faults("orders", daily(**FAULTS[kind]), {})
    wrong = next(iter(FAULTS[kind].values()))
    assert {fault.kind for fault in found} == {kind}
    assert min(fault.first for fault in found) == FIRST + timedelta(days=min(wrong))
    assert max(fault.last for fault in found) == FIRST + timedelta(days=max(wrong))
    assert all(fault.rows > 0 for fault in found)


def test_another_unit_in_few_rows_lasts_as_long_as_it_lasts() -> None:
    wrong = range(200, 270)
    found = find_source_faults("orders", daily(times=dict.fromkeys(wrong, 100), buys=18), {})
    of_buys = [fault for fault in found if "buy" in fault.types]
    assert {fault.kind for fault in of_buys} == {"unit"}
    assert [fault.first.month for fault in of_buys] == [7, 8, 9], "it is over in September, when the record is right again"
    assert of_buys[-1].last > FIRST + timedelta(days=wrong[-1] - 7)
    assert of_buys[-1].last <= FIRST + timedelta(days=wrong[-1])


def test_one_type_that_works_other_hours_is_no_fault_of_the_clock() -> None:
    assert find_source_faults("orders", daily(**FAULTS["clock"], moved_types=("buy",)), {}) == []


def test_event_times_in_the_future_are_a_fault_of_few_rows() -> None:
    (found,) = find_source_faults("orders", daily(late={100: 4, 101: 3}), {})
    assert (found.kind, found.place, found.rows, found.types) == ("clock", "orders.event_time", 7, ("buy",))


def test_much_delivered_again_is_a_fault_and_the_usual_share_of_it_is_not() -> None:
    usual = {Month(2020, m): 30 for m in range(1, 13)}
    assert find_source_faults("orders", daily(), usual | {Month(2020, 1): 0})[1:] == []
    found = find_source_faults("orders", daily(), usual | {Month(2020, 9): 900})
    assert [(fault.kind, fault.first.month, fault.rows) for fault in found if fault.first.month > 1] == [("duplicates", 9, 900)]


def test_faults_of_a_source_are_committed_once_as_rows_about_a_source_and_a_column(tmp_path) -> None:
    found = find_source_faults("orders", daily(**FAULTS["unit"], **FAULTS["stopped"]), {})
    table = audit_source(tmp_path, found, Month(2020, 12))
    assert audit_source(tmp_path, found, Month(2020, 12)).equals(table)
    assert read_faults(tmp_path).equals(table)
    assert {"view", "feature"}.isdisjoint(table.column_names)
    (stopped, unit) = data_faults(table)
    assert (stopped.place, unit.place, unit.kind) == ("orders.rows", "orders.cents", "unit")
    assert str(unit).startswith(
        "2020-10: orders.cents data fault: values times 100, of the same shape on 2020-10-27 to 2020-10-29"
    )
    assert (unit.is_new, unit.name) == (True, "orders.cents@2020-10")
    assert audit_source(tmp_path, [], Month(2020, 12)).num_rows == 0


def test_a_fault_that_lasts_has_one_name_in_all_its_months_and_one_after_a_gap_another(tmp_path) -> None:
    wrong = [*range(300, 330), *range(400, 403)]
    table = audit_source(tmp_path, find_source_faults("orders", daily(times=dict.fromkeys(wrong, 100)), {}), Month(2021, 2))
    assert [(str(fault.month), fault.name, fault.is_new) for fault in data_faults(table)] == [
        ("2020-10", "orders.cents@2020-10", True),
        ("2020-11", "orders.cents@2020-10", False),
        ("2021-02", "orders.cents@2021-02", True),
    ]


def test_faults_that_were_committed_as_scores_of_a_view_are_still_read(tmp_path) -> None:
    months = {"month": date(2020, 10, 1), "since": date(2020, 10, 1), "kind": "unit", "reason": "values times 100"}
    row = {"view": "orders", "feature": "orders.cents", "score": 100.0, "state": "drift", **months}
    commit_years(tmp_path, {"2020": ("a", pa.Table.from_pylist([row], schema=HISTORY_SCHEMA))}, "data faults")
    (found,) = data_faults(read_faults(tmp_path))
    assert (found.source, found.column, found.name) == ("orders", "cents", "orders.cents@2020-10")
