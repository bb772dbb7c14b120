"""The signals that a process is started with."""

from __future__ import annotations

import signal


def usual_signals() -> None:
    """Give a child the signals of a program that a person starts, however the tests were started.

    What a script starts in the background ignores SIGINT, and so do its children, unless they are told otherwise before they
    become a program of their own.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignored_signals() -> None:
    """Give a child the signals of what a script starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
