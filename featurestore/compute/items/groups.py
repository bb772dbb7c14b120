"""Groups of neighbouring buckets, so that a rank is found from coarse to fine. Pure: arrays in, arrays out.

A list of more than ``MAX_WHOLE`` buckets holds, after these, the groups that they lie in: first of 2^SHIFTS[0] buckets,
then of 2^SHIFTS[1] and so on. A group is one more number: ``(bucket >> shift) + level * STRIDE``, beyond those of all buckets.
"""

from __future__ import annotations

import numpy as np

SHIFTS = (2, 4, 6)
MAX_WHOLE = 48
# Buckets lie between -STRIDE / 2 and STRIDE / 2, whatever the error.
STRIDE = 2**25


def grouped(owners: np.ndarray, buckets: np.ndarray, is_long: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Append the numbers of the groups that some buckets lie in.

    Args:
        owners: Owner of each bucket.
        buckets: Bucket numbers.
        is_long: Per owner, whether it has groups.

    Returns:
        ``(row, owner, number)``: the rows as they came, then one per row and level for those with groups.
    """
    rows = np.arange(len(owners))
    mine = np.flatnonzero(is_long[owners])
    numbers = [(buckets[mine] >> shift) + level * STRIDE for level, shift in enumerate(SHIFTS, start=1)]
    rows = np.concatenate([rows, *(mine for _ in SHIFTS)])
    return rows, owners[rows], np.concatenate([buckets, *numbers])


def is_bucket(numbers: np.ndarray) -> np.ndarray:
    """Say which numbers are buckets, not groups."""
    are_buckets: np.ndarray = numbers < STRIDE // 2
    return are_buckets
