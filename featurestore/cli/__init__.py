"""The ``featurestore`` command, on top of everything.

app         the commands, and what becomes of an error
options     options that several commands share
streams     what becomes of a stdout that is closed, full or unread
screen      where words, tables, JSON and progress go
opening     stores that exist
rows        files of rows, in and out
project     init, up
ui          ui: needs the pipelines extra
definitions apply, remove
store       ingest, materialize, verify, get, publish, status, vacuum
quarantine  quarantine
drift       audit, recalibrate, rollback
upgrade     upgrade
demo        the whole path on a made-up or a real data set: the one command that needs the pipelines extra
"""

from __future__ import annotations

from featurestore.cli.app import main

__all__ = ["main"]
