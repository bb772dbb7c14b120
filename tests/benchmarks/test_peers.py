"""Peers: their scripts answer what we answer, and what does not is said."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.findings import Bench
from benchmarks.law import Law
from benchmarks.peers import DUCKDB_ASOF, DUCKDB_RANGE, POLARS_ASOF, POLARS_ROLLING, Peer, ask_peer, asking
from benchmarks.peers.comparison import verdict
from benchmarks.peers.environments import REQUIREMENTS, NotInstallableError, python_of
from benchmarks.questions import references
from benchmarks.sizes import Size
from benchmarks.stores import law_store, spine_of, write_answer

OURS = pa.table({"user_id": [7, 7, 8], "user__buys_30d": [1, 2, 0], "user__mean": pa.array([0.5, None, 1.0])})
ROWS = np.array([0, 1, 2])


def _said(**theirs: object) -> str:
    return verdict(OURS, pa.table(theirs), ROWS, prefix="user__", features=["buys_30d", "mean"])


def test_equal_answers_in_another_order_are_equal() -> None:
    assert _said(row=[2, 0, 1], buys_30d=[0, 1, 2], mean=[1.0, 0.5 + 1e-12, None]) == "equal"


def test_lost_rows_other_values_and_missing_features_are_said() -> None:
    assert _said(row=[2, 0], buys_30d=[0, 1], mean=[1.0, 0.5]) == "lost 1 of 3 rows"
    assert _said(row=[0, 1, 2], buys_30d=[1, 3, 0], mean=[0.5, None, 1.0]) == "buys_30d differs in 1 rows"
    assert _said(row=[0, 1, 2], buys_30d=[1, 2, None], mean=[0.5, 0.0, 1.0]) == (
        "buys_30d differs in 1 rows, mean differs in 1 rows"
    )
    assert _said(row=[0, 1, 1, 2], buys_30d=[1, 2, 2, 0], mean=[0.5, None, None, 1.0]) == "rows occur twice"
    assert _said(row=[0, 1, 2], buys_30d=[1, 2, 0]) == "1 features instead of 2"


def test_requirements_are_pinned_names_and_versions_alone() -> None:
    lines = [line for file in REQUIREMENTS.glob("*.txt") for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if not line.startswith("#") and not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_a_python_that_is_not_there_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.txt").write_text("# Python 1.5\nold==1.0\n", encoding="utf-8")
    monkeypatch.setattr("benchmarks.peers.environments.REQUIREMENTS", tmp_path)
    with pytest.raises(NotInstallableError, match=r"needs Python 1\.5, and none is on the path"):
        python_of("old", folder=tmp_path / "environments")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Path, Path, Path]:
    """A store of four months, a spine that is later than some and earlier than others, and our answer."""
    bench = Bench(Size.parse("1k"), tmp_path_factory.mktemp("bench"))
    store = law_store(bench.data, Law(1_000, users=40, skus=10, first="2017-07-01", end="2017-11-01"), kind="user")
    spine, ours = spine_of(store, "user", 300), bench.data / "ours.parquet"
    write_answer(str(store), str(spine), references("user"), str(ours))
    return bench, store, spine, ours


@pytest.mark.parametrize("peer", [DUCKDB_RANGE, DUCKDB_ASOF, POLARS_ASOF, POLARS_ROLLING], ids=lambda peer: peer.script)
def test_scripts_answer_what_the_store_answers(
    peer: Peer, asked: tuple[Bench, Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, store, spine, ours = asked
    monkeypatch.setattr(asking, "python_of", lambda name, folder: Path(sys.executable))
    answer = ask_peer(bench, peer, store, "user", spine, ours=ours)
    assert answer.verdict == "equal"
    assert answer.cost is not None


def test_a_script_that_does_not_finish_is_said(asked: tuple[Bench, Path, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    bench, store, spine, ours = asked
    monkeypatch.setattr(asking, "python_of", lambda name, folder: Path(sys.executable))
    monkeypatch.setattr(Size, "peer_bound_s", 0.05)
    assert ask_peer(bench, DUCKDB_RANGE, store, "user", spine, ours=ours) == asking.Answer(
        "did not finish in 0 s", bound_s=0.05
    )
