"""The shop: any month of its events, alone, in any order, the same each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from featurestore.errors import DefinitionError
from featurestore.lake.whole_file import atomic_file
from featurestore.synth.chance import Stream, generator
from featurestore.synth.demand import MonthDemand
from featurestore.synth.events import decoded_table, encoded_table, number_events, stack_rows
from featurestore.synth.faults import disturb
from featurestore.synth.order_events import SPILL_MONTHS, buying_rows, fulfilment_rows
from featurestore.synth.orders import Orders, draw_orders
from featurestore.synth.truth import Truth, truth_of
from featurestore.synth.visits import coupon_rows, visit_rows
from featurestore.synth.world import World, create_world
from featurestore.timeline import Month, months_between

EARLIEST_MONTH = Month(2016, 1)
LATEST_MONTH = Month(2035, 12)
"""Months that a shop may have: its growth and the plan of its drifts begin in 2016."""


@dataclass(frozen=True)
class Shop:
    """A seeded online shop: users, SKUs, orders and their fulfilment, with planted drifts.

    A month's events depend on the seed, the size and the shop's months alone: no state is carried from month to
    month. For the shipments, deliveries and returns that spill into a month, the orders of the two months before it
    are drawn again. Nobody ordered before the first month.

    Args:
        seed: Not negative.
        events: Approximate number of events from the first to the last month; users and SKUs scale with it.
        first_month: Not before 2016-01.
        last_month: Not after 2035-12.
        faults: Whether the planted faults of the record are in the events (see ``faults``).

    Raises:
        DefinitionError: a value is out of range.

    >>> Shop(events=100_000).month("2024-08").column("event_type").null_count
    0
    """

    seed: int = 7
    events: int = 10_000_000
    first_month: str = "2016-01"
    last_month: str = "2025-12"
    faults: bool = True

    def __post_init__(self) -> None:
        first = Month.parse(self.first_month)
        last = Month.parse(self.last_month)
        if not EARLIEST_MONTH <= first <= last <= LATEST_MONTH:
            raise DefinitionError(
                f"A shop cannot run from {first} to {last}; choose months in order between {EARLIEST_MONTH} and {LATEST_MONTH}."
            )
        if self.seed < 0:
            raise DefinitionError(f"A shop cannot have the seed {self.seed}; choose one that is not negative.")
        if self.events < 1:
            raise DefinitionError(f"A shop cannot have {self.events} events; choose at least one.")

    @property
    def months(self) -> list[Month]:
        """The shop's months, ascending."""
        return months_between(Month.parse(self.first_month), Month.parse(self.last_month))

    def month(self, month: Month | str) -> pa.Table:
        """Return the events of a business month, in the order in which they happened.

        The columns are those of ``EVENT_SCHEMA``. Deliveries that were received twice follow at the end.

        Raises:
            DefinitionError: the month is not one of the shop's.
        """
        return decoded_table(self._draw(Month.parse(month)))

    def write_landing(
        self,
        folder: str | Path,
        *,
        months: Iterable[Month | str] | None = None,
        progress: Callable[[Month, int], None] | None = None,
    ) -> list[Path]:
        """Write one Parquet file per month, such as ``2024-08.parquet``, each complete from the moment it appears.

        Args:
            folder: Created when missing; files of the same months are replaced.
            months: Which months; all when None.
            progress: Called after each file with its month and number of events.

        Returns:
            The files, in the order of the months.

        Raises:
            DefinitionError: a month is not one of the shop's.
        """
        target = Path(folder)
        wanted = self.months if months is None else [Month.parse(month) for month in months]
        paths = [target / f"{month}.parquet" for month in wanted]
        for month, path in zip(wanted, paths, strict=True):
            table = self._draw(month)
            _write_parquet(table, path)
            if progress is not None:
                progress(month, table.num_rows)
        return paths

    def truth(self) -> Truth:
        """Return what was planted and drawn, for scoring against it."""
        return truth_of(_world(self), first=self.months[0], last=self.months[-1], faults=self.faults)

    def _draw(self, month: Month) -> pa.Table:
        if month not in self.months:
            raise DefinitionError(f"The shop has no month {month}; it runs from {self.first_month} to {self.last_month}.")
        ordering = months_between(max(month.shift(-SPILL_MONTHS), self.months[0]), month)
        rows = [row for ordered in ordering for row in fulfilment_rows(_orders(self, ordered), month=month)]
        world = _world(self)
        demand = _demand(self, month)
        rows += buying_rows(_orders(self, month), seed=self.seed) + visit_rows(world, demand) + coupon_rows(world, demand)
        columns = stack_rows(rows, random=generator(self.seed, Stream.DELAYS, month=month))
        columns = number_events(columns, month=month)
        return encoded_table(disturb(columns, seed=self.seed, month=month) if self.faults else columns)


@lru_cache(maxsize=4)
def _world(shop: Shop) -> World:
    return create_world(seed=shop.seed, events=shop.events, first=shop.months[0], last=shop.months[-1])


@lru_cache(maxsize=1)
def _demand(shop: Shop, month: Month) -> MonthDemand:
    return _world(shop).demand(month)


@lru_cache(maxsize=SPILL_MONTHS + 1)
def _orders(shop: Shop, month: Month) -> Orders:
    # A month in sequence finds the orders of the two before it here; a month alone draws them again.
    return draw_orders(_world(shop), _demand(shop, month))


def _write_parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    delta = ["event_id", "event_time", "ingested_at", "order_id", "ordered_at"]
    with atomic_file(path) as aside:
        pq.write_table(
            table,
            aside,
            compression="zstd",
            compression_level=3,
            data_page_version="2.0",
            store_schema=False,  # readers see plain strings, whatever the table's own encoding
            use_dictionary=[name for name in table.column_names if name not in delta],
            column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
        )
