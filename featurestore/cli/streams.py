"""Streams: what becomes of a command whose stdout or stderr is closed, full, or read no further.

As other programs do: ``featurestore status | head -1`` ends without a word, with the exit code of one that a SIGPIPE ended; a result
that could not be written (a full disk, a closed stdout) is an error, in a line on stderr. Remarks that nobody can read are dropped.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import NoReturn, TextIO

UNREAD = 128 + 13
"""The exit code that a shell tells of a program that SIGPIPE ended."""


def prepare() -> None:
    """Make stdout and stderr what every command may write to."""
    sys.stdout = sys.stdout or _closed()
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of ASCII must not stop a command that shows Chinese rows


def write_result(text: str) -> None:
    """Write to stdout; end the process where that cannot be done."""
    try:
        sys.stdout.write(text)
    except OSError as error:
        end_unheard(error)


def write_remark(text: str) -> None:
    """Write to stderr, if that can be done."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _to_nowhere(sys.stderr)


def flush() -> None:
    """Write out what has been gathered; end the process where that cannot be done."""
    write_remark("")
    try:
        sys.stdout.flush()
    except OSError as error:
        end_unheard(error)


def end_unheard(error: OSError) -> NoReturn:
    """End the process after stdout has failed: without a word where its reader has gone, else with one."""
    _to_nowhere(sys.stdout)
    if error.errno == errno.EPIPE:
        sys.exit(UNREAD)
    write_remark(f"featurestore: the result could not be written to stdout: {error.strerror or error}\n")
    sys.exit(1)


def _closed() -> TextIO:
    """Return a stdout that refuses what is written, as a closed one does."""
    return os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")


def _to_nowhere(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, so that Python does not fail on it when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
