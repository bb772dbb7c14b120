"""Sub-ledgers of distinct items: ``spans``, when each item was last seen in a partition, and the marks of each window.

    spans     items, steps: last step of the item in the partition            made of the partition's tiles alone
    <window>  steps, totals: distinct items in the window after each mark     made of its tiles, and of the spans in reach

So a late row makes anew the files of its partition and of those that begin within a window of it, and nothing else. After
the last partition no marks stand yet; there the items that leave the window are counted in the spans (``RunsReader``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute.items.files import Files, ItemFold, Items, Names, Numbers
from featurestore.compute.items.lists import ITEMS, STEPS, TOTALS, EntityLists, expanded, joined, list_table, segments
from featurestore.compute.items.marks import Spans, fold_marks, gone, last_before
from featurestore.compute.items.occurrences import Occurrences, changes, occurrences
from featurestore.compute.items.parts import Part, longest, window_name, within_reach
from featurestore.compute.search.as_of_search import last_row_before
from featurestore.compute.search.portions import portions
from featurestore.spec.document import digest

SPANS = "spans"
# Spans that are sorted at once, where a spine looks beyond the last partition.
_CHUNK = 2_000_000


@dataclass(frozen=True)
class RunsFold(ItemFold):
    """Running numbers of distinct items.

    Args:
        values: Arrow type of an item.
    """

    values: pa.DataType

    @property
    def type(self) -> pa.DataType:
        """A list of the distinct items of a step."""
        return pa.list_(self.values)

    def names(self, items: Items, parts: Sequence[Part]) -> Names:
        """Name spans after their ledger, marks after it and the ledgers in reach of their window."""
        names: Names = {}
        for i, part in enumerate(parts):
            names[items.kind(SPANS), part.start] = digest([items.kind(SPANS), part.ledger])
            for window in items.windows:
                kind = items.kind(window_name(window))
                made_of = [each.ledger for each in within_reach(parts, i, window)]
                names[kind, part.start] = digest([kind, part.ledger, part.opens, made_of])
        return names

    def fold(
        self, items: Items, parts: Sequence[Part], index: int, *, files: Files, tiles: pa.Table, numbers: Numbers
    ) -> dict[str, pa.Table]:
        """Build the spans and the marks of one partition."""
        part = parts[index]
        reach = within_reach(parts, index, longest(items.windows))
        earlier = [spans_of(files[items.kind(SPANS), each.start]) for each in reach]
        openings = {window: _opening(items, window, parts, index, files) for window in items.windows}
        entities = [int(tiles["code"].to_numpy().max(initial=-1)) + 1, *(len(spans.ends) for spans in earlier)]
        more = np.zeros(max([*entities, *(len(opening) for opening in openings.values())]), np.int64)
        for spans in earlier:
            more[: len(spans.ends)] += np.diff(spans.ends, prepend=0)
        pieces: dict[str, list[tuple[np.ndarray, ...]]] = {}
        for seen in occurrences(tiles, items.name, more=more, numbers=numbers):
            counts = np.bincount(seen.codes[seen.last] - seen.low, minlength=seen.high - seen.low)
            pieces.setdefault(SPANS, []).append((counts, seen.items[seen.last], seen.steps[seen.last]))
            for window, marks in _marks(items, part, seen, earlier, openings).items():
                pieces.setdefault(window, []).append(marks)
        names = {SPANS: (ITEMS, STEPS)}
        return {
            items.kind(what): _table(pieces.get(what, []), names.get(what, (STEPS, TOTALS)))
            for what in (SPANS, *map(window_name, items.windows))
        }


def _marks(
    items: Items, part: Part, seen: Occurrences, earlier: Sequence[Spans], openings: dict[int | None, np.ndarray]
) -> dict[str, tuple[np.ndarray, ...]]:
    """Fold the marks of each window, of one range of entities."""
    own_ends = np.cumsum(np.bincount(seen.codes[seen.first], minlength=seen.high))
    own = Spans(own_ends, seen.items[seen.first], seen.steps[seen.first])
    before = last_before(earlier, seen.codes[seen.first], seen.items[seen.first])
    marks: dict[str, tuple[np.ndarray, ...]] = {}
    for window in items.windows:
        left = np.zeros(0, np.int64), np.zeros(0, np.int64)
        if window is not None:
            codes, numbers, lasts = gone(earlier, seen.low, seen.high, since=part.opens - window, until=part.cut - window)
            is_gone = own.find(codes, numbers) < 0
            left = codes[is_gone], lasts[is_gone] + window
        opening = np.zeros(seen.high - seen.low, np.int64)
        known = openings[window][seen.low : seen.high]
        opening[: len(known)] = known
        marks[window_name(window)] = fold_marks(seen, before, left, opening, window=window, opens=part.opens, cut=part.cut)
    return marks


def _opening(items: Items, window: int | None, parts: Sequence[Part], index: int, files: Files) -> np.ndarray:
    """Return the distinct items at a partition's opening, per entity: the last total of the partition before it."""
    if not index:
        return np.zeros(0, np.int64)
    marks = files[items.kind(window_name(window)), parts[index - 1].start]
    ends = marks.ends(STEPS)
    totals = marks.values(TOTALS)
    counts = np.diff(ends, prepend=0)
    opening = np.zeros(len(ends), np.int64)
    opening[counts > 0] = totals[ends[counts > 0] - 1]
    return opening


def _table(parts: Sequence[tuple[np.ndarray, ...]], names: Sequence[str]) -> pa.Table:
    counts = joined([part[0] for part in parts])
    return list_table({name: (counts, joined([part[1 + i] for part in parts])) for i, name in enumerate(names)})


def spans_of(file: EntityLists) -> Spans:
    """Return when each item was last seen, from a spans file."""
    return Spans(file.ends(STEPS), file.values(ITEMS), file.values(STEPS))


class RunsReader:
    """Answers how many distinct items a window holds.

    Args:
        items: The list column.
        parts: The partitions.
        files: Their files.
    """

    def __init__(self, items: Items, parts: Sequence[Part], files: Files) -> None:
        self._items = items
        self._parts = parts
        self._files = files
        self._opens = np.array([part.opens for part in parts], np.int64)

    def distinct(self, window: int | None, codes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        """Count the distinct items at steps ``[bound - window, bound)``.

        Args:
            window: A declared length in steps; ``None`` for ``lifetime``.
            codes: Entity per probe, negative for unknown ones.
            bounds: The window's right edge per probe.
        """
        out = np.zeros(len(codes), np.int64)
        of = np.searchsorted(self._opens, bounds, side="left") - 1
        for i in np.flatnonzero(np.bincount(of[of >= 0], minlength=len(self._parts))).tolist():
            marks = self._files[self._items.kind(window_name(window)), self._parts[i].start]
            ends = marks.ends(STEPS)
            steps = marks.values(STEPS)
            mine = np.flatnonzero((of == i) & (codes >= 0) & (codes < len(ends)))
            if len(steps):
                row, found = last_row_before(steps, ends, codes[mine], bounds[mine])
                out[mine] = marks.values(TOTALS).take(row) * found
        if window is not None and len(self._parts):
            beyond = np.flatnonzero((bounds > self._parts[-1].cut) & (out > 0))
            out[beyond] -= self._left_since_cut(window, codes[beyond], bounds[beyond])
        return out

    def _left_since_cut(self, window: int, codes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        """Count the items that have left the window between the last partition's cut and each bound."""
        last = len(self._parts) - 1
        since = self._parts[last].cut - window
        reach = [self._parts[last], *(part for part in within_reach(self._parts, last, window) if part.cut >= since)]
        spans = [spans_of(self._files[self._items.kind(SPANS), part.start]) for part in reach]
        entities, of = np.unique(codes, return_inverse=True)
        weights = sum((segments(each.ends, entities)[1] for each in spans), np.zeros(len(entities), np.int64))
        out = np.zeros(len(codes), np.int64)
        for part in portions(weights, limit=_CHUNK):
            ends, steps = _final_steps(spans, entities[part])
            mine = np.flatnonzero((of >= part.start) & (of < part.stop))
            local = of[mine] - part.start
            starts = np.concatenate([[0], ends[:-1]])[local]
            # Items last seen before the cut less the window had left it by then.
            edges = [last_row_before(steps, ends, local, edge) for edge in (bounds[mine] - window, np.full(len(mine), since))]
            left, left_at_cut = (np.where(found, row + 1, starts) for row, found in edges)
            out[mine] = left - left_at_cut
        return out


def _final_steps(spans: Sequence[Spans], entities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(ends, steps)``: the last step of each item of some entities, ascending; ``ends`` per entity."""
    parts = [expanded(each.ends, entities) for each in spans]
    of = joined([position for position, _ in parts])
    items = joined([each.items[rows].astype(np.int64) for each, (_, rows) in zip(spans, parts, strict=True)])
    steps = joined([each.lasts[rows].astype(np.int64) for each, (_, rows) in zip(spans, parts, strict=True)])
    order = np.lexsort((-steps, items, of))
    final = order[changes(of[order], items[order])]
    final = final[np.lexsort((steps[final], of[final]))]
    return np.cumsum(np.bincount(of[final], minlength=len(entities))), steps[final]
