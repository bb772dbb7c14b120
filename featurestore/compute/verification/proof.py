"""One view's committed files, and what is said of each when it is put beside its rebuilt counterpart."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from featurestore.compute.forms import measures_of
from featurestore.compute.keys import KeyDictionary
from featurestore.compute.state import ViewState
from featurestore.compute.verification.compare import CodedRows, Decoder, compare
from featurestore.compute.verification.verdict import DAMAGED, DIFFERENT, EQUAL, EVENTS, Comparison, Difference
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import Table
from featurestore.timeline import from_us


@dataclass(eq=False)
class Proof:
    """A view, and what is committed of it.

    Args:
        state: The view and its committed events.
        dictionary: The committed keys.
        is_chosen: Whether each code's entity is in the sample (bool).
    """

    state: ViewState
    dictionary: KeyDictionary
    is_chosen: np.ndarray
    decoder: Decoder = field(init=False)
    tiles: Table = field(init=False)
    ledger: Table = field(init=False)

    def __post_init__(self) -> None:
        self.decoder = Decoder(self.dictionary)
        self.tiles = Table.open(self.state.tiles_path)
        self.ledger = Table.open(self.state.ledger_path)

    def comparison(self, kind: str, partition: str, state: str, *, rows: int = 0, note: str = "") -> Comparison:
        """Return what is said of a file that has no hashes: a state, and maybe a note."""
        return Comparison(self.state.view.name, kind, partition, rows, "-", "-", state, note)

    def damaged(self, kind: str, partition: str, file: Path, error: Exception) -> Comparison:
        """Return why a file cannot be compared, and how to mend it."""
        folder = "/".join(file.relative_to(self.state.layout.root).parts[:3])
        mend = (
            "Restore it from a backup; months from it on are not compared"
            if kind == EVENTS
            else f"Delete {folder} and call materialize(), which builds it anew"
        )
        return self.comparison(kind, partition, DAMAGED, note=f"{file.name} {_problem(error, file)}. {mend}.")

    def compared(self, kind: str, partition: str, file: Path, committed: CodedRows, recomputed: CodedRows) -> Comparison:
        """Compare the sampled rows of a committed file with the rebuilt ones."""
        committed = committed.chosen(self.is_chosen)
        recomputed = recomputed.chosen(self.is_chosen)
        difference = compare(committed, recomputed, self.decoder)
        view = self.state.view
        rows = len(committed.codes)
        if difference.is_equal:
            return Comparison(view.name, kind, partition, rows, difference.committed, difference.recomputed, EQUAL)
        zone = self.state.layout.naive_timezone
        using = [
            aggregation.name
            for aggregation in view.aggregations
            if difference.column in {measure.name for measure in measures_of(view, aggregation, zone)}
        ]
        at = _moment(self.state, difference.step)
        key = self.decoder.key(difference.code)
        first = Difference(view.name, kind, partition, key, at, difference.column, tuple(using), *difference.values)
        note = f"{file.name} is not what the events give."
        return Comparison(view.name, kind, partition, rows, difference.committed, difference.recomputed, DIFFERENT, note, first)


def _problem(error: Exception, file: Path) -> str:
    if not STORAGE.exists(file):
        return "is missing"
    cause = str(error.__cause__ or error).splitlines()[0].rstrip(".")
    return f"is damaged: {cause}"


def _moment(state: ViewState, step: int | None) -> datetime | None:
    """Return a step's first instant; ``None`` without a step, and for a damaged one that no calendar has."""
    try:
        return None if step is None else from_us(state.clock.start_us(step))
    except (OverflowError, ValueError):
        return None
