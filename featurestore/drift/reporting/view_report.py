"""The Evidently report of an audited view and month: its snapshot against those that most features were compared with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.drift.audit_tables import AuditedView, history, read_snapshot
from featurestore.drift.reporting.evidently_report import WrittenReport, write_report
from featurestore.errors import FeatureStoreError
from featurestore.timeline import Month

WORKSPACE = "evidently"


def draw_report(audited: AuditedView, month: Month, *, folder: Path) -> WrittenReport:
    """Draw the Evidently report of an audited month, and keep it in the workspace ``folder / WORKSPACE``.

    The reference is the rows of the months that most features were compared with; without any, the month before.

    Raises:
        FeatureStoreError: the month has not been audited, or has nothing to be compared with.
    """
    current = read_snapshot(audited, month)
    scores = history(audited)
    scores = scores.filter(pc.equal(scores["month"], pa.scalar(month.first_day))).drop_columns(["view"])
    if current is None or not scores.num_rows:
        raise FeatureStoreError(f"View {audited.view!r} has no audit of {month}. Call store.audit({str(month)!r}) first.")
    compared = Counter(tuple(months) for months in scores["reference_months"].to_pylist() if months)
    names = [Month.parse(name) for name in compared.most_common(1)[0][0]] if compared else [month.shift(-1)]
    reference = [table for table in (read_snapshot(audited, each) for each in names) if table is not None]
    if not reference:
        raise FeatureStoreError(f"View {audited.view!r} has no month before {month} to compare it with.")
    sides = [
        table.drop_columns(list(audited.keys)) for table in (current, pa.concat_tables(reference, promote_options="default"))
    ]
    title = f"{audited.view} in {month}, against {', '.join(map(str, names))}"
    return write_report(
        sides[0],
        sides[1],
        scores,
        folder=folder / str(month),
        name=audited.view,
        title=title,
        workspace=folder / WORKSPACE,
    )
