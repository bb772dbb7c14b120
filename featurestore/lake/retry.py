"""Trying again when another writer was faster: one loop, one wait, for everything that commits.

Whoever writes reads first, decides, and commits on what was read. If that has changed meanwhile the commit fails with a
CommitConflictError, nothing is written, and the whole step is done again, reading included. Whether an error means that is a
property of the error (``is_retryable``); how often and how long to try is said here alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from featurestore.errors import CommitConflictError, FeatureStoreError

ATTEMPTS = 30
_FIRST_WAIT_S = 0.02
_LONGEST_WAIT_S = 0.64
_Result = TypeVar("_Result")


def retried(
    step: Callable[[], _Result],
    *,
    gave_up: str | None = None,
    on: type[FeatureStoreError] = CommitConflictError,
    attempts: int = ATTEMPTS,
) -> _Result:
    """Call a step until it meets no conflict.

    Between two attempts it waits a random time, up to 40 ms at first, twice as long with each, 0.64 s at most: writers that met
    once do not meet again.

    Args:
        step: Reads, decides and writes; leaves nothing behind when it fails.
        gave_up: What the error says when even the last attempt met a conflict; by default what the step said.
        on: The errors after which it is called again, if they are retryable; all others are raised at once.
        attempts: How often it is called at most.

    Raises:
        CommitConflictError: others were faster each time.
    """
    attempt = 0
    while True:
        try:
            return step()
        except on as error:
            attempt += 1
            if not error.is_retryable or (attempt >= attempts and gave_up is None):
                raise
            if attempt >= attempts:
                raise CommitConflictError(gave_up) from error
        time.sleep(random.uniform(0.0, min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S)))  # noqa: S311 (spreads writers, no secret)
