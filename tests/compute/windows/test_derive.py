"""Derived features: computed from others when they are read, with the parameters that a row may know."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.windows.derive import ParameterVersion
from featurestore.errors import ExpressionError, OverflowingResultError
from featurestore.lake.layout import Layout, create_or_open
from featurestore.spec import Calibration, Count, Derived, Entity, FeatureView, Last, Profile, Registry, Sum
from featurestore.timeline import to_us
from tests.compute.world import SOURCE, ask, at, commit_events, event, historical_features, spine_table

AGGREGATIONS = [
    Count("n"),
    Count("buys", where="event_type = 'buy'"),
    Sum("spend", "amount_cents"),
    Last("category", "category"),
    Profile("days", by="day_of_week"),
    Profile("buying_days", by="day_of_week", where="event_type = 'buy'"),
]
FOREVER = 2**62


def view(*expressions: str) -> FeatureView:
    derived = [Derived(f"d{i}", expression) for i, expression in enumerate(expressions)]
    return FeatureView(
        "activity", entity=Entity("user", key="user_id"), source=SOURCE, aggregations=AGGREGATIONS, derived=derived
    )


@pytest.fixture(scope="module")
def layout(tmp_path_factory) -> Layout:
    """User 1: a buy of 100 cents of FRESH on Monday 1 January 2024, a view on Tuesday; user 2: a huge buy of TOYS."""
    found = create_or_open(tmp_path_factory.mktemp("derive") / "store")
    commit_events(
        found,
        [
            event(1, at(2024)),
            event(2, at(2024, 1, 2), event_type="view", amount_cents=None, category=None),
            event(3, at(2024), 2, amount_cents=2**62, category="TOYS"),
        ],
    )
    materialize(found, [view()])
    return found


def values(layout: Layout, *expressions: str, name: str | None = None) -> list:
    """The last expression's value for users 1, 2 and one without events."""
    item = view(*expressions)
    spine = [{"user_id": user, "category": None, "as_of": at(2024, 2)} for user in (1, 2, 3)]
    last = name or f"d{len(expressions) - 1}"
    return ask(layout, item, spine, [f"activity:{last}"])[f"activity__{last}"].to_pylist()


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        (["spend / nullif(buys, 0)"], [100.0, float(2**62), None]),
        (["spend / buys"], [100.0, float(2**62), None]),
        (["n // 0"], [None, None, None]),
        (["ln(n - 1)"], [0.0, None, None]),
        (["power(10, 300 * n)"], [None, 1e300, 1.0]),
        (["buys / n", "1 - d0", "d1 * 2"], [1.0, 0.0, None]),
        (["coalesce(category, 'NONE')"], ["FRESH", "TOYS", "NONE"]),
        (["category = 'TOYS' or n > 1"], [True, True, None]),
        (["profile_sum(days)"], [2.0, 1.0, 0.0]),
        (["last_bucket_at_least(buying_days, days, 0.5)"], [0.0, 0.0, None]),
        (["n * 0.1 * 0.1 * 0.123456789012345 * 0.123456789012345 * 0.123456789012345 > 0"], [True, True, False]),
        (["n"], [2.0, 1.0, 0.0]),
    ],
    ids=str,
)
def test_a_derived_feature_is_its_expression_and_null_where_there_is_no_number(layout, expressions, expected) -> None:
    assert values(layout, *expressions) == expected


def test_only_what_is_asked_for_is_returned_and_what_it_needs_is_computed(layout) -> None:
    item = view("spend / buys", "d0 + 1", "d1 + 1")
    answer = ask(layout, item, [{"user_id": 1, "category": None, "as_of": at(2024, 2)}], ["activity:d1"])
    assert answer.column_names == ["user_id", "category", "as_of", "activity__d1"]


def test_an_exact_integer_beyond_64_bits_is_refused_with_the_feature_and_a_way_out(layout) -> None:
    with pytest.raises(OverflowingResultError, match=r"'activity__d0' \(spend \* 4\) cannot be computed.*Guard it"):
        values(layout, "spend * 4")


def test_a_text_that_is_no_number_is_null_only_with_try_cast(layout) -> None:
    assert values(layout, "try_cast(category as bigint)") == [None, None, None]
    with pytest.raises(ExpressionError, match=r"'activity__d0' \(cast.*TRY_CAST"):
        values(layout, "cast(category as bigint)")


VERSIONS = [
    ParameterVersion("v1", to_us(at(2024, 2)), to_us(at(2024, 3)), {"a": {"FRESH": 1.0, "*": 9.0}, "b": {"*": 0.5}}),
    ParameterVersion("v2", to_us(at(2024, 3)), FOREVER, {"a": {"FRESH": 2.0}}),
]


def test_a_row_reads_the_version_that_its_floor_may_know_by_its_group(layout) -> None:
    item = view("calibrated('prior.a', by = category)", "calibrated('prior.b')", "d0 * 10 + n")
    moments = [at(2024, 1, 31), at(2024, 2), at(2024, 2, 29, 23), at(2024, 3)]
    spine = spine_table([{"user_id": user, "category": None, "as_of": moment} for user in (1, 2, 3) for moment in moments])
    options = {"as_of": "as_of", "join_keys": None}
    registry = Registry().merged([item, Calibration("prior", fit="beta_binomial", inputs=["activity:buys"])])
    unfitted = historical_features(layout, registry, spine, "activity", **options, parameters=lambda name: [])
    assert unfitted["activity__d2"].null_count == 12
    answer = historical_features(layout, registry, spine, "activity", **options, parameters=lambda name: VERSIONS)
    assert answer["activity__d0"].to_pylist() == [None, 1.0, 1.0, 2.0, None, 9.0, 9.0, None, None, 9.0, 9.0, None]
    assert answer["activity__d1"].to_pylist() == [None, 0.5, 0.5, None] * 3
    assert answer["activity__d2"].to_pylist()[:4] == [None, 12.0, 12.0, 22.0]
    assert json.loads(answer.schema.metadata[b"featurestore"])["calibrations"] == {"prior": ["v1", "v2"]}


def test_the_answer_says_which_version_of_the_ledger_it_read(layout) -> None:
    answer = ask(layout, view(), pa.table({"user_id": [1], "as_of": pa.array([at(2024)], pa.timestamp("us", "UTC"))}))
    assert json.loads(answer.schema.metadata[b"featurestore"])["views"]["activity"]["ledger"] == 0
