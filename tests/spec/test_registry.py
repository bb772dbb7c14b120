"""The registry: merging, removing and resolving definitions, and the plan that shows what would be rebuilt."""

from __future__ import annotations

import pytest

from featurestore.errors import DefinitionError, UnknownNameError
from featurestore.spec import Calibration, Count, Derived, Entity, FeatureService, JoinedView, Registry, Sum
from tests.spec.definitions import BUY, SCHEMA, USER, source, view, with_basket

SERVICE = FeatureService("demand_v1", features=["activity:spend_30d", "other"])
OTHER = view("other", Count("n"))


def registry(*more) -> Registry:
    return Registry().merged([view(), OTHER, SERVICE, *more])


def test_a_view_brings_its_entity_and_source_along() -> None:
    found = Registry().merged([view()])
    assert (list(found.entities), list(found.sources), list(found.views)) == (["user"], ["events"], ["activity"])
    assert sorted(found.names) == ["activity", "events", "user"]


def test_merging_again_changes_nothing_and_keeps_what_is_not_given() -> None:
    found = registry()
    assert found.merged([view(), SERVICE]) == found
    assert str(found.plan(found.merged([OTHER]))) == "nothing changes"


def test_a_replaced_source_reaches_the_views_that_read_it() -> None:
    wider = source(schema={**SCHEMA, "extra": "string"})
    found = registry().merged([wider])
    assert found.views["activity"].source == wider
    with pytest.raises(DefinitionError, match="aggregates 'amount_cents'"):
        registry().merged([source(schema={name: kind for name, kind in SCHEMA.items() if name != "amount_cents"})])


def test_a_plan_names_what_is_rebuilt_and_why_not_more() -> None:
    before = registry()
    changed = view(
        "activity", Count("buys", where="event_type = 'view'", windows=("30d",)), Sum("spend", "amount_cents", windows=("30d",))
    )
    plan = before.plan(before.merged([changed, view("third", Count("n"))]))
    assert plan.rebuilt_views == ("activity", "third")
    assert str(plan).splitlines() == [
        "change view activity (its ledger is rebuilt)",
        "add view third (its ledger is rebuilt)",
    ]
    assert before.plan(before.merged([with_basket(delay="7d", description="More")])).rebuilt_views == ()
    assert str(before.plan(before.merged([with_basket()]))) == "change view activity (free: its ledger stays)"


def test_an_entity_that_takes_over_a_view_makes_its_ledger_anew() -> None:
    before = Registry().merged([view()])
    after = before.merged([view(entity=Entity("customer", key="user_id"))])
    assert before.plan(after).rebuilt_views == ("activity",)


def test_two_different_definitions_of_one_name_are_refused_and_twice_the_same_is_not() -> None:
    Registry().merged([view(), view(), USER, source()])
    with pytest.raises(DefinitionError, match="Two different definitions of view 'activity'"):
        Registry().merged([view(), with_basket()])
    with pytest.raises(DefinitionError, match="Two different definitions of source 'events'"):
        Registry().merged([source(ingested_at=None), view()])


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: registry(FeatureService("s", features=["activty"])), "Did you mean 'activity'"),
        (lambda: registry(FeatureService("s", features=["activity:buys_3d"])), "Did you mean 'buys_30d'"),
        (lambda: registry(FeatureService("s", features=[])), "lists no features"),
        (lambda: registry(FeatureService("s", features="activity")), "must be a list"),
        (lambda: registry(FeatureService("s", features=["activity", "activity"])), "twice"),
        (
            lambda: registry(view("v", Count("n"), derived=[Derived("p", "calibrated('prior.a')")])),
            "'prior', which is not defined",
        ),
        (lambda: registry(Calibration("c", fit="f", inputs=["activity"])), "'view:feature' references"),
        (lambda: registry(Calibration("c", fit="f", inputs=["activity:n"])), "has no feature 'n'"),
        (lambda: registry(Calibration("c", fit="f", inputs=["other:n"], consumers=["demand_v2"])), "Did you mean 'demand_v1'"),
        (lambda: registry(view("v", Count("n"), source=source(schema={**SCHEMA, "user_id": "string"}))), "Two different"),
        (lambda: Registry().merged(view()), r"Give a list of definitions, such as \[activity\]"),
        (lambda: Registry().merged(["activity"]), "is not a definition"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(define, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        define()


def test_views_of_one_entity_must_agree_on_the_types_of_its_keys() -> None:
    with pytest.raises(DefinitionError, match="they must agree"):
        Registry().merged([view("a", Count("n")), view("b", Count("n"), join_keys={"user_id": "category"})])


def test_what_others_use_cannot_be_removed() -> None:
    found = registry()
    for name, user in (("user", "activity"), ("events", "activity"), ("activity", "demand_v1")):
        with pytest.raises(DefinitionError, match=user):
            found.without(name)
    with pytest.raises(UnknownNameError, match="Did you mean 'activity'"):
        found.without("activty")
    left = found.without("demand_v1").without("activity").without("other").without("user").without("events")
    assert left == Registry()


def test_a_calibration_keeps_the_views_and_services_that_it_reads() -> None:
    found = registry(Calibration("prior", fit="beta_binomial", inputs=["other:n"], consumers=["demand_v1"]))
    for name, user in (("other", "demand_v1"), ("demand_v1", "prior")):
        with pytest.raises(DefinitionError, match=user):
            found.without(name)
    assert "prior" not in found.without("prior").names


def test_all_that_read_an_object_are_named_when_it_cannot_be_removed() -> None:
    joined = JoinedView("both", views=[OTHER, view()], derived=[Derived("x", "other__n + activity__spend_30d")])
    reader = view("v", Count("n"), derived=[Derived("p", "n + calibrated('prior.a')")])
    prior = Calibration("prior", fit="beta_binomial", inputs=["other:n"], consumers=["demand_v1"])
    found = registry(joined, reader, prior, FeatureService("demand_v2", features=["activity:spend_30d", "both"]))
    for name, message in {
        "activity": "view 'activity' is read by the joined view both, the service demand_v1, the service demand_v2; remove",
        "other": "view 'other' is read by the joined view both, the service demand_v1, the calibration prior; remove",
        "both": "joined view 'both' is read by the service demand_v2; remove",
        "prior": "calibration 'prior' is read by the view v; remove",
        "demand_v1": "service 'demand_v1' is read by the calibration prior; remove",
    }.items():
        with pytest.raises(DefinitionError, match=f"The {message} those first"):
            found.without(name)


def test_only_what_is_given_is_left_with_what_it_brings_along() -> None:
    found = registry(Calibration("prior", fit="beta_binomial", inputs=["other:n"], consumers=["demand_v1"]))
    left = found.only([view()])
    assert left.names == ["user", "events", "activity"]
    assert {(change.action, change.kind, change.name) for change in found.plan(left).changes} == {
        ("remove", "calibration", "prior"),
        ("remove", "service", "demand_v1"),
        ("remove", "view", "other"),
    }
    assert found.only(iter([view(), OTHER, SERVICE])).names == ["user", "events", "activity", "other", "demand_v1"]
    assert found.only([]) == Registry()


def test_what_is_given_keeps_what_it_reads_of_what_is_recorded() -> None:
    with pytest.raises(
        DefinitionError, match=r"reads it: the view other, read by the service demand_v1\. Give it too, or take"
    ):
        registry().only([view(), SERVICE])
    with pytest.raises(DefinitionError, match=r"service 's': There is no .* named 'activty'"):
        registry().only([view(), FeatureService("s", features=["activty"])])


def test_a_view_may_go_together_with_the_column_that_it_alone_read() -> None:
    found = registry()
    narrower = source(schema={column: kind for column, kind in SCHEMA.items() if column != "amount_cents"})
    with pytest.raises(DefinitionError, match="amount_cents"):
        found.merged([narrower])
    assert found.only([narrower]).names == ["events"]


def test_features_are_resolved_from_services_views_references_and_lists_each_once() -> None:
    found = registry()
    every = ["activity__buys_30d", "activity__buys_lifetime", "activity__spend_30d"]

    def columns(features) -> list[str]:
        return [feature.column for feature in found.resolve(features)]

    assert (
        columns("demand_v1")
        == columns(SERVICE)
        == columns(["demand_v1"])
        == columns([SERVICE])
        == ["activity__spend_30d", "other__n"]
    )
    assert columns("activity") == columns(view()) == columns([view()]) == every
    assert columns("activity:spend_30d") == ["activity__spend_30d"]
    assert columns(["other", "activity:spend_30d", "activity"]) == ["other__n", "activity__spend_30d", *every[:2]]
    assert columns([]) == []


def test_a_service_named_like_a_view_comes_before_it_but_not_in_a_list() -> None:
    found = registry(FeatureService("activity", features=["activity:spend_30d"]))
    assert [feature.name for feature in found.resolve("activity")] == ["spend_30d"]
    assert len(found.resolve(["activity"])) == 3


@pytest.mark.parametrize("features", ["demand_v2", ["other:m"], "activity:", ["activity:buys_30d:x"], [""]])
def test_an_unknown_reference_is_refused(features) -> None:
    with pytest.raises(UnknownNameError):
        registry().resolve(features)


@pytest.mark.parametrize("features", [None, 5, [None], [5], [USER]])
def test_what_is_no_reference_is_refused(features) -> None:
    with pytest.raises(DefinitionError):
        registry().resolve(features)


def test_features_that_read_a_calibration_are_listed_and_those_that_read_them() -> None:
    derived = {"p": "n + calibrated('prior.a')", "q": "n + 1", "r": "p / 2", "s": "n + r"}
    reader = view("v", Count("n", where=BUY), derived=[Derived(*each) for each in derived.items()])
    joined = JoinedView(
        "both", views=[OTHER, reader], derived=[Derived("x", "v__s + 1"), Derived("y", "v__q"), Derived("z", "x")]
    )
    found = registry(reader, joined, Calibration("prior", fit="beta_binomial", inputs=["other:n"]))
    columns = ["v__p", "v__r", "v__s", "both__x", "both__z"]
    assert [feature.column for feature in found.calibrated_features("prior")] == columns
