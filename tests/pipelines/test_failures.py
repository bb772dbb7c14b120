from __future__ import annotations

import dagster as dg
import pytest

from featurestore.errors import CommitConflictError, IngestError
from featurestore_pipelines.failures import readable_failures


@pytest.mark.parametrize(
    ("error", "is_retried"), [(IngestError("a.csv is empty."), False), (CommitConflictError("Again."), True)]
)
def test_a_step_may_be_retried_only_if_its_error_may(error, is_retried):
    with pytest.raises(dg.Failure) as caught, readable_failures():
        raise error
    assert caught.value.description == str(error)
    assert caught.value.allow_retries is is_retried
    assert caught.value.__cause__ is error


def test_a_bug_stays_a_bug():
    with pytest.raises(ZeroDivisionError), readable_failures():
        _ = 1 // 0
