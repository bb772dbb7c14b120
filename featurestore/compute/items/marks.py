"""Runs of items: the marks whose running total is the number of distinct items in a window. Pure: arrays in, arrays out.

An item that occurs at step d lies in the window [T - w, T) for d < T <= d + w. So a run, a chain of its occurrences with
gaps of at most w, adds one item from just after its first step to w steps after its last one:

    +1 at the first step of a run, -1 at w after its last;         distinct(T, w) = sum of the marks at steps < T

Both are known as soon as the step of the mark is over, so no later event changes a mark that stands. A partition holds the
marks at steps ``[opens, cut)``: ``opens`` is where the partition before it was cut. What it needs of the past is the last
step of an item before it (``spans``: per partition, entity and item the last step).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.compute.items.occurrences import Occurrences, changes
from featurestore.compute.search.as_of_search import last_row_before

NEVER = -(2**62)


@dataclass(frozen=True, eq=False)
class Spans:
    """When each item of each entity was last seen in one partition.

    Args:
        ends: Per entity, the row after its last item.
        items: Item numbers, ascending inside an entity.
        lasts: Step of the last occurrence.
    """

    ends: np.ndarray
    items: np.ndarray
    lasts: np.ndarray

    def find(self, codes: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the row of each pair of entity and item, -1 where it is not in this partition."""
        rows = np.full(len(codes), -1, np.int64)
        known = np.flatnonzero(codes < len(self.ends))
        mine = codes[known]
        wanted = items[known]
        row, found = last_row_before(self.items, self.ends, mine, wanted)
        start = np.where(mine > 0, self.ends.take(mine - 1, mode="clip"), 0) if len(mine) else mine
        row = np.where(found, row + 1, start)
        is_here = row < self.ends[mine]
        is_here[is_here] = self.items[row[is_here]] == wanted[is_here]
        rows[known[is_here]] = row[is_here]
        return rows

    def within(self, low: int, high: int, *, since: int, until: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """List ``(codes, items, lasts)`` of the entities ``[low, high)`` that were last seen at steps ``[since, until)``."""
        low = min(low, len(self.ends))
        high = min(high, len(self.ends))
        first = int(self.ends[low - 1]) if low else 0
        end = int(self.ends[high - 1]) if high else 0
        lasts = self.lasts[first:end]
        rows = first + np.flatnonzero((lasts >= since) & (lasts < until))
        codes = np.searchsorted(self.ends, rows, side="right")
        return codes, self.items[rows].astype(np.int64), self.lasts[rows].astype(np.int64)


def last_before(earlier: Sequence[Spans], codes: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return the last step of each pair of entity and item in ``earlier`` partitions, the newest first; ``NEVER`` without one."""
    lasts = np.full(len(codes), NEVER, np.int64)
    left = np.arange(len(codes))
    for spans in earlier:
        rows = spans.find(codes[left], items[left])
        is_here = rows >= 0
        lasts[left[is_here]] = spans.lasts[rows[is_here]]
        left = left[~is_here]
    return lasts


def gone(earlier: Sequence[Spans], low: int, high: int, *, since: int, until: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List ``(codes, items, lasts)`` of the pairs of ``[low, high)`` that were last seen at steps ``[since, until)``.

    Args:
        earlier: Spans of partitions that follow one another, the newest first; a pair counts where it was seen last.
        low: First entity.
        high: The entity after the last one.
        since: First step.
        until: The step after the last one.
    """
    pairs = []
    for i, spans in enumerate(earlier):
        codes, items, lasts = spans.within(low, high, since=since, until=until)
        for newer in earlier[:i]:
            is_last = newer.find(codes, items) < 0
            codes = codes[is_last]
            items = items[is_last]
            lasts = lasts[is_last]
        pairs.append((codes, items, lasts))
    if not pairs:
        return (np.zeros(0, np.int64),) * 3
    codes, items, lasts = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return codes, items, lasts


def fold_marks(
    seen: Occurrences,
    before: np.ndarray,
    left: tuple[np.ndarray, np.ndarray],
    opening: np.ndarray,
    *,
    window: int | None,
    opens: int,
    cut: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fold the occurrences of one partition into marks.

    Args:
        seen: The partition's occurrences, of a range of entities.
        before: Per pair of ``seen``, its last step before the partition, or ``NEVER``.
        left: ``(codes, steps)`` at which pairs that are not in ``seen`` leave the window, in ``[opens, cut)``.
        opening: Distinct items at ``opens``, per entity of the range.
        window: Its length in steps; ``None`` for ``lifetime``.
        opens: First step of the marks.
        cut: Runs that end here or later are left to the next partition.

    Returns:
        ``(number of marks per entity, steps, totals)``, sorted by (code, step). An entity's first mark, at ``opens - 1``, is
        its opening where that is not 0.

    One entity saw item 8 at steps 1, 3 and 9, and item 9 at step 3; the window is 4 steps::

        step      1   3   5   7   9  11  13
        item 8    x---x------|                    the run 1..3 has left the window at 3 + 4 = 7
                                  x------|        the gap 9 - 3 exceeds 4: another run, which leaves at 13
        item 9        x------|                    leaves at 7, too: both are one mark, -2
        marks    +1  +1     -2  +1     -1
        total     1   2      0   1      0         distinct items in [T - 4, T) for T after the mark

    The partition is cut at 12, so the mark at 13 is left to the next one:

    >>> array = lambda *numbers: np.array(numbers, np.int64)
    >>> seen = Occurrences(0, 1, codes=array(0, 0, 0, 0), items=array(8, 8, 8, 9), steps=array(1, 3, 9, 3))
    >>> nothing = (array(), array())
    >>> fold_marks(seen, array(NEVER, NEVER), nothing, array(0), window=4, opens=0, cut=12)
    (array([4]), array([1, 3, 7, 9]), array([1, 2, 0, 1]))
    """
    codes, steps, signs = _edges(seen, before, left, window=window, opens=opens, cut=cut)
    opened = np.flatnonzero(opening)
    codes.append(opened + seen.low)
    steps.append(np.full(len(opened), opens - 1))
    changed = [*(np.full(len(part), sign) for part, sign in zip(codes[:-1], signs, strict=True)), opening[opened]]
    return _running(np.concatenate(codes) - seen.low, np.concatenate(steps), np.concatenate(changed), seen.high - seen.low)


def _edges(
    seen: Occurrences, before: np.ndarray, left: tuple[np.ndarray, np.ndarray], *, window: int | None, opens: int, cut: int
) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    """List ``(codes, steps)`` where runs begin, end inside the partition, end with it, or had ended, and the sign of each list."""
    gaps_from = np.empty(len(seen.steps), np.int64)
    gaps_from[1:] = seen.steps[:-1]
    gaps_from[seen.first] = before
    if window is None:
        starts = gaps_from == NEVER
        return [seen.codes[starts]], [seen.steps[starts]], [1]
    starts = seen.steps - gaps_from > window
    ends = starts & (gaps_from + window >= opens)
    final = seen.last[seen.steps[seen.last] + window < cut]
    codes = [seen.codes[starts], seen.codes[ends], seen.codes[final], left[0]]
    steps = [seen.steps[starts], gaps_from[ends] + window, seen.steps[final] + window, left[1]]
    return codes, steps, [1, -1, -1, -1]


def _running(
    codes: np.ndarray, steps: np.ndarray, changed: np.ndarray, entities: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add up changes by (code, step), and those of each entity from its first step on."""
    order = np.lexsort((steps, codes))
    codes = codes[order]
    steps = steps[order]
    changed = changed[order]
    first = np.flatnonzero(changes(codes, steps))
    net = np.add.reduceat(changed, first) if len(first) else changed
    codes = codes[first][net != 0]
    steps = steps[first][net != 0]
    net = net[net != 0]
    counts = np.bincount(codes, minlength=entities)
    ends = np.cumsum(counts)
    # What all entities before have added up to stands before an entity's first mark.
    totals = np.cumsum(net)
    return counts, steps, totals - np.concatenate([[0], totals])[np.repeat(ends - counts, counts)]
