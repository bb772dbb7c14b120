"""Alerts: one per episode, another only when its state changes, the same whenever they are derived again."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pyarrow as pa
import pytest

from featurestore.drift.audit_tables import HISTORY_SCHEMA
from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.recalibration.rules import Runs
from featurestore.drift.reporting.acknowledge import Acknowledgement
from featurestore.drift.reporting.alert import Alert, FaultAlert
from featurestore.drift.reporting.drift_alerts import Answers, alerts, anchor_of, digest_of
from featurestore.drift.reporting.fault_alerts import fault_alerts
from featurestore.drift.reporting.markup import html, markdown
from featurestore.drift.reporting.overview import told as told_of_all
from featurestore.shop import OBJECTS
from featurestore.spec import Registry
from featurestore.timeline import Month, months_between

REGISTRY = Registry().merged(OBJECTS)
RETURNS, VIEWS = "sku_returns__return_rate_90d", "user_activity__views_30d"
FIRST, ENTRY, ONSET, LAST = Month(2020, 1), Month(2024, 9), Month(2024, 8), Month(2025, 6)
NAME = f"{RETURNS}@{ENTRY}"


def history(states: dict[str, str], *, feature: str = RETURNS, segment: str | None = None) -> pa.Table:
    """A feature's months: ok, but for those given; an episode is open in drift and latched months."""
    rows = []
    for month in months_between(FIRST, LAST):
        state = states.get(str(month), "ok")
        is_open = state in ("drift", "latched")
        rows.append(
            {
                "view": feature.partition("__")[0],
                "month": month.first_day,
                "feature": feature,
                "segment": segment,
                "score": 1.4,
                "kind": "location",
                "state": state,
                "reason": "location +0.44 standard deviations, all at once since 2024-08 (z +8.1)",
                "reference_months": ["2022-09", "2023-09"],
                "since": ONSET.first_day if is_open else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=HISTORY_SCHEMA)


def latched(*, until: str = "2025-06") -> dict[str, str]:
    months = months_between(ENTRY.next(), Month.parse(until))
    return {str(ENTRY): "drift", **{str(month): "latched" for month in months}}


def decided(month: str, *, is_promoted: bool, held_out: int = 1, version: str = "0001-a") -> dict:
    return {
        "trigger": {"month": month, "episodes": [NAME]},
        "held_out_months": ["m"] * held_out,
        "is_promoted": is_promoted,
        "reason": "better for demand_v1" if is_promoted else "not better beyond noise",
        "version": version,
    }


FIRST_VERSION = {
    "trigger": {"month": "2020-12", "episodes": []},
    "held_out_months": [],
    "is_promoted": True,
    "reason": "the first version",
    "version": "0000-a",
}


def runs(*decisions: dict, rollbacks: tuple = ()) -> Answers:
    return Answers({"return_prior": Runs((FIRST_VERSION, *decisions), rollbacks)})


def told(table: pa.Table, answers: Answers, **options) -> list[tuple[str, str]]:
    return [(alert.state, alert.month) for alert in alerts(table, REGISTRY, answers, **options)]


def test_an_episode_alerts_once_however_long_it_stays_open() -> None:
    assert told(history(latched()), runs()) == [("opened", "2024-09")]


def test_an_alert_says_what_since_when_how_much_who_reads_it_and_what_is_next() -> None:
    (alert,) = alerts(history(latched()), REGISTRY, runs())
    assert (alert.feature, alert.since, alert.score) == (RETURNS, "2024-08", 1.4)
    assert alert.dependants.services == ("demand_v1", "recommendation_v1", "routing_v1")
    assert alert.dependants.calibrations == ("return_prior",)
    assert alert.dependants.features == ("sku_returns__return_probability",)
    assert "fulfilment" in alert.dependants.owners
    assert alert.next == "return_prior waits: 2 of 3 months since 2024-08 are audited."
    assert alert.page == f"reports/2024-09/audit.html#{anchor_of(NAME)}"


def test_a_change_of_state_is_told_once() -> None:
    answers = runs(
        decided("2024-11", is_promoted=False),
        decided("2025-02", is_promoted=False, held_out=2),
        decided("2025-05", is_promoted=True, held_out=3, version="0003-c"),
    )
    assert told(history(latched()), answers) == [("opened", "2024-09"), ("rejected", "2024-11"), ("recalibrated", "2025-05")]
    undone = Answers(
        {
            "return_prior": Runs(
                answers.runs["return_prior"].decisions, ((datetime(2025, 6, 3, tzinfo=timezone.utc), "0003-c", "wrong"),)
            )
        }
    )
    assert told(history(latched()), undone)[-1] == ("rolled_back", "2025-06")


def test_a_feature_that_no_calibration_depends_on_asks_for_a_person() -> None:
    (alert,) = alerts(history(latched(), feature=VIEWS), REGISTRY, runs())
    assert "featurestore acknowledge user_activity__views_30d" in alert.next
    accepted = Answers({}, (Acknowledgement(VIEWS, None, "2024-12", "a new app", 0),))
    assert told(history(latched(until="2024-12"), feature=VIEWS), accepted) == [
        ("opened", "2024-09"),
        ("acknowledged", "2024-12"),
    ]


def test_an_episode_that_nobody_answered_or_that_another_followed_says_so() -> None:
    assert told(history(latched(until="2025-01"), feature=VIEWS), runs()) == [("opened", "2024-09"), ("released", "2025-02")]
    again = latched() | {"2025-02": "drift"}
    assert told(history(again, feature=VIEWS), runs()) == [
        ("opened", "2024-09"),
        ("followed", "2025-02"),
        ("opened", "2025-02"),
    ]


def test_a_data_fault_starts_nothing_and_ends_when_the_record_is_right_again() -> None:
    table = history(latched(until="2024-10"))
    table = table.set_column(table.column_names.index("kind"), "kind", pa.array(["unit"] * len(table)))
    opened, ended = alerts(table, REGISTRY, runs())
    assert opened.next.startswith("A data fault is no drift")
    assert (ended.state, ended.month) == ("ended", "2024-11")


def fault(month: str, *, since: str | None = None, column: str = "amount_cents") -> DataFault:
    return DataFault("events", column, Month.parse(month), Month.parse(since or month), "unit", "values times 100 (70 rows)")


AUDITED = months_between(Month(2024, 8), Month(2024, 12))


def test_a_fault_of_a_source_is_told_when_it_begins_and_in_the_first_audited_month_without_it() -> None:
    lasting = [fault("2024-09"), fault("2024-10", since="2024-09")]
    opened, ended = fault_alerts(lasting, REGISTRY, audited=AUDITED)
    assert (opened.name, ended.name) == (
        "events.amount_cents@2024-09:opened:2024-09",
        "events.amount_cents@2024-09:ended:2024-11",
    )
    assert opened.next.startswith("A data fault is no drift")
    assert ended.done == "the record is right again"
    assert fault_alerts(lasting, REGISTRY, audited=AUDITED[:3]) == (opened,), "it lasts"
    assert fault_alerts(lasting, REGISTRY, audited=AUDITED, since=Month(2024, 10), until=Month(2024, 11)) == (ended,)


def test_a_fault_of_a_source_names_who_reads_the_column_and_is_no_alert_about_a_feature() -> None:
    (opened,) = fault_alerts([fault("2024-12")], REGISTRY, audited=AUDITED)
    assert "user_activity__spend_cents_90d" in opened.dependants.features
    assert "sku_returns__orders_90d" not in opened.dependants.features
    assert {"view", "feature", "segment", "score"}.isdisjoint(opened.document())
    assert json.loads(json.dumps(opened.document()))["source"] == "events"
    assert "data fault in events.amount\\_cents" in opened.text()
    (whole,) = fault_alerts([fault("2024-12", column="rows")], REGISTRY, audited=AUDITED)
    assert set(whole.dependants.services) == set(REGISTRY.services)


def test_what_people_are_told_is_in_order_of_time_whatever_it_is_about() -> None:
    found = told_of_all(history(latched()), [fault("2024-08"), fault("2024-10")], REGISTRY, runs())
    assert [alert.month for alert in found] == ["2024-08", "2024-09", "2024-09", "2024-10", "2024-11"]
    assert {type(alert) for alert in found} == {Alert, FaultAlert}


def test_months_can_be_asked_for_and_names_are_stable() -> None:
    answers = runs(decided("2024-11", is_promoted=True))
    table = history(latched(until="2024-11"))
    assert told(table, answers, since=Month(2024, 10)) == [("recalibrated", "2024-11")]
    assert told(table, answers, until=Month(2024, 10)) == [("opened", "2024-09")]
    names = [alert.name for alert in alerts(table, REGISTRY, answers)]
    assert names == [f"{NAME}:opened:2024-09", f"{NAME}:recalibrated:2024-11"]
    assert alerts(table, REGISTRY, answers) == alerts(table, REGISTRY, answers)
    shorter = table.slice(0, len(months_between(FIRST, ENTRY)))
    assert [alert.name for alert in alerts(shorter, REGISTRY, Answers())] == names[:1]


def test_what_an_alert_says_of_its_month_does_not_change_when_later_months_are_decided() -> None:
    table = history(latched(until="2024-11"))
    before = alerts(table, REGISTRY, runs(), until=ENTRY)
    after = alerts(table, REGISTRY, runs(decided("2024-11", is_promoted=True)), until=ENTRY)
    assert before == after


def test_names_and_values_cannot_break_out_of_the_text() -> None:
    evil = "region=<img src=x onerror=alert(1)>\n# [click](javascript:x) `@all`"
    (alert,) = alerts(history(latched(), feature=VIEWS, segment=evil), REGISTRY, Answers())
    text = alert.text()
    assert "<img" not in text.replace("\\<img", "")
    assert "\n# " not in text
    assert json.loads(json.dumps(alert.document()))["segment"] == evil
    assert "\n" not in str(alert)
    assert markdown("see http://x.y and www.x.y") == r"see http\://x.y and www\.x.y"
    assert html("‮<b>") == " &lt;b&gt;"


def test_the_digest_counts_states_and_lists_the_rest() -> None:
    table = pa.concat_tables([history(latched()), history({"2024-10": "watch"}, feature=VIEWS)])
    digest = digest_of(table, [fault("2024-10", since="2024-09"), fault("2024-11")], Month(2024, 10))
    assert digest.states == {"latched": 1, "watch": 1}
    assert digest.still_open == (RETURNS,)
    assert [name for name, _, _ in digest.watched] == [VIEWS]
    assert "Still open" in digest.text()
    assert json.loads(json.dumps(digest.document()))["month"] == "2024-10"
    assert digest.faults == (("events.amount_cents", "unit"),)
    assert "Data fault: events.amount\\_cents (unit)" in digest.text()
    assert str(digest).endswith("0 opened, 1 still open, 1 data fault")
    assert digest_of(table, [], Month(2030, 1)).states == {}


@pytest.mark.parametrize("table", [HISTORY_SCHEMA.empty_table(), history({})])
def test_without_a_drift_there_is_nothing_to_tell(table: pa.Table) -> None:
    assert alerts(table, REGISTRY, Answers()) == ()
