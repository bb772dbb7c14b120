"""Joined features equal the features of their views, put together by hand, in training sets and batches alike."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.retrieval.batch import batch_features
from featurestore.compute.retrieval.historical import historical_query, stream_features
from featurestore.compute.windows.derive import ParameterVersion
from featurestore.compute.windows.versions import ReadVersions
from featurestore.errors import NotMaterializedError, SpineError, VersionError
from featurestore.lake.layout import Layout, create_or_open
from featurestore.spec import Calibration, Count, Derived, Entity, FeatureView, JoinedView, Last, Registry, Sum
from featurestore.timeline import to_us
from tests.compute.world import (
    SOURCE,
    at,
    commit_events,
    event,
    historical_features,
    random_events,
    random_spine,
    spine_table,
)

ZONE = "Asia/Shanghai"
USERS = FeatureView(
    "users",
    entity=Entity("user", key="user_id"),
    source=SOURCE,
    aggregations=[
        Sum("spend", "amount_cents", windows=("90d", "lifetime")),
        Last("category", "category"),
        Count("n", windows=("30d",)),
    ],
    derived=[Derived("mean", "spend_lifetime / nullif(n_30d, 0)")],
)
CATEGORIES = FeatureView(
    "categories",
    entity=Entity("category", key="category"),
    source=SOURCE,
    grain="1h",
    aggregations=[Sum("spend", "amount_cents", windows=("90d", "lifetime"))],
)
PRIOR = Calibration("prior", fit="beta_binomial", inputs=["users:n_30d", "users:spend_90d"])
SHARES = JoinedView(
    "shares",
    views=[USERS, CATEGORIES],
    keys={"category": "users:category"},
    derived=[
        Derived("share_90d", "users__spend_90d / nullif(categories__spend_90d, 0)"),
        Derived("more", "share_90d * 2 + users__mean"),
        Derived("known", "coalesce(categories__spend_lifetime, -1)"),
    ],
)
SPINE_SHARES = JoinedView(
    "spine_shares",
    views=[USERS, CATEGORIES],
    derived=[
        Derived("share_90d", "users__spend_90d / nullif(categories__spend_90d, 0)"),
        Derived("prior", "calibrated('prior.a', by = users__category)"),
    ],
)
REGISTRY = Registry().merged([USERS, CATEGORIES, SHARES, SPINE_SHARES, PRIOR])
EVENTS = random_events(seed=5, rows=500)


def no_parameters(name: str) -> list[ParameterVersion]:
    return []


def ask(layout: Layout, spine: pa.Table, features, **options) -> pa.Table:
    return historical_features(layout, REGISTRY, spine, features, **{"parameters": no_parameters, **options})


@pytest.fixture(scope="module")
def layout(tmp_path_factory) -> Layout:
    found = create_or_open(tmp_path_factory.mktemp("joined") / "store", timezone=ZONE)
    commit_events(found, EVENTS)
    materialize(found, [USERS, CATEGORIES])
    return found


def quotient(child: int | None, parent: int | None) -> float | None:
    return None if child is None or not parent else child / parent


def test_joined_features_equal_those_of_the_views_put_together_by_hand(layout) -> None:
    spine = spine_table(random_spine(3, EVENTS, rows=200))
    got = ask(layout, spine, [SHARES, "users"])
    assert got.column_names == [
        *spine.column_names,
        *(feature.column for feature in SHARES.features),
        *(feature.column for feature in USERS.features),
    ]
    keyed = spine.set_column(1, "category", got["users__category"])
    parents = ask(layout, keyed, ["categories"]).to_pylist()
    shares = 0
    for row, parent in zip(got.to_pylist(), parents, strict=True):
        share = quotient(row["users__spend_90d"], parent["categories__spend_90d"])
        assert row["shares__share_90d"] == share
        assert row["shares__more"] == (None if share is None or row["users__mean"] is None else share * 2 + row["users__mean"])
        # A user without a category has a NULL key, so NULL and not 0: coalesce sees it.
        assert row["shares__known"] == (-1 if row["users__category"] is None else parent["categories__spend_lifetime"])
        shares += share is not None
    assert shares > 50


def test_without_declared_keys_the_parents_key_is_the_spines(layout) -> None:
    spine = spine_table(random_spine(4, EVENTS))
    got = ask(layout, spine, ["spine_shares:share_90d", "users:spend_90d", "categories:spend_90d"])
    for row in got.to_pylist():
        assert row["spine_shares__share_90d"] == quotient(row["users__spend_90d"], row["categories__spend_90d"])
    renamed = spine.rename_columns(["user_id", "kind", "as_of"])
    again = ask(layout, renamed, ["spine_shares:share_90d"], join_keys={"category": "kind"})
    assert again["spine_shares__share_90d"].equals(got["spine_shares__share_90d"])
    with pytest.raises(SpineError, match="no column 'category'"):
        ask(layout, spine.drop_columns("category"), ["spine_shares"])
    with pytest.raises(SpineError, match="no key of these features"):
        ask(layout, renamed, ["shares"], join_keys={"category": "kind"})


def test_a_key_that_a_feature_gives_needs_no_column_and_ignores_one(layout) -> None:
    spine = spine_table(random_spine(6, EVENTS))
    with_column = ask(layout, spine, ["shares"])
    without = ask(layout, spine.drop_columns("category"), ["shares"])
    assert without.drop_columns(["user_id", "as_of"]).equals(with_column.drop_columns(spine.column_names))


def test_batches_streams_and_training_sets_agree(layout) -> None:
    as_of = at(2021, 3, 1, 5)
    query = historical_query(layout, REGISTRY, ["shares", "users:n_30d"], parameters=no_parameters)
    batch = batch_features(query, as_of_us=to_us(as_of))
    assert batch.num_rows == 12
    assert batch["shares__share_90d"].null_count < 6
    spine = batch.select(["user_id", "as_of"])
    training = ask(layout, spine, ["shares", "users:n_30d"])
    assert training.equals(batch)
    query = historical_query(layout, REGISTRY, ["shares", "users:n_30d"], parameters=no_parameters)
    assert stream_features(query, spine, batch_rows=5).read_all().equals(training.replace_schema_metadata(None))


def test_a_batch_of_joined_features_knows_who_was_active(layout) -> None:
    since = at(2021, 2, 1)
    query = historical_query(layout, REGISTRY, ["shares"], parameters=no_parameters)
    batch = batch_features(query, as_of_us=to_us(at(2021, 3, 1)), active_since_us=to_us(since))
    edge = since + timedelta(hours=8)
    first = edge.replace(hour=0) - timedelta(hours=8)
    active = {each["user_id"] for each in EVENTS if first <= each["event_time"] < at(2021, 2, 28, 16)}
    assert set(batch["user_id"].to_pylist()) == active - {None}


def test_calibrated_parameters_are_read_and_recorded(layout) -> None:
    version = ParameterVersion("v1", -(2**62), 2**62, {"a": {"FRESH": 1.5, "*": 2.5}})
    spine = spine_table(random_spine(7, EVENTS))
    got = ask(layout, spine, ["spine_shares:prior", "users:category"], parameters=lambda name: [version])
    for row in got.to_pylist():
        assert row["spine_shares__prior"] == (1.5 if row["users__category"] == "FRESH" else 2.5)
    assert ReadVersions.parse(got).calibrations == {"prior": ("v1",)}


def test_an_answer_records_what_was_read_of_every_view_and_can_be_pinned_to_it(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store", timezone=ZONE)
    commit_events(layout, [event(1, at(2021, 1, 1)), event(2, at(2021, 1, 2), 2)])
    materialize(layout, [USERS, CATEGORIES])
    spine = spine_table([{"user_id": 1, "category": None, "as_of": at(2021, 2, 1)}])
    first = ask(layout, spine, ["shares"])
    assert first["shares__share_90d"].to_pylist() == [0.5]
    versions = ReadVersions.parse(first)
    assert set(versions.views) == {"users", "categories"}
    commit_events(layout, [event(3, at(2021, 1, 3), 3), event(4, at(2021, 1, 3), 3)])
    materialize(layout, [USERS])
    with pytest.raises(NotMaterializedError, match="categories"):
        ask(layout, spine, ["shares"])
    materialize(layout, [CATEGORIES])
    assert ask(layout, spine, ["shares"])["shares__share_90d"].to_pylist() == [0.25]
    assert ask(layout, spine, ["shares"], versions=versions).equals(first)
    with pytest.raises(VersionError, match="features asked for"):
        ask(layout, spine, ["spine_shares"], versions=versions)
