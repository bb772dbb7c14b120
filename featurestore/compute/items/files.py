"""What a sub-ledger of items is: how a list column of tiles becomes files beside the ledger, and what those are called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute.items.lists import EntityLists
from featurestore.compute.items.parts import Part

# Kind of file and partition, to its name or to its contents.
Names = dict[tuple[str, str], str]
Files = Mapping[tuple[str, str], EntityLists]
Numbers = Callable[[pa.Array], np.ndarray]


@dataclass(frozen=True)
class Items:
    """A list column of a view's tiles, and the windows that read it.

    Args:
        name: The column.
        windows: Lengths in steps, ``None`` for ``lifetime``; each once.
    """

    name: str
    windows: tuple[int | None, ...]

    def kind(self, what: str) -> str:
        """Return the kind of the files that hold ``what`` of these items."""
        return f"{self.name}.{what}"


class ItemFold(ABC):
    """A fold whose running totals are not columns of the ledger, but files of their own: sub-ledgers."""

    @property
    @abstractmethod
    def type(self) -> pa.DataType:
        """Arrow type of the tiles' column: a list of the step's items, sorted; NULL or empty where it has none."""

    @abstractmethod
    def names(self, items: Items, parts: Sequence[Part]) -> Names:
        """Name the files of all partitions after what they are made of."""

    @abstractmethod
    def fold(
        self, items: Items, parts: Sequence[Part], index: int, *, files: Files, tiles: pa.Table, numbers: Numbers
    ) -> dict[str, pa.Table]:
        """Build the files of one partition.

        Args:
            items: The list column.
            parts: All partitions.
            index: Which of them to build.
            files: The files of the partitions before it, and those of its own that are there.
            tiles: Its tiles: ``code``, ``step`` and the list column, sorted by step.
            numbers: Turns items into int64.

        Returns:
            Kind to table (``items/lists.py``); of files that are there nothing need be made.
        """
