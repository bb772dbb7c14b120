"""Documents and fingerprints: definitions survive JSON, and only what changes the totals makes them anew."""

from __future__ import annotations

import json

import pytest

from featurestore.spec import (
    Calibration,
    Count,
    Derived,
    Entity,
    FeatureService,
    Last,
    Mean,
    Profile,
    Recency,
    SeasonWindow,
    Sum,
)
from featurestore.spec.document import digest, document, fingerprint, ledger_fingerprint, view_from
from featurestore.spec.registry import Registry
from featurestore.timeline import Offset
from tests.spec.definitions import BUY, SCHEMA, USER, source, view, with_basket

PRIOR = Calibration(
    "prior", fit="beta_binomial", inputs=["activity:buys_30d"], by="activity:spend_30d", consumers=["demand_v1"]
)
DEMAND = FeatureService("demand_v1", features=["activity:buys_30d", "profile"], owner="planning", description="It's theirs")
EVERYTHING = [
    with_basket(
        delay="45d",
        event_time="ordered_at",
        tags={"team": "x"},
        owner="me",
        join_keys={"user_id": "sku_id"},
        segments=["user_id"],
    ),
    view("profile", Profile("hours"), Recency("since"), Last("category", "category"), Mean("load", "weight"), grain="1h"),
    DEMAND,
    PRIOR,
]


def test_a_registry_survives_its_json_form() -> None:
    registry = Registry().merged(EVERYTHING)
    text = json.dumps(registry.document())
    again = Registry.from_document(json.loads(text))
    assert again == registry
    assert again.document() == registry.document()


@pytest.mark.parametrize(
    "changed",
    [
        with_basket(),
        view(delay="45d"),
        view("activity", Count("buys", where=BUY, windows=("30d", "lifetime", "10y")), Sum("spend", "amount_cents")),
        view(
            "activity",
            Count("buys", where=BUY, windows=("ytd", Offset("30d", by="1y"), SeasonWindow("618", years=2))),
            Sum("spend", "amount_cents"),
        ),
        view("activity", Sum("paid", "amount_cents"), Count("orders", where=BUY), Count("purchases", where=BUY)),
        view("activity", Count("buys", where="event_type  =  'buy' -- only these"), Sum("spend", "amount_cents")),
        view(owner="me", description="It is mine.", tags={"a": "b"}, segments=("user_id",)),
        view(entity=Entity("user", key="user_id", description="Somebody")),
        view(entity=Entity("user", key="buyer"), join_keys={"buyer": "user_id"}),
        view(source=source(values={"event_type": ["buy"]}, landing="elsewhere", timezone="Asia/Shanghai")),
    ],
    ids=[
        "derived",
        "delay",
        "windows",
        "windows of other shapes",
        "names and order",
        "spelling",
        "labels",
        "description",
        "renamed key",
        "ingest options",
    ],
)
def test_what_is_read_from_the_same_totals_rebuilds_nothing(changed) -> None:
    assert ledger_fingerprint(changed) == ledger_fingerprint(view())


@pytest.mark.parametrize(
    "changed",
    [
        view("activity", Count("buys", where="event_type = 'view'", windows=("30d",)), Sum("spend", "amount_cents")),
        view("activity", Count("buys", where=BUY), Sum("spend", "sku_id")),
        view("activity", Count("buys", where=BUY), Sum("spend", "amount_cents"), Count("events")),
        view(grain="1h"),
        view(event_time="ordered_at"),
        view(entity=Entity("customer", key="user_id")),
        view(join_keys={"user_id": "sku_id"}),
        view(source=source(schema={**SCHEMA, "amount_cents": "int32"})),
    ],
    ids=["where", "column", "aggregation", "grain", "event time", "entity", "key column", "type"],
)
def test_what_changes_the_totals_is_computed_anew(changed) -> None:
    assert ledger_fingerprint(changed) != ledger_fingerprint(view())


def test_a_fingerprint_changes_with_the_meaning_and_not_with_labels() -> None:
    assert fingerprint(view()) == fingerprint(view(owner="me", description="x", tags={"a": "b"}, segments=("user_id",)))
    assert fingerprint(view()) != fingerprint(with_basket())
    assert fingerprint(view()) != fingerprint(view(source=source(event_time="ordered_at")))
    assert fingerprint(USER) == fingerprint(Entity("user", key="user_id", description="Somebody"))


def test_a_digest_does_not_depend_on_the_order_of_keys_but_on_that_of_values() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert len(digest("中文")) == 16


def test_a_view_is_read_back_with_the_parents_it_is_given() -> None:
    item = with_basket()
    assert view_from(document(item), item.entity, item.source) == item
    assert item.derived == (Derived("basket", "spend_30d / nullif(buys_30d, 0)"),)
