"""Truth: what was planted and drawn, for scoring detection, calibration and estimates against it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.errors import DefinitionError
from featurestore.synth.categories import CATEGORIES, shares
from featurestore.synth.chance import Stream, generator, month_number
from featurestore.synth.coupon_ring import ring_members
from featurestore.synth.demand import days_of
from featurestore.synth.drift_plan import CONTROL_MONTHS, PLANTED, REGIONS, PlantedDrift
from featurestore.synth.fulfilment import DAY_S, HOUR_S, fulfil
from featurestore.synth.world import World
from featurestore.timeline import Month


@dataclass(frozen=True, eq=False)
class Truth:
    """The ground truth of one shop.

    Attributes:
        drifts: The planted changes that reach into the shop's months.
        control_months: The shop's months without planted drift.
        ring_user_ids: Accounts of the coupon ring.
    """

    drifts: tuple[PlantedDrift, ...]
    control_months: tuple[Month, ...]
    ring_user_ids: tuple[int, ...]
    _world: World

    def return_probability(self, sku_ids: Iterable[int], month: Month | str) -> np.ndarray:
        """Return the true probability that an order of each SKU, made in a month, comes back.

        Raises:
            DefinitionError: a SKU is not of this shop.
        """
        index = np.asarray(list(sku_ids), np.int64) - 1
        unknown = (index < 0) | (index >= len(self._world.skus.category))
        if unknown.any():
            raise DefinitionError(
                f"The shop has no SKU {int(index[unknown][0]) + 1}; its sku_ids run from 1 to {len(self._world.skus.category)}."
            )
        return self._world.skus.return_probabilities(Month.parse(month))[index]

    def expected_orders(self, month: Month | str) -> pa.Table:
        """Return the expected orders of each category in a month: ``category, orders``."""
        this = Month.parse(month)
        orders = self._world.demand(this).orders_per_day.sum() * shares(this)
        return pa.table({"category": list(CATEGORIES), "orders": orders})

    def on_time_shares(self, month: Month | str, *, draws: int = 2_000) -> np.ndarray:
        """Estimate how likely an order of each region and hour of the day, made in a month, arrives as promised.

        Args:
            month: Any month of the plan.
            draws: Orders that are drawn for each region and hour; the standard error is at most ``.5 / sqrt(draws)``.

        Returns:
            ``[REGIONS, 24]``; region_id ``i`` is row ``i - 1``.
        """
        days = days_of(Month.parse(month))
        random = generator(self._world.seed, Stream.TRUTH, month=Month.parse(month))
        region = np.repeat(np.arange(1, REGIONS + 1), 24 * draws)
        hour = np.tile(np.repeat(np.arange(24), draws), REGIONS)
        ordered = random.integers(0, len(days), len(hour)) * DAY_S + hour * HOUR_S + random.integers(0, HOUR_S, len(hour))
        fulfilment = fulfil(
            random,
            lanes=self._world.lanes,
            days=days,
            ordered=ordered,
            region=region,
            return_probability=np.zeros(len(hour)),
        )
        return np.asarray((fulfilment.delivered <= fulfilment.promised).reshape(REGIONS, 24, draws).mean(axis=2))

    def skus(self) -> pa.Table:
        """Return the SKUs: ``sku_id, category, launch, incident``, the last two months as text, incident NULL for most."""
        skus = self._world.skus
        return pa.table(
            {
                "sku_id": np.arange(1, len(skus.category) + 1),
                "category": [CATEGORIES[code] for code in skus.category],
                "launch": _month_names(skus.launch),
                "incident": _month_names(skus.incident, known=skus.has_incident),
            }
        )

    def users(self) -> pa.Table:
        """Return the users: ``user_id, region_id, sensitivity`` in [0, 1], ``arrival`` and ``leaving`` as text.

        ``leaving`` is the first month without the user.
        """
        users = self._world.users
        return pa.table(
            {
                "user_id": np.arange(1, len(users.arrival) + 1),
                "region_id": users.region.astype(np.int64),
                "sensitivity": users.sensitivity,
                "arrival": _month_names(users.arrival),
                "leaving": _month_names(users.leaving),
            }
        )


def truth_of(world: World, *, first: Month, last: Month, faults: bool) -> Truth:
    """Collect the truth of a shop from its first to its last month."""
    drifts = tuple(
        drift
        for drift in PLANTED
        if drift.first_month <= last and (drift.last_month is None or drift.last_month >= first or drift.kind == "gradual")
        if faults or drift.kind != "quality"
    )
    has_ring = any(drift.name == "coupon_ring" for drift in drifts)
    ring = ring_members(world.users, size=world.ring_size) + 1 if has_ring else ()
    return Truth(
        drifts=drifts,
        control_months=tuple(month for month in CONTROL_MONTHS if first <= month <= last),
        ring_user_ids=tuple(int(user) for user in ring),
        _world=world,
    )


def _month_names(numbers: np.ndarray, *, known: np.ndarray | None = None) -> pa.Array:
    origin = month_number(Month(1970, 1))
    months = (np.where(known, numbers, origin) if known is not None else numbers).astype(np.int64) - origin
    names = np.datetime_as_string(months.astype("datetime64[M]"))
    return pa.array(names.tolist(), mask=None if known is None else ~known)
