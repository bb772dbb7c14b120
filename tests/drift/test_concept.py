"""Concept drift in a store: what comes of forecasts is counted when it is known, is judged, and asks for a recalibration."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import featurestore as fs
from featurestore.client import FeatureStore
from featurestore.drift.recalibration.calibration_versions import Challenger, record
from featurestore.drift.recalibration.recalibrate import Decision, Trigger
from featurestore.drift.reliability import Reliability, series_of
from featurestore.operations.baselines import resets
from featurestore.timeline import DAY_US, Month, months_between

TIMEZONE, DELAY_DAYS, ITEMS = "Asia/Shanghai", 45, 60
MONTHS = months_between(Month(2017, 1), Month(2020, 12))
ONSET = Month(2020, 3)
"""From this month on, orders come back twice as often."""
FIRST_FITTED = Month(2018, 1)

item = fs.Entity("item", key="item_id")
orders = fs.EventSource(
    "orders",
    schema={
        "event_id": "int64",
        "event_time": "timestamp",
        "event_type": "string",
        "item_id": "int64",
        "ordered_at": "timestamp",
    },
    event_time="event_time",
    event_id="event_id",
)
returns = fs.FeatureView(
    "returns",
    entity=item,
    source=orders,
    event_time="ordered_at",
    delay=f"{DELAY_DAYS}d",
    aggregations=[
        fs.Count("orders", where="event_type = 'buy'", windows=("1y",)),
        fs.Count("returns", where="event_type = 'return'", windows=("1y",)),
    ],
    derived=[
        fs.Derived(
            "probability",
            "(returns_1y + calibrated('prior.a')) / (orders_1y + calibrated('prior.a') + calibrated('prior.b'))",
            outcome=fs.Outcome("returns_1y", trials="orders_1y"),
        )
    ],
)
planning = fs.FeatureService("planning_v1", features=["returns:probability"])
prior = fs.Calibration("prior", fit="beta_binomial", inputs=["returns:returns_1y", "returns:orders_1y"], consumers=[planning])
OBJECTS = [item, orders, returns, planning, prior]
COLUMN, SERIES = "returns__probability", "returns__probability.calibration"


def made_events() -> pa.Table:
    """Draw 25 orders a day; what comes back does so after 5 to 40 days."""
    rng = np.random.default_rng(3)
    first, last = MONTHS[0].interval(TIMEZONE).start_us, MONTHS[-1].interval(TIMEZONE).end_us
    count = 25 * (last - first) // DAY_US
    ordered = np.sort(rng.integers(first, last, count))
    items = rng.integers(0, ITEMS, count)
    rates = rng.beta(4, 36, ITEMS)[items] * np.where(ordered >= ONSET.interval(TIMEZONE).start_us, 2.0, 1.0)
    back = rng.random(count) < rates
    later = ordered[back] + rng.integers(5 * DAY_US, 40 * DAY_US, back.sum())
    table = pa.table(
        {
            "event_id": np.arange(count + back.sum()),
            "event_time": pa.array(np.concatenate([ordered, later])).cast(pa.timestamp("us", "UTC")),
            "event_type": ["buy"] * count + ["return"] * int(back.sum()),
            "item_id": np.concatenate([items, items[back]]),
            "ordered_at": pa.array(np.concatenate([ordered, ordered[back]])).cast(pa.timestamp("us", "UTC")),
        }
    )
    return table.filter(pc.less(pc.cast(table["event_time"], pa.int64()), last))


EVENTS = made_events()


def opened(root: Path, *, until: Month = MONTHS[-1]) -> FeatureStore:
    """Return a store that has the events up to a month, its prior fitted as of ``FIRST_FITTED``."""
    store = FeatureStore(root, timezone=TIMEZONE)
    store.apply(OBJECTS)
    store.ingest("orders", EVENTS.filter(pc.less(pc.cast(EVENTS["event_time"], pa.int64()), until.interval(TIMEZONE).end_us)))
    store.materialize()
    store.audit([FIRST_FITTED])
    store.recalibrate("prior", month=FIRST_FITTED)
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    found = opened(tmp_path_factory.mktemp("concept") / "store")
    found.audit(MONTHS)
    return found


def history(store: FeatureStore, feature: str) -> dict[Month, dict]:
    return {Month.parse(row["month"]): row for row in store.drift_history().to_pylist() if row["feature"] == feature}


def test_a_concept_drift_is_found_and_asks_for_the_calibration_of_the_forecast(store: FeatureStore) -> None:
    report = store.audit(MONTHS)
    (found,) = [episode for episode in report.entered if episode.feature == SERIES]
    # Orders of March are known to have come back or not in the middle of May.
    assert Month(2020, 4) <= found.since <= Month(2020, 6)
    assert found.month <= Month(2020, 6)
    assert (found.kind, found.calibrations) == ("calibration", ("prior",))
    alert = next(each for each in store.alerts(found.month) if each.feature == SERIES)
    assert alert.dependants.services == ("planning_v1",)
    assert alert.next.startswith("prior ")


def test_no_month_is_judged_before_a_version_was_in_force_and_labels_have_matured(store: FeatureStore) -> None:
    found = history(store, SERIES)
    first = next(month for month, row in found.items() if "labels not mature" not in row["reason"])
    # The version is of the end of January 2018; what was forecast with it on 15 February is known within April.
    assert first == Month(2018, 4)
    assert all(row["state"] == "insufficient" for month, row in found.items() if month < first)


def test_scores_are_those_of_the_forecasts_then_and_the_orders_of_the_month_after(store: FeatureStore) -> None:
    month = Month(2019, 8)
    begins, ends = (us - DELAY_DAYS * DAY_US for us in (month.interval(TIMEZONE).start_us, month.interval(TIMEZONE).end_us))
    ordered = pc.cast(EVENTS["ordered_at"], pa.int64()).to_numpy()
    is_known = (ordered >= begins) & (ordered < ends)
    kinds, items = np.array(EVENTS["event_type"].to_pylist()), EVENTS["item_id"].to_numpy()
    trials, successes = (
        np.bincount(items[is_known & (kinds == kind)], minlength=ITEMS).astype(float) for kind in ("buy", "return")
    )
    spine = pa.table({"item_id": np.arange(ITEMS), "as_of": pa.array([begins] * ITEMS).cast(pa.timestamp("us", "UTC"))})
    forecast = store.get_historical_features(spine, ["returns:probability"])[COLUMN]
    expected = Reliability.of(pa.table({"forecast": forecast, "successes": successes, "trials": trials})).document()
    (row,) = [row for row in store.forecast_scores("returns").to_pylist() if row["month"] == month.first_day]
    for name in ("forecasts", "trials", "mean_forecast", "observed_share", "brier", "ece"):
        assert row[name] == pytest.approx(expected[name], rel=1e-12)
    assert row["buckets"] == expected["buckets"]


def test_what_happens_later_changes_no_earlier_score(store: FeatureStore, tmp_path: Path) -> None:
    until = Month(2019, 6)
    early = opened(tmp_path / "early", until=until)
    early.audit(months_between(MONTHS[0], until))
    whole = store.forecast_scores()
    assert early.forecast_scores().equals(whole.filter(pc.less_equal(whole["month"], pa.scalar(until.first_day))))


def test_auditing_again_gives_equal_tables_and_an_equal_page(store: FeatureStore) -> None:
    scores, told = store.forecast_scores(), store.drift_history()
    page = store.write_page("2020-07").read_bytes()
    store.audit(["2020-07"])
    assert store.forecast_scores().equals(scores)
    assert store.drift_history().equals(told)
    assert store.write_page("2020-07").read_bytes() == page
    assert page.count(b"Observed against expected, then and now") == 1


def test_a_concept_drift_can_be_acknowledged_by_its_name(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(fs.FeatureStoreError, match="has no open drift in 2019-06"):
        store.acknowledge("returns:probability.calibration", month="2019-06", note="seen")
    shutil.copytree(store.layout.root, tmp_path / "store")
    other, months = FeatureStore(tmp_path / "store"), [Month(2020, 7), Month(2020, 8)]
    assert history(other, SERIES)[months[1]]["state"] == "latched"
    other.acknowledge("returns:probability.calibration", month=months[0], note="a new return policy")
    other.audit(months)
    found = history(other, SERIES)
    assert [found[month]["state"] for month in months] == ["latched", "ok"]


def test_a_promotion_moves_the_baseline_when_its_first_outcomes_are_known(store: FeatureStore) -> None:
    found = resets(store.layout, store.registry)
    assert found[COLUMN] == [FIRST_FITTED.next()]
    assert found[SERIES] == [Month(2018, 4)]


def test_the_reliability_of_a_forecast_that_reads_no_calibration_has_its_baseline_as_any_answered_feature(
    tmp_path: Path,
) -> None:
    """It shares the data of the calibration that was fitted anew; no version of it is waited for."""
    rate = fs.Derived("rate", "returns_1y / nullif(orders_1y, 0)", outcome=fs.Outcome("returns_1y", trials="orders_1y"))
    given = {name: getattr(returns, name) for name in ("entity", "source", "event_time", "delay", "aggregations")}
    both = fs.FeatureView("returns", **given, derived=[*returns.derived, rate])
    store = FeatureStore(tmp_path / "store", timezone=TIMEZONE)
    store.apply([item, orders, both, planning, prior])
    answered = {series_of("returns__rate"): ("2020-08",), SERIES: ("2020-08",)}
    until_us = Month(2020, 7).interval(TIMEZONE).end_us
    challenger = Challenger(pa.table({"group": ["*"], "a": [1.0], "b": [9.0]}), "beta_binomial", 0, until_us, resets=answered)
    decision = Decision("prior", Trigger("2020-07"), 0, until_us, (), (), is_promoted=True, reason="")
    record(store.layout.calibrations("prior"), challenger, decision)
    found = resets(store.layout, store.registry)
    assert found[series_of("returns__rate")] == [Month(2020, 8)]
    assert found[SERIES] == [Month(2020, 10)]


@pytest.mark.parametrize("trials", ["n_30d", None])
def test_outcomes_lie_between_none_and_all_of_their_trials(tmp_path: Path, trials: str | None) -> None:
    paid = fs.EventSource(
        "paid",
        schema={"event_id": "int64", "event_time": "timestamp", "item_id": "int64", "amount": "int64"},
        event_time="event_time",
        event_id="event_id",
    )
    view = fs.FeatureView(
        "payments",
        entity=item,
        source=paid,
        aggregations=[fs.Count("n", windows=("30d",)), fs.Sum("net", "amount", windows=("30d",))],
        derived=[fs.Derived("p", "n_30d * 0.25", outcome=fs.Outcome("net_30d", trials=trials))],
    )
    amounts = {1: -7, 2: 0, 3: 1, 4: 9}
    times = [month.interval(TIMEZONE).start_us + DAY_US for month in (Month(2020, 1), Month(2020, 2)) for _ in amounts]
    store = FeatureStore(tmp_path / "store", timezone=TIMEZONE)
    store.apply([item, paid, view])
    rows = {"event_id": range(8), "event_time": pa.array(times).cast(pa.timestamp("us", "UTC"))}
    store.ingest("paid", pa.table(rows | {"item_id": [*amounts] * 2, "amount": [*amounts.values()] * 2}))
    store.materialize()
    store.audit(["2020-02"])
    (row,) = store.forecast_scores().to_pylist()
    assert (row["trials"], row["mean_forecast"], row["observed_share"]) == (4.0, 0.25, 0.5)


def test_a_calibration_without_events_says_what_to_do(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", timezone=TIMEZONE)
    other = fs.EventSource("visits", schema={**orders.types, "item_id": "int64"}, event_time="event_time", event_id="event_id")
    visits = fs.FeatureView("visits_of", entity=item, source=other, aggregations=[fs.Count("n", windows=("30d",))])
    store.apply([*OBJECTS, other, visits])
    store.ingest("visits", EVENTS.slice(0, 200))
    store.materialize()
    store.audit([MONTHS[0]])
    with pytest.raises(
        fs.NotMaterializedError, match=r"store.ingest\('orders', rows\), then store.materialize\(views=\['returns'\]\)"
    ):
        store.recalibrate("prior")
    store.ingest("orders", EVENTS.slice(0, 2000))
    with pytest.raises(fs.NotMaterializedError, match=r"Call store.materialize\(views=\['returns'\]\) first"):
        store.recalibrate("prior", month=MONTHS[0].shift(11))


def test_the_concept_drift_alone_brings_a_recalibration_and_a_new_baseline(store: FeatureStore) -> None:
    months = months_between(FIRST_FITTED.next(), MONTHS[-1])
    decisions = store.recalibrate(month=months)
    asked = [decision for decision in decisions if any(name.startswith(SERIES) for name in decision.trigger.episodes)]
    promoted = [decision for decision in asked if decision.is_promoted]
    assert promoted
    found = resets(store.layout, store.registry)[SERIES]
    assert len(found) == 1 + len([decision for decision in decisions if decision.is_promoted])
    for decision in promoted:
        # Not before outcomes are known of what was forecast with the new version.
        assert min(found[1:]) >= Month.parse(decision.trigger.month).shift(3)
