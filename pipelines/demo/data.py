"""Data: what a demo can run on, and how its files land."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from featurestore.datasets import NAMES
from featurestore.errors import UnknownNameError, did_you_mean
from featurestore.synth import Shop, Truth
from featurestore.timeline import Month

SHOP = "shop"
Landing = Callable[[Path, Sequence[Month]], None]


@dataclass(frozen=True)
class DemoData:
    """Events that can land month by month, with the definitions that fit them.

    Attributes:
        name: ``shop``, or the name of a data set.
        definitions: Definitions module.
        months: Business months, ascending.
        land: Writes the files of some months into a landing folder.
        truth: What was planted; ``None`` for real data.
    """

    name: str
    definitions: str
    months: tuple[Month, ...]
    land: Landing
    truth: Truth | None


def demo_data(name: str, *, events: int, seed: int) -> DemoData:
    """Look up the data of a demo by name.

    Args:
        name: ``shop`` or one of ``featurestore.datasets.NAMES``.
        events: Approximate size of the shop; a data set has its own.
        seed: Of the shop.

    Raises:
        UnknownNameError: there is none of that name.
        MissingExtraError: the package that holds the data is not installed.
    """
    if name == SHOP:
        shop = Shop(seed=seed, events=events)

        def land(folder: Path, months: Sequence[Month]) -> None:
            shop.write_landing(folder, months=months)

        return DemoData(SHOP, "featurestore.shop", tuple(shop.months), land, shop.truth())
    if name not in NAMES:
        raise UnknownNameError(f"There is no demo data {name!r}.{did_you_mean(name, (SHOP, *NAMES))}")
    module = importlib.import_module(f"featurestore.datasets.{name}")

    def land_file(folder: Path, months: Sequence[Month]) -> None:
        module.write_landing(folder, months=months)

    return DemoData(name, module.__name__, tuple(module.months()), land_file, None)
