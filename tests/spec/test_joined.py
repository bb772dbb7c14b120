"""Joined views: what they may read, what they refuse, and how the registry keeps them with their views."""

from __future__ import annotations

import json

import pytest

from featurestore.errors import DefinitionError, ExpressionError, UnknownNameError
from featurestore.spec import Calibration, Count, Derived, Entity, FeatureService, FeatureView, JoinedView, Last, Registry, Sum
from featurestore.spec.document import fingerprint
from tests.spec.definitions import source

SKU, CATEGORY = Entity("sku", key="sku_id"), Entity("category", key="category")
SHARE = Derived("share_30d", "sku_demand__sold_30d / nullif(category_demand__sold_30d, 0)")


def demand(entity: Entity, *, windows: tuple[str, ...] = ("30d",), **changes) -> FeatureView:
    aggregations = [Sum("sold", "amount_cents", windows=windows), Count("buys", windows=windows), Last("category", "category")]
    arguments = {"entity": entity, "source": source(), "aggregations": aggregations, **changes}
    return FeatureView(f"{entity.name}_demand", **arguments)


def joined(name: str = "sku_share", **changes) -> JoinedView:
    arguments = {
        "views": [demand(SKU), demand(CATEGORY)],
        "keys": {"category": "sku_demand:category"},
        "derived": [SHARE, Derived("is_leader", "share_30d > 0.5")],
    }
    return JoinedView(name, **{**arguments, **changes})


def test_a_joined_view_has_the_features_that_it_derives_and_the_entity_of_its_first_view() -> None:
    assert [(feature.column, feature.type) for feature in joined().features] == [
        ("sku_share__share_30d", "double"),
        ("sku_share__is_leader", "bool"),
    ]
    assert joined().entity == SKU
    assert joined().spine_keys == ("sku_id",)
    assert joined(keys={}).spine_keys == ("sku_id", "category")


def test_it_reads_no_more_than_its_expressions_and_keys_need() -> None:
    own, read = joined().needed([joined().feature("is_leader")])
    assert [feature.name for feature in own] == ["share_30d", "is_leader"]
    assert {view: [feature.name for feature in features] for view, features in read.items()} == {
        "sku_demand": ["sold_30d", "category"],
        "category_demand": ["sold_30d"],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": [demand(SKU)]}, "at least two views"),
        ({"views": [demand(SKU), demand(SKU)]}, "lists a view twice"),
        ({"views": ["sku_demand", "category_demand"]}, "list of FeatureView"),
        (
            {"views": [demand(SKU), JoinedView("x", views=[demand(SKU), demand(CATEGORY)], derived=[SHARE])]},
            "list of FeatureView",
        ),
        ({"name": "sku_demand"}, "named like one of its views"),
        ({"derived": []}, "give derived="),
        ({"derived": [SHARE, SHARE]}, "two features named 'share_30d'"),
        ({"derived": [Derived("x", "sku_demand__sold_60d")]}, "sku_demand__sold_30d"),
        ({"derived": [Derived("x", "sold_30d")]}, "sold_30d"),
        ({"derived": [Derived("x", "sku_demand__category + 1")]}, "string"),
        ({"keys": {"categori": "sku_demand:category"}}, "Did you mean 'category'"),
        ({"keys": {"sku_id": "category_demand:category"}}, "no key of a parent"),
        ({"keys": {"category": "sku_demand"}}, "give a 'view:feature'"),
        ({"keys": {"category": "other:category"}}, "give a 'view:feature'"),
        ({"keys": {"category": "sku_demand:kategory"}}, "Did you mean 'category'"),
        ({"keys": {"category": "sku_demand:buys_30d"}}, "is int64, but the key 'category'"),
        ({"keys": {"category": "category_demand:category"}}, "not known before it"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict, message: str) -> None:
    with pytest.raises((DefinitionError, ExpressionError), match=message):
        joined(**changes)


def test_a_parents_key_may_come_through_another_parent_but_not_from_a_later_one() -> None:
    region = demand(Entity("region", key="user_id"))
    chain = {"category": "sku_demand:category", "user_id": "category_demand:buys_30d"}
    derived = [SHARE, Derived("rest", "region_demand__sold_30d")]
    found = joined(views=[demand(SKU), demand(CATEGORY), region], keys=chain, derived=derived)
    _, read = found.needed([found.feature("rest")])
    assert {view: [feature.name for feature in features] for view, features in read.items()} == {
        "sku_demand": ["category"],
        "category_demand": ["buys_30d"],
        "region_demand": ["sold_30d"],
    }
    with pytest.raises(DefinitionError, match="List 'category_demand' before 'region_demand'"):
        joined(views=[demand(SKU), region, demand(CATEGORY)], keys=chain, derived=derived)


def test_the_registry_brings_its_views_along_and_survives_json() -> None:
    registry = Registry().merged([joined(), FeatureService("demand_v1", features=[joined(), "sku_demand:buys_30d"])])
    assert list(registry.views) == ["sku_demand", "category_demand"]
    assert [feature.column for feature in registry.resolve("demand_v1")] == [
        "sku_share__share_30d",
        "sku_share__is_leader",
        "sku_demand__buys_30d",
    ]
    assert [feature.column for feature in registry.resolve(["sku_share:is_leader"])] == ["sku_share__is_leader"]
    assert [view.name for view in registry.views_of(registry.resolve("sku_share"))] == ["sku_demand", "category_demand"]
    assert Registry.from_document(json.loads(json.dumps(registry.document()))) == registry


def test_a_plan_names_a_joined_view_and_rebuilds_nothing_for_it() -> None:
    before = Registry().merged([joined()])
    plan = Registry().plan(before)
    assert "add joined view sku_share" in str(plan).splitlines()
    assert plan.rebuilt_views == ("category_demand", "sku_demand")
    after = before.merged([joined(derived=[SHARE])])
    assert str(before.plan(after)) == "change joined view sku_share"
    longer = before.merged([demand(SKU, windows=("30d", "90d"))])
    assert longer.joined_views["sku_share"].views[0] == longer.views["sku_demand"]
    assert "change joined view sku_share" in str(before.plan(longer))
    assert fingerprint(longer.joined_views["sku_share"]) != fingerprint(before.joined_views["sku_share"])


def test_what_others_read_can_neither_be_removed_nor_lose_its_features() -> None:
    registry = Registry().merged([joined(), FeatureService("demand_v1", features=["sku_share"])])
    with pytest.raises(DefinitionError, match="read by the joined view sku_share"):
        registry.without("category_demand")
    with pytest.raises(DefinitionError, match="demand_v1"):
        registry.without("sku_share")
    with pytest.raises(ExpressionError, match="sku_demand__sold_30d"):
        registry.merged([demand(SKU, windows=("90d",))])
    assert registry.without("demand_v1").without("sku_share").without("sku_demand").views.keys() == {"category_demand"}


def test_a_name_is_a_feature_views_or_a_joined_views() -> None:
    other = demand(Entity("sku", key="sku_id"))
    clash = FeatureView("sku_share", entity=other.entity, source=other.source, aggregations=other.aggregations)
    with pytest.raises(DefinitionError, match="both a feature view and a joined view"):
        Registry().merged([joined(), clash])


def test_an_unknown_joined_feature_is_refused_with_the_nearest_one() -> None:
    registry = Registry().merged([joined()])
    with pytest.raises(UnknownNameError, match="Did you mean 'share_30d'"):
        registry.resolve(["sku_share:shar_30d"])
    with pytest.raises(UnknownNameError, match="Did you mean 'sku_share'"):
        registry.resolve("sku_shar")


def test_a_calibration_may_be_read_but_not_be_fitted_on_joined_features() -> None:
    derived = [Derived("prior", "calibrated('prior.a', by = sku_demand__category) + category_demand__buys_30d")]
    prior = Calibration("prior", fit="beta_binomial", inputs=["sku_demand:buys_30d", "sku_demand:sold_30d"])
    with pytest.raises(DefinitionError, match="sku_share:prior reads the calibration 'prior'"):
        Registry().merged([joined(derived=derived)])
    registry = Registry().merged([joined(derived=derived), prior])
    assert [feature.column for feature in registry.calibrated_features("prior")] == ["sku_share__prior"]
    wrong = Calibration("prior", fit="beta_binomial", inputs=["sku_share:prior", "sku_demand:sold_30d"])
    with pytest.raises(DefinitionError, match="fitted on features of the joined view 'sku_share'"):
        Registry().merged([joined(derived=derived), wrong])
