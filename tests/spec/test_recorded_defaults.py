"""What a store recorded stays when defaults change: its views keep their totals, also when the same definitions are given again."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.compute.forms import view_measures
from featurestore.errors import DefinitionError
from featurestore.spec import Entity, FeatureView
from featurestore.spec.document import digest, document, fingerprint, ledger_fingerprint, view_from
from tests.compute.windows.test_aggregates import START, of_one_user, schema

SPINE = pa.table({"user_id": [1, 1], "as_of": [START, START.replace(year=2030)]})


def make_source(**columns: str) -> fs.EventSource:
    return fs.EventSource("events", schema=schema("double") | columns, event_time="event_time", event_id="event_id")


def defined(**older: object) -> list[fs.Sum]:
    bits = {name: value for name, value in older.items() if name == "resolution_bits"}
    return [
        fs.Sum("s", "x", windows=("30d",), **bits),
        fs.Mean("m", "x", where="x > 1", **bits),
        fs.Std("d", "x", **bits),
        fs.Trend("t", "x", **bits),
        fs.Sum("c", "cents", **bits),
        fs.Sum("coarse", "x", resolution_bits=20),
        fs.Decayed("h", "x", windows=("30d",), **older),
        fs.Decayed("n", **older),
    ]


def make_view(*aggregations, source: fs.EventSource | None = None) -> FeatureView:
    return FeatureView("v", entity=Entity("user", key="user_id"), source=source or make_source(), aggregations=aggregations)


OLDER = make_view(*defined(resolution_bits=40, relative_to="history"), source=make_source(cents="int64"))


def test_a_record_of_an_older_release_means_what_it_meant() -> None:
    aggregations = document(OLDER)["aggregations"]
    assert not any({"relative_to", "resolution_bits"} & set(each) for each in aggregations if each["name"] != "coarse")
    assert view_from(document(OLDER), OLDER.entity, OLDER.source) == OLDER
    # As release 0.1.0 makes them: fingerprints, and names, SQL and folds of all columns.
    assert (ledger_fingerprint(OLDER), fingerprint(OLDER)) == ("3b0fbfe430fa7ceb", "61e94b630c0ad355")
    measures = [[each.name, each.sql, str(each.fold), each.prepared, each.exponent] for each in view_measures(OLDER, "UTC")]
    assert digest(measures) == "d850d0c4dddab383"


def test_a_new_definition_says_its_defaults_in_the_record() -> None:
    new = document(make_view(fs.Sum("s", "x"), fs.Decayed("h", "x")))["aggregations"]
    assert new[0] == {"kind": "Sum", "name": "s", "column": "x", "resolution_bits": 64}
    assert (new[1]["resolution_bits"], new[1]["relative_to"]) == (64, "window")
    assert json.loads(json.dumps(new)) == new


def older_store(root: Path) -> fs.FeatureStore:
    store = fs.FeatureStore(root, timezone="UTC")
    store.apply([make_view(*older_aggregations())])
    store.ingest("events", of_one_user(pa.float64(), [0.1, 0.2, 7.0], hours=30))
    store.materialize()
    return store


def older_aggregations() -> list:
    return [
        fs.Sum("s", "x", windows=("30d",), resolution_bits=40),
        fs.Decayed("h", "x", resolution_bits=40, relative_to="history"),
    ]


def test_the_same_definitions_given_again_rebuild_nothing_and_answer_the_same(tmp_path: Path) -> None:
    store = older_store(tmp_path)
    before = store.get_historical_features(SPINE, ["v"])
    files = sorted(tmp_path.rglob("*.parquet"))
    given = make_view(fs.Sum("s", "x", windows=("30d",)), fs.Decayed("h", "x"))
    assert store.plan([given]).changes == ()
    assert store.plan([given], prune=True).changes == ()
    assert store.apply([given]).changes == ()
    assert store.get_historical_features(SPINE, [given]).equals(before)
    assert store.get_historical_features(SPINE, ["v"], versions=before).equals(before)
    store.materialize()
    assert sorted(tmp_path.rglob("*.parquet")) == files
    renamed = make_view(fs.Sum("total", "x", windows=("7d", "30d")), fs.Decayed("h", "x"))
    assert [change.rebuilds for change in store.plan([renamed]).changes] == [False]


def test_who_asks_for_todays_default_gets_it_and_the_plan_says_that_it_rebuilds(tmp_path: Path) -> None:
    store = older_store(tmp_path)
    asked = make_view(fs.Sum("s", "x", windows=("30d",), resolution_bits=64), fs.Decayed("h", "x"))
    with pytest.raises(DefinitionError, match="resolution_bits"):
        store.get_historical_features(SPINE, [asked])
    assert [change.rebuilds for change in store.apply([asked]).changes] == [True]
    store.materialize()
    late = pa.table({"user_id": [1], "as_of": [START.replace(month=1, day=2)]})
    assert store.get_historical_features(late, ["v"])["v__s_30d"].to_pylist() == [0.1]
