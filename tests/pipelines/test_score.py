from __future__ import annotations

from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest

from featurestore.drift.audit import AuditReport
from featurestore.drift.audit_tables import HISTORY_SCHEMA
from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.episode import Episode
from featurestore.synth import PlantedDrift
from featurestore.timeline import Month, months_between
from featurestore_pipelines.demo.score import count_unplanted, score_planted


def episode(feature: str, month: str, since: str | None = None, score: float = 2.0) -> Episode:
    return Episode("view", feature, None, Month.parse(month), Month.parse(since or month), "location", score, "")


def audit(*episodes: Episode, faults: tuple[DataFault, ...] = ()) -> AuditReport:
    """Each episode stays latched until the end of 2025."""
    rows = [
        {
            "view": "view",
            "feature": each.feature,
            "month": month.first_day,
            "state": "drift" if month == each.month else "latched",
        }
        for each in episodes
        for month in months_between(each.month, Month(2025, 12))
    ]
    return AuditReport((), pa.Table.from_pylist(rows, schema=HISTORY_SCHEMA), episodes, faults)


def planted(name: str, first: date, *features: str, kind: str = "sudden") -> PlantedDrift:
    return PlantedDrift(1, name, kind, "orders", first, None, 1.5, features=features)


def test_a_change_is_found_in_the_first_month_in_which_one_of_its_features_enters_drift():
    seen = audit(episode("b", "2020-05"), episode("a", "2020-04"), episode("c", "2020-03"))
    (outcome,) = score_planted([planted("step", date(2020, 3, 10), "a", "b")], seen)
    assert (outcome.found_month, outcome.found_feature, outcome.delay_months) == (Month(2020, 4), "a", 1)


@pytest.mark.parametrize(
    ("month", "since", "is_found"),
    [
        ("2020-02", "2020-02", False),
        ("2020-03", "2020-03", True),
        ("2020-09", "2020-08", True),
        ("2020-10", "2020-09", False),
        ("2021-10", "2020-03", True),
        ("2020-04", "2019-06", False),
    ],
)
def test_a_find_is_seen_early_or_dated_right_and_never_dated_before_the_change(month, since, is_found):
    (outcome,) = score_planted([planted("step", date(2020, 3, 10), "a")], audit(episode("a", month, since)))
    assert (outcome.found_month is not None) == is_found


def test_a_local_change_is_found_in_its_segment_alone():
    drift = planted("local", date(2020, 3, 10), "a[region=9]")
    assert score_planted([drift], audit(episode("a", "2020-04")))[0].found_month is None
    assert score_planted([drift], audit(replace(episode("a", "2020-04"), segment="region=1")))[0].found_month is None
    (outcome,) = score_planted([drift], audit(replace(episode("a", "2020-04"), segment="region=9")))
    assert (outcome.found_month, outcome.found_feature) == (Month(2020, 4), "a[region=9]")


def test_a_gradual_change_may_take_two_years():
    drift = planted("trend", date(2020, 3, 1), "a", kind="gradual")
    assert score_planted([drift], audit(episode("a", "2022-03")))[0].found_month == Month(2022, 3)
    assert score_planted([drift], audit(episode("a", "2022-04")))[0].found_month is None


def test_a_change_is_masked_when_all_its_features_are_still_latched_by_an_earlier_one():
    drift = planted("step", date(2020, 3, 10), "a", "b")
    assert score_planted([drift], audit(episode("a", "2019-01"), episode("b", "2019-02")))[0].is_masked
    assert not score_planted([drift], audit(episode("a", "2019-01")))[0].is_masked
    assert not score_planted([planted("none", date(2020, 3, 10))], audit())[0].is_masked


def test_episodes_without_a_planted_cause_are_counted():
    seen = audit(episode("a", "2020-04"), episode("a", "2024-04"), episode("z", "2020-04"))
    assert count_unplanted([planted("step", date(2020, 3, 10), "a")], seen) == 2


def test_a_planted_fault_is_found_in_the_record_of_its_source_and_is_no_episode():
    months = [Month(2020, 3), Month(2020, 4)]
    seen = audit(faults=tuple(DataFault("orders", "cents", month, months[0], "unit", "times 100") for month in months))
    (outcome,) = score_planted([planted("cents for yuan", date(2020, 3, 10), "orders.cents", kind="quality")], seen)
    assert (outcome.found_month, outcome.found_feature) == (Month(2020, 3), "orders.cents")
    assert count_unplanted([], seen) == 0
