"""Aggregations: names, windows, types, and what each refuses."""

from __future__ import annotations

import pytest

from featurestore.errors import DefinitionError
from featurestore.spec import Count, Decayed, First, Last, Max, Mean, Min, Profile, Recency, SeasonWindow, Std, Sum, Trend, Var
from featurestore.spec.aggregations import aggregation_document, aggregation_from
from featurestore.timeline import Offset
from tests.spec.definitions import BUY, view

EVERY = [
    Count("buys", where=BUY, windows=("30d", "lifetime")),
    Sum("spend", "amount_cents", windows=("1y",)),
    Sum("load", "weight", resolution_bits=20),
    Mean("price", "amount_cents"),
    Var("spread", "amount_cents", windows=("30d",)),
    Std("scatter", "weight", resolution_bits=20),
    Trend("growth", "weight"),
    Min("least", "birthday"),
    Max("newest", "ordered_at", where=BUY),
    First("entry", "category"),
    Decayed("warmth", half_life="7d"),
    Decayed("heat", "weight", windows=("30d",)),
    Last("category", "category", windows=("90d",)),
    Recency("since_buy", where=BUY),
    Profile("days", by="day_of_week", windows=("30d",)),
    Count("seen", windows=("ytd", "mtd", Offset("30d", by="1y"), SeasonWindow("double11", years=3))),
]


def test_a_feature_is_named_after_its_window_and_a_lifetime_only_when_it_is_asked_for() -> None:
    assert [name for name, _ in Count("buys", windows=("30d", "lifetime")).outputs()] == ["buys_30d", "buys_lifetime"]
    assert [(name, window.hours) for name, window in Count("buys").outputs()] == [("buys", None)]


def test_every_aggregation_has_the_type_that_the_design_promises() -> None:
    features = {feature.name: feature.type for feature in view("activity", *EVERY).features}
    assert features == {
        "buys_30d": "int64",
        "buys_lifetime": "int64",
        "spend_1y": "int64",
        "load": "double",
        "price": "double",
        "spread_30d": "double",
        "scatter": "double",
        "growth": "double",
        "least": "date",
        "newest": "timestamp",
        "entry": "string",
        "warmth": "double",
        "heat_30d": "double",
        "category_90d": "string",
        "since_buy": "double",
        "days_30d": "profile",
        "seen_ytd": "int64",
        "seen_mtd": "int64",
        "seen_30d_offset_1y": "int64",
        "seen_double11_3y": "int64",
    }


@pytest.mark.parametrize("aggregation", EVERY, ids=lambda item: item.name)
def test_an_aggregation_survives_its_document(aggregation) -> None:
    document = aggregation_document(aggregation)
    assert aggregation_from(document) == aggregation
    assert "where" in document or aggregation.where is None


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: Count("buys", windows="30d"), r"write windows=\('30d',\)"),
        (lambda: Count("buys", windows=("30d", "30d")), "repeat"),
        (lambda: Count("buys", windows=("30 days",)), "not a window"),
        (lambda: Recency("since", windows=("30d",)), "takes no windows"),
        (lambda: Profile("hours", by="hours_of_day"), "Did you mean 'hour_of_day'"),
        (lambda: Sum("spend", "weight", resolution_bits=65), "from 0 to 64"),
        (lambda: Decayed("heat", "weight", resolution_bits=-1), "from 0 to 64"),
        (lambda: Decayed("heat", half_life="lifetime"), "half_life of 'heat': 'lifetime' has no length"),
        (lambda: view("v", Max("most", "category")), "expected int64 or int32 or double or timestamp or date"),
        (lambda: view("v", Trend("growth", "birthday")), "expected int64 or int32 or double"),
        (lambda: view("v", Sum("spend", "amount_cent")), "Did you mean 'amount_cents'"),
        (lambda: view("v", Sum("spend", "category")), "expected int64 or int32 or double"),
        (lambda: view("v", Mean("spend", "is_gift")), "expected int64 or int32 or double"),
        (lambda: view("v", Count("buys", where="amount_cents")), "expected a bool"),
        (lambda: view("v", Count("buys", where="event_typ = 'buy'")), "Did you mean 'event_type'"),
        (lambda: aggregation_from({"kind": "Cont", "name": "buys"}), "Did you mean 'Count'"),
    ],
)
def test_a_wrong_aggregation_says_what_is_wrong_and_what_was_meant(define, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        define()
