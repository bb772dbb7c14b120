from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from featurestore.lake.session import connect, literal, quote


def test_only_the_given_folders_can_be_read(tmp_path: Path) -> None:
    for name in ("mine", "mine_not"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text("x\n1\n")
    with connect(tmp_path / "mine") as session:
        assert session.sql(f"FROM read_csv('{tmp_path}/mine/a.csv')").fetchall() == [(1,)]
        for other in (f"{tmp_path}/mine_not/a.csv", f"{tmp_path}/mine/../mine_not/a.csv", "/etc/passwd"):
            with pytest.raises(duckdb.PermissionException):
                session.sql(f"FROM read_csv('{other}')").fetchall()
        with pytest.raises(duckdb.PermissionException):
            session.execute(f"COPY (SELECT 1) TO '{tmp_path}/mine_not/b.parquet'")


def test_the_configuration_is_locked_and_extensions_are_refused(tmp_path: Path) -> None:
    with connect(tmp_path) as session:
        with pytest.raises(duckdb.Error, match="lock"):
            session.execute("SET enable_external_access = true")
        with pytest.raises(duckdb.Error):
            session.execute("INSTALL httpfs")
        with pytest.raises(duckdb.Error):
            session.execute(f"ATTACH '{tmp_path.parent}/other.duckdb'")


def test_names_and_texts_with_quotes_survive() -> None:
    with connect() as session:
        found = session.sql("SELECT " + literal("it's") + " AS " + quote('a"b'))
        assert found.columns == ['a"b']
        assert found.fetchall() == [("it's",)]
