"""Evidently's defaults, by its public interface: ``ValueDrift`` of each column, its own choice of test and threshold."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pyarrow as pa


def differing(month: pa.Table, reference: pa.Table) -> Iterator[str]:
    """Name the features that Evidently's test fails."""
    os.environ.setdefault("DO_NOT_TRACK", "1")  # read when evidently is imported
    with warnings.catch_warnings():
        # Evidently and what it imports use deprecated names.
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

        names = [name for name in month.column_names if name != "region"]
        categories = [name for name in names if pa.types.is_dictionary(month.schema.field(name).type)]
        definition = DataDefinition(
            numerical_columns=[name for name in names if name not in categories],
            categorical_columns=categories,
            text_columns=[],
            datetime_columns=[],
            unknown_columns=[],
            list_columns=[],
        )
        sides = []
        for table in (month, reference):
            frame = table.select(names).to_pandas().astype(dict.fromkeys(categories, object))
            sides.append(Dataset.from_pandas(frame, data_definition=definition))
        snapshot = Report([ValueDrift(column=name) for name in names], include_tests=True).run(*sides).dict()
    for test in snapshot["tests"]:
        if test["status"] == "FAIL":
            yield test["metric_config"]["params"]["column"]
