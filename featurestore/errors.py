"""Every error the store raises on purpose.

    FeatureStoreError
    ├── DefinitionError            a definition contradicts itself, its source or another definition
    │   └── ExpressionError        a ``where`` or ``Derived`` expression is not allowed or does not fit its columns
    ├── UnknownNameError           no entity, source, view, service, feature or calibration of that name
    ├── StoreError                 the store's directory is missing, foreign, damaged or of another time zone
    │   └── CommitConflictError    another writer committed first (``is_retryable``)
    ├── IngestError                a batch could not be read at all; nothing of it was committed
    ├── FrameError                 what was given as a table is none, or a column of it has no type that can be read
    ├── SpineError                 a spine lacks a column, has one of the wrong type or one named like an output
    ├── VersionError               versions to read again are missing, or do not belong to what is asked for
    ├── NotMaterializedError       committed events before ``as_of`` are not yet in the view
    ├── NotPublishedError          a service has no last good snapshot that may be read, or cannot get this one
    ├── OverflowingResultError     an exact result does not fit its type
    ├── CalibrationError           a calibration cannot be fitted, promoted or rolled back
    └── MissingExtraError          an optional dependency is not installed

Each message says what happened with the offending value, what was expected, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class FeatureStoreError(Exception):
    """Base of all errors raised on purpose by this library."""

    is_retryable: bool = False
    """Whether the same call may succeed when simply made again."""


class DefinitionError(FeatureStoreError):
    """A definition contradicts itself, its source or another definition."""


class ExpressionError(DefinitionError):
    """A ``where`` or ``Derived`` expression is not allowed or does not fit its columns."""


class UnknownNameError(FeatureStoreError):
    """No object of that name is known."""


class StoreError(FeatureStoreError):
    """The store's directory is missing, foreign, damaged or was created with another time zone."""


class CommitConflictError(StoreError):
    """Another writer committed first; the same call may be made again."""

    is_retryable = True


class IngestError(FeatureStoreError):
    """A batch could not be read at all; nothing of it was committed."""


class FrameError(FeatureStoreError):
    """What was given as a table is none, has a column twice, or a column of no type that can be read."""


class SpineError(FeatureStoreError):
    """A spine lacks a column, has one of the wrong type, or one that is named like an output."""


class VersionError(FeatureStoreError):
    """Versions to read again are missing, or do not belong to what is asked for."""


class NotMaterializedError(FeatureStoreError):
    """Committed events before ``as_of`` are not yet in the view."""


class NotPublishedError(FeatureStoreError):
    """A service has no last good snapshot that may be read: none yet, one too old; or it cannot get this one."""


class OverflowingResultError(FeatureStoreError):
    """An exact result does not fit its type."""


class CalibrationError(FeatureStoreError):
    """A calibration cannot be fitted, promoted or rolled back."""


class MissingExtraError(FeatureStoreError):
    """An optional dependency is not installed."""


def how_to_install(*extras: str) -> str:
    """Say how an optional dependency comes, for the end of an error message: nothing is published, so from a checkout.

    >>> how_to_install("drift", "alerts")
    "Run `make install` in the checkout, or `pip install -e '.[drift,alerts]'` there."
    """
    return f"Run `make install` in the checkout, or `pip install -e '.[{','.join(extras)}]'` there."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Name the nearest known names, for the end of an error message.

    Returns:
        ``" Did you mean 'amount_cents'?"``, or the known names when none is near, or ``""`` when none is known.

    >>> did_you_mean("amount", ["amount_cents", "user_id"])
    " Did you mean 'amount_cents'?"
    """
    names = sorted(set(known))
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(names[:20])}." if names else ""
