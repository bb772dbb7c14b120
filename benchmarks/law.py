"""Made-up events of any number, fast: users and SKUs by a Zipf-like law, ids in sequence, a file per month.

The synthetic shop is richer and slower; here only counts matter. Ranks follow ``floor(n * u ** 2)`` of a uniform u, a power
law with exponent 1/2: of a million users the first has a thousandth of the events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

import featurestore as fs
from featurestore.lake.whole_file import atomic_file
from featurestore.synth import TIMEZONE
from featurestore.timeline import DAY_US, day_start_us

SEED = 11
EPOCH = date(1970, 1, 1)
OFFSET_US = 8 * 3_600_000_000
TYPES = ("view", "cart", "buy", "return")
SHARES = (0.6, 0.15, 0.2, 0.05)
_ODD = np.uint64(0x9E3779B97F4A7C15)


def law_source(id_scope: str = "source") -> fs.EventSource:
    """Declare the source of these events."""
    numbers = ("user_id", "sku_id", "quantity", "amount_cents")
    schema = {"event_id": "int64", "event_time": "timestamp", "ingested_at": "timestamp", "event_type": "string"}
    return fs.EventSource(
        "events",
        schema={**schema, **dict.fromkeys(numbers, "int64")},
        event_time="event_time",
        event_id="event_id",
        ingested_at="ingested_at",
        id_scope=id_scope,
    )


@dataclass(frozen=True)
class Law:
    """How many events from ``first`` up to and without ``end``, of how many users and SKUs.

    Args:
        events: Number in all, the roll call aside.
        users: Of which each may occur.
        skus: Likewise.
        first: First day, ISO.
        end: Day after the last, ISO.
        hot_share: Share of events that fall on one SKU, beyond the law.
        has_random_ids: Whether ids are in no order.
        has_roll_call: Whether the first day has one more event of each user, so that histories of any length know all.
        is_even: Whether all users and SKUs are alike.
    """

    events: int
    users: int
    skus: int
    first: str = "2016-01-01"
    end: str = "2026-01-01"
    hot_share: float = 0.0
    has_random_ids: bool = False
    has_roll_call: bool = False
    is_even: bool = False

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"law-{self.events}-{sha256(repr(asdict(self)).encode()).hexdigest()[:10]}"

    @property
    def days(self) -> int:
        """Number of days."""
        return (date.fromisoformat(self.end) - date.fromisoformat(self.first)).days

    def months(self) -> Iterator[tuple[date, date]]:
        """List the months: first day, and the one after the last."""
        day = date.fromisoformat(self.first)
        end = date.fromisoformat(self.end)
        while day < end:
            after = min((day.replace(day=1) + timedelta(days=32)).replace(day=1), end)
            yield day, after
            day = after

    def between(self, first: date, end: date, *, rows: int | None = None) -> pa.Table:
        """Draw the events of some days, in order of time; days after the end continue the law.

        Args:
            first: First day.
            end: Day after the last.
            rows: How many; as many as the law has for these days by default.
        """
        start = date.fromisoformat(self.first)
        before, after = (round(self.events * (day - start).days / self.days) for day in (first, end))
        count = after - before if rows is None else rows
        random = np.random.default_rng((SEED, self.events, (first - EPOCH).days))
        start_us, end_us = (day_start_us((day - EPOCH).days, TIMEZONE) for day in (first, end))
        moments = np.sort(random.integers(start_us, end_us, count))
        users = _drawn(random, self.users, count, is_even=self.is_even)
        skus = _drawn(random, self.skus, count, is_even=self.is_even)
        skus[random.random(count) < self.hot_share] = 0
        ids = np.arange(count, dtype=np.uint64) + np.uint64(before + self.users)
        if self.has_roll_call and first == start:
            moments = np.concatenate([np.full(self.users, start_us), moments])
            users = np.concatenate([np.arange(self.users), users])
            skus = np.concatenate([np.arange(self.users) % self.skus, skus])
            ids = np.concatenate([np.arange(self.users, dtype=np.uint64), ids])
        return _table(random, moments, users, skus, _scattered(ids) if self.has_random_ids else ids.astype(np.int64))

    def write(self, folder: Path) -> list[Path]:
        """Write one Parquet file per month; those that are there stay."""
        import pyarrow.parquet as pq

        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for first, end in self.months():
            file = folder / f"{first:%Y-%m}.parquet"
            if not file.exists():
                with atomic_file(file) as aside:
                    pq.write_table(self.between(first, end), aside, compression="zstd", store_schema=False)
            files.append(file)
        return files


@lru_cache(maxsize=4)
def _names(count: int) -> np.ndarray:
    # The most active are not the first by number.
    return np.random.default_rng(count).permutation(count)


def _drawn(random: np.random.Generator, count: int, rows: int, *, is_even: bool) -> np.ndarray:
    if is_even:
        return random.integers(0, count, rows)
    return _names(count)[(count * random.random(rows) ** 2).astype(np.int64)]


def _scattered(ids: np.ndarray) -> np.ndarray:
    """Map ids one to one to others in no order: multiplying by an odd number permutes the 63-bit integers."""
    return ((ids * _ODD) & np.uint64(2**63 - 1)).astype(np.int64)


def _table(random: np.random.Generator, moments: np.ndarray, users: np.ndarray, skus: np.ndarray, ids: np.ndarray) -> pa.Table:
    count = len(moments)
    kinds = np.searchsorted(np.cumsum(SHARES[:-1]), random.random(count), side="right").astype(np.int8)
    stamp = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "event_id": ids,
            "event_time": pa.array(moments, stamp),
            "ingested_at": pa.array(moments + random.integers(0, 60_000_000, count), stamp),
            "event_type": pa.DictionaryArray.from_arrays(kinds, list(TYPES)),
            "user_id": users,
            "sku_id": skus,
            "quantity": random.integers(1, 4, count),
            "amount_cents": (random.random(count) ** 3 * 50_000).astype(np.int64) + 100,
        }
    )


def floor_days(moments_us: np.ndarray) -> np.ndarray:
    """Return the business day of each moment, in days since 1970 (the shop's zone is 8 h ahead all year)."""
    return (moments_us + OFFSET_US) // DAY_US
