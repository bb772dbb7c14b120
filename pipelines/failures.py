"""Failures: the library's errors as Dagster shows them."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from featurestore.errors import FeatureStoreError


@contextmanager
def readable_failures() -> Iterator[None]:
    """Turn an error of the library into a failed step that says the library's message.

    Whether the step may be retried is the error's own property: the same data would fail again.
    """
    try:
        yield
    except FeatureStoreError as error:
        raise dg.Failure(
            description=str(error), metadata={"error": type(error).__name__}, allow_retries=error.is_retryable
        ) from error
