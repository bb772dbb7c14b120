"""The spill of a call: its quota, and what is said when it does not suffice."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from featurestore.errors import DefinitionError, StoreError
from featurestore.lake.bounds import Bounds
from featurestore.lake.layout import create_or_open
from featurestore.lake.spill import spilling_session

MANY = "SELECT repeat(md5(i::VARCHAR), 40) AS x FROM range(150_000) r(i)"  # 190 MB


def test_what_exceeds_the_quota_is_an_error_that_names_it_and_leaves_nothing(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path / "store", bounds=Bounds(spill_bytes=4 << 20))
    told = r"memory of 50MB and its spill of 4,194,304 bytes.*bounds=fs\.Bounds\(spill_bytes"
    with pytest.raises(StoreError, match=told), spilling_session(layout, memory_limit="50MB") as session:
        session.execute(f"CREATE TEMP TABLE many AS {MANY}")
    assert list(layout.spill.iterdir()) == []


def test_the_quota_is_half_of_what_is_free_within_limits() -> None:
    gib = 1 << 30
    assert [Bounds().spill_of(free) // gib for free in (0, gib, 40 * gib, 1000 * gib)] == [1, 1, 20, 64]
    assert Bounds(spill_bytes=5 << 20).spill_of(gib) == 5 << 20


@pytest.mark.parametrize(
    "given", [{"line_bytes": 10}, {"columns": 0}, {"rows": True}, {"nesting": 1.5}, {"spill_bytes": 1}, {"batch_bytes": None}]
)
def test_a_bound_that_is_no_number_or_too_small_is_refused_with_its_name(given: dict[str, object]) -> None:
    with pytest.raises(DefinitionError, match=f"{next(iter(given))}="):
        Bounds(**given)  # type: ignore[arg-type]


def test_each_bound_is_in_the_operators_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [field.name for field in fields(Bounds) if f"`{field.name}`" not in page] == []
