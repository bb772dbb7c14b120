"""The lock between processes: one holder, and none left behind by a crash."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from featurestore.errors import CommitConflictError
from featurestore.lake.lock import exclusive


def hold(path: Path, holds: multiprocessing.Event) -> None:
    with exclusive(path):
        holds.set()
        signal.pause()


def test_a_second_holder_waits_and_is_told_and_a_killed_one_leaves_nothing_behind(tmp_path) -> None:
    context, path = multiprocessing.get_context("spawn"), tmp_path / "lock"
    holds = context.Event()
    holder = context.Process(target=hold, args=(path, holds))
    holder.start()
    assert holds.wait(30)
    with pytest.raises(CommitConflictError, match="Another process has held"), exclusive(path, wait_s=0.1):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with exclusive(path, wait_s=1):
        pass
