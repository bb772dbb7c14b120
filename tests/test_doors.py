"""Damage at every door is an error of the library that says what to do: no error of Python, Arrow, DuckDB or Delta gets out."""

from __future__ import annotations

import copy
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.lake import delta_runtime
from featurestore.lake.storage import STORAGE
from tests.operations import damaged_store
from tests.operations.test_publishing import promote

EVENTS = fs.EventSource(
    "events",
    schema={"id": "int64", "at": "timestamp", "user": "string", "known": "timestamp", "price": "double"},
    event_time="at",
    event_id="id",
    ingested_at="known",
    csv=fs.Csv(delimiter=";"),
)
VIEW = fs.FeatureView(
    "activity",
    entity=fs.Entity("user", key="user"),
    source=EVENTS,
    aggregations=[fs.Count("n", windows=("30d", "lifetime")), fs.Sum("spent", "price", where="price > 1")],
)
REPLACEMENTS: tuple[Any, ...] = (None, 1, "x", [], {}, [[1]])


@pytest.fixture
def store(tmp_path: Path) -> fs.FeatureStore:
    made = fs.FeatureStore(tmp_path / "store")
    made.apply([VIEW, fs.FeatureService("ranking", features=[VIEW])])
    at = [datetime(2024, 1, 1 + day) for day in range(20)]
    rows = {"id": range(20), "at": at, "user": ["a", "b"] * 10, "known": at, "price": [2.5] * 20}
    made.ingest("events", pa.table(rows))
    made.ingest("events", pa.table({**rows, "id": pa.nulls(20, pa.int64())}))
    return made


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the ways to every value in a JSON document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*at, key)
        yield from places(each, (*at, key))


def test_a_registry_in_which_anything_is_something_else_is_read_or_refused(store: fs.FeatureStore) -> None:
    registry = store.layout.registry
    written = json.loads(registry.read_text())
    refused = 0
    for number, way in enumerate(places(written)):
        changed = copy.deepcopy(written)
        at = changed
        for key in way[:-1]:
            at = at[key]
        at[way[-1]] = REPLACEMENTS[number % len(REPLACEMENTS)]
        registry.write_text(json.dumps(changed))
        for read in (lambda: store.registry, lambda: store.plan([VIEW])):
            try:
                read()
            except fs.FeatureStoreError:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"", b"[]", b"{}", b'{"view": [{}]}'], ids=repr)
def test_a_registry_of_any_bytes_is_read_or_refused(store: fs.FeatureStore, content: bytes) -> None:
    store.layout.registry.write_bytes(content)
    if content == b"{}":
        return
    with pytest.raises(fs.FeatureStoreError):
        assert not store.registry.views


@pytest.mark.parametrize("kind", ["events", "quarantine", "tiles", "keys"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"PAR1 no more"), Path.unlink], ids=["bytes", "gone"])
def test_a_damaged_file_of_a_table_is_told(store: fs.FeatureStore, kind: str, damage: Callable[[Path], object]) -> None:
    if kind not in ("events", "quarantine"):
        store.materialize()
    for file in (store.layout.root / "lake" / kind).rglob("*.parquet"):
        damage(file)
    told = []
    spine = pa.table({"user": ["a"], "as_of": [datetime(2024, 3, 1)]})
    for call in (
        store.materialize,
        lambda: store.get_historical_features(spine, [VIEW]),
        lambda: store.get_historical_features(spine, [VIEW], as_known=True),
        lambda: store.quarantine("events"),
        store.verify,
        store.status,
    ):
        try:
            call()
        except fs.FeatureStoreError as error:
            told.append(str(error))
    # Of what is computed there are copies to read from, and verify() reports what is damaged.
    assert told or kind in ("tiles", "keys")


def test_a_panic_of_rust_becomes_an_error(tmp_path: Path) -> None:
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    with pytest.raises(fs.StoreError, match="deltalake stopped at"), delta_runtime.deltalake_at(tmp_path):
        raise panic("no")
    with pytest.raises(KeyboardInterrupt), delta_runtime.deltalake_at(tmp_path):
        raise KeyboardInterrupt


SPINE = pa.table({"user": ["a"], "as_of": [datetime(2024, 2, 1)]})
LATER = pa.table(
    {
        "id": range(100, 105),
        "at": [datetime(2024, 1, 5)] * 5,
        "user": ["c"] * 5,
        "known": [datetime(2024, 3, 1)] * 5,
        "price": [1.5] * 5,
    }
)
VERBS: dict[str, Callable[[fs.FeatureStore], object]] = {
    "open": lambda store: fs.FeatureStore(store.layout.root).registry,
    "apply": lambda store: store.apply(
        [fs.FeatureView("other", entity=VIEW.entity, source=EVENTS, aggregations=[fs.Count("n")])]
    ),
    "get": lambda store: store.get_historical_features(SPINE, ["activity"]),
    "known": lambda store: store.get_historical_features(SPINE, ["activity"], as_known=True),
    "write": lambda store: store.write_historical_features(SPINE, ["activity"], store.layout.root / "rows.parquet"),
    "publish": lambda store: store.publish("ranking"),
    "pin": lambda store: store.pin("rows", store.get_historical_features(SPINE, ["activity"])),
    "ingest": lambda store: store.ingest("events", LATER),
    "materialize": lambda store: store.materialize(),
    "audit": lambda store: store.audit("2024-01"),
    "page": lambda store: store.write_page("2024-01", store.layout.root / "page.html"),
    "status": lambda store: store.status(),
    "verify": lambda store: store.verify(),
    "vacuum": lambda store: store.vacuum(),
    "doctor": lambda store: store.doctor(),
}


PRIOR = fs.Calibration("prior", fit="beta_binomial", inputs=["activity:seen_30d", "activity:seen_lifetime"])
OTHER = fs.FeatureView("other", entity=damaged_store.VIEW.entity, source=damaged_store.EVENTS, aggregations=[fs.Count("all")])
REPORTS: dict[str, Callable[[fs.FeatureStore], object]] = {
    "plan": lambda store: store.plan([OTHER]),
    "remove": lambda store: store.remove("other") if "other" in store.registry.views else store.apply([OTHER]),
    "quarantine": lambda store: store.quarantine("events"),
    "stream": lambda store: store.stream_historical_features(damaged_store.spine(), ["activity"]).read_all(),
    "batch": lambda store: store.get_batch_features(damaged_store.AT, ["activity"]),
    "published": lambda store: store.published("routing_v1"),
    "take snapshots": lambda store: store.take_snapshots("2024-03"),
    "history": lambda store: store.drift_history(),
    "faults": lambda store: store.data_faults(),
    "forecasts": lambda store: store.forecast_scores(),
    "acknowledge": lambda store: store.acknowledge("activity:seen_30d", note="seen"),  # refused: nothing is open
    "alerts": lambda store: store.alerts(),
    "digest": lambda store: store.digest("2024-02"),
    "distributions": lambda store: store.write_distributions("2024-02"),
    "recalibrate": lambda store: store.recalibrate("prior"),
    "outlooks": lambda store: store.outlooks(),
    "rollback": lambda store: store.rollback("prior"),
    "pin": lambda store: store.pin("more", store.get_batch_features(damaged_store.AT, ["activity"])),
    "unpin": lambda store: store.unpin("model") if STORAGE.exists(store.layout.pins / "model.json") else None,
    "upgrade": lambda store: store.upgrade(),
}
DRAWN: dict[str, Callable[[fs.FeatureStore], object]] = {
    "timeline": lambda store: store.write_timeline(),
    "report": lambda store: store.write_report("activity", "2024-02"),
}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with audited months, a publication, a pin and a calibration that was promoted often."""
    made = damaged_store.make_store(tmp_path_factory.mktemp("audited") / "store")
    made.apply([OTHER, PRIOR])
    made.materialize()
    for a in range(1, 9):
        promote(made.layout.calibrations("prior"), float(a))
    return made.layout.root


class Fault:
    """Fails the n-th call of a function of the system or of a library that concerns a store."""

    def __init__(self, real: Callable[..., Any], error: Exception, nth: int, root: Path | None) -> None:
        self.real, self.error, self.left, self.root = real, error, nth, root

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        return self if instance is None else partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.root is None or any(str(each).startswith(str(self.root)) for each in args):
            self.left -= 1
            if self.left == 0:
                raise type(self.error)(*self.error.args)  # one that is raised again keeps the frames of before
        return self.real(*args, **kwargs)


def error_of(call: Callable[[fs.FeatureStore], object], store: fs.FeatureStore) -> fs.FeatureStoreError | None:
    """Make a call; return the error of ours that it raises, and let any other out."""
    try:
        call(store)
    except fs.FeatureStoreError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("owner", "name", "nth", "error"),
    [
        (os, "fsync", 2, OSError(errno.ENOSPC, "No space left on device")),
        (os, "link", 1, OSError(errno.EDQUOT, "Disk quota exceeded")),
        (os, "stat", 1, OSError(errno.EIO, "Input/output error")),
        (os, "stat", 3, OSError(errno.EIO, "Input/output error")),
        (os, "scandir", 1, PermissionError(errno.EACCES, "Permission denied")),
        (Path, "open", 2, PermissionError(errno.EACCES, "Permission denied")),
        (pq, "ParquetFile", 1, pa.ArrowInvalid("a page is damaged")),
        (pq, "ParquetWriter", 1, OSError(errno.ENOSPC, "No space left on device")),
        (duckdb, "connect", 1, duckdb.IOException("IO Error: no")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_fails_at_any_door_is_an_error_of_ours_and_the_call_can_be_made_again(
    store: fs.FeatureStore, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, nth: int, error: Exception
) -> None:
    store.materialize()
    failed = 0
    for verb, call in VERBS.items():
        with monkeypatch.context() as broken:
            root = store.layout.root if owner in (os, Path) and name not in ("fsync", "link") else None
            broken.setattr(owner, name, Fault(getattr(owner, name), error, nth, root))
            told = error_of(call, store)
        failed += told is not None
        assert "stopped at an error of the disk or of a library" not in str(told), verb  # which the last door says
        assert told is None or len(str(told)) > len(str(error)), verb
        call(store)
    assert failed


def test_each_public_verb_is_tried_at_broken_doors() -> None:
    tried = {name for call in (*VERBS.values(), *REPORTS.values(), *DRAWN.values()) for name in call.__code__.co_names}
    public = {name for name in vars(fs.FeatureStore) if not name.startswith("_")}
    assert not public - tried


@pytest.mark.parametrize(
    ("owner", "name", "nth", "error"),
    [
        (os, "fsync", 1, OSError(errno.ENOSPC, "No space left on device")),
        (os, "link", 1, OSError(errno.EDQUOT, "Disk quota exceeded")),
        (os, "replace", 1, OSError(errno.ENOSPC, "No space left on device")),
        (os, "open", 1, OSError(errno.EMFILE, "Too many open files")),
        (os, "stat", 1, OSError(errno.EIO, "Input/output error")),
        (os, "stat", 3, OSError(errno.EIO, "Input/output error")),
        (os, "scandir", 1, PermissionError(errno.EACCES, "Permission denied")),
        (Path, "open", 2, PermissionError(errno.EACCES, "Permission denied")),
        (Path, "read_bytes", 1, OSError(errno.EIO, "Input/output error")),
        (pq, "ParquetFile", 1, pa.ArrowInvalid("a page is damaged")),
        (duckdb, "connect", 1, duckdb.IOException("IO Error: no")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_fails_at_a_door_of_what_reports_is_an_error_of_ours_too(
    audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, nth: int, error: Exception
) -> None:
    store = fs.FeatureStore(shutil.copytree(audited, tmp_path / "store"))
    failed = 0
    for verb, call in (REPORTS | (DRAWN if name == "replace" else {})).items():
        with monkeypatch.context() as broken:
            root = store.layout.root if owner in (os, Path) and name != "fsync" else None
            broken.setattr(owner, name, Fault(getattr(owner, name), error, nth, root))
            told = error_of(call, store)
        failed += told is not None
        assert "stopped at an error of the disk or of a library" not in str(told), verb  # which the last door says
        assert told is None or len(str(told)) > len(str(error)), verb
        again = error_of(call, store) if verb not in DRAWN else None
        assert again is None or verb == "acknowledge", verb
    assert failed > 1  # acknowledge is refused in any case
