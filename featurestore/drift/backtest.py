"""Champion against challenger on held-out months: losses per member, and a gate that knows noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from featurestore.errors import CalibrationError

SAMPLES = 2000
MOST_BLOCKS = 2000
CONFIDENCE = 0.95
LEAST_MEMBERS = 30

Loss = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def binomial_log_loss(rates: np.ndarray, successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Return each member's negative log-likelihood in nats, summed over its trials; rates are kept from 0 and 1.

    >>> round(float(binomial_log_loss(np.array([0.5]), np.array([1]), np.array([2]))[0]), 4)
    1.3863
    """
    inside = np.clip(rates, 1e-9, 1 - 1e-9)
    return np.asarray(-(successes * np.log(inside) + (trials - successes) * np.log1p(-inside)))


def brier(rates: np.ndarray, successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Return each member's squared error of the rate against outcomes of 0 and 1, summed over its trials.

    >>> float(brier(np.array([0.5]), np.array([1]), np.array([2]))[0])
    0.5
    """
    return np.asarray(successes * np.square(1 - rates) + (trials - successes) * np.square(rates))


LOSSES: Mapping[str, Loss] = {"log_loss": binomial_log_loss, "brier": brier}


@dataclass(frozen=True)
class HeldOut:
    """What one consumer saw in the held-out months, a row per member.

    Attributes:
        champion: [rows] rate under the champion's parameters, from what was known before the held-out months.
        challenger: [rows] rate under the challenger's, from the same.
        successes: [rows] in the held-out months.
        trials: [rows] in the held-out months.
    """

    champion: np.ndarray
    challenger: np.ndarray
    successes: np.ndarray
    trials: np.ndarray

    def __post_init__(self) -> None:
        if len({len(self.champion), len(self.challenger), len(self.successes), len(self.trials)}) != 1:
            raise CalibrationError("Held-out rates, successes and trials must have one row per member each.")


@dataclass(frozen=True)
class Comparison:
    """One consumer's verdict: mean losses per trial, and the interval of the champion's less the challenger's.

    Attributes:
        consumer: Service that reads the parameters.
        loss: Name of the loss.
        members: Members with trials in the held-out months.
        trials: Their trials.
        champion: Mean loss per trial.
        challenger: Mean loss per trial.
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
        return self.members >= LEAST_MEMBERS and self.low > 0

    @property
    def is_worse(self) -> bool:
        """Whether the challenger is worse beyond noise."""
        return self.high < 0


def back_test(held_out: Mapping[str, HeldOut], *, loss: str, seed: int = 0) -> tuple[Comparison, ...]:
    """Compare champion and challenger for each consumer.

    The interval comes from a paired bootstrap (Efron and Tibshirani, 1993, chapter 8): members are drawn with replacement,
    both losses of a member together, so that what they share cancels. Beyond ``MOST_BLOCKS`` members, random blocks of
    members are drawn instead.

    Args:
        held_out: Consumer to its held-out rows.
        loss: ``log_loss`` or ``brier``.
        seed: Of the bootstrap.

    Raises:
        CalibrationError: the loss is unknown.
    """
    if loss not in LOSSES:
        raise CalibrationError(f"{loss!r} is not a loss of held-out rates. Known: {', '.join(LOSSES)}.")
    return tuple(_compare(consumer, rows, loss, seed) for consumer, rows in held_out.items())


def gate(comparisons: tuple[Comparison, ...]) -> tuple[bool, str]:
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


def _said(one: Comparison) -> str:
    return (
        f"{one.consumer}: {one.loss} {one.champion:.6f} -> {one.challenger:.6f} per trial, "
        f"improvement {one.improvement:+.6f} [{one.low:+.6f}, {one.high:+.6f}] on {one.members} members"
    )


def _compare(consumer: str, rows: HeldOut, loss: str, seed: int) -> Comparison:
    is_judged = rows.trials > 0
    trials = rows.trials[is_judged].astype(float)
    sides = [LOSSES[loss](rates[is_judged], rows.successes[is_judged], trials) for rates in (rows.champion, rows.challenger)]
    total = trials.sum()
    if not total:
        return Comparison(consumer, loss, 0, 0, 0.0, 0.0, 0.0, 0.0)
    low, high = _interval(sides[0] - sides[1], trials, seed)
    champion, challenger = (float(side.sum() / total) for side in sides)
    return Comparison(consumer, loss, int(is_judged.sum()), int(total), champion, challenger, low, high)


def _interval(differences: np.ndarray, trials: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the bootstrap interval of the mean difference per trial."""
    rng = np.random.default_rng(seed)
    if len(trials) > MOST_BLOCKS:
        block = rng.integers(0, MOST_BLOCKS, len(trials))
        differences, trials = (np.bincount(block, values, minlength=MOST_BLOCKS) for values in (differences, trials))
    means = np.empty(SAMPLES)
    for i in range(SAMPLES):
        drawn = rng.integers(0, len(trials), len(trials))
        means[i] = differences[drawn].sum() / max(trials[drawn].sum(), 1.0)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
