"""A fault in a source's record, from the events to what people see: about a source and a column everywhere, never about a view."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.cli import main
from featurestore.drift.data_faults.data_fault import FAULT_SCHEMA
from featurestore.drift.reporting.alert import FaultAlert
from featurestore.errors import DefinitionError
from featurestore.timeline import Month

SOURCE = fs.EventSource(
    "events",
    schema={"event_id": "int64", "event_time": "timestamp", "user_id": "int64", "cents": "int64"},
    event_time="event_time",
    event_id="event_id",
)
USER = fs.Entity("user", key="user_id")
# A view may be named as its source is.
VIEW = fs.FeatureView("events", entity=USER, source=SOURCE, aggregations=[fs.Sum("spend", "cents", windows=("30d",))])
DAILY, DAYS, FIRST = 60, 121, datetime(2024, 1, 1)
WRONG = (datetime(2024, 3, 10), datetime(2024, 3, 13))
MONTHS = ["2024-02", "2024-03", "2024-04"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> fs.FeatureStore:
    opened = fs.FeatureStore(tmp_path_factory.mktemp("faulty") / "store")
    opened.apply([VIEW, fs.FeatureService("planning_v1", features=[VIEW])])
    rng, count = np.random.default_rng(1), DAILY * DAYS
    times = [FIRST + timedelta(days=i // DAILY, minutes=i % DAILY * 20) for i in range(count)]
    factors = np.array([100 if WRONG[0] <= time < WRONG[1] else 1 for time in times])
    cents = (np.exp(rng.normal(6, 0.6, count)) * factors).astype(np.int64)
    columns = {"event_id": range(count), "event_time": times, "user_id": rng.integers(0, 90, count), "cents": cents}
    opened.ingest("events", pa.table(columns))
    opened.materialize()
    return opened


@pytest.fixture(scope="module")
def report(store):
    return store.audit(MONTHS)


def test_an_audit_tells_features_of_views_and_faults_of_sources_apart(report) -> None:
    assert set(report.table["feature"].to_pylist()) == {"events__spend_30d"}
    assert [(fault.name, str(fault.month)) for fault in report.faults] == [("events.cents@2024-03", "2024-03")]
    assert "1 data fault began in the sources" in str(report)


def test_the_history_holds_features_and_the_faults_have_a_table_of_their_own(store, report) -> None:
    assert set(store.drift_history()["feature"].to_pylist()) == {"events__spend_30d"}
    assert store.drift_history("events").equals(store.drift_history())
    faults = store.data_faults()
    assert faults.schema.equals(FAULT_SCHEMA)
    assert faults.select(["source", "column", "kind"]).to_pylist() == [{"source": "events", "column": "cents", "kind": "unit"}]
    assert store.data_faults("events").equals(faults)
    with pytest.raises(fs.UnknownNameError, match="Did you mean 'events'"):
        store.data_faults("event")


def test_the_fault_is_told_once_and_told_to_be_over(store, report) -> None:
    told = store.alerts()
    assert {type(alert) for alert in told} == {FaultAlert}
    assert [(alert.state, alert.month) for alert in told] == [("opened", "2024-03"), ("ended", "2024-04")]
    assert told[0].dependants.services == ("planning_v1",)
    assert store.alerts("2024-04") == told[1:]
    assert store.digest("2024-03").faults == (("events.cents", "unit"),)
    assert store.digest("2024-03").states == {"insufficient": 1}


def test_the_status_names_the_faults_of_the_last_audited_month(store, report, tmp_path: Path) -> None:
    assert store.status().open_faults == ()
    early = fs.FeatureStore(tmp_path / "store")
    early.apply([VIEW])
    assert early.status().open_faults == ()
    assert store.status().last_audit == "2024-04"


def test_pictures_and_pages_show_the_fault_below_the_features(store, report, tmp_path: Path) -> None:
    assert store.write_timeline(tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")
    page = store.write_page("2024-03", tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "events.cents: drift, 2024-03" in page
    assert "Data faults in the sources" in page
    assert store.write_distributions("2024-03", tmp_path / "d.svg").read_text(encoding="utf-8").count("events.cents") == 0


def test_nobody_takes_a_source_for_a_view_whose_report_is_to_be_drawn(store, report) -> None:
    from featurestore_pipelines.assets.drift import DriftReportConfig, describe_audit, describe_view, draw_reports

    assert draw_reports(store, store.audit("2024-03"), DriftReportConfig()) == {}, "the view itself has no score yet"
    assert describe_view(report, "events", {})[Month(2024, 3)]["data_faults"].value == 0
    described = describe_audit(store, report, DriftReportConfig(draws_timeline=False))[Month(2024, 3)]
    assert described["data_faults"].value == 1
    assert described["data_faults_by_kind"].value.startswith("- unit: events.cents, values times 100")


def test_only_drift_can_be_acknowledged(store, report) -> None:
    with pytest.raises(fs.UnknownNameError, match=r"no feature 'events\.cents'"):
        store.acknowledge("events.cents", note="seen")


@pytest.mark.parametrize("months", ["2142-02", ["2024-03", "2142-02"], str(Month.of(time.time_ns() // 1_000, "UTC").next())])
def test_a_month_that_has_not_begun_is_not_audited(store, report, months) -> None:
    for call in (store.audit, store.take_snapshots):
        with pytest.raises(
            DefinitionError, match=r"has not begun: it is .* by this machine's clock, and no event is later than"
        ):
            call(months)
    assert store.status().last_audit == "2024-04"


def test_the_command_refuses_it_with_the_same_words(store, report, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "--month", "2142-02", "--root", str(store.layout.root)])
    assert "2142-02 has not begun" in capsys.readouterr().err


def test_the_present_month_and_one_of_an_event_ahead_of_the_clock_are_audited(
    store, report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert store.audit("2024-04").months == (Month(2024, 4),)
    with pytest.raises(DefinitionError, match=r"2024-06 has not begun: it is 1970-01 .* Name months up to 2024-04"):
        store.audit("2024-06")
