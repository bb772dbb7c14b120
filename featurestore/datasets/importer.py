"""What every importer does: find the installed package, and write its events as one file per business month."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.errors import DefinitionError, MissingExtraError, how_to_install
from featurestore.lake.whole_file import atomic_file
from featurestore.timeline import Month

Progress = Callable[[Month, int], None]


def package_folder(module: str, *, distribution: str) -> Path:
    """Find the folder of an installed package without importing it: importing these packages means importing pandas.

    Args:
        module: Name under which it would be imported.
        distribution: Name under which it is installed.

    Raises:
        MissingExtraError: it is not installed.
    """
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"The package {distribution!r}, which holds the data, is not installed. {how_to_install('realdata')}"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def write_months(
    events: pa.Table,
    folder: str | Path,
    *,
    schema: pa.Schema,
    span: Sequence[Month],
    timezone: str,
    months: Iterable[Month | str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write one Parquet file per month, such as ``2017-08.parquet``, each complete from the moment it appears.

    A month without events gets a file without rows, so that a missing file always means a missing delivery.

    Args:
        events: With a column ``event_time``, ascending. Text may be dictionary-encoded.
        folder: Created when missing; files of the same months are replaced.
        schema: Columns of the files.
        span: All months of the data set, ascending.
        timezone: Business time zone, in which months begin.
        months: Which months; all when None.
        progress: Called after each file with its month and number of events.

    Returns:
        The files, in the order of the months.

    Raises:
        DefinitionError: a month is not one of the data set's, or the package holds events outside of them.
    """
    wanted = list(span) if months is None else [Month.parse(month) for month in months]
    for month in wanted:
        if month not in span:
            raise DefinitionError(f"The data set has no month {month}; it runs from {span[0]} to {span[-1]}.")
    starts_us = [month.interval(timezone).start_us for month in (*span, span[-1].next())]
    edges = np.searchsorted(events["event_time"].to_numpy().astype("datetime64[us]").astype(np.int64), starts_us)
    if edges[0] != 0 or edges[-1] != events.num_rows:
        raise DefinitionError(
            f"{edges[0] + events.num_rows - edges[-1]} events of the installed package lie outside {span[0]} to {span[-1]}. "
            "Install the version that pyproject.toml names."
        )
    rows = {month: events.slice(start, end - start) for month, start, end in zip(span, edges[:-1], edges[1:], strict=True)}
    target = Path(folder)
    paths = []
    for month in wanted:
        paths.append(_write(rows[month].cast(schema), target / f"{month}.parquet"))
        if progress is not None:
            progress(month, rows[month].num_rows)
    return paths


def _write(table: pa.Table, path: Path) -> Path:
    import pyarrow.parquet as pq

    with atomic_file(path) as aside:
        pq.write_table(table, aside, compression="zstd", compression_level=3, data_page_version="2.0")
    return path
