from __future__ import annotations

import ast
from pathlib import Path

import pytest

import featurestore.shop as shop
from featurestore.drift.reliability import feature_column
from featurestore.shop import EVENT_TYPES, JOINED_VIEWS, OBJECTS, SERVICES, VIEWS, events
from featurestore.spec import FeatureView, JoinedView, Registry
from featurestore.synth import EVENT_SCHEMA, PLANTED
from featurestore.synth import EVENT_TYPES as DRAWN_EVENT_TYPES

REGISTRY = Registry().merged(OBJECTS)


def columns() -> set[str]:
    return {feature.column for view in VIEWS for feature in view.features}


def test_the_definitions_can_be_applied_together_and_read_back() -> None:
    assert Registry.from_document(REGISTRY.document()) == REGISTRY


def test_the_generated_shop_writes_what_the_source_declares() -> None:
    assert list(events.types.items()) == list(EVENT_SCHEMA.items())
    assert DRAWN_EVENT_TYPES == EVENT_TYPES


@pytest.mark.parametrize("view", [*VIEWS, *JOINED_VIEWS], ids=lambda view: view.name)
def test_every_view_has_an_owner_and_says_what_it_is(view: FeatureView | JoinedView) -> None:
    assert view.owner
    assert view.description.endswith(".")


def test_the_views_are_about_seven_kinds_of_entities() -> None:
    assert {view.entity.keys for view in VIEWS} == {
        ("user_id",),
        ("sku_id",),
        ("category",),
        ("region_id",),
        ("warehouse_id",),
        ("user_id", "category"),
        ("sku_id", "region_id"),
    }


def test_every_planted_drift_names_features_that_exist() -> None:
    named = {feature_column(feature.partition("[")[0]) for drift in PLANTED for feature in drift.features}
    of_the_source = {f"{events.name}.{column}" for column in (*events.types, "rows")}
    assert named <= columns() | of_the_source
    assert len(named) > 15


def test_every_planted_local_drift_names_a_declared_segment() -> None:
    local = [place.rstrip("]").partition("[") for drift in PLANTED for place in drift.features if "[" in place]
    declared = {(view.name, segment) for view in VIEWS for segment in view.segments}
    assert {(column.partition("__")[0], segment.partition("=")[0]) for column, _, segment in local} == declared


def test_the_consumers_share_features_instead_of_repeating_them() -> None:
    read = {service.name: {feature.column for feature in REGISTRY.resolve(service)} for service in SERVICES}
    planners = read.pop("warehousing_v1")
    assert set.intersection(*read.values()) == {"sku_returns__return_probability"}
    assert read["recommendation_v1"] & read["demand_v1"] >= {"sku_demand__units_28d"}
    assert read["demand_v1"] & read["routing_v1"] >= {"sku_places__units_28d", "region_service__order_profile_182d"}
    assert {column.partition("__")[0] for column in planners} == {"warehouse_hours"}


def test_regions_and_warehouses_answer_by_the_hour_the_same_questions() -> None:
    names = [[feature.name for feature in view.features] for view in VIEWS if view.grain == "1h"]
    assert len(names) == 2
    assert names[0] == names[1]
    now = {name for name in names[0] if not name.endswith("_year_before")}
    assert {f"{name}_year_before" for name in now} == set(names[0]) - now


def test_the_return_prior_is_read_by_the_return_probability_alone() -> None:
    assert [feature.column for feature in REGISTRY.calibrated_features("return_prior")] == ["sku_returns__return_probability"]


def test_the_definitions_stand_on_spec_alone() -> None:
    for file in Path(shop.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("featurestore"):
                assert node.module.split(".")[1] in ("shop", "spec", "errors", "timeline", "calendar")
