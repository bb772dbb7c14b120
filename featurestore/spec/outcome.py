"""Outcomes: what a probability feature forecasts, counted by features of its own view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.aggregations import Aggregation, Count, Sum


@dataclass(frozen=True)
class Outcome:
    """What came of a forecast, so that the drift audit can hold the one against the other.

    Both names are features of the forecast's own view. Their windows do not matter: outcomes are counted over the month after
    a forecast, once the view's ``delay`` has passed.

    Args:
        successes: A count or sum of what the probability is of, such as ``"returns_1y"``; counted as at least 0 and at most all
            of the trials.
        trials: A count or sum of how often that might have come, such as ``"orders_1y"``. Without it, each entity is one trial
            a month, and a success when it has any.
    """

    successes: str
    trials: str | None = None

    def __post_init__(self) -> None:
        for name in self.features:
            if not isinstance(name, str):
                raise DefinitionError(f"An outcome names features of its view by text such as 'returns_1y', not by {name!r}.")

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that count the outcome: successes, then trials if they are declared."""
        return (self.successes,) if self.trials is None else (self.successes, self.trials)

    def check(self, aggregations: Mapping[str, Aggregation | None], *, owner: str) -> None:
        """Refuse features that count nothing.

        Args:
            aggregations: Each feature of the view to its aggregation; ``None`` of a derived one.
            owner: Names the forecast in errors.

        Raises:
            DefinitionError: a feature is unknown, or no count or sum; or both are the same.
        """
        for name in self.features:
            if name not in aggregations:
                near = did_you_mean(name, aggregations)
                raise DefinitionError(f"{owner}: its outcome names {name!r}, no feature of the view.{near}")
            if type(aggregations[name]) not in (Count, Sum):  # a mean is a kind of sum, and counts nothing
                raise DefinitionError(f"{owner}: its outcome names {name!r}, which counts nothing; use a Count or a Sum.")
        if self.trials == self.successes:
            raise DefinitionError(f"{owner}: its outcome counts successes and trials by {self.trials!r}; they must differ.")
