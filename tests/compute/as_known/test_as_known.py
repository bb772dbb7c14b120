"""As-known answers equal a plain loop over all versions ever delivered, and never see what was ingested later."""

from __future__ import annotations

import math
import tempfile
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.compute.folds import SumFold
from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.retrieval.batch import batch_features
from featurestore.compute.retrieval.historical import historical_query
from featurestore.compute.windows.in_flight import LateRows
from featurestore.compute.windows.versions import ReadVersions
from featurestore.errors import DefinitionError, VersionError
from featurestore.lake.layout import Layout, create_or_open
from featurestore.spec import Count, Distinct, Entity, EventSource, FeatureView, Last, Min, Registry, Sum
from featurestore.spec.document import document, source_from
from featurestore.timeline import to_us
from tests.compute import oracle
from tests.compute.versions_world import LATE_SOURCE, deliver, known_events, random_versions
from tests.compute.windows.test_oracle import CATEGORY, PAIR, USER, expected, make_view
from tests.compute.world import SOURCE, ask, at, commit_events, event, random_events, random_spine


def late_view(entity: Entity, grain: str, *, source: EventSource = LATE_SOURCE, **options) -> FeatureView:
    like = make_view(entity, grain)
    return FeatureView(
        "activity", entity=entity, source=source, grain=grain, aggregations=like.aggregations, derived=like.derived, **options
    )


def spine_around(seed: int, versions: list[dict], rows: int = 60) -> list[dict]:
    """Spine rows at random moments, and at or just behind moments at which something became known."""
    rng, spine = np.random.default_rng(seed), random_spine(seed, versions, rows)
    for row in spine:
        if row["as_of"] is not None and rng.random() < 0.6:
            version = versions[int(rng.integers(len(versions)))]
            row["as_of"] = version["ingested_at"] + timedelta(microseconds=int(rng.choice([-1, 0, 1, 86_400_000_000])))
            row |= {"user_id": version["user_id"], "category": version["category"] or "FRESH"}
    return spine


def fill(root: Path, view: FeatureView, versions: list[dict], zone: str, *, batches: int = 2) -> Layout:
    layout = create_or_open(root, timezone=zone)
    cuts = [len(versions) * batch // batches for batch in range(batches + 1)]
    for low, high in pairwise(cuts):
        deliver(layout, versions[low:high], source=view.source)
        materialize(layout, [view])
    return layout


def assert_as_known(
    layout: Layout, view: FeatureView, versions: list[dict], spine: list[dict], *, load_until: datetime | None = None
) -> None:
    got = ask(layout, view, spine, as_known=True).to_pylist()
    options = {"grain": view.grain, "zone": layout.timezone}
    for row, answer in zip(spine, got, strict=True):
        known = known_events(versions, row["as_of"], load_until=load_until, **options) if row["as_of"] else []
        stepped = oracle.steps_of(known, time=view.event_time, **options)
        for name, value in expected(view, stepped, row, layout.timezone).items():
            found = answer[f"activity__{name}"]
            is_close = isinstance(value, float) and found is not None and math.isclose(found, value, rel_tol=1e-9, abs_tol=1e-9)
            assert is_close or found == value, (row, name, found, value)


@pytest.mark.parametrize(
    ("entity", "grain", "zone", "options"),
    [
        (USER, "1d", "Europe/Berlin", {}),
        (USER, "1h", "Asia/Kolkata", {}),
        (CATEGORY, "event", "Asia/Shanghai", {}),
        (PAIR, "1d", "Asia/Shanghai", {"delay": "5d"}),
        (CATEGORY, "1d", "Asia/Shanghai", {"event_time": "ordered_at"}),
    ],
    ids=["user-day", "user-hour", "category-event", "pair-delay", "category-ordered"],
)
def test_every_aggregation_sees_what_was_known(tmp_path, entity, grain, zone, options) -> None:
    versions = random_versions(seed=20)
    view = late_view(entity, grain, **options)
    layout = fill(tmp_path / "store", view, versions, zone)
    assert_as_known(layout, view, versions, spine_around(1, versions))


SMALL = ("1d", "30d", "lifetime")


def small_view(source: EventSource = LATE_SOURCE, **options) -> FeatureView:
    """A sum, a carried value, an extreme and a number of items."""
    aggregations = [
        Count("n", windows=SMALL),
        Sum("spend", "amount_cents", windows=SMALL),
        Last("category", "category", windows=SMALL),
        Min("cheapest", "amount_cents", windows=SMALL),
        Distinct("categories", "category", windows=SMALL),
    ]
    return FeatureView("activity", entity=USER, source=source, aggregations=aggregations, **options)


def version(event_id: int, happened: datetime, learned: datetime, user_id: int | None = 1, **more) -> dict:
    return {**event(event_id, happened, user_id, **more), "ingested_at": learned}


def known(layout: Layout, view: FeatureView, *rows: tuple, **options) -> list[dict]:
    spine = [{"user_id": user, "category": None, "as_of": as_of} for user, as_of in rows]
    return ask(layout, view, spine, as_known=True, **options).to_pylist()


def test_a_late_event_and_a_correction_count_from_the_step_behind_the_one_in_which_they_were_ingested(tmp_path) -> None:
    layout, view = create_or_open(tmp_path / "store"), small_view()
    deliver(layout, [version(1, at(2024, 3, 1), at(2024, 3, 5, 12), amount_cents=10)])
    deliver(layout, [version(1, at(2024, 3, 1), at(2024, 3, 9, 12), user_id=2, amount_cents=7)])
    materialize(layout, [view])
    days = [at(2024, 3, day) for day in (2, 5, 6, 9, 10)]
    assert [row["activity__n_lifetime"] for row in known(layout, view, *((1, day) for day in days))] == [0, 0, 1, 1, 0]
    assert [row["activity__cheapest_30d"] for row in known(layout, view, *((2, day) for day in days))] == [None] * 4 + [7]


def test_an_entity_that_had_rows_only_until_they_were_corrected_is_known_until_then(tmp_path) -> None:
    layout, view = create_or_open(tmp_path / "store"), small_view()
    deliver(layout, [version(1, at(2024, 3, 1), at(2024, 3, 1), 9), version(1, at(2024, 3, 1), at(2024, 3, 20), 1)])
    materialize(layout, [view])
    before, behind = known(layout, view, (9, at(2024, 3, 10)), (9, at(2024, 3, 21)))
    assert (before["activity__n_30d"], before["activity__category_30d"], before["activity__categories_30d"]) == (1, "FRESH", 1)
    assert (behind["activity__n_30d"], behind["activity__category_30d"], behind["activity__categories_30d"]) == (0, None, 0)


@pytest.mark.parametrize("options", [{}, {"event_time": "ordered_at"}], ids=["event_time", "ordered_at"])
def test_without_ingested_at_an_event_is_known_when_it_happens(tmp_path, options) -> None:
    layout, view = create_or_open(tmp_path / "store"), small_view(SOURCE, **options)
    events = random_events(seed=30, rows=120)
    commit_events(layout, events)
    materialize(layout, [view])
    spine = random_spine(2, events)
    as_known = ask(layout, view, spine, as_known=True)
    if not options:
        assert as_known.replace_schema_metadata(None).equals(ask(layout, view, spine).replace_schema_metadata(None))
    for row, answer in zip(spine, as_known.to_pylist(), strict=True):
        if row["as_of"] is None or row["user_id"] is None:
            continue
        day = row["as_of"].replace(hour=0, minute=0, second=0, microsecond=0)
        mine = [each for each in events if each["user_id"] == row["user_id"] and each["event_time"] < day]
        counted = [each for each in mine if each[view.event_time] is not None and each[view.event_time] < day]
        assert answer["activity__n_lifetime"] == len(counted)


def test_rows_of_the_initial_load_are_known_when_they_happened(tmp_path) -> None:
    load_until = at(2022, 1, 1)
    source = EventSource(
        "late_events",
        schema=dict(LATE_SOURCE.schema),
        event_time="event_time",
        event_id="event_id",
        ingested_at="ingested_at",
        initial_load_until="2022-01-01",
    )
    view, rng = late_view(USER, "1d", source=source), np.random.default_rng(3)
    versions = random_versions(seed=31, rows=150)
    for each in versions:
        if rng.random() < 0.7:
            each["ingested_at"] = load_until - timedelta(days=1, hours=float(rng.integers(0, 48)))
    layout = fill(tmp_path / "store", view, versions, "Asia/Shanghai")
    assert_as_known(layout, view, versions, spine_around(3, versions), load_until=load_until)


def test_event_ids_that_are_unique_within_a_month_are_corrected_within_it(tmp_path) -> None:
    source = EventSource(
        "late_events",
        schema=dict(LATE_SOURCE.schema),
        event_time="event_time",
        event_id="event_id",
        ingested_at="ingested_at",
        id_scope="month",
    )
    layout, view = create_or_open(tmp_path / "store", timezone="Europe/Berlin"), small_view(source)
    first, second = at(2024, 3, 30, 12), at(2024, 3, 31, 22, 30)  # the second is in April, Berlin time
    versions = [version(1, first, first, amount_cents=5), version(1, second, second, amount_cents=6)]
    versions += [version(1, first, at(2024, 4, 10), amount_cents=50)]
    for each in versions:
        deliver(layout, [each], source=source)
    materialize(layout, [view])
    answers = known(layout, view, (1, at(2024, 4, 5)), (1, at(2024, 4, 12)))
    assert [answer["activity__spend_30d"] for answer in answers] == [11, 56]


@settings(max_examples=8, derandomize=True, deadline=None, database=None)
@given(st.integers(0, 10**6), st.integers(0, 400))
def test_what_is_ingested_at_the_floor_or_later_never_changes_an_answer(seed: int, day: int) -> None:
    versions = random_versions(seed, rows=40, years=0.6)
    as_of = at(2019, 11, 25) + timedelta(days=day, hours=seed % 24)
    floor = as_of.replace(hour=0)
    past = [each for each in versions if each["ingested_at"] < floor]
    future = [each for each in versions if each["ingested_at"] >= floor]
    view, spine = small_view(), [{"user_id": user, "category": None, "as_of": as_of} for user in range(16)]
    with tempfile.TemporaryDirectory() as folder:
        layout, found = create_or_open(Path(folder) / "store"), []
        for batch in (past, future):
            if batch:
                deliver(layout, batch)
            materialize(layout, [view])
            found.append(ask(layout, view, spine, as_known=True).replace_schema_metadata(None))
        assert found[0].equals(found[1])


def test_late_rows_are_kept_and_only_what_changed_is_looked_for_again(tmp_path) -> None:
    versions, view = random_versions(seed=32, rows=120), small_view()
    layout = fill(tmp_path / "store", view, versions, "Asia/Shanghai", batches=1)
    spine = spine_around(4, versions)
    answered = ask(layout, view, spine, as_known=True)
    files = {file: file.stat().st_mtime_ns for file in layout.known("activity").iterdir()}
    assert ask(layout, view, spine, as_known=True).equals(answered)
    assert {file: file.stat().st_mtime_ns for file in layout.known("activity").iterdir()} == files
    deliver(layout, [version(10**6, at(2021, 9, 9), at(2021, 9, 20))])
    materialize(layout, [view])
    assert ask(layout, view, spine, as_known=True).replace_schema_metadata(None).equals(answered.replace_schema_metadata(None))
    again = {file: file.stat().st_mtime_ns for file in layout.known("activity").iterdir()}
    assert len(files.items() & again.items()) >= 1
    for file in again:
        file.unlink() if len(file.name) % 2 else file.write_bytes(file.read_bytes()[:40])
    assert ask(layout, view, spine, as_known=True).replace_schema_metadata(None).equals(answered.replace_schema_metadata(None))


def test_the_versions_of_an_answer_give_it_again_after_more_corrections(tmp_path) -> None:
    versions, view = random_versions(seed=33, rows=120), small_view()
    layout = fill(tmp_path / "store", view, versions[:150], "Asia/Shanghai", batches=1)
    spine = spine_around(5, versions)
    answered, ordinary = ask(layout, view, spine, as_known=True), ask(layout, view, spine)
    deliver(layout, versions[150:])
    materialize(layout, [view])
    pinned = ReadVersions.parse(answered)
    assert (
        not ask(layout, view, spine, as_known=True).replace_schema_metadata(None).equals(answered.replace_schema_metadata(None))
    )
    assert ask(layout, view, spine, as_known=True, versions=pinned).equals(answered)
    with pytest.raises(VersionError, match="as_known"):
        ask(layout, view, spine, as_known=True, versions=ReadVersions.parse(ordinary))


def test_many_rows_in_flight_are_answered_in_parts(tmp_path, monkeypatch) -> None:
    versions, view = random_versions(seed=34, rows=150), small_view()
    layout = fill(tmp_path / "store", view, versions, "Asia/Shanghai", batches=1)
    spine = spine_around(6, versions)
    answered = ask(layout, view, spine, as_known=True)
    monkeypatch.setattr("featurestore.compute.as_known.query._ROWS_AT_ONCE", 5)
    monkeypatch.setattr("featurestore.compute.as_known.query._STEPS_AT_ONCE", 3)
    assert ask(layout, view, spine, as_known=True).equals(answered)


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.integers(0, 10**6))
def test_rows_in_flight_are_found_by_class_as_by_looking_at_each(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, probes = int(rng.integers(0, 60)), 25
    codes, steps = rng.integers(0, 5, n), rng.integers(0, 40, n)
    late = 2 ** rng.integers(0, 7, n) + rng.integers(0, 2, n)
    power = np.floor(np.log2(late)).astype(np.int64) if n else late
    order = np.lexsort((steps, codes, power))
    columns = [power[order], codes[order], steps[order], (steps + late)[order], np.ones(n, np.int64), np.arange(n)[order]]
    rows = LateRows(pa.table([pa.array(each) for each in columns], names=["class", "code", "step", "known", "sign", "value"]))
    asked, knowledge = rng.integers(-1, 7, probes), rng.integers(-5, 140, probes)
    bounds = knowledge - int(rng.integers(0, 5))
    found = rows.ranges(asked, bounds, knowledge).in_flight()
    expected_pairs = {
        (probe, int(value))
        for probe in range(probes)
        for value, code, step, lateness in zip(np.arange(n), codes, steps, late, strict=True)
        if code == asked[probe] and step < bounds[probe] and step + lateness >= knowledge[probe]
    }
    assert set(zip(found.probes.tolist(), columns[5][found.rows].tolist(), strict=True)) == expected_pairs
    left = bounds - 10
    sums = found.sums("value", SumFold(), bounds, left)
    for probe in range(probes):
        inside = [value for each, value in expected_pairs if each == probe and steps[value] >= left[probe]]
        assert sums[probe] == sum(inside)


def test_a_history_that_was_loaded_in_bulk_is_noted_until_its_source_says_so(tmp_path) -> None:
    layout, loaded = create_or_open(tmp_path / "store"), at(2024, 1, 20)
    history = [version(i, at(2021 + i // 12, 1 + i % 12), loaded) for i in range(24)]
    deliver(layout, [*history, version(90, at(2024, 2, 1), at(2024, 2, 1)), version(91, at(2024, 2, 1), at(2024, 8, 1))])
    report = materialize(layout, [small_view()])
    assert "92% of the events of source 'late_events'" in str(report)
    assert "initial_load_until='2024-01-21'" in str(report)
    told = EventSource(
        "late_events",
        schema=dict(LATE_SOURCE.schema),
        event_time="event_time",
        event_id="event_id",
        ingested_at="ingested_at",
        initial_load_until="2024-01-21",
    )
    assert materialize(layout, [small_view(told)]).notes == ()
    before, behind = (known(layout, small_view(source), (1, at(2023, 6, 1)))[0] for source in (LATE_SOURCE, told))
    assert (before["activity__n_lifetime"], behind["activity__n_lifetime"]) == (0, 24)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"initial_load_until": "soon", "ingested_at": "ingested_at"}, "write a date or time"),
        ({"initial_load_until": "2024-01-01"}, "no ingested_at"),
    ],
)
def test_the_end_of_the_initial_load_is_checked(given: dict, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        EventSource("s", schema=dict(LATE_SOURCE.schema), event_time="event_time", event_id="event_id", **given)


def test_the_end_of_the_initial_load_lies_in_the_zone_of_the_source() -> None:
    options = {"event_time": "event_time", "event_id": "event_id", "ingested_at": "ingested_at"}
    source = EventSource(
        "s", schema=dict(LATE_SOURCE.schema), timezone="Asia/Shanghai", initial_load_until="2024-01-02", **options
    )
    assert source.initial_load_until == "2024-01-01T16:00:00+00:00"
    assert source_from(document(source)) == source


@pytest.mark.parametrize("seed", [3, 4])
def test_a_batch_as_known_is_the_training_set_of_all_entities_at_its_as_of(tmp_path, seed: int) -> None:
    versions = random_versions(seed)
    layout = fill(tmp_path, late_view(USER, "1d"), versions, "Asia/Shanghai")
    registry = Registry().merged([late_view(USER, "1d")])
    moments = sorted(version["ingested_at"] for version in versions)
    differing = 0
    for as_of in (moments[len(moments) // 3], moments[-20]):
        batches = [
            batch_features(
                historical_query(layout, registry, ["activity"], parameters=lambda name: [], as_known=as_known),
                as_of_us=to_us(as_of),
            )
            for as_known in (True, False)
        ]
        spine = batches[0].select(["user_id", "as_of"]).append_column("category", pa.nulls(batches[0].num_rows, pa.string()))
        training = ask(layout, late_view(USER, "1d"), spine, as_known=True)
        assert training.drop_columns("category").equals(batches[0])
        assert_as_known(layout, late_view(USER, "1d"), versions, spine.to_pylist())
        differing += not batches[0].equals(batches[1])
    assert differing == 2
