"""Champion against challenger on held-out months: losses per member, and a gate that knows noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from featurestore.errors import CalibrationError

SAMPLES = 2000
MAX_BLOCKS = 2000
CONFIDENCE = 0.95
MIN_MEMBERS = 30


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What one consumer saw in the held-out months, a row per month and member.

    Attributes:
        members: [rows] who each row is about; rows of a member are drawn together.
        champion: [rows] loss under the champion's parameters, from what was known before the month.
        challenger: [rows] loss under the challenger's, from the same.
        trials: [rows] that the losses are sums of.
        weights: [rows] how much of a row the consumer serves; it has no rows of weight 0.
    """

    members: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    trials: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        columns = (self.members, self.champion, self.challenger, self.trials, self.weights)
        if len({len(column) for column in columns}) != 1:
            raise CalibrationError("Held-out members, losses, trials and weights must have one row each.")


@dataclass(frozen=True)
class ConsumerVerdict:
    """One consumer's verdict: mean losses per trial, and the interval of the champion's less the challenger's.

    Attributes:
        consumer: Service that reads the parameters.
        loss: Name of the loss.
        members: Members with trials in the held-out months that it serves.
        trials: Their trials.
        champion: Mean loss per trial, weighted by what it serves.
        challenger: The challenger's.
        low: Lower end of the improvement's interval.
        high: Upper end.
    """

    consumer: str
    loss: str
    members: int
    trials: int
    champion: float
    challenger: float
    low: float
    high: float

    @property
    def improvement(self) -> float:
        """How much smaller the challenger's loss is, per trial."""
        return self.champion - self.challenger

    @property
    def is_better(self) -> bool:
        """Whether the challenger is better beyond noise."""
        return self.members >= MIN_MEMBERS and self.low > 0

    @property
    def is_worse(self) -> bool:
        """Whether the challenger is worse beyond noise."""
        return self.high < 0


def back_test(held_out: Mapping[str, HeldOut], *, loss: str, seed: int = 0) -> tuple[ConsumerVerdict, ...]:
    """Compare champion and challenger for each consumer.

    The interval comes from a paired bootstrap (Efron and Tibshirani, 1993, chapter 8): members are drawn with replacement,
    both losses of a member in all months together, so that what they share cancels. Beyond ``MAX_BLOCKS`` members, random
    blocks of members are drawn instead. What all members of a month share is not drawn: three months are too few for that.

    Args:
        held_out: Consumer to its held-out rows.
        loss: Name of the loss, for the record.
        seed: Of the bootstrap.
    """
    return tuple(_compare(consumer, rows, loss, seed) for consumer, rows in held_out.items())


def gate(comparisons: tuple[ConsumerVerdict, ...]) -> tuple[bool, str]:
    """Decide: promote only what is better beyond noise for some consumer, and worse beyond noise for none.

    Returns:
        Whether to promote, and why.
    """
    worse = [one for one in comparisons if one.is_worse]
    better = [one for one in comparisons if one.is_better]
    if worse:
        return False, "; ".join(f"worse for {_said(one)}" for one in worse)
    if better:
        return True, "; ".join(f"better for {_said(one)}" for one in better)
    if not any(one.trials for one in comparisons):
        return False, "the held-out months have no trials to judge by"
    return False, "; ".join(f"not better beyond noise for {_said(one)}" for one in comparisons)


def _said(one: ConsumerVerdict) -> str:
    return (
        f"{one.consumer}: {one.loss} {one.champion:.6f} -> {one.challenger:.6f} per trial, "
        f"improvement {one.improvement:+.6f} [{one.low:+.6f}, {one.high:+.6f}] on {one.members} members"
    )


def _compare(consumer: str, rows: HeldOut, loss: str, seed: int) -> ConsumerVerdict:
    is_judged = (rows.trials > 0) & (rows.weights > 0)
    weights = rows.weights[is_judged]
    _, member = np.unique(rows.members[is_judged], return_inverse=True)
    if not len(member):
        return ConsumerVerdict(consumer, loss, 0, 0, 0.0, 0.0, 0.0, 0.0)
    champion, challenger, trials = (
        np.bincount(member, values[is_judged] * weights) for values in (rows.champion, rows.challenger, rows.trials)
    )
    low, high = _interval(champion - challenger, trials, seed)
    total = trials.sum()
    counted = int(rows.trials[is_judged].sum())
    return ConsumerVerdict(
        consumer, loss, len(trials), counted, float(champion.sum() / total), float(challenger.sum() / total), low, high
    )


def _interval(differences: np.ndarray, trials: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the bootstrap interval of the mean difference per trial."""
    rng = np.random.default_rng(seed)
    if len(trials) > MAX_BLOCKS:
        block = rng.integers(0, MAX_BLOCKS, len(trials))
        differences, trials = (np.bincount(block, values, minlength=MAX_BLOCKS) for values in (differences, trials))
    means = np.empty(SAMPLES)
    for i in range(SAMPLES):
        drawn = rng.integers(0, len(trials), len(trials))
        means[i] = differences[drawn].sum() / trials[drawn].sum()
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
