"""A view object is answered with what it says, or refused with what the store says instead."""

from __future__ import annotations

import re

import pytest

from featurestore.errors import DefinitionError, UnknownNameError
from featurestore.spec import Count, Derived, Entity, EventSource, FeatureView, JoinedView, Sum
from featurestore.spec.registry import Registry

SOURCE = EventSource(
    "events",
    schema={"i": "int64", "t": "timestamp", "u": "int64", "v": "int64", "cents": "int64"},
    event_id="i",
    event_time="t",
)


def view(**changed: object) -> FeatureView:
    arguments = {
        "entity": Entity("user", key="u"),
        "source": SOURCE,
        "aggregations": [Count("n", windows=("30d",)), Sum("spent", "cents")],
        "derived": [Derived("twice", "2 * n_30d")],
    }
    return FeatureView("activity", **{**arguments, **changed})


RECORDED = Registry.from_document(Registry().merged([view()]).document())


def test_an_equal_object_and_one_in_other_words_name_the_recorded_view() -> None:
    expected = RECORDED.resolve("activity")
    assert RECORDED.resolve(view()) == expected
    assert RECORDED.resolve([view(description="new words", owner="someone", tags={"a": "b"})]) == expected


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"aggregations": [Count("n", windows=("30d", "90d")), Sum("spent", "cents")]},
            "aggregations.n.windows is recorded as",
        ),
        ({"aggregations": [Count("n", windows=("30d",))]}, "aggregations.spent is recorded only"),
        (
            {"derived": [Derived("twice", "3 * n_30d")]},
            "derived.twice.expression is recorded as '2 * n_30d' and is '3 * n_30d'",
        ),
        ({"derived": []}, "derived.twice is recorded only"),
        ({"grain": "1h"}, "grain is recorded as '1d' and is '1h' in the object"),
        ({"delay": "1d"}, "delay is recorded as None and is '1d' in the object"),
        ({"join_keys": {"u": "v"}}, "join_keys.u is in the object only"),
        ({"entity": Entity("user", key="v")}, "key is recorded as ['u'] and is ['v'] in the object"),
    ],
)
def test_a_view_object_that_differs_is_refused_with_the_difference(changed: dict[str, object], says: str) -> None:
    other = view(**changed)
    for given in (other, [other], ["activity", other]):
        with pytest.raises(DefinitionError, match=f"'activity' differs from the recorded view.*{re.escape(says)}.*Apply"):
            RECORDED.resolve(given)


def test_a_joined_view_object_that_differs_is_refused_too() -> None:
    second = FeatureView("other", entity=Entity("user", key="u"), source=SOURCE, aggregations=[Count("m")])

    def joined(first: FeatureView, expression: str) -> JoinedView:
        return JoinedView("both", views=[first, second], derived=[Derived("sum", expression)])

    registry = Registry().merged([joined(view(), "activity__n_30d + other__m")])
    assert registry.resolve(joined(view(), "activity__n_30d + other__m"))
    with pytest.raises(DefinitionError, match=r"derived\.sum\.expression"):
        registry.resolve(joined(view(), "activity__n_30d - other__m"))
    longer = view(aggregations=[Count("n", windows=("30d", "90d")), Sum("spent", "cents")])
    with pytest.raises(DefinitionError, match=r"views\.activity\.aggregations\.n\.windows"):
        registry.resolve(joined(longer, "activity__n_30d + other__m"))


def test_an_object_that_is_not_recorded_is_unknown_and_a_source_in_other_words_is_the_same() -> None:
    with pytest.raises(UnknownNameError, match="There is no service, view"):
        Registry().resolve(view())
    again = EventSource("events", schema=dict(SOURCE.schema), event_id="i", event_time="t", description="other words")
    assert RECORDED.resolve(view(source=again)) == RECORDED.resolve("activity")
