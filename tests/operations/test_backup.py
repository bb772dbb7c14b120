"""deploy/backup.sh copies a store under a writer: whatever is written between any two of its steps, the copy is a store."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

import featurestore as fs
from tests.operations.damaged_store import EVENTS, SERVICE, START, VIEW, rows

SCRIPT = Path(__file__).parents[2] / "deploy" / "backup.sh"
STEPS = 11
BROKEN_INTO = (0, 3, 5, 6, 7)
"""Steps that a writer breaks into: what names versions, logs of ledgers, keys, events, superseded versions."""
TAR = """#!/bin/sh
if [ "$1" = --create ]; then
    echo asked > {asked}
    read -r _ < {answered}
fi
exec {tar} "$@"
"""


def write(store: fs.FeatureStore, number: int) -> None:
    """Go on by one step: new users and rows, a correction of rows of before, an invalid row, a refresh, a publication, a pin."""
    added = rows(10 * number, 10 * number + 10)
    users = pa.array([100 * number + user for user in range(10)])
    store.ingest("events", added.set_column(added.schema.get_field_index("user_id"), "user_id", users))
    if number:
        earlier = rows(10 * number - 9, 10 * number - 5, cents=900 + number, late=2)
        store.ingest("events", earlier)
    store.ingest("events", added.slice(0, 1).set_column(1, "event_time", pa.nulls(1, pa.timestamp("us", "UTC"))))
    store.materialize()
    if number < 4:
        store.publish("routing_v1")
        store.pin(f"model_{number}", answer(store))


def answer(store: fs.FeatureStore, **options: object) -> pa.Table:
    """Ask for all users on each day: what a correction replaced was known for two days."""
    asked = [(user, START + timedelta(days=day)) for user in range(700) if user % 100 < 40 for day in range(1, 30)]
    users, days = zip(*asked, strict=True)
    return store.get_historical_features(pa.table({"user_id": users, "as_of": days}), ["activity"], **options)


def made(root: Path) -> fs.FeatureStore:
    store = fs.FeatureStore(root)
    store.apply([EVENTS, VIEW, SERVICE])
    return store


def test_a_store_that_is_copied_under_a_writer_is_a_store(tmp_path: Path) -> None:
    store = made(tmp_path / "store")
    for number in range(2):
        write(store, number)
    backed_up(store, tmp_path / "copy", first=2)
    copy = fs.FeatureStore(tmp_path / "copy")
    report = copy.doctor(dry_run=True)
    assert not report.damages, str(report)
    publication = copy.published("routing_v1")
    assert copy.get_batch_features(publication.as_of, "routing_v1", versions=publication).num_rows == 20
    assert sorted(path.stem for path in copy.layout.pins.iterdir()) == ["model_0", "model_1"]
    copy.materialize()
    count = copy.status().sources[0].rows
    reference = made(tmp_path / "reference")
    corrected = count // 10 - 1
    for number in range(corrected + 1):
        write(reference, number)
    assert reference.status().sources[0].rows == count
    assert count >= 20  # what was acknowledged before the copy began
    for options in ({}, {"as_known": True}):
        ours, theirs = (answer(each, **options).replace_schema_metadata() for each in (copy, reference))
        assert ours.equals(theirs)
    assert copy.verify().is_equal
    write(copy, corrected + 1)
    write(reference, corrected + 1)
    assert answer(copy).replace_schema_metadata().equals(answer(reference).replace_schema_metadata())


def test_a_backup_takes_no_folder_that_has_something_in_it(tmp_path: Path) -> None:
    made(tmp_path / "store")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").write_text("")
    done = subprocess.run([SCRIPT, tmp_path / "store", tmp_path / "copy"], capture_output=True, text=True, check=False)
    assert (done.returncode, "is not empty" in done.stderr) == (1, True)
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["mine"]


def backed_up(store: fs.FeatureStore, target: Path, *, first: int) -> None:
    """Copy a store, and write to it within steps of the script, between the list of their files and their copy."""
    places = target.parent / "asked", target.parent / "answered"
    for place in places:
        os.mkfifo(place)
    tar = target.parent / "bin" / "tar"
    tar.parent.mkdir()
    real = subprocess.run(["which", "tar"], capture_output=True, text=True, check=True).stdout.strip()
    tar.write_text(TAR.format(asked=places[0], answered=places[1], tar=real))
    tar.chmod(0o755)
    environment = os.environ | {"PATH": f"{tar.parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen([SCRIPT, store.layout.root, target], env=environment)
    number = first
    for step in range(STEPS):
        places[0].read_text()
        if step in BROKEN_INTO:
            write(store, number)
            number += 1
        places[1].write_text("go on\n")
    assert process.wait(60) == 0
