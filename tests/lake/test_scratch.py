"""Scratch folders: gone with their call, however it ends, and never while it lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from featurestore.lake.scratch import scratch_folder

HOLD = """
import sys, time
from pathlib import Path
from featurestore.lake.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "spilled").write_bytes(bytes(1000))
    print(folder.name, flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_folder_of_a_killed_call_is_removed_by_the_next_one_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    processes = [
        subprocess.Popen([sys.executable, "-c", HOLD, str(spill)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    _, killed = processes
    try:
        living_name, killed_name = (process.stdout.readline().strip() for process in processes if process.stdout)
        with scratch_folder(spill) as own:
            assert names(spill) == sorted([living_name, killed_name, own.name])
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert names(spill) == sorted([living_name, killed_name])
        with scratch_folder(spill) as own:
            assert names(spill) == sorted([living_name, own.name])
            assert (spill / living_name / "spilled").stat().st_size == 1000
        assert names(spill) == [living_name]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_folder_goes_with_its_block_and_takes_those_of_older_versions_along_after_two_days(tmp_path: Path) -> None:
    old, young = tmp_path / "spill" / "old", tmp_path / "spill" / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 3 * 86_400,) * 2)
    with scratch_folder(tmp_path / "spill") as own:
        (own / "x").write_text("")
        assert not old.exists()
    assert names(tmp_path / "spill") == ["young"]


def test_folders_of_one_process_lie_side_by_side(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as one, scratch_folder(tmp_path) as other:
        assert one != other
        assert one.exists()
    assert names(tmp_path) == []
