from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from featurestore.errors import DefinitionError
from featurestore.synth import EVENT_SCHEMA, EVENT_TYPES, TIMEZONE, Shop
from featurestore.timeline import Month, from_us

YEAR = Shop(seed=11, events=60_000, first_month="2022-11", last_month="2023-10")
ARROW_TYPES = {"int64": pa.int64(), "string": pa.string(), "timestamp": pa.timestamp("us", tz="UTC")}


@pytest.fixture(scope="module")
def year() -> pa.Table:
    return pa.concat_tables([YEAR.month(month) for month in YEAR.months])


def test_a_month_alone_equals_the_month_in_sequence_and_in_any_order(year: pa.Table) -> None:
    backwards = [Shop(**vars(YEAR)).month(month) for month in reversed(YEAR.months)]
    assert pa.concat_tables(reversed(backwards)).equals(year)


def test_another_seed_draws_other_events() -> None:
    assert not Shop(seed=12, events=60_000).month("2020-05").equals(Shop(seed=13, events=60_000).month("2020-05"))


def test_columns_have_the_declared_order_and_types(year: pa.Table) -> None:
    assert year.schema == pa.schema([(name, ARROW_TYPES[kind]) for name, kind in EVENT_SCHEMA.items()])


def test_every_event_lies_in_the_month_of_its_time() -> None:
    for month in YEAR.months:
        interval, times = month.interval(TIMEZONE), YEAR.month(month).column("event_time")
        assert from_us(interval.start_us) <= pc.min(times).as_py()
        assert pc.max(times).as_py() < from_us(interval.end_us)


def test_event_ids_are_unique_but_for_redeliveries_and_ascend_with_the_months(year: pa.Table) -> None:
    perfect = Shop(**vars(YEAR) | {"faults": False})
    ids = pa.concat_tables([perfect.month(month) for month in perfect.months]).column("event_id").to_numpy()
    assert (ids[1:] > ids[:-1]).all()
    repeated = year.num_rows - pc.count_distinct(year.column("event_id")).as_py()
    assert repeated == year.num_rows - len(ids)


@pytest.mark.parametrize("shop", [YEAR, Shop(seed=3, events=200_000)])
def test_the_number_of_events_is_about_what_was_asked_for(shop: Shop) -> None:
    assert sum(shop.month(month).num_rows for month in shop.months) == pytest.approx(shop.events, rel=0.1)


def test_the_mix_of_events_is_that_of_a_shop(year: pa.Table) -> None:
    counts = {row["values"]: row["counts"] / year.num_rows for row in year.column("event_type").value_counts().to_pylist()}
    assert set(counts) == set(EVENT_TYPES)
    assert 0.08 <= counts["buy"] <= 0.12
    assert counts["view"] > counts["cart"] > counts["buy"] > counts["coupon_redeem"] > counts["return"]


def test_events_are_known_after_they_happened_mostly_within_minutes(year: pa.Table) -> None:
    delay_us = pc.subtract(year.column("ingested_at"), year.column("event_time")).cast(pa.int64()).to_numpy()
    assert delay_us.min() >= 0
    assert 0.9 < (delay_us <= 120_000_000).mean() < 1.0
    assert (delay_us > 3_600_000_000).any()


def test_columns_are_null_where_they_mean_nothing(year: pa.Table) -> None:
    def nulls(event_type: str, column: str) -> float:
        rows = year.filter(pc.equal(year.column("event_type"), event_type))
        return rows.column(column).null_count / rows.num_rows

    for event_type in EVENT_TYPES:
        for column in ("event_id", "event_time", "ingested_at", "user_id", "channel"):
            assert nulls(event_type, column) == 0
        assert nulls(event_type, "sku_id") == (event_type == "coupon_issue")
        assert nulls(event_type, "category") == (event_type == "coupon_issue")
        assert nulls(event_type, "order_id") == (event_type in ("view", "cart", "coupon_issue"))
        assert nulls(event_type, "ordered_at") == (event_type in ("view", "cart", "coupon_issue"))
        assert nulls(event_type, "promised_at") == (event_type not in ("buy", "ship", "deliver", "return"))
        assert nulls(event_type, "amount_cents") == (event_type not in ("buy", "return"))


def test_amounts_are_quantity_times_price_less_discount(year: pa.Table) -> None:
    buys = year.filter(pc.equal(year.column("event_type"), "buy")).to_pandas()
    assert (buys.amount_cents == buys.quantity * buys.list_price_cents - buys.discount_cents).all()
    assert (buys.amount_cents > 0).all()


def test_landing_files_hold_the_months(tmp_path) -> None:
    seen = []
    files = YEAR.write_landing(tmp_path / "new", months=["2023-02", "2022-12"], progress=lambda *step: seen.append(step))
    assert [file.name for file in files] == ["2023-02.parquet", "2022-12.parquet"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["2022-12.parquet", "2023-02.parquet"]
    for file, (month, rows) in zip(files, seen, strict=True):
        table = pq.read_table(file)
        assert table.equals(YEAR.month(month))
        assert table.num_rows == rows


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_month": "2015-12"},
        {"last_month": "2040-01"},
        {"first_month": "2020-02", "last_month": "2020-01"},
        {"events": 0},
        {"seed": -1},
        {"first_month": "May 2020"},
    ],
)
def test_an_impossible_shop_is_refused(wrong: dict) -> None:
    with pytest.raises(DefinitionError):
        Shop(**wrong)


def test_a_month_outside_the_shop_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"no month 2022-10; it runs from 2022-11 to 2023-10"):
        YEAR.month(Month(2022, 10))
