"""Files that appear whole: what a failure, a kill, a full disk or a device leaves behind."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.whole_file import (
    atomic_file,
    check_replaceable,
    durable_file,
    sweep,
    translating,
    write_atomically,
)

LONG_NAME = "é" * 110 + ".parquet"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("writer", [atomic_file, lambda path: durable_file(path, replaces=True)], ids=["atomic", "durable"])
def test_nobody_sees_half_a_file_and_a_failure_leaves_the_old_one_alone(tmp_path: Path, writer) -> None:
    path = tmp_path / LONG_NAME
    path.write_text("old")
    with suppress(ZeroDivisionError), writer(path) as aside:
        aside.write_text("ne")
        assert path.read_text() == "old"
        assert aside.parent == tmp_path
        raise ZeroDivisionError
    assert names(tmp_path) == [LONG_NAME]
    with writer(path) as aside:
        aside.write_text("new")
    assert (path.read_text(), names(tmp_path)) == ("new", [LONG_NAME])


def test_rights_follow_the_umask_also_where_a_private_file_was(tmp_path: Path) -> None:
    (tmp_path / "a").touch(mode=0o600)
    old = os.umask(0o027)
    try:
        for name in ("a", "b"):
            write_atomically(tmp_path / name, b"")
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640
    finally:
        os.umask(old)


def test_a_device_a_pipe_a_link_and_a_folder_are_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    before = names(tmp_path)
    for path, kind in (
        (Path(os.devnull), "a device"),
        (tmp_path / "pipe.csv", "a pipe"),
        (tmp_path / "link", "a link"),
        (tmp_path / "folder", "a folder"),
    ):
        with pytest.raises(StoreError, match=f"is {kind}"), atomic_file(path):
            pytest.fail("the block began")
        with pytest.raises(StoreError, match=f"is {kind}"), durable_file(path, replaces=False):
            pytest.fail("the block began")
    assert names(tmp_path) == before
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    check_replaceable(tmp_path / "nothing")
    check_replaceable(tmp_path / "file")


def test_of_two_who_may_not_replace_one_fails_and_leaves_nothing(tmp_path: Path) -> None:
    slow = durable_file(tmp_path / "a", replaces=False)
    slow.__enter__()
    with durable_file(tmp_path / "a", replaces=False) as fast:
        fast.write_text("fast")
    with pytest.raises(CommitConflictError):
        slow.__exit__(None, None, None)
    assert (names(tmp_path), (tmp_path / "a").read_text()) == (["a"], "fast")


def test_a_folder_sync_that_a_file_system_does_not_have_is_no_failure_but_a_broken_disk_is(tmp_path: Path, monkeypatch) -> None:
    real = os.fsync

    def failing(code: int):
        def fsync(handle: int) -> None:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(code, os.strerror(code))
            real(handle)

        return fsync

    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    with durable_file(tmp_path / "a", replaces=True) as aside:
        aside.write_text("a")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(StoreError, match="Look at the disk"), durable_file(tmp_path / "b", replaces=True):
        pass


@pytest.mark.parametrize(
    ("code", "mend"), [(errno.ENOSPC, "make room"), (errno.EACCES, "Give this user the right"), (errno.EIO, "Look at the disk")]
)
def test_an_error_of_the_disk_says_what_to_do(tmp_path: Path, code: int, mend: str) -> None:
    told = pytest.raises(StoreError, match=f"{re.escape(str(tmp_path))} cannot be written .*{mend}")
    with told as raised, translating(tmp_path, "written"):
        raise OSError(code, os.strerror(code))
    assert isinstance(raised.value.__cause__, OSError)


def test_a_killed_writer_leaves_a_file_that_is_swept_when_it_is_old(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from featurestore.lake.whole_file import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as aside:\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "deep" / "a.json")], check=False)
    (left,) = (tmp_path / "deep").iterdir()
    (tmp_path / ".mine.tmp").write_text("a user's own")
    (tmp_path / f".{'0' * 32}.discarded").mkdir()
    assert sweep(tmp_path) == 1
    assert left.exists()
    os.utime(left, (time.time() - 2 * 86_400,) * 2)
    assert sweep(tmp_path) == 1
    assert (names(tmp_path), names(tmp_path / "deep")) == ([".mine.tmp", "deep"], [])
