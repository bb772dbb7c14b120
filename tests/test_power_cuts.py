"""After a cut of power a store keeps its word: a sample of the cuts that ``python -m tests.power_cuts 400`` makes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from featurestore.lake import whole_file
from tests.power_cuts import Disk, Run, Word, broken_promises, cuts


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.made(tmp_path_factory.mktemp("cuts"), rounds=4)


def test_after_a_cut_what_was_acknowledged_is_there_and_the_store_goes_on(run: Run) -> None:
    assert run.disk.word.publication == 1
    assert [promises for _, promises in cuts(run, 8, seed=3) if promises] == []


def test_a_cut_after_the_last_acknowledgement_loses_nothing_whatever_the_disk_had_left(run: Run, tmp_path: Path) -> None:
    for seed in range(3):
        run.disk.moments[-1].cut(tmp_path / str(seed), random.Random(seed))
        assert broken_promises(run, run.disk.moments[-1], tmp_path / str(seed)) == []


def test_the_disk_knows_what_is_certain(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "disk")
    disk.root.mkdir()
    (disk.root / "old").write_text("old")
    with disk.watched():
        (disk.root / "folder").mkdir()
        (disk.root / "folder" / "bare").write_text("unflushed")
        with whole_file.durable_file(disk.root / "folder" / "kept", replaces=True) as aside:
            aside.write_text("kept")
        whole_file.write_atomically(disk.root / "old", b"new")
        disk.acknowledge(publication=1)
    moment = disk.moments[-1]
    assert moment.word == Word(publication=1)
    left = set[tuple[str, ...]]()
    for seed in range(300):
        target = tmp_path / str(seed)
        moment.cut(target, random.Random(seed))
        assert (target / "folder" / "kept").read_text() == "kept"
        left.add((*sorted(os.listdir(target / "folder")), (target / "old").read_text().replace("\0", "0")))
    assert {names[:-1] for names in left} == {("bare", "kept")}
    assert {"old", "new", "", "000"} <= {names[-1] for names in left}
