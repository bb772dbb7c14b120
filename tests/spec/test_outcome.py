"""Outcomes: what a derived probability forecasts, checked where it is declared."""

from __future__ import annotations

import re

import pytest

from featurestore.errors import DefinitionError
from featurestore.spec import Count, Derived, JoinedView, Mean, Outcome, Registry
from featurestore.spec.document import fingerprint
from tests.spec.definitions import USER, source, view


def forecast(outcome: Outcome | None, expression: str = "n_30d / nullif(n_1y, 0)") -> dict:
    counts = [Count("n", windows=("30d", "1y")), Mean("size", "amount_cents", windows=("30d",))]
    return {"aggregations": counts, "derived": [Derived("p", expression, outcome=outcome)]}


def test_a_forecast_names_features_of_its_view() -> None:
    found = view(**forecast(Outcome("n_30d", trials="n_1y")))
    assert [feature.name for feature in found.forecasts] == ["p"]
    assert not view().forecasts


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome("n_30"), r"names 'n_30', no feature of the view. Did you mean 'n_30d'"),
        (Outcome("size_30d"), r"names 'size_30d', which counts nothing; use a Count or a Sum"),
        (Outcome("n_30d", trials="p"), r"names 'p', which counts nothing"),
        (Outcome("n_30d", trials="n_30d"), r"they must differ"),
    ],
)
def test_an_outcome_that_counts_nothing_is_refused(outcome: Outcome, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        view(**forecast(outcome))


@pytest.mark.parametrize("names", [(None,), (3,), (["n_30d"],), ("n_30d", 3)])
def test_an_outcome_names_features_by_text(names: tuple) -> None:
    with pytest.raises(DefinitionError, match=f"by text such as 'returns_1y', not by {re.escape(repr(names[-1]))}"):
        Outcome(*names)


def test_what_is_no_outcome_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"outcome is 'n_30d'; write Outcome\('returns_1y', trials=\.\.\.\)"):
        Derived("p", "n_30d", outcome="n_30d")


def test_a_forecast_is_a_number() -> None:
    with pytest.raises(DefinitionError, match="has an outcome, but is a bool; a forecast is a probability"):
        view(**forecast(Outcome("n_30d"), expression="n_30d > 3"))


def test_a_joined_view_leaves_outcomes_to_its_views() -> None:
    one, other = view(**forecast(None)), view(name="other")
    joined = f"{one.name}__n_30d / {one.name}__n_1y"
    with pytest.raises(DefinitionError, match="declare it in the view that counts it"):
        JoinedView("both", views=[one, other], derived=[Derived("share", joined, outcome=Outcome("n_30d"))])


def test_outcomes_survive_the_registry_and_change_a_view_only_where_declared() -> None:
    plain, declared = view(**forecast(None)), view(**forecast(Outcome("n_30d", trials="n_1y")))
    registry = Registry().merged([USER, source(), declared])
    assert Registry.from_document(registry.document()).views[declared.name] == declared
    assert fingerprint(plain) != fingerprint(declared)
