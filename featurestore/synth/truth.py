"""Truth: what was planted and drawn, for scoring detection, calibration and estimates against it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.errors import DefinitionError
from featurestore.synth.categories import CATEGORIES
from featurestore.synth.chance import month_number
from featurestore.synth.coupon_ring import ring_members
from featurestore.synth.drift_plan import CONTROL_MONTHS, PLANTED, PlantedDrift
from featurestore.synth.skus import Skus
from featurestore.synth.users import Users
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
    _users: Users
    _skus: Skus

    def drifts_starting(self, month: Month | str) -> tuple[PlantedDrift, ...]:
        """List the planted changes that start in a month."""
        return tuple(drift for drift in self.drifts if drift.first_month == Month.parse(month))

    def return_probability(self, sku_ids: Iterable[int], month: Month | str) -> np.ndarray:
        """Return the true probability that an order of each SKU, made in a month, comes back.

        Raises:
            DefinitionError: a SKU is not of this shop.
        """
        index = np.asarray(list(sku_ids), np.int64) - 1
        unknown = (index < 0) | (index >= len(self._skus.category))
        if unknown.any():
            raise DefinitionError(
                f"The shop has no SKU {int(index[unknown][0]) + 1}; its sku_ids run from 1 to {len(self._skus.category)}."
            )
        return self._skus.return_probabilities(Month.parse(month))[index]

    def skus(self) -> pa.Table:
        """Return the SKUs: ``sku_id, category, launch, incident``, the last two months as text, incident NULL for most."""
        skus = self._skus
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
        users = self._users
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
        _users=world.users,
        _skus=world.skus,
    )


def _month_names(numbers: np.ndarray, *, known: np.ndarray | None = None) -> pa.Array:
    origin = month_number(Month(1970, 1))
    months = (np.where(known, numbers, origin) if known is not None else numbers).astype(np.int64) - origin
    names = np.datetime_as_string(months.astype("datetime64[M]"))
    return pa.array(names.tolist(), mask=None if known is None else ~known)
