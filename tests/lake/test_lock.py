"""The lock between processes: one holder, and none left behind by a crash."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from featurestore.errors import CommitConflictError, StoreError
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


def test_threads_of_one_process_wait_for_each_other_and_an_inner_block_for_its_outer_one(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def work() -> None:
        with exclusive(tmp_path / "lock"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.005)
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    again = exclusive(tmp_path / "lock", wait_s=0, busy="mine")
    with exclusive(tmp_path / "lock"), pytest.raises(CommitConflictError, match="mine"), again:
        pass
    with exclusive(tmp_path / "lock", wait_s=0):
        pass


def test_the_file_stays_empty_and_readable_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "lock"
    with exclusive(path):
        node = path.stat().st_ino
    with exclusive(path):
        assert path.stat().st_ino == node
    assert path.read_bytes() == b""
    assert stat.S_IMODE(path.stat().st_mode) & 0o400


def test_it_is_released_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "lock"):
        raise ZeroDivisionError
    with exclusive(tmp_path / "lock", wait_s=0):
        pass


def test_a_file_system_without_locks_is_refused_not_locked_by_a_file_that_a_crash_leaves(tmp_path: Path, monkeypatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def flock(handle: int, how: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreError, match="cannot be locked"), exclusive(tmp_path / "lock", wait_s=0.1):
        pass
