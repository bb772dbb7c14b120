"""Inventory: the committed files of one partition, for the sizes that the UI plots and the checks compare."""

from featurestore.client import FeatureStore
from featurestore.compute.state import KIND, LEDGER, MONTH, START, ViewState
from featurestore.drift.audit_tables import MONTH as AUDITED_MONTH
from featurestore.lake.footer import read_footer
from featurestore.lake.table import CommittedFile, Table
from featurestore.operations.panels import audited_view
from featurestore.spec.aggregations import Count, Distinct, Sum
from featurestore.spec.view import FeatureView
from featurestore.timeline import Month
from featurestore_pipelines.metadata import Metadata, plot, size_of

NEVER_NULL = (Count, Distinct, Sum)
"""Aggregations that are 0 without events; the values of all others can be missing."""


class Inventory:
    """The tile and ledger tables of all views, each opened once.

    Args:
        store: The store, as it is now.
    """

    def __init__(self, store: FeatureStore) -> None:
        events = {name: Table.open(store.layout.events(name)) for name in store.registry.sources}
        views = store.registry.views.values()
        self._states = {view.name: ViewState(store.layout, view, events[view.source.name]) for view in views}
        self._tiles = {name: Table.open(state.tiles_path) for name, state in self._states.items()}
        self._ledgers = {name: Table.open(state.ledger_path) for name, state in self._states.items()}

    def state(self, view: str) -> ViewState:
        """Return what is committed of a view, and what is out of date."""
        return self._states[view]

    def tiles(self, month: Month | None = None, *, view: str | None = None) -> list[CommittedFile]:
        """List the tile files of a month or of all, of a view or of all."""
        partition = {} if month is None else {MONTH: str(month)}
        return _files(self._tiles, view, partition)

    def ledger_rows(self, year: int | None = None, *, view: str | None = None) -> int:
        """Count the rows of running totals, balances aside; of a year those of the partitions that begin in it."""
        return sum(file.rows for file in self._ledger(year, view) if file.partition[KIND] == LEDGER)

    def ledger_bytes(self, year: int | None = None, *, view: str | None = None) -> int:
        """Count the bytes of running totals and balances."""
        return sum(file.size_bytes for file in self._ledger(year, view))

    def _ledger(self, year: int | None, view: str | None) -> list[CommittedFile]:
        files = _files(self._ledgers, view, {})
        return files if year is None else [file for file in files if Month.parse(file.partition[START]).year == year]


class Snapshots:
    """The committed month-end snapshots of one view.

    Args:
        store: The store, as it is now.
        view: The view.
    """

    def __init__(self, store: FeatureStore, view: FeatureView) -> None:
        self._view = view
        self._table = Table.open(audited_view(store.layout, view).snapshots)

    def describe(self, month: Month) -> Metadata:
        """Describe a month: rows, bytes, features, and the shares of NULLs that the file's own footer counts."""
        files = self._table.files(**{AUDITED_MONTH: str(month)})
        features = self._view.features
        facts = {**size_of(files), **plot(features=len(features))}
        for file in files:
            nulls = read_footer(file.path).null_count  # the table's log counts those of the first 32 columns alone
            shares = {f.name: nulls[f.column] / max(file.rows, 1) for f in features if f.column in nulls}
            facts |= plot(null_rate=sum(shares.values()) / max(len(shares), 1))
            facts |= plot(
                **{
                    f"null_rate {f.name}": shares[f.name]
                    for f in features
                    if f.name in shares and not isinstance(f.aggregation, NEVER_NULL)
                }
            )
        return facts


def newest_month(store: FeatureStore, source: str) -> Month | None:
    """Return the newest month of a source with committed events; ``None`` if it has none."""
    files = Table.open(store.layout.events(source)).files()
    return max((Month.parse(file.partition["month"]) for file in files), default=None)


def _files(tables: dict[str, Table], view: str | None, partition: dict[str, str]) -> list[CommittedFile]:
    chosen = tables.values() if view is None else [tables[view]]
    return [file for table in chosen for file in table.files(**partition)]
