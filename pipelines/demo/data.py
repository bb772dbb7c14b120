"""Data: what a demo can run on, and how its files land."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from featurestore.datasets import NAMES
from featurestore.errors import DefinitionError, UnknownNameError, did_you_mean
from featurestore.synth import Shop, Truth
from featurestore.timeline import Month, months_between

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


def demo_data(name: str, *, events: int, seed: int, months: str | None = None) -> DemoData:
    """Look up the data of a demo by name.

    Args:
        name: ``shop`` or one of ``featurestore.datasets.NAMES``.
        events: Approximate size of the shop; a data set has its own.
        seed: Of the shop.
        months: First and last month, as ``2015-11:2016-10``; all that the data has by default.

    Raises:
        UnknownNameError: there is none of that name.
        DefinitionError: ``months`` are not two of its months in order.
        MissingExtraError: the package that holds the data is not installed.
    """
    if name == SHOP:
        shop = Shop(seed=seed, events=events)
        if months is not None:
            wanted = _within(months, shop.months, name)
            shop = replace(shop, first_month=str(wanted[0]), last_month=str(wanted[-1]))

        def land(folder: Path, months: Sequence[Month]) -> None:
            shop.write_landing(folder, months=months)

        return DemoData(SHOP, "featurestore.shop", tuple(shop.months), land, shop.truth())
    if name not in NAMES:
        raise UnknownNameError(f"There is no demo data {name!r}.{did_you_mean(name, (SHOP, *NAMES))}")
    module = importlib.import_module(f"featurestore.datasets.{name}")

    def land_file(folder: Path, months: Sequence[Month]) -> None:
        module.write_landing(folder, months=months)

    span = module.months()
    return DemoData(name, module.__name__, tuple(span if months is None else _within(months, span, name)), land_file, None)


def _within(text: str, there: Sequence[Month], name: str) -> list[Month]:
    """Read ``2015-11:2016-10`` as months of the data."""
    first, _, last = text.partition(":")
    if first not in map(str, there) or last not in map(str, there) or last < first:
        raise DefinitionError(
            f"Months {text!r} are not of {name}, which has {there[0]} to {there[-1]}. "
            f"Write the first and the last, as {there[0]}:{there[min(11, len(there) - 1)]}."
        )
    return months_between(Month.parse(first), Month.parse(last))
