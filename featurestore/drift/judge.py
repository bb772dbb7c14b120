"""A first honest judge: the same season of earlier years decides, two months running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.drift.policy import DriftPolicy
from featurestore.drift.pool import PoolComparison, compare_with_pool, pool_members
from featurestore.drift.record import FeatureRecord
from featurestore.drift.state import Finding

MISSING_CHANGE = 0.05
MOST_SCORE = 100.0


@dataclass(frozen=True)
class _Compared:
    pool: PoolComparison
    missing_change: np.ndarray


class PoolJudge:
    """Compares each month of each record with its pool; remembers the baseline of recalibrated ones."""

    def __init__(self, records: Sequence[FeatureRecord], labels: Sequence[str], policy: DriftPolicy) -> None:
        self._records, self._labels, self._policy = records, labels, policy
        self._compared = [self._compare(record, 0) for record in records]

    def forget(self, i: int, *, baseline: int) -> None:
        """Compare the later months of a record only with months from its new baseline on."""
        self._compared[i] = self._compare(self._records[i], baseline)

    def reference(self, i: int, t: int) -> list[int]:
        """List the months that month ``t`` is compared with."""
        return [int(j) for j in np.flatnonzero(self._compared[i].pool.members[t])]

    def finding(self, i: int, t: int) -> Finding:
        """Judge a month that can be judged."""
        record, compared = self._records[i], self._compared[i]
        if t in record.faults:
            return Finding(MOST_SCORE, "schema", record.faults[t], onset=t, is_extreme=True)
        scores = {"psi": _number(compared.pool.score[t]), "missing": _number(compared.missing_change[t]) / MISSING_CHANGE}
        kind = max(scores, key=lambda name: scores[name])
        change = _number(compared.missing_change[t])
        text = f"PSI {_number(compared.pool.psi[t]):.2f} against the same season, missing rate {change:+.1%}"
        is_all_missing = bool(record.empty[t] == record.rows[t])
        confirms = (
            t > 0 and max(_number(compared.pool.score[t - 1]), _number(compared.missing_change[t - 1]) / MISSING_CHANGE) >= 1
        )
        return Finding(scores[kind], kind, text, onset=t - confirms, confirms=confirms, is_extreme=is_all_missing)

    def _compare(self, record: FeatureRecord, baseline: int) -> _Compared:
        sufficient = record.is_sufficient(self._policy.min_rows)
        members = pool_members(self._labels, sufficient, baseline=baseline)
        pool = compare_with_pool(record.counts, members, is_sufficient=sufficient, psi=self._policy.psi)
        rows, empty = members @ record.rows, members @ record.empty
        with np.errstate(invalid="ignore", divide="ignore"):
            change = np.abs(record.empty / record.rows - empty / rows)
        return _Compared(pool, np.where(sufficient, change, np.nan))


def _number(value: float) -> float:
    return 0.0 if np.isnan(value) else float(value)
