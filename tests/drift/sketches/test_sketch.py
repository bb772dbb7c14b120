from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from featurestore.drift.sketches.edges import EdgeSet, fit_edges
from featurestore.drift.sketches.sketch import SKETCH_SCHEMA, sketch
from featurestore.errors import DefinitionError, FeatureStoreError, UnknownNameError


def rows_of(seed: int, rows: int = 2000) -> pa.Table:
    rng = np.random.default_rng(seed)
    amount = np.exp(rng.normal(size=rows)).astype(object)
    amount[rng.random(rows) < 0.05] = None
    ratio = rng.normal(size=rows)
    ratio[:3] = np.nan, np.inf, -np.inf
    profile = rng.gamma(1.0, size=(rows, 4))
    return pa.table(
        {
            "amount": pa.array(amount.tolist(), pa.float64()),
            "buys": pa.array(rng.poisson(0.7, rows)),
            "ratio": ratio,
            "zero_inflated": np.where(rng.random(rows) < 0.7, 0.0, np.exp(rng.normal(size=rows))),
            "colour": rng.choice(["red", "green", None], rows).tolist(),
            "is_new": pa.array((rng.random(rows) < 0.3).tolist()),
            "hours": pa.FixedSizeListArray.from_arrays(pa.array(profile.ravel()), 4),
            "seen": pa.array(rng.integers(0, 10**15, rows), pa.timestamp("us", tz="UTC")),
            "region": pa.array(rng.choice([1, 2, 3, None], rows).tolist(), pa.int64()),
        }
    )


def by_feature(table: pa.Table, segment: str | None = None) -> dict[str, dict]:
    return {row["feature"]: row for row in table.to_pylist() if row["segment"] == segment}


def test_counts_equal_numpy_histograms_on_the_same_edges() -> None:
    table = rows_of(1)
    edges = fit_edges(table)
    found = by_feature(sketch(rows_of(2), edges))
    for name in ("amount", "buys", "ratio", "zero_inflated"):
        values = rows_of(2)[name].to_numpy().astype(float)
        finite = values[np.isfinite(values)]
        expected, _ = np.histogram(finite, np.concatenate([[-np.inf], edges[name].cuts, [np.inf]]))
        assert found[name]["counts"] == expected.tolist()
        assert found[name]["mean"] == pytest.approx(finite.mean())
        assert found[name]["m2"] == pytest.approx(finite.var() * len(finite))
        assert found[name]["rows"] == found[name]["missing"] + found[name]["nonfinite"] + expected.sum()
    assert found["ratio"]["nonfinite"] == 3
    assert found["amount"]["missing"] == rows_of(2)["amount"].null_count


def test_numeric_edges_have_64_bins_that_the_reference_fills_like_a_normal() -> None:
    values = np.exp(np.random.default_rng(0).normal(size=200_000))
    table = pa.table({"x": values})
    edges = fit_edges(table)
    assert edges["x"].bins == pytest.approx(64, abs=1)
    share = np.array(by_feature(sketch(table, edges))["x"]["counts"]) / len(values)
    middle = np.argmax(share)
    assert 0.04 < share[middle] < 0.09  # one of 46 bins between -3.5 and 3.5 standard deviations, at the centre
    assert share[0] == share[-1] == 0


def test_few_values_get_a_bin_each_and_an_atom_does_not_share_its_bin() -> None:
    table = rows_of(1)
    edges = fit_edges(table)
    cuts = np.array(edges["buys"].cuts)
    for value in range(int(table["buys"].to_numpy().max())):
        assert ((cuts > value) & (cuts <= value + 1)).any()
    counts = by_feature(sketch(table, edges))["zero_inflated"]["counts"]
    assert max(counts) == (table["zero_inflated"].to_numpy() == 0).sum()


def test_new_and_rare_categories_are_counted_apart() -> None:
    reference = pa.table({"c": [f"k{i:02d}" for i in range(20) for _ in range(40 - i)]})
    edges = fit_edges(reference)
    found = by_feature(sketch(pa.table({"c": ["k00", "k19", "never", None, "k00"]}), edges))["c"]
    counts = dict(zip(found["labels"], found["counts"], strict=True))
    assert (counts["k00"], counts["OTHER"], counts["NEW"], found["missing"]) == (2, 1, 1, 1)


def test_a_million_categories_are_bounded_and_never_new() -> None:
    edges = fit_edges(pa.table({"c": [f"user{i}" for i in range(20_000)]}))
    assert edges["c"].is_open
    assert len(edges.to_json()) < 100_000
    found = by_feature(sketch(pa.table({"c": ["never seen"]}), edges))["c"]
    assert found["counts"][-2:] == [1, 0]


def test_profiles_are_shares_over_positions_and_each_row_weighs_one() -> None:
    lists = pa.array([[1.0, 3.0], [10.0, 10.0], [0.0, 0.0], None, [float("inf"), 1.0]], pa.list_(pa.float64(), 2))
    table = pa.table({"p": lists})
    found = by_feature(sketch(table, fit_edges(table)))["p"]
    assert found["counts"] == [0.75, 1.25]
    assert found["m2"] == pytest.approx(4 * 0.125**2)
    assert (found["missing"], found["nonfinite"]) == (2, 1)
    assert by_feature(sketch(table.slice(1, 2), fit_edges(table)))["p"]["counts"] == [0.5, 0.5]


@pytest.mark.parametrize("seed", range(3))
def test_sketches_of_parts_add_up_to_the_sketch_of_the_whole(seed: int) -> None:
    table = rows_of(seed)
    edges = fit_edges(table)
    whole = by_feature(sketch(table, edges))
    parts = [by_feature(sketch(table.slice(start, 500), edges)) for start in range(0, 2000, 500)]
    for name, row in whole.items():
        own = [part[name] for part in parts]
        assert np.sum([each["counts"] for each in own], axis=0).tolist() == pytest.approx(row["counts"], rel=1e-9)
        for column in ("rows", "missing", "nonfinite"):
            assert sum(each[column] for each in own) == row[column]
        assert {each["edges"] for each in own} == {row["edges"]}


def test_segments_add_up_to_the_rows_that_have_one_and_equal_a_filter() -> None:
    table = rows_of(4)
    edges = fit_edges(table.drop_columns(["region"]))
    found = sketch(table, edges, segments=["region"])
    assert set(found["segment"].to_pylist()) == {None, "region=1", "region=2", "region=3"}
    own = table.filter(pa.array((table["region"].to_numpy() == 2).tolist()))
    alone = by_feature(sketch(own, edges))
    for name, row in by_feature(found, "region=2").items():
        assert row["counts"] == pytest.approx(alone[name]["counts"])
        expected = alone[name]["mean"]
        assert row["mean"] == (None if expected is None else pytest.approx(expected))
        assert (row["rows"], row["missing"]) == (alone[name]["rows"], alone[name]["missing"])
    in_segments = found.filter(pa.array([segment is not None for segment in found["segment"].to_pylist()]))
    amounts = [row["rows"] for row in in_segments.to_pylist() if row["feature"] == "amount"]
    assert sum(amounts) == len(table) - table["region"].null_count


def test_edges_and_versions_survive_json() -> None:
    edges = fit_edges(rows_of(5))
    again = EdgeSet.from_json(edges.to_json())
    assert again == edges
    assert again.version == edges.version != fit_edges(rows_of(6)).version
    assert sketch(rows_of(5), again).equals(sketch(rows_of(5), edges))


def test_a_changed_type_and_an_absent_column_are_faults_and_not_errors() -> None:
    edges = fit_edges(rows_of(1), ["amount", "colour", "hours"])
    broken = pa.table({"amount": ["a", "b"], "hours": pa.array([[1.0], [2.0]], pa.list_(pa.float64(), 1))})
    found = by_feature(sketch(broken, edges))
    assert "type changed: string" in found["amount"]["fault"]
    assert "no such column" in found["colour"]["fault"]
    assert "list of 1" in found["hours"]["fault"]


def test_field_metadata_travels_with_the_sketch() -> None:
    field = pa.field("x", pa.float64(), metadata={"full_since": "2019-01-01", "scored_on": "inflow"})
    table = pa.table([pa.array([1.0, 2.0])], schema=pa.schema([field]))
    row = by_feature(sketch(table, fit_edges(table)))["x"]
    assert (row["full_since"], row["scored_on"]) == (date(2019, 1, 1), "inflow")
    wrong = pa.table([pa.array([1.0])], schema=pa.schema([pa.field("x", pa.float64(), metadata={"full_since": "soon"})]))
    with pytest.raises(FeatureStoreError, match="soon"):
        sketch(wrong, fit_edges(table))


AWKWARD = {
    "nothing": pa.nulls(50, pa.float64()),
    "constant": pa.array([7.0] * 50),
    "huge": pa.array([1e308, -1e308] * 25),
    "infinite": pa.array([float("inf")] * 50),
    "whole": pa.array([2**63 - 1, -(2**63)] * 25),
    "money": pa.array([1, 2] * 25).cast(pa.decimal128(38, 0)),
    "word": pa.array(["same"] * 50),
    "coded": pa.array(["a", "b"] * 25).dictionary_encode(),
    "day": pa.array([date(2020, 1, 1), None] * 25),
    "no_words": pa.nulls(50, pa.string()),
    "list": pa.array([[1.0]] * 50),
    "untyped": pa.nulls(50),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_columns_are_sketched_without_warning(name: str) -> None:
    table = pa.table({name: AWKWARD[name]})
    edges = fit_edges(table)
    for part in (table, table.slice(0, 0), table.slice(0, 1)):
        row = sketch(part, edges).to_pylist()[0]
        assert row["rows"] == len(part)
        assert row["missing"] + row["nonfinite"] + sum(row["counts"]) == (0 if row["kind"] == "unsupported" else len(part))
    assert EdgeSet.from_json(edges.to_json()) == edges


def test_an_empty_edge_set_gives_an_empty_sketch() -> None:
    assert sketch(rows_of(1), EdgeSet(())).equals(SKETCH_SCHEMA.empty_table())


def test_unknown_columns_are_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'amount'"):
        fit_edges(rows_of(1), ["amonut"])
    with pytest.raises(UnknownNameError, match="Did you mean 'region'"):
        sketch(rows_of(1), fit_edges(rows_of(1), ["amount"]), segments=["regoin"])
    with pytest.raises(DefinitionError, match="edge set"):
        EdgeSet.from_json("{}x")
