"""Landing folders: which files are read, of which month they are, and that none is passed over in silence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from deltalake import write_deltalake

import featurestore as fs
from featurestore.errors import DefinitionError, IngestError
from featurestore.lake.ingestion.landing import (
    Landing,
    files_without_partition,
    landed_files,
    landed_months,
    landing_of,
)
from featurestore.timeline import Month

SCHEMA = {"id": "int64", "time": "timestamp"}


def source(landing: str | Path | None = None) -> fs.EventSource:
    return fs.EventSource("orders", schema=SCHEMA, event_time="time", event_id="id", landing=landing)


def store_with(root: Path, landing: str | None = None) -> fs.FeatureStore:
    store = fs.FeatureStore(root)
    store.apply([source(landing)])
    return store


def land(store: fs.FeatureStore, *names: str, folder: str = "landing/orders") -> None:
    for number, name in enumerate(names):
        file = store.layout.root / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"id,time\n{number},2024-01-05\n")


def months(store: fs.FeatureStore, landing: str | None = None) -> dict[str, str | None]:
    return {file.name: file.month for file in landed_files(store.layout, source(landing))}


@pytest.mark.parametrize(("name", "month"), [
    ("2024-01.csv", "2024-01"),
    ("2024-01-05.csv", "2024-01"),
    ("2024-01/part-0.csv", "2024-01"),
    ("orders_2024-01-05.csv", "2024-01"),
    ("20240105.csv", "2024-01"),
    ("202401.csv", "2024-01"),
    ("orders20240105T1200.csv", "2024-01"),
    ("orders-20240105123456.csv", "2024-01"),
    ("2024_01_05.csv", "2024-01"),
    ("dt=2024-01-05/part.csv", "2024-01"),
    ("year=2024/month=1/day=5/part.csv", "2024-01"),
    ("2024/01/05/part.csv", "2024-01"),
    ("2024-01/export_2024-02-01.csv", "2024-01"),
    ("part-0.csv", None),
    ("2024-13.csv", None),
    ("2024-1.csv", None),
    ("1234567890.csv", None),
    ("0012024010.csv", None),
])  # fmt: skip
def test_a_date_in_the_path_says_the_month(tmp_path: Path, name: str, month: str | None) -> None:
    store = store_with(tmp_path)
    land(store, name)
    assert months(store) == {name: month}
    assert list(landed_months(store.layout, [source()])) == ([month] if month else [])
    assert len(landed_files(store.layout, source(), month=Month.parse("2024-01"))) == (month == "2024-01")
    assert store.ingest("orders").rows_added == 1


@pytest.mark.parametrize(("landing", "folder", "name", "other"), [
    ("dt={date}/*.csv", "landing/orders", "dt=2024-01-05/a.csv", "2024-01-05/a.csv"),
    ("in/dt={date}/*.csv", "in", "dt=20240105/a.csv", "dt=20240105/more/a.csv"),
    ("in/**/{date}.csv", "in", "a/b/2024-01.csv", "a/b/2024-01-x.csv"),
    ("dt={month}/*.csv", "landing/orders", "dt=2024-01/a.csv", "dt=2024-01-05/a.csv"),
    ("in[1]/made_*_for_{date}.csv", "in[1]", "made_2025-12-31_for_2024-01-05.csv", "for_2024-01-05.csv"),
    ("{date}/v?.csv", "landing/orders", "year=2024/month=01/v2.csv", "year=2024/month=01/v22.csv"),
])  # fmt: skip
def test_a_pattern_says_which_files_and_where_the_date_is(
    tmp_path: Path, landing: str, folder: str, name: str, other: str
) -> None:
    store = store_with(tmp_path, landing)
    land(store, name, other, folder=folder)
    assert months(store, landing) == {name: "2024-01"}
    report = store.ingest("orders")
    assert report.rows_added == 1
    assert [told.split(" (its name is none of")[0] for told in report.unread] == [other]
    assert report.unread == store.status().sources[0].unread


@pytest.mark.parametrize("landing", ["in/{day}/*.csv", "{date}/{date}.csv", "{date}/{month}.csv", "in/{Date}.csv", "in/{}"])
def test_braces_that_say_something_else_are_refused(landing: str) -> None:
    with pytest.raises(DefinitionError, match=r"a pattern has \{date\} or \{month\} once"):
        source(landing)


@pytest.mark.parametrize("landing", ["/data/in", "../in", "a/../../in", "~/in", "", ".", Path("/data/in"), "/data/{date}.csv"])
def test_a_folder_that_is_not_below_the_store_is_refused(landing: str) -> None:
    with pytest.raises(DefinitionError, match=r"no folder below the store.*may itself be a link"):
        source(landing)


@pytest.mark.parametrize(("landing", "says"), [(5, "as a text"), (b"in", "as a text"), ("s3://b/in", "an address")])
def test_what_is_no_folder_at_all_is_refused(landing: object, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        source(landing)  # type: ignore[arg-type]


def test_a_path_is_taken_as_its_text() -> None:
    assert source(Path("in") / "orders").landing == "in/orders"


def test_a_store_that_recorded_another_folder_long_ago_still_reads_it(tmp_path: Path) -> None:
    store = store_with(tmp_path / "store", "in")
    registry = store.layout.registry
    registry.write_text(registry.read_text().replace('"landing": "in"', f'"landing": "{tmp_path}/elsewhere"'))
    land(store, "2024-01.csv", folder=str(tmp_path / "elsewhere"))
    assert fs.FeatureStore(tmp_path / "store").ingest("orders").rows_added == 1


def test_a_landing_folder_may_have_any_name(tmp_path: Path) -> None:
    store = store_with(tmp_path, "in[1]*")
    land(store, "2024-01.csv", folder="in[1]*")
    assert months(store, "in[1]*") == {"2024-01.csv": "2024-01"}


def test_what_is_not_read_is_told_by_status_and_report(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    land(store, "2024-01.csv", "notes.txt", "2024-01.csv.bz2", "old.csv.tmp", "part.csv", "README", "a\\b*.csv", "\udcff.csv")
    folder = store.layout.landing(source())
    os.utime(folder / "old.csv.tmp", (0, 0))
    os.link(folder / "2024-01.csv", folder / "2024-02.csv")
    write_deltalake(str(folder / "table"), landed_rows())
    link = "a hard link, one of 2 names of a file: put a copy there"
    unread = {file.name: file.reason for file in landing_of(store.layout, source()).unread}
    assert unread == {
        "2024-01.csv": link,
        "2024-01.csv.bz2": "its ending '.bz2' is unknown",
        "2024-02.csv": link,
        "README": "its name has no ending",
        "a\\b*.csv": "its path has a backslash and one of [ ] * ?: rename it",
        "notes.txt": "its ending '.txt' is unknown",
        "old.csv.tmp": "its name says that it is not finished, for more than a day",
        "table": f"a Delta table: `featurestore ingest orders {folder}/table` reads it",
        "\udcff.csv": "its name is no UTF-8: rename it",
    }
    undated = [str(file) for file in files_without_partition(store.layout, source()) if "no date" in file.reason]
    assert undated == ["part.csv (no date in its name: only `featurestore ingest orders` reads it)"]
    (folder / "2024-02.csv").unlink()
    report = store.ingest("orders")
    assert report.rows_added == 2
    assert "not read: 2024-01.csv.bz2 (its ending '.bz2' is unknown)\n  not read: README" in str(report)
    assert store.status().sources[0].unread == report.unread
    assert store.ingest("orders", folder / "2024-01.csv").unread == ()


@pytest.mark.parametrize("name", [
    "2024-01.csv.tmp", "2024-01.csv.part", ".2024-01.csv", "_SUCCESS", "_temporary/2024-01.csv", ".part-0.csv.crc",
    "2024-01.csv.crc", "2024-01/_staging/a.csv", ".stfolder/2024-01.csv",
])  # fmt: skip
def test_what_is_set_aside_on_purpose_is_passed_over_silently(tmp_path: Path, name: str) -> None:
    store = store_with(tmp_path)
    land(store, name)
    assert landing_of(store.layout, source()) == Landing((), ())
    assert store.ingest("orders").rows_read == 0


def test_a_landed_file_is_read_once_and_again_when_it_was_rewritten(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    land(store, "2024-01.csv")
    assert (store.ingest("orders").rows_read, store.ingest("orders").rows_read) == (1, 0)
    file = store.layout.landing(source()) / "2024-01.csv"
    file.write_text(file.read_text() + "8,2024-01-06\n")
    report = store.ingest("orders")
    assert (report.rows_read, report.rows_added, report.duplicates) == (2, 1, 1)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    report = store.ingest("orders")
    assert (report.rows_read, report.duplicates) == (2, 2)


def test_files_of_months_that_are_no_partitions_are_told_until_they_are_ingested(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    land(store, "1999-01.csv", "2024-01.csv")
    told = files_without_partition(store.layout, source(), months={"2024-01"})
    assert [str(file) for file in told] == ["1999-01.csv (1999-01 is no partition: only `featurestore ingest orders` reads it)"]
    store.ingest("orders")
    assert files_without_partition(store.layout, source(), months={"2024-01"}) == []


def landed_rows() -> object:
    import pyarrow as pa

    return pa.table({"id": [7]})


def test_a_pipe_or_a_socket_stops_the_folder_and_the_status_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(tmp_path)
    land(store, "2024-01.csv")
    folder = store.layout.root / "landing" / "orders"
    os.mkfifo(folder / "2024-02.csv")
    with pytest.raises(IngestError, match=r"2024-02\.csv is a pipe, a socket or a device"):
        store.ingest("orders")
    (told,) = store.status().sources[0].unread
    assert "is a pipe" in told
    (folder / "2024-02.csv").unlink()
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("s.csv")
        with pytest.raises(IngestError, match=r"s\.csv is a pipe, a socket or a device"):
            store.ingest("orders")
    assert store.status().sources[0].rows == 0
