"""What the monitor calls drift: thresholds as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.errors import DefinitionError


@dataclass(frozen=True)
class DriftPolicy:
    """When a month is enough to judge, and how far is too far.

    Attributes:
        segments: Columns of the snapshots whose values are monitored apart (``region``); all other columns are features.
        min_rows: A month with fewer rows of a feature is ``insufficient``.
        min_months: Months of history before a feature is judged; fewer are ``insufficient``.
        settle_months: Months after its entry into ``drift`` from which a latched feature is judged against its new level, so
            that the next change is seen.
        release_months: Months after which an episode that nobody has answered counts as acknowledged and is no longer latched.
            ``None``: never.
        psi: Least population stability index that matters, against the pool of the same season.
    """

    segments: Sequence[str] = ()
    min_rows: int = 20
    min_months: int = 24
    settle_months: int = 3
    release_months: int | None = None
    psi: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.segments, str) or not all(isinstance(name, str) for name in self.segments):
            raise DefinitionError(f"DriftPolicy(segments={self.segments!r}) must be a tuple of column names, as ('region',).")
        for name, least in (("min_rows", 1), ("min_months", 13), ("settle_months", 1)):
            if getattr(self, name) < least:
                raise DefinitionError(f"DriftPolicy({name}={getattr(self, name)}) is too small; use at least {least}.")
        if self.release_months is not None and self.release_months < 1:
            raise DefinitionError(f"DriftPolicy(release_months={self.release_months}) must be at least 1, or None for never.")
        if not self.psi > 0:
            raise DefinitionError(f"DriftPolicy(psi={self.psi}) must be positive.")
