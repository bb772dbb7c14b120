"""Feature views: the features they promise, and the contradictions they refuse."""

from __future__ import annotations

import pytest

from featurestore.errors import DefinitionError
from featurestore.spec import Count, Derived, Entity, FeatureView, Last, Profile, Sum
from tests.spec.definitions import USER, source, view, with_basket


def test_features_come_in_declared_order_the_derived_ones_last() -> None:
    assert [feature.column for feature in with_basket().features] == [
        "activity__buys_30d",
        "activity__buys_lifetime",
        "activity__spend_30d",
        "activity__basket",
    ]


def test_a_derived_feature_may_read_earlier_ones_and_has_the_type_of_its_expression() -> None:
    item = view(
        "v",
        Count("n"),
        Last("category", "category"),
        derived=[
            Derived("half", "n / 2"),
            Derived("quarter", "half / 2"),
            Derived("is_toy", "category = 'TOYS'"),
            Derived("label", "lower(category)"),
        ],
    )
    assert [(feature.name, feature.type) for feature in item.features[2:]] == [
        ("half", "double"),
        ("quarter", "double"),
        ("is_toy", "bool"),
        ("label", "string"),
    ]


def test_keys_are_mapped_to_other_columns_and_typed_by_the_source() -> None:
    lane = Entity("lane", key=("from_category", "buyer"))
    item = view("v", Count("n"), entity=lane, join_keys={"from_category": "category", "buyer": "user_id"})
    assert item.key_columns == (("from_category", "category"), ("buyer", "user_id"))
    assert item.key_types == ("string", "int64")


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: view("v", grain="1w"), "use one of '1d', '1h', 'event'"),
        (lambda: FeatureView("v", entity=USER, source=source(), aggregations=[]), "at least one"),
        (lambda: FeatureView("v", entity=USER, source=source(), aggregations=Count("n")), "a list of Aggregation objects"),
        (lambda: FeatureView("v", entity=USER, source=source(), aggregations=["n"]), "a list of Aggregation objects"),
        (lambda: view("v", Count("n"), derived=["2 * n"]), "a list of Derived objects"),
        (lambda: view("v", Count("n"), entity="user"), "needs an Entity and an EventSource, not 'user'"),
        (lambda: view("v", join_keys={"usr_id": "user_id"}), "Did you mean 'user_id'"),
        (lambda: view("v", entity=Entity("buyer", key="buyer_id")), "join_keys={'buyer_id': ...}"),
        (lambda: view("v", entity=Entity("gift", key="is_gift")), "keys are int64 or string"),
        (lambda: view("v", event_time="orderd_at"), "Did you mean 'ordered_at'"),
        (lambda: view("v", event_time="amount_cents"), "no timestamp column"),
        (lambda: view("v", delay="lifetime"), "cannot be 'lifetime'"),
        (lambda: view("v", delay="36h"), "not a whole number of days"),
        (lambda: view("v", Last("category", "category"), segments=("categry",)), "Did you mean 'category'"),
        (lambda: view("v", Count("n"), segments="n"), "a segment is a key column, a string"),
        (lambda: view("v", Last("paid", "ordered_at"), segments=("paid",)), "is a feature of type timestamp"),
        (lambda: view("v", Count("n"), segments=("user_id", "user_id")), "names the segment 'user_id' twice"),
        (lambda: view("v", Count("n"), segments=(3,)), "a list of str objects"),
        (lambda: view("v", Count("n", windows=("6h",))), "not a whole number of days"),
        (lambda: view("v", Count("n", windows=("30d",)), Sum("n_30d", "amount_cents")), "two features named 'n_30d'"),
        (lambda: view("v", Count("n"), derived=[Derived("n", "1")]), "two features named 'n'"),
        (lambda: view("v", Count("n"), derived=[Derived("a", "b / 2"), Derived("b", "n / 2")]), "no column 'b'"),
        (lambda: view("v", Count("n"), derived=[Derived("a", "event_type")]), "no column 'event_type'"),
        (lambda: view("v", Profile("p"), derived=[Derived("a", "p")]), "gives a profile, not a value"),
        (lambda: view("v", Count("n"), derived=[Derived("a", "null")]), "gives a null, not a value"),
        (lambda: view("v", Count("n", where="calibrated('prior.a') > n")), "belongs in a Derived"),
    ],
)
def test_a_wrong_view_says_what_is_wrong_and_what_was_meant(define, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        define()


def test_an_unknown_feature_of_a_view_names_the_nearest_one() -> None:
    with pytest.raises(DefinitionError, match="Did you mean 'buys_30d'"):
        view().feature("buys_30")


def test_segments_are_key_columns_strings_and_whole_numbers_that_an_event_said() -> None:
    item = view(
        "v",
        Last("category", "category"),
        Last("sku", "sku_id"),
        derived=[Derived("label", "lower(category)")],
        segments=("user_id", "category", "sku", "label"),
    )
    assert item.segments == ("user_id", "category", "sku", "label")
    assert view("v", Count("n"), segments="user_id").segments == ("user_id",)
