"""Trying again after a conflict: what is repeated, how often, and what is said in the end."""

from __future__ import annotations

import time

import pytest

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.retry import ATTEMPTS, retried


class Step:
    """Fails as often as it is told."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures, self.calls, self.error = failures, 0, error or CommitConflictError("others were faster")

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    found = list[float]()
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def test_a_conflict_is_met_by_doing_the_whole_step_again(waits) -> None:
    assert retried(Step(failures=3)) == 4
    assert len(waits) == 3


def test_other_errors_are_not_tried_again(waits) -> None:
    for error in (StoreError("damaged"), ValueError("a bug")):
        step = Step(1, error)
        with pytest.raises(type(error)):
            retried(step)
        assert step.calls == 1


def test_an_error_that_says_it_is_not_retryable_is_raised_though_it_is_of_the_kind(waits) -> None:
    class FinalError(CommitConflictError):
        is_retryable = False

    step = Step(1, FinalError("decided"))
    with pytest.raises(FinalError):
        retried(step)
    assert step.calls == 1


def test_it_gives_up_after_so_many_attempts_with_the_words_it_was_given_or_the_last_ones(waits) -> None:
    step = Step(failures=10**6)
    with pytest.raises(CommitConflictError, match="again and again") as raised:
        retried(step, gave_up="again and again")
    assert (step.calls, len(waits)) == (ATTEMPTS, ATTEMPTS - 1)
    assert raised.value.__cause__ is step.error
    with pytest.raises(CommitConflictError, match="others were faster"):
        retried(Step(2), attempts=2)


def test_waits_are_random_and_bounded(waits) -> None:
    for _ in range(20):
        with pytest.raises(CommitConflictError):
            retried(Step(10**6))
    assert max(waits) <= 0.64
    assert min(waits[:: ATTEMPTS - 1]) < max(waits[:: ATTEMPTS - 1]) <= 0.04
