"""What is refused before it is recorded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import featurestore as fs
from featurestore.errors import DefinitionError
from featurestore.operations.definitions import apply_definitions, recorded
from tests.lake.older_stores import OLDER, unpack

SOURCE = fs.EventSource("events", schema={"id": "int64", "user_id": "int64", "at": "timestamp"}, event_id="id", event_time="at")
USERS = fs.FeatureView(
    "users",
    entity=fs.Entity("user", key="user_id"),
    source=SOURCE,
    aggregations=[fs.Count("bought", windows=["1y"]), fs.Count("seen", windows=["1y"])],
)
OTHER = fs.FeatureView("other", entity=USERS.entity, source=SOURCE, aggregations=[fs.Count("n", windows=["1y"])])
GOOD: dict[str, Any] = {"fit": "beta_binomial", "inputs": ["users:bought_1y", "users:seen_1y"]}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"fit": "nosuch"}, "no fitter 'nosuch'"),
        ({"fit": "beta_binomal"}, "Did you mean 'beta_binomial'"),
        ({"loss": "pinball"}, "losses of 'beta_binomial' are log_loss, brier"),
        ({"fit": "order_cutoff"}, "losses of 'order_cutoff' are pinball. Write loss='pinball'"),
        ({"inputs": ["users:bought_1y"]}, "takes successes, trials"),
        ({"inputs": ["users:bought_1y", "other:n_1y"]}, "must share one view"),
        ({"by": "other:n_1y"}, "must share one view"),
    ],
)
def test_a_calibration_that_could_never_be_fitted_is_neither_planned_nor_recorded(
    tmp_path: Any, changed: dict[str, Any], says: str
) -> None:
    store = fs.FeatureStore(tmp_path / "store")
    wrong = fs.Calibration("prior", **(GOOD | changed))
    for call in (store.plan, store.apply):
        with pytest.raises(DefinitionError, match=says):
            call([USERS, OTHER, wrong])
    assert not store.layout.registry.exists()
    store.apply([USERS, fs.Calibration("prior", **GOOD)])


def test_a_calibration_that_was_recorded_before_it_was_checked_locks_nobody_out(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fs.FeatureStore(tmp_path / "store")
    wrong = fs.Calibration("prior", **(GOOD | {"fit": "nosuch"}))
    with monkeypatch.context() as older:
        older.setattr("featurestore.operations.definitions.check_definition", lambda calibration: None)
        apply_definitions(store.layout, [USERS, wrong])
    assert "nosuch" in str(recorded(store.layout).calibrations["prior"])
    store.apply([OTHER])
    store.apply([fs.Calibration("prior", **GOOD)])
    assert recorded(store.layout).calibrations["prior"].fit == "beta_binomial"


@pytest.mark.parametrize("declares", ["wide", "resolution_bits", "relative_to", "nothing", "a coarser one"])
def test_an_older_program_is_told_of_definitions_that_it_cannot_read(tmp_path: Path, declares: str) -> None:
    root = unpack(OLDER[0], tmp_path).root
    schema = {"id": "int64", "at": "timestamp", "user": "string", "x": "double"}
    source = fs.EventSource("more", schema=schema, event_time="at", event_id="id", wide=["x"] if declares == "wide" else ())
    aggregation = {
        "resolution_bits": fs.Sum("s", "x"),
        "relative_to": fs.Decayed("s", "x", windows=("30d",), half_life="7d", resolution_bits=40),
        "a coarser one": fs.Sum("s", "x", resolution_bits=20),
    }.get(declares, fs.Count("s"))
    view = fs.FeatureView("more", entity=fs.Entity("someone", key="user"), source=source, aggregations=[aggregation])
    fs.FeatureStore(root).apply([view])
    record = json.loads((root / "store.json").read_text())
    is_new = declares not in ("nothing", "a coarser one")
    assert (record.get("read_version", 1), record.get("read_since", "0.1.0")) == ((2, "0.2.0") if is_new else (1, "0.1.0"))


def test_applying_what_another_process_recorded_and_did_not_flush_flushes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fs.FeatureStore(tmp_path / "store")
    entity = fs.Entity("someone", key="user")
    store.apply([entity])
    registry = store.layout.registry
    aside = registry.with_name(".aside")
    aside.write_bytes(registry.read_bytes())
    os.replace(aside, registry)  # as a process does that is killed then
    synced, real = [], os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    assert not store.apply([entity]).changes
    assert synced == [registry, registry.parent]
