"""The event log of a demo: Dagster's sqlite files, written in bulk.

A range of months over many assets is thousands of events. Dagster's own sqlite log writes each in transactions of its own,
about 20 ms of CPU; these events are gathered instead and written together, in the same files and tables, before any event
that is not of their kind. So whoever reads the files later reads them as Dagster's own. What a crash can lose is what the
last unfinished step said of its assets, never what the store has committed.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy
from dagster._core.events.log import EventLogEntry
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Engine

GATHERED = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED}


class BulkEventLog(SqliteEventLogStorage):
    """Dagster's sqlite event log for one process that runs ranges of many assets."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._gathered: list[EventLogEntry] = []
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> "BulkEventLog":
        """Make the log that an instance's configuration names."""
        return cls(inst_data=inst_data, **config_value)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event; materializations wait for the next event of another kind."""
        if event.is_dagster_event and event.dagster_event_type in GATHERED:
            self._gathered.append(event)
            return
        self._write_gathered()
        super().store_event(event)

    def dispose(self) -> None:
        """Write what waits, and close."""
        self._write_gathered()
        super().dispose()

    def _write_gathered(self) -> None:
        waiting = self._gathered
        self._gathered = []
        newest = {event.get_dagster_event().asset_key: place for place, event in enumerate(waiting)}
        others = [event for place, event in enumerate(waiting) if place not in newest.values()]
        last = [waiting[place] for place in sorted(newest.values())]
        self._insert(others)
        for event in last:  # Dagster's own way, which also keeps the newest event of each asset
            super().store_event(event)

    def _insert(self, events: Sequence[EventLogEntry]) -> None:
        if not events:
            return
        rows = [self._event_to_row(event) for event in events]
        with self.run_connection(events[0].run_id) as connection:
            connection.execute(SqlEventLogStorageTable.insert(), rows)
        with self.index_connection() as connection:
            connection.execute(SqlEventLogStorageTable.insert(), rows)


@contextmanager
def few_flushes() -> Iterator[None]:
    """Let Dagster's sqlite files be flushed now and then, not at every event: what a power cut may take is the log's last entries.

    Dagster opens a connection for each statement. The last one to be closed writes the whole write-ahead log back and flushes it,
    each time; so one connection to each file is kept as long as the block runs.
    """
    kept = dict[str, sqlite3.Connection]()

    def ease(connection: Any, record: Any) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("PRAGMA synchronous = NORMAL")
        (_, _, file) = connection.execute("PRAGMA database_list").fetchone()
        if file and file not in kept and connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            kept[file] = sqlite3.connect(file, check_same_thread=False)
            kept[file].execute("SELECT count(*) FROM sqlite_master").fetchone()

    sqlalchemy.event.listen(Engine, "connect", ease)
    try:
        yield
    finally:
        sqlalchemy.event.remove(Engine, "connect", ease)
        for connection in kept.values():
            connection.close()


def open_instance(home: Path) -> dg.DagsterInstance:
    """Open the instance of a folder, which anyone may open later as it is, with this log for its own."""
    usual = InstanceRef.from_dir(str(home)).event_storage_data
    assert usual is not None
    log = {"module": __name__, "class": BulkEventLog.__name__, "config": dict(usual.config_dict)}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides={"event_log_storage": log}))
