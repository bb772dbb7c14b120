"""Distinct and Quantile: types, documents, and what each refuses."""

from __future__ import annotations

import pytest

from featurestore.errors import DefinitionError
from featurestore.spec import Distinct, Quantile, SeasonWindow
from featurestore.spec.aggregations import aggregation_document, aggregation_from
from featurestore.timeline import Offset
from tests.spec.definitions import view

EVERY = [
    Distinct("categories", "category", windows=("30d", Offset("30d", by="1y"))),
    Distinct("amounts", "amount_cents"),
    Quantile("median", "weight", windows=("1y", "ytd", SeasonWindow("double11", years=3))),
    Quantile("p90", "amount_cents", q=0.9, error=0.05),
]


def test_each_has_its_type_and_survives_its_document() -> None:
    types = [feature.type for feature in view("activity", *EVERY).features]
    assert types == ["int64"] * 3 + ["double"] * 4
    assert [aggregation_from(aggregation_document(each)) for each in EVERY] == EVERY


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan"), "half", None, True])
def test_a_quantile_beyond_all_values_is_refused(q: object) -> None:
    with pytest.raises(DefinitionError, match="must be a number from 0 to 1"):
        Quantile("x", "weight", q=q)


@pytest.mark.parametrize("error", [0, -0.01, 0.6, 1e-9, float("nan"), "small"])
def test_an_error_that_buckets_cannot_keep_is_refused(error: object) -> None:
    with pytest.raises(DefinitionError, match=r"must be a number from 0\.0001 to 0\.5"):
        Quantile("x", "weight", error=error)


@pytest.mark.parametrize("window", ["ytd", SeasonWindow("double11", years=1), Offset("mtd", by="1y")])
def test_distinct_takes_windows_of_one_length_alone(window: object) -> None:
    with pytest.raises(DefinitionError, match="cannot look back over"):
        Distinct("x", "category", windows=(window,))


def test_a_column_that_cannot_be_counted_or_ranked_is_refused() -> None:
    with pytest.raises(DefinitionError, match="Distinct of 'weight' is not possible: it is double"):
        view("activity", Distinct("x", "weight"))
    with pytest.raises(DefinitionError, match="Quantile of 'category' is not possible: it is string"):
        view("activity", Quantile("x", "category"))
