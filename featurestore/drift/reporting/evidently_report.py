"""A month's genuine Evidently report: the only module that imports evidently.

Evidently draws, the monitor judges. Evidently would bin each month anew, drop missing values first and know no season, so
the report's drift test is one registered under a name of our own, which looks up the exact score. Only a bounded sample of rows
and the features worth a look go in: its cost lies in figures, not in statistics.

Each report is also kept in an Evidently workspace, a project a view and a run a month, which ``evidently ui --workspace FOLDER``
shows month by month, its scores and missing values over time on the project's dashboard.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import pyarrow as pa

from featurestore.drift.monitor.state import DRIFT, INSUFFICIENT, LATCHED, OK, WATCH
from featurestore.drift.sketches.edges import (
    CATEGORY,
    NUMERIC,
    PROFILE,
    UNSUPPORTED,
    kind_of,
    numbers,
    profiles,
    texts,
    values_by_count,
)
from featurestore.errors import FeatureStoreError, MissingExtraError, how_to_install
from featurestore.lake.whole_file import make_folder, write_atomically
from featurestore.timeline import Month

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 5000
MAX_FEATURES = 12
MAX_CATEGORIES = 20
STATTEST = "featurestore_score"
DASHBOARD = "Drift"
PANELS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("Scores", "Season-aware score of each feature that a report showed, in units of its threshold", "ValueDrift", {}),
    ("Missing values", "Share of a report's rows without a value", "MissingValueCount", {"value_type": "share"}),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,120}")
_RANK = {DRIFT: 0, LATCHED: 1, WATCH: 2, OK: 3, INSUFFICIENT: 4}


@dataclass(frozen=True)
class WrittenReport:
    """Where a report lies, and the features it shows, the worst first."""

    html: Path
    json: Path
    features: tuple[str, ...]


@dataclass(frozen=True)
class _Shown:
    """One feature of the report."""

    feature: str
    column: str
    kind: str
    categories: frozenset[str]
    row: Mapping[str, Any]


def write_report(
    current: pa.Table,
    reference: pa.Table,
    scores: pa.Table,
    *,
    folder: Path,
    name: str,
    title: str,
    max_rows: int = MAX_ROWS,
    workspace: Path | None = None,
) -> WrittenReport:
    """Draw the month's worst features with Evidently, as HTML and JSON.

    Args:
        current: The month's rows, one column per feature.
        reference: The rows it is compared with.
        scores: The month's rows of the drift table (``DRIFT_SCHEMA``); features in drift come first, then by score, at most
            ``MAX_FEATURES``. Of a feature with segments, the row of all rows (segment NULL) is shown.
        folder: Where to write; created when missing.
        name: File name without suffix: letters, digits and ``_ . = -``.
        title: Heading; escaped.
        max_rows: Rows of each side that Evidently sees, a seeded sample.
        workspace: Folder of the Evidently workspace that keeps the report as the month's run of the project ``name``; one that is
            there already is replaced. By default no workspace keeps it.

    Returns:
        Paths and features. The JSON of equal input is equal. A feature without values on one side has its missing rows counted
        instead of a drift figure.

    Raises:
        FeatureStoreError: the name is not of that form, or ``scores`` holds more than one month.
        MissingExtraError: evidently is not installed.
    """
    if not _NAME.fullmatch(name):
        raise FeatureStoreError(f"{name!r} cannot name a report: use letters, digits, '_', '.', '=' and '-', at most 120.")
    if len(set(scores["month"].to_pylist())) > 1:
        raise FeatureStoreError(
            f"A report shows one month; the scores hold {len(set(scores['month'].to_pylist()))}. Filter them."
        )
    sides = [_sample(table, max_rows) for table in (current, reference)]
    shown = _choose(sides[0], sides[1], scores)
    month = Month.parse(scores["month"][0].as_py()) if len(scores) else None
    snapshot = _run(_frame(sides[0], shown), _frame(sides[1], shown), shown, title=title, month=month)
    html = folder / f"{name}.html"
    json = folder / f"{name}.json"
    write_atomically(html, _with_heading(snapshot.get_html_str(as_iframe=False), title, shown).encode())
    write_atomically(json, snapshot.json().encode())
    if workspace is not None and month is not None:
        _keep(snapshot, workspace, project=name, month=month)
    return WrittenReport(html, json, tuple(one.feature for one in shown))


def _sample(table: pa.Table, max_rows: int) -> pa.Table:
    if len(table) <= max_rows:
        return table
    return table.take(np.sort(np.random.default_rng(0).choice(len(table), max_rows, replace=False)))


def _choose(current: pa.Table, reference: pa.Table, scores: pa.Table) -> list[_Shown]:
    rows = [row for row in scores.to_pylist() if row["segment"] is None]
    rows.sort(key=lambda row: (_RANK[row["state"]], -(row["score"] or 0.0), row["feature"]))
    shown = [
        _shown(row, current[row["feature"]], reference[row["feature"]]) for row in rows if _is_drawable(row, current, reference)
    ]
    return shown[:MAX_FEATURES]


def _is_drawable(row: Mapping[str, Any], current: pa.Table, reference: pa.Table) -> bool:
    if not all(row["feature"] in table.column_names for table in (current, reference)):
        return False
    kinds = {kind_of(table.schema.field(row["feature"]).type) for table in (current, reference)}
    return len(kinds) == 1 and UNSUPPORTED not in kinds


def _shown(row: Mapping[str, Any], current: pa.ChunkedArray, reference: pa.ChunkedArray) -> _Shown:
    kind = kind_of(current.type)
    sides = (current, reference) if kind == CATEGORY else ()
    known = frozenset(value for side in sides for value in values_by_count(texts(side))[:MAX_CATEGORIES])
    return _Shown(row["feature"], escape(row["feature"]), kind, known, row)


def _frame(table: pa.Table, shown: list[_Shown]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({one.column: _values(table[one.feature], one) for one in shown})


def _values(column: pa.ChunkedArray, shown: _Shown) -> pd.Series:
    """Turn a feature into what Evidently can draw: numbers, short strings, and one position drawn from each profile."""
    import pandas as pd

    if shown.kind == NUMERIC:
        values, is_null = numbers(column)
        return pd.Series(np.where(np.isfinite(values) & ~is_null, values, np.nan))
    if shown.kind == PROFILE:
        return pd.Series(_drawn_positions(column))
    named = {value: escape(value[:60]) for value in shown.categories}
    return pd.Series([None if v is None else named.get(v, "(other)") for v in texts(column).to_pylist()], dtype=object)


def _drawn_positions(column: pa.ChunkedArray) -> np.ndarray:
    mass = np.cumsum(np.nan_to_num(np.maximum(profiles(column), 0.0), posinf=0.0), axis=1)
    draw = np.random.default_rng(0).random(len(mass)) * mass[:, -1]
    return np.where(mass[:, -1] > 0, (mass <= draw[:, None]).sum(axis=1), np.nan)


def _run(current: pd.DataFrame, reference: pd.DataFrame, shown: list[_Shown], *, title: str, month: Month | None) -> Any:
    """Run Evidently over the two samples -> its snapshot."""
    os.environ.setdefault("DO_NOT_TRACK", "1")  # read when evidently is imported
    try:
        with warnings.catch_warnings():
            # Evidently's own imports use deprecated names of numpy and litestar.
            warnings.simplefilter("ignore", DeprecationWarning)
            from evidently import DataDefinition, Dataset, Report
            from evidently.metrics import MissingValueCount, RowCount, ValueDrift
    except ImportError as error:
        raise MissingExtraError(f"Reports need evidently, which is not installed. {how_to_install('drift')}") from error
    _register_scores(shown)
    # All six lists, or Evidently infers types by itself.
    definition = DataDefinition(
        numerical_columns=[one.column for one in shown if one.kind != CATEGORY],
        categorical_columns=[one.column for one in shown if one.kind == CATEGORY],
        text_columns=[],
        datetime_columns=[],
        unknown_columns=[],
        list_columns=[],
    )
    metrics: list[Any] = [RowCount()]
    for one in shown:
        # Evidently drops missing values before it compares, and stops when nothing is left.
        if all(side[one.column].notna().any() for side in (current, reference)):
            metrics.append(ValueDrift(column=one.column, method=STATTEST, threshold=1.0))
        if any(side[one.column].isna().any() for side in (current, reference)):
            metrics.append(MissingValueCount(column=one.column))
    with np.errstate(invalid="ignore"):  # Evidently divides by the count of a column without values
        datasets = [Dataset.from_pandas(side, data_definition=definition) for side in (current, reference)]
        when = {"timestamp": datetime.combine(month.first_day, datetime.min.time()), "tags": [str(month)]} if month else {}
        return Report(metrics, include_tests=True).run(*datasets, name=escape(title), **when)


def _keep(snapshot: Any, folder: Path, *, project: str, month: Month) -> None:
    """Keep a report in the workspace under names made from project and month, so that drawing it again replaces it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from evidently.sdk.models import PanelMetric, ProjectModel
        from evidently.sdk.panels import line_plot_panel
        from evidently.ui.storage.local.base import LocalState
        from evidently.ui.workspace import Workspace

    make_folder(folder)
    state = LocalState(str(folder))
    own = uuid5(NAMESPACE_URL, f"featurestore:{project}")
    if str(own) not in map(str, state.list_projects()):
        model = ProjectModel(id=own, name=project, description=f"Monthly drift reports of {escape(project)}")
        dashboard = Workspace.create(str(folder)).add_project(model).dashboard
        for title, description, metric, labels in PANELS:
            of_each = PanelMetric(metric=metric, metric_labels=labels, legend="{{column}}")
            dashboard.add_panel(line_plot_panel(title, [of_each], description), tab=DASHBOARD)
    # Not through the workspace: it reads all reports that it keeps whenever it is opened.
    state.write_snapshot(own, uuid5(own, str(month)), snapshot.to_snapshot_model())


def _register_scores(shown: list[_Shown]) -> None:
    """Register the exact scores as a drift test: Evidently hands it columns, and a column knows its name.

    Registering again replaces the scores of the report before, so one process draws one report at a time.
    """
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    rows = {one.column: one.row for one in shown}

    def look_up(reference: pd.Series, current: pd.Series, kind: ColumnType, threshold: float) -> tuple[float, bool]:
        row = rows[str(current.name)]
        return row["score"] or 0.0, row["state"] in (DRIFT, LATCHED)

    allowed = [ColumnType.Numerical, ColumnType.Categorical]
    name = "season-aware score, in units of its threshold"
    register_stattest(StatTest(STATTEST, name, allowed, default_threshold=1.0), default_impl=look_up)


def _with_heading(html: str, title: str, shown: list[_Shown]) -> str:
    """Put the title and the verdicts above Evidently's figures."""
    cells = [
        (row["feature"], row["state"], "" if row["score"] is None else f"{row['score']:.2f}", row["since"] or "", row["reason"])
        for row in (one.row for one in shown)
    ]
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in cells)
    head = "".join(f"<th>{name}</th>" for name in ("feature", "state", "score", "since", "reason"))
    style = ".verdicts{font:14px sans-serif;margin:24px} .verdicts td,.verdicts th{padding:4px 16px 4px 0;text-align:left}"
    heading = f'<style>{style}</style><div class="verdicts"><h1>{escape(title)}</h1><table><tr>{head}</tr>{body}</table></div>'
    return html.replace("<body>", f"<body>{heading}", 1)
