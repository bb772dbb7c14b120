from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.datasets.importer import package_folder, write_months
from featurestore.errors import DefinitionError, MissingExtraError
from featurestore.timeline import Month, months_between

SCHEMA = pa.schema([("event_time", pa.timestamp("us", "UTC")), ("what", pa.string())])
SPAN = months_between(Month(2017, 1), Month(2017, 3))


def events(*moments: tuple[int, int, int, int]) -> pa.Table:
    times = [datetime(*moment, tzinfo=timezone.utc) for moment in moments]
    what = pa.array([f"event {i}" for i in range(len(times))]).dictionary_encode()
    return pa.table({"event_time": pa.array(times, SCHEMA.field("event_time").type), "what": what})


def write(folder: Path, table: pa.Table, **options: object) -> list[Path]:
    return write_months(table, folder, schema=SCHEMA, span=SPAN, timezone="America/New_York", **options)  # type: ignore[arg-type]


def test_months_begin_in_the_business_zone_and_empty_ones_get_a_file(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    table = events((2017, 1, 1, 5), (2017, 2, 1, 4), (2017, 3, 1, 5), (2017, 4, 1, 3))

    paths = write(tmp_path / "landing", table, progress=lambda month, rows: told.append((str(month), rows)))

    assert [path.name for path in paths] == ["2017-01.parquet", "2017-02.parquet", "2017-03.parquet"]
    assert told == [("2017-01", 2), ("2017-02", 0), ("2017-03", 2)]
    assert all(pq.read_schema(path).equals(SCHEMA) for path in paths)
    assert sorted(path.name for path in (tmp_path / "landing").iterdir()) == [path.name for path in paths]


def test_chosen_months_are_written_alone(tmp_path: Path) -> None:
    (path,) = write(tmp_path, events((2017, 1, 9, 0), (2017, 2, 9, 0)), months=["2017-02"])

    assert pq.read_table(path)["what"].to_pylist() == ["event 1"]
    assert [each.name for each in tmp_path.iterdir()] == ["2017-02.parquet"]


def test_a_month_outside_the_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no month 2018-01; it runs from 2017-01 to 2017-03"):
        write(tmp_path, events((2017, 1, 9, 0)), months=["2018-01"])


@pytest.mark.parametrize("moment", [(2017, 1, 1, 4), (2017, 4, 1, 4)])
def test_events_outside_all_months_are_never_dropped_in_silence(tmp_path: Path, moment: tuple[int, int, int, int]) -> None:
    table = events(*sorted([moment, (2017, 2, 1, 0)]))

    with pytest.raises(DefinitionError, match="1 events of the installed package lie outside 2017-01 to 2017-03"):
        write(tmp_path, table)


def test_a_missing_package_names_the_extra_that_brings_it() -> None:
    with pytest.raises(MissingExtraError, match=r"'no-such-data'.*`pip install -e '\.\[realdata\]'`"):
        package_folder("no_such_data_package", distribution="no-such-data")
